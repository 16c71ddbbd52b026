package org.tersor.codegen.jvm;

import java.util.Optional;
import org.objectweb.asm.Label;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;

/** Loads and stores. */
final class MemoryCode {
  private static final int INDEX_SLOT = 11;
  private static final int VALUE_SLOT = 12;

  private final ExprCode expr;
  private final Code code;
  private final Env env;
  private final ClassCode owner;

  MemoryCode(ExprCode expr, ClassCode owner) {
    this.expr = expr;
    this.code = expr.code;
    this.env = expr.env;
    this.owner = owner;
  }

  // ---- loads

  void load(Expr.Load l, int lo, int k, Kind mask) {
    switch (env.buffer(l.buffer())) {
      case Env.Registers r -> expr.value(r.elements()[constant(l.index())], lo, k, mask);
      case Env.Memory m -> load(l, m, lo, k, mask);
      case Env.Value v -> throw new IllegalArgumentException(l.buffer() + " is not a buffer");
      case Env.LaneCount c -> throw new IllegalArgumentException(l.buffer() + " is not a buffer");
    }
  }

  static int constant(Expr index) {
    if (index instanceof Expr.IntConst c) {
      return Math.toIntExact(c.value());
    }
    throw new IllegalArgumentException("a register buffer is indexed by constants only");
  }

  private void load(Expr.Load l, Env.Memory m, int lo, int k, Kind mask) {
    Scalar type = l.type().scalar();
    if ((type == Scalar.INDEX) != (m.element() == Scalar.INDEX)) {
      // An INDEX takes 8 bytes in tensors, but is an int here.
      Scalar stored = type == Scalar.INDEX ? Scalar.I64 : Scalar.INDEX;
      Expr.Load narrow =
          new Expr.Load(l.type().withScalar(stored), l.buffer(), l.index(), l.mask());
      expr.push(new Expr.Cast(l.type(), narrow, true), lo, k, mask);
    } else if (k == 1) {
      Label skip = new Label();
      Label end = new Label();
      l.mask().ifPresent(condition -> expr.jumpUnless(condition, lo, skip));
      boolean gather = l.index().type().isVector();
      element(m, type, () -> expr.push(l.index(), gather ? lo : 0, 1, Kind.INT), gather ? 0 : lo);
      if (l.mask().isPresent()) {
        code.jump(Opcodes.GOTO, end);
        code.label(skip);
        code.pushConst(Kind.of(type), 0);
        code.label(end);
      }
    } else if (type == Scalar.BOOL) {
      load(
          new Expr.Load(l.type().withScalar(Scalar.U8), l.buffer(), l.index(), l.mask()),
          m,
          lo,
          k,
          mask);
      code.compareScalar(Kind.BYTE, "NE", 0);
      code.maskCast(Kind.BYTE, mask, k);
    } else if (l.index().type().isVector()) {
      gather(l, m, lo, k);
    } else {
      contiguous(l, m, lo, k);
    }
  }

  private void contiguous(Expr.Load l, Env.Memory m, int lo, int k) {
    Scalar type = l.type().scalar();
    Kind kind = Kind.of(type);
    Kind stored = Kind.of(m.element());
    int bytes = k * kind.bytes;
    boolean whole = bytes >= 8 && bytes % stored.bytes == 0 && lo * kind.bytes % stored.bytes == 0;
    if (kind == stored) {
      boolean padded = Code.padded(kind, k);
      code.species(kind, k);
      code.var(Opcodes.ALOAD, m.array());
      index(m, () -> expr.push(l.index()), l.index(), lo);
      pushMask(l.mask(), lo, k, kind);
      code.fromArray(kind, l.mask().isPresent() || padded);
    } else if (whole && l.mask().isEmpty()) {
      code.species(stored, bytes / stored.bytes);
      code.var(Opcodes.ALOAD, m.array());
      index(m, () -> expr.push(l.index()), l.index(), lo * kind.bytes / stored.bytes);
      code.fromArray(stored, false);
      code.reinterpret(stored, kind);
    } else {
      int mark = code.mark();
      int base = code.newLocal(1);
      expr.push(l.index());
      code.var(Opcodes.ISTORE, base);
      int bits = maskLocal(l.mask(), lo, k);
      int target = env.scratch(kind, VALUE_SLOT, k);
      for (int i = 0; i < k; i++) {
        int lane = lo + i;
        code.var(Opcodes.ALOAD, target);
        code.pushInt(i);
        maskedElement(
            bits, i, kind, () -> element(m, type, () -> code.var(Opcodes.ILOAD, base), lane));
        code.op(kind.arrayStore);
      }
      expr.lanes.fromScratch(kind, target, 0, k);
      code.release(mark);
    }
  }

  /**
   * The mask that a masked operation wants after its index, if there is any; lanes of padding are
   * off.
   */
  private void pushMask(Optional<Expr> mask, int lo, int k, Kind kind) {
    mask.ifPresent(condition -> expr.pushAny(condition, lo, k, kind));
    if (Code.padded(kind, k)) {
      code.firstLanes(kind, k);
      if (mask.isPresent()) {
        code.maskOp("and");
      }
    }
  }

  /** A long local with the mask's bits, or -1 if there is no mask. */
  private int maskLocal(Optional<Expr> mask, int lo, int k) {
    if (mask.isEmpty()) {
      return -1;
    }
    Kind kind = LaneCode.maskKind(k);
    expr.pushAny(mask.get(), lo, k, kind);
    expr.lanes.maskBits(kind, k);
    int bits = code.newLocal(2);
    code.var(Opcodes.LSTORE, bits);
    return bits;
  }

  /** Jumps to {@code target} where the bit of a lane is off. */
  private void jumpUnlessBit(int bits, Runnable lane, Label target) {
    code.var(Opcodes.LLOAD, bits);
    lane.run();
    code.op(Opcodes.LUSHR);
    code.op(Opcodes.L2I);
    code.op(Opcodes.ICONST_1);
    code.op(Opcodes.IAND);
    code.jump(Opcodes.IFEQ, target);
  }

  private void maskedElement(int bits, int lane, Kind kind, Runnable element) {
    if (bits < 0) {
      element.run();
      return;
    }
    Label skip = new Label();
    Label end = new Label();
    jumpUnlessBit(bits, () -> code.pushInt(lane), skip);
    element.run();
    code.jump(Opcodes.GOTO, end);
    code.label(skip);
    code.pushConst(kind, 0);
    code.label(end);
  }

  private void gather(Expr.Load l, Env.Memory m, int lo, int k) {
    int mark = code.mark();
    Scalar type = l.type().scalar();
    Kind kind = Kind.of(type);
    int bits = maskLocal(l.mask(), lo, k);
    expr.push(l.index(), lo, k, Kind.INT);
    int indices = env.scratch(Kind.INT, INDEX_SLOT, k);
    expr.lanes.intoScratch(Kind.INT, indices, 0);
    int target = env.scratch(kind, VALUE_SLOT, k);
    expr.lanes.loop(
        k,
        lane -> {
          Label skip = new Label();
          Label end = new Label();
          code.var(Opcodes.ALOAD, target);
          code.var(Opcodes.ILOAD, lane);
          if (bits >= 0) {
            jumpUnlessBit(bits, () -> code.var(Opcodes.ILOAD, lane), skip);
          }
          element(m, type, () -> indexOfLane(indices, lane), 0);
          if (bits >= 0) {
            code.jump(Opcodes.GOTO, end);
            code.label(skip);
            code.pushConst(kind, 0);
            code.label(end);
          }
          code.op(kind.arrayStore);
        });
    expr.lanes.fromScratch(kind, target, 0, k);
    code.release(mark);
  }

  private void indexOfLane(int indices, int lane) {
    code.var(Opcodes.ALOAD, indices);
    code.var(Opcodes.ILOAD, lane);
    code.op(Opcodes.IALOAD);
  }

  /** Pushes {@code index + plus}, as a slot of the array. */
  private void index(Env.Memory m, Runnable index, int plus) {
    index.run();
    if (m.offset() >= 0) {
      code.var(Opcodes.ILOAD, m.offset());
      code.op(Opcodes.IADD);
    }
    if (plus != 0) {
      code.pushInt(plus);
      code.op(Opcodes.IADD);
    }
  }

  /** The same, with a constant at the end of the index folded into {@code plus}. */
  private void index(Env.Memory m, Runnable push, Expr index, int plus) {
    if (index instanceof Expr.Binary(BinaryOp op, Expr a, Expr.IntConst c)
        && op == BinaryOp.ADD
        && Math.abs(c.value()) < 1 << 30) {
      index(m, () -> expr.push(a), plus + (int) c.value());
    } else {
      index(m, push, plus);
    }
  }

  /** Element {@code lane} of type {@code type} after the pushed index, canonical. */
  private void element(Env.Memory m, Scalar type, Runnable index, int lane) {
    Kind kind = Kind.of(type);
    Kind stored = Kind.of(m.element());
    if (kind.bytes == stored.bytes) {
      code.var(Opcodes.ALOAD, m.array());
      index(m, index, lane);
      code.op(stored.arrayLoad);
      if (kind == stored) {
        expr.scalars.loaded(type);
      } else {
        expr.scalars.bits(scalarOf(stored), type);
      }
    } else if (kind.bytes < stored.bytes) {
      code.var(Opcodes.ALOAD, m.array());
      index(m, index, lane * kind.bytes / stored.bytes);
      code.op(stored.arrayLoad);
      expr.lanes.pieceOf(scalarOf(stored), type, lane * kind.bytes % stored.bytes);
    } else if (stored == Kind.BYTE) {
      owner.pushView(code, kind);
      code.var(Opcodes.ALOAD, m.array());
      index(m, index, lane * kind.bytes);
      code.invokeVirtual("java/lang/invoke/VarHandle", "get", "([BI)" + kind.letter);
      expr.scalars.loaded(type);
    } else {
      Kind wide = kind.integer();
      int pieces = kind.bytes / stored.bytes;
      for (int i = 0; i < pieces; i++) {
        code.var(Opcodes.ALOAD, m.array());
        index(m, index, lane * pieces + i);
        code.op(stored.arrayLoad);
        expr.scalars.canonical(LaneCode.unsigned(stored));
        expr.lanes.toIntegerBits(scalarOf(stored), wide);
        if (i > 0) {
          code.pushInt(i * stored.bytes * 8);
          code.op(wide == Kind.LONG ? Opcodes.LSHL : Opcodes.ISHL);
          code.op(wide == Kind.LONG ? Opcodes.LOR : Opcodes.IOR);
        }
      }
      expr.lanes.fromIntegerBits(wide, type);
    }
  }

  /** A type whose scalars are the kind's bits. */
  private static Scalar scalarOf(Kind kind) {
    return switch (kind) {
      case FLOAT -> Scalar.F32;
      case DOUBLE -> Scalar.F64;
      case BYTE, SHORT, INT, LONG -> LaneCode.unsigned(kind);
    };
  }

  // ---- stores

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
    if (!scatter && (kind == stored || whole && s.mask().isEmpty())) {
      code.reinterpret(kind, stored);
      code.var(Opcodes.ALOAD, m.array());
      index(m, () -> expr.push(s.index()), s.index(), lo * kind.bytes / stored.bytes);
      pushMask(s.mask(), lo, k, kind);
      code.intoArray(stored, s.mask().isPresent() || Code.padded(kind, k));
      code.release(mark);
      return;
    }
    int bits = maskLocal(s.mask(), lo, k);
    int base = code.newLocal(1);
    int indices = scatter ? env.scratch(Kind.INT, INDEX_SLOT, k) : -1;
    expr.push(s.index(), scatter ? lo : 0, scatter ? k : 1, Kind.INT);
    if (scatter) {
      expr.lanes.intoScratch(Kind.INT, indices, 0);
    } else {
      code.var(Opcodes.ISTORE, base);
    }
    int source = env.scratch(kind, VALUE_SLOT, k);
    expr.lanes.intoScratch(kind, source, 0);
    Scalar element = type == Scalar.BOOL ? Scalar.U8 : type;
    for (int i = 0; i < k; i++) {
      Label skip = new Label();
      int lane = i;
      if (bits >= 0) {
        jumpUnlessBit(bits, () -> code.pushInt(lane), skip);
      }
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
      index(m, index, lane * kind.bytes);
      value.run();
      code.invokeVirtual("java/lang/invoke/VarHandle", "set", "([BI" + kind.letter + ")V");
    } else if (kind.bytes > stored.bytes) {
      int pieces = kind.bytes / stored.bytes;
      for (int i = 0; i < pieces; i++) {
        code.var(Opcodes.ALOAD, m.array());
        index(m, index, lane * pieces + i);
        value.run();
        expr.lanes.pieceOf(type, scalarOf(stored), i * stored.bytes);
        code.op(stored.arrayStore);
      }
    } else if (kind.bytes == stored.bytes) {
      code.var(Opcodes.ALOAD, m.array());
      index(m, index, lane);
      value.run();
      if (kind != stored) {
        expr.scalars.bits(type, scalarOf(stored));
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
    index(m, index, lane * kind.bytes / stored.bytes);
    code.op(Opcodes.DUP2);
    code.op(stored.arrayLoad);
    expr.lanes.toIntegerBits(scalarOf(stored), wide);
    code.pushConst(wide, ~(((1L << kind.bytes * 8) - 1) << shift));
    code.op(isLong ? Opcodes.LAND : Opcodes.IAND);
    value.run();
    expr.lanes.toIntegerBits(type, wide);
    code.pushInt(shift);
    code.op(isLong ? Opcodes.LSHL : Opcodes.ISHL);
    code.op(isLong ? Opcodes.LOR : Opcodes.IOR);
    expr.lanes.fromIntegerBits(wide, scalarOf(stored));
    code.op(stored.arrayStore);
  }
}
