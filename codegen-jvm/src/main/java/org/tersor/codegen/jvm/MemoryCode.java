package org.tersor.codegen.jvm;

import java.util.Optional;
import java.util.function.Consumer;
import org.objectweb.asm.Label;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;

/** Loads, and what loads and stores share. */
final class MemoryCode {
  static final int INDEX_SLOT = 11;
  static final int VALUE_SLOT = 12;

  private final ExprCode expr;
  private final Code code;
  private final Env env;
  private final ClassCode owner;
  final SmallVectors small;

  MemoryCode(ExprCode expr, ClassCode owner) {
    this.expr = expr;
    this.code = expr.code;
    this.env = expr.env;
    this.owner = owner;
    this.small = new SmallVectors(code, owner);
  }

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
      boolean gather = l.index().type().isVector();
      orZero(
          Kind.of(type),
          l.mask().map(condition -> skip -> expr.jumpUnless(condition, lo, skip)),
          () ->
              element(
                  m,
                  type,
                  () -> expr.push(l.index(), gather ? lo : 0, 1, Kind.INT),
                  gather ? 0 : lo));
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
    if (kind == stored && Code.padded(kind, k) && l.mask().isEmpty()) {
      small.load(kind, k, m, at -> index(m, () -> expr.push(l.index()), l.index(), lo + at));
    } else if (kind == stored && Code.padded(kind, k) && count(l.mask()).isPresent()) {
      small.loadFirst(
          kind,
          k,
          m,
          at -> index(m, () -> expr.push(l.index()), l.index(), lo + at),
          () -> pushCount(count(l.mask()).get(), lo));
    } else if (kind == stored && !Code.padded(kind, k)) {
      code.species(kind, k);
      code.var(Opcodes.ALOAD, m.array());
      index(m, () -> expr.push(l.index()), l.index(), lo);
      pushMask(l.mask(), lo, k, kind);
      code.fromArray(kind, l.mask().isPresent());
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
      LaneTest test = laneTest(l.mask(), lo, k);
      int target = env.scratch(kind, VALUE_SLOT, k);
      for (int i = 0; i < k; i++) {
        int lane = lo + i;
        code.var(Opcodes.ALOAD, target);
        code.pushInt(i);
        int bit = i;
        orZero(
            kind,
            l.mask().map(_ -> skip -> test.jumpUnless(bit, skip)),
            () -> element(m, type, () -> code.var(Opcodes.ILOAD, base), lane));
        code.op(kind.arrayStore);
      }
      expr.lanes.fromScratch(kind, target, 0, k);
      code.release(mark);
    }
  }

  /** The mask that a masked operation wants after its index, if there is any. */
  void pushMask(Optional<Expr> mask, int lo, int k, Kind kind) {
    mask.ifPresent(condition -> expr.pushAny(condition, lo, k, kind));
  }

  /**
   * Whether a masked store is one instruction: of elements below 32 bits only where masks are
   * registers, else HotSpot goes through objects. (A load is a whole one and a choice there, unless
   * it would leave the array.)
   */
  boolean canMask(Kind kind, int k) {
    return !Code.padded(kind, k) && (kind.bytes >= 4 || expr.chunks.hasMaskRegisters());
  }

  /** The number that a mask of first lanes compares with, if it is one and at hand. */
  Optional<Env.LaneCount> count(Optional<Expr> mask) {
    return mask.isPresent()
            && mask.get() instanceof Expr.Var v
            && env.variable(v.name()) instanceof Env.LaneCount count
        ? Optional.of(count)
        : Optional.empty();
  }

  /** Pushes how many lanes from {@code lo} on a mask of first lanes has; may be negative. */
  void pushCount(Env.LaneCount count, int lo) {
    code.var(Opcodes.ILOAD, count.local());
    if (lo != 0) {
      code.pushInt(lo);
      code.op(Opcodes.ISUB);
    }
  }

  /** Asks for one lane, known when the code is made, whether a mask has it. */
  interface LaneTest {
    void jumpUnless(int lane, Label target);
  }

  /** The test of lanes lo to lo + k of a mask; whatever it has to compute once, it does now. */
  LaneTest laneTest(Optional<Expr> mask, int lo, int k) {
    if (count(mask).isPresent()) {
      return (lane, target) -> expr.jumpUnless(mask.get(), lo + lane, target);
    }
    int bits = maskLocal(mask, lo, k);
    return (lane, target) -> {
      if (bits >= 0) {
        jumpUnlessBit(bits, () -> code.pushInt(lane), target);
      }
    };
  }

  /** A long local with the mask's bits, or -1 if there is no mask. */
  int maskLocal(Optional<Expr> mask, int lo, int k) {
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
  void jumpUnlessBit(int bits, Runnable lane, Label target) {
    code.var(Opcodes.LLOAD, bits);
    lane.run();
    code.op(Opcodes.LUSHR);
    code.op(Opcodes.L2I);
    code.op(Opcodes.ICONST_1);
    code.op(Opcodes.IAND);
    code.jump(Opcodes.IFEQ, target);
  }

  /** Pushes an element, or zero where {@code unless} jumps to its label. */
  private void orZero(Kind kind, Optional<Consumer<Label>> unless, Runnable element) {
    if (unless.isEmpty()) {
      element.run();
      return;
    }
    Label skip = new Label();
    Label end = new Label();
    unless.get().accept(skip);
    element.run();
    code.jump(Opcodes.GOTO, end);
    code.label(skip);
    code.pushConst(kind, 0);
    code.label(end);
  }

  /** The jump of {@link #orZero} by the bits of {@link #maskLocal}. */
  private Optional<Consumer<Label>> unlessBit(int bits, Runnable lane) {
    return bits < 0 ? Optional.empty() : Optional.of(skip -> jumpUnlessBit(bits, lane, skip));
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
          code.var(Opcodes.ALOAD, target);
          code.var(Opcodes.ILOAD, lane);
          orZero(
              kind,
              unlessBit(bits, () -> code.var(Opcodes.ILOAD, lane)),
              () -> element(m, type, () -> indexOfLane(indices, lane), 0));
          code.op(kind.arrayStore);
        });
    expr.lanes.fromScratch(kind, target, 0, k);
    code.release(mark);
  }

  void indexOfLane(int indices, int lane) {
    code.var(Opcodes.ALOAD, indices);
    code.var(Opcodes.ILOAD, lane);
    code.op(Opcodes.IALOAD);
  }

  /** Pushes {@code index + plus}, as a slot of the array. */
  void index(Env.Memory m, Runnable index, int plus) {
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
  void index(Env.Memory m, Runnable push, Expr index, int plus) {
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
        expr.lanes.join(wide, i * stored.bytes * 8);
      }
      expr.lanes.fromIntegerBits(wide, type);
    }
  }

  /** A type whose scalars are the kind's bits. */
  static Scalar scalarOf(Kind kind) {
    return switch (kind) {
      case FLOAT -> Scalar.F32;
      case DOUBLE -> Scalar.F64;
      case BYTE, SHORT, INT, LONG -> LaneCode.unsigned(kind);
    };
  }
}
