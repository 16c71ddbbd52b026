package org.tersor.codegen.jvm;

import org.objectweb.asm.Label;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;

/** Stores to arrays. */
final class StoreCode {
  private final ExprCode expr;
  private final MemoryCode memory;
  private final Code code;
  private final Env env;
  private final ClassCode owner;

  StoreCode(ExprCode expr, ClassCode owner) {
    this.expr = expr;
    this.memory = expr.memory;
    this.code = expr.code;
    this.env = expr.env;
    this.owner = owner;
  }

  void store(Stmt.Store s, Env.Memory m) {
    int mark = code.mark();
    Expr value = s.value();
    Scalar type = value.type().scalar();
    if ((type == Scalar.INDEX) != (m.element() == Scalar.INDEX)) {
      Scalar stored = type == Scalar.INDEX ? Scalar.I64 : Scalar.INDEX;
      store(
          new Stmt.Store(
              s.buffer(),
              s.index(),
              new Expr.Cast(value.type().withScalar(stored), value, true),
              s.mask()),
          m);
      return;
    }
    if (type == Scalar.BOOL && m.element() != Scalar.BOOL) {
      store(
          new Stmt.Store(
              s.buffer(),
              s.index(),
              new Expr.Cast(value.type().withScalar(Scalar.U8), value, true),
              s.mask()),
          m);
      return;
    }
    int n = value.type().lanes();
    int k = chunk(s, value);
    boolean overlaps =
        n > k && (LoopNames.reads(value, s.buffer()) || LoopNames.reads(s.index(), s.buffer()));
    int[] spread =
        overlaps ? expr.lanes.spread(value, 0, n, k, expr.lanes.maskKind(value, k)) : new int[0];
    Kind kind = type == Scalar.BOOL && k > 1 ? expr.lanes.maskKind(value, k) : Kind.of(type);
    Env.Value values = new Env.Value(value.type(), k, kind, spread);
    for (int lo = 0; lo < n; lo += k) {
      int at = lo;
      Runnable push =
          overlaps
              ? () -> expr.value(values, at, k, Kind.BYTE)
              : () -> expr.push(value, at, k, Kind.BYTE);
      if (k == 1) {
        storeScalar(s, m, type, push, lo);
      } else {
        storeVector(s, m, type, push, lo, k);
      }
    }
    code.release(mark);
  }

  private int chunk(Stmt.Store s, Expr value) {
    int k = expr.chunks.of(value);
    if (s.index().type().isVector()) {
      k = Math.min(k, expr.chunks.of(s.index()));
    }
    return k;
  }

  private void storeScalar(Stmt.Store s, Env.Memory m, Scalar type, Runnable value, int lo) {
    Label skip = new Label();
    s.mask().ifPresent(condition -> expr.jumpUnless(condition, lo, skip));
    boolean scatter = s.index().type().isVector();
    put(
        m,
        type,
        () -> expr.push(s.index(), scatter ? lo : 0, 1, Kind.INT),
        scatter ? 0 : lo,
        value);
    code.label(skip);
  }

  private void storeVector(Stmt.Store s, Env.Memory m, Scalar type, Runnable value, int lo, int k) {
    Kind kind = Kind.of(type);
    Kind stored = Kind.of(m.element());
    int bytes = k * kind.bytes;
    boolean whole = bytes >= 8 && bytes % stored.bytes == 0 && lo * kind.bytes % stored.bytes == 0;
    boolean scatter = s.index().type().isVector();
    int mark = code.mark();
    if (type == Scalar.BOOL) {
      code.broadcastConst(Kind.BYTE, k, 0);
      code.broadcastConst(Kind.BYTE, k, 1);
      value.run();
      code.blend(Kind.BYTE);
    } else {
      value.run();
    }
    boolean plain = !scatter && kind == stored;
    if (plain && Code.padded(kind, k) && s.mask().isEmpty()) {
      memory.small.store(
          kind, k, m, at -> memory.index(m, () -> expr.push(s.index()), s.index(), lo + at));
      code.release(mark);
      return;
    }
    if (plain && !memory.canMask(kind, k) && bytes <= 8 && memory.count(s.mask()).isPresent()) {
      memory.small.storeFirst(
          kind,
          k,
          m,
          at -> memory.index(m, () -> expr.push(s.index()), s.index(), lo + at),
          () -> memory.pushCount(memory.count(s.mask()).get(), lo));
      code.release(mark);
      return;
    }
    if (s.mask().isEmpty() ? plain || (whole && !scatter) : plain && memory.canMask(kind, k)) {
      code.reinterpret(kind, stored);
      code.var(Opcodes.ALOAD, m.array());
      memory.index(m, () -> expr.push(s.index()), s.index(), lo * kind.bytes / stored.bytes);
      memory.pushMask(s.mask(), lo, k, kind);
      code.intoArray(stored, s.mask().isPresent());
      code.release(mark);
      return;
    }
    MemoryCode.LaneTest test = memory.laneTest(s.mask(), lo, k);
    int base = code.newLocal(1);
    int indices = scatter ? env.scratch(Kind.INT, MemoryCode.INDEX_SLOT, k) : -1;
    expr.push(s.index(), scatter ? lo : 0, scatter ? k : 1, Kind.INT);
    if (scatter) {
      expr.lanes.intoScratch(Kind.INT, indices, 0);
    } else {
      code.var(Opcodes.ISTORE, base);
    }
    int source = env.scratch(kind, MemoryCode.VALUE_SLOT, k);
    expr.lanes.intoScratch(kind, source, 0);
    Scalar element = type == Scalar.BOOL ? Scalar.U8 : type;
    for (int i = 0; i < k; i++) {
      Label skip = new Label();
      int lane = i;
      test.jumpUnless(lane, skip);
      put(
          m,
          element,
          () -> {
            if (scatter) {
              code.var(Opcodes.ALOAD, indices);
              code.pushInt(lane);
              code.op(Opcodes.IALOAD);
            } else {
              code.var(Opcodes.ILOAD, base);
            }
          },
          scatter ? 0 : lo + i,
          () -> {
            code.var(Opcodes.ALOAD, source);
            code.pushInt(lane);
            code.op(kind.arrayLoad);
            expr.scalars.loaded(element);
          });
      code.label(skip);
    }
    code.release(mark);
  }

  /** Stores a scalar as element {@code lane} after the pushed index. */
  private void put(Env.Memory m, Scalar type, Runnable index, int lane, Runnable value) {
    Kind kind = Kind.of(type);
    Kind stored = Kind.of(m.element());
    if (kind.bytes > stored.bytes && stored == Kind.BYTE) {
      owner.pushView(code, kind);
      code.var(Opcodes.ALOAD, m.array());
      memory.index(m, index, lane * kind.bytes);
      value.run();
      code.invokeVirtual("java/lang/invoke/VarHandle", "set", "([BI" + kind.letter + ")V");
    } else if (kind.bytes > stored.bytes) {
      int pieces = kind.bytes / stored.bytes;
      for (int i = 0; i < pieces; i++) {
        code.var(Opcodes.ALOAD, m.array());
        memory.index(m, index, lane * pieces + i);
        value.run();
        expr.lanes.pieceOf(type, MemoryCode.scalarOf(stored), i * stored.bytes);
        code.op(stored.arrayStore);
      }
    } else if (kind.bytes == stored.bytes) {
      code.var(Opcodes.ALOAD, m.array());
      memory.index(m, index, lane);
      value.run();
      if (kind != stored) {
        expr.scalars.bits(type, MemoryCode.scalarOf(stored));
      }
      code.op(stored.arrayStore);
    } else {
      merge(m, type, index, lane, value);
    }
  }

  /** Replaces a part of a wider element. */
  private void merge(Env.Memory m, Scalar type, Runnable index, int lane, Runnable value) {
    Kind kind = Kind.of(type);
    Kind stored = Kind.of(m.element());
    Kind wide = stored.integer();
    boolean isLong = wide == Kind.LONG;
    int shift = lane * kind.bytes % stored.bytes * 8;
    code.var(Opcodes.ALOAD, m.array());
    memory.index(m, index, lane * kind.bytes / stored.bytes);
    code.op(Opcodes.DUP2);
    code.op(stored.arrayLoad);
    expr.lanes.toIntegerBits(MemoryCode.scalarOf(stored), wide);
    code.pushConst(wide, ~(((1L << (kind.bytes * 8)) - 1) << shift));
    code.op(isLong ? Opcodes.LAND : Opcodes.IAND);
    value.run();
    expr.lanes.toIntegerBits(type, wide);
    code.pushInt(shift);
    code.op(isLong ? Opcodes.LSHL : Opcodes.ISHL);
    code.op(isLong ? Opcodes.LOR : Opcodes.IOR);
    expr.lanes.fromIntegerBits(wide, MemoryCode.scalarOf(stored));
    code.op(stored.arrayStore);
  }
}
