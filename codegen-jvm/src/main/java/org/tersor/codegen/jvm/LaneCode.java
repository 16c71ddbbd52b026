package org.tersor.codegen.jvm;

import java.util.List;
import org.objectweb.asm.Label;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;

/** What moves lanes or goes lane by lane, through small arrays of the method. */
final class LaneCode {
  private static final int LANES_SLOT = 0;
  private static final int SOURCE_SLOT = 8;
  private static final int RESULT_SLOT = 9;
  private static final int JOIN_SLOT = 10;

  private final ExprCode expr;
  private final Code code;
  private final Env env;

  LaneCode(ExprCode expr) {
    this.expr = expr;
    this.code = expr.code;
    this.env = expr.env;
  }

  /** Pushes a scratch array's first lanes as a vector. */
  void fromScratch(Kind kind, int array, int at, int k) {
    code.species(kind, k);
    code.var(Opcodes.ALOAD, array);
    code.pushInt(at);
    code.fromArray(kind, false);
  }

  void intoScratch(Kind kind, int array, int at) {
    code.var(Opcodes.ALOAD, array);
    code.pushInt(at);
    code.intoArray(kind, false);
  }

  /**
   * Lanes {@code lo} to {@code lo + k} of operands through a scalar operation; operands of any type
   * but BOOL.
   */
  void map(Scalar result, int k, int lo, List<Expr> operands, Runnable operation) {
    for (Expr operand : operands) {
      expr.push(operand, lo, k, Kind.INT);
    }
    if (k == 1) {
      operation.run();
      return;
    }
    Kind kind = Kind.of(result);
    int[] arrays = new int[operands.size()];
    for (int i = operands.size() - 1; i >= 0; i--) {
      Kind operandKind = Kind.of(operands.get(i).type().scalar());
      arrays[i] = env.scratch(operandKind, LANES_SLOT + i, k);
      intoScratch(operandKind, arrays[i], 0);
    }
    int target = env.scratch(kind, LANES_SLOT, k);
    loop(
        k,
        lane -> {
          code.var(Opcodes.ALOAD, target);
          code.var(Opcodes.ILOAD, lane);
          for (int i = 0; i < arrays.length; i++) {
            Scalar type = operands.get(i).type().scalar();
            code.var(Opcodes.ALOAD, arrays[i]);
            code.var(Opcodes.ILOAD, lane);
            code.op(Kind.of(type).arrayLoad);
            expr.scalars.loaded(type);
          }
          operation.run();
          code.op(kind.arrayStore);
        });
    fromScratch(kind, target, 0, k);
  }

  /** {@code for lane in 0 until k}. */
  void loop(int k, java.util.function.IntConsumer body) {
    int mark = code.mark();
    int lane = code.newLocal(1);
    Label top = new Label();
    Label end = new Label();
    code.pushInt(0);
    code.var(Opcodes.ISTORE, lane);
    code.label(top);
    code.var(Opcodes.ILOAD, lane);
    code.pushInt(k);
    code.jump(Opcodes.IF_ICMPGE, end);
    body.accept(lane);
    code.mv.visitIincInsn(lane, 1);
    code.jump(Opcodes.GOTO, top);
    code.label(end);
    code.release(mark);
  }

  /** Evaluates all chunks of lanes {@code lo} to {@code lo + n} into new locals. */
  int[] spread(Expr e, int lo, int n, int chunk, Kind mask) {
    int[] locals = new int[n / chunk];
    Kind kind = Kind.of(e.type().scalar());
    for (int i = 0; i < locals.length; i++) {
      expr.push(e, lo + i * chunk, chunk, mask);
      locals[i] = code.newLocal(chunk == 1 ? kind.slots() : 1);
      code.var(chunk == 1 ? kind.localStore() : Opcodes.ASTORE, locals[i]);
    }
    return locals;
  }

  /** A local of {@link #spread} into an array. */
  private void spill(Scalar type, int local, int chunk, int array, int at) {
    Kind kind = Kind.of(type);
    if (chunk == 1) {
      code.var(Opcodes.ALOAD, array);
      code.pushInt(at);
      code.var(kind.localLoad(), local);
      code.op(kind.arrayStore);
    } else {
      code.var(Opcodes.ALOAD, local);
      intoScratch(kind, array, at);
    }
  }

  /** One chunk of {@code k} lanes from smaller ones. */
  void join(Expr e, int lo, int k, int chunk, Kind mask) {
    int mark = code.mark();
    Scalar type = e.type().scalar();
    if (type == Scalar.BOOL) {
      code.pushLong(0);
      for (int at = 0; at < k; at += chunk) {
        expr.push(e, lo + at, chunk, mask);
        maskBits(mask, chunk);
        code.pushInt(at);
        code.op(Opcodes.LSHL);
        code.op(Opcodes.LOR);
      }
      code.maskFromLong(mask, k);
      return;
    }
    Kind kind = Kind.of(type);
    int[] locals = spread(e, lo, k, chunk, mask);
    int array = env.scratch(kind, JOIN_SLOT, k);
    for (int i = 0; i < locals.length; i++) {
      spill(type, locals[i], chunk, array, i * chunk);
    }
    fromScratch(kind, array, 0, k);
    code.release(mark);
  }

  /** {@code mask (or a boolean) -> long} without the bits of padding lanes. */
  void maskBits(Kind kind, int k) {
    if (k == 1) {
      code.op(Opcodes.I2L);
      return;
    }
    code.maskToLong();
    if (Code.padded(kind, k)) {
      code.pushLong((1L << k) - 1);
      code.op(Opcodes.LAND);
    }
  }

  /** {@code v -> lanes at to at + k}, fewer than fill a vector. */
  void slice(Kind kind, int at, int k) {
    int array = env.scratch(kind, JOIN_SLOT, at + k);
    intoScratch(kind, array, 0);
    fromScratch(kind, array, at, k);
  }

  void shuffle(Expr.Shuffle s, int lo, int k, Kind mask, ClassCode owner) {
    Scalar type = s.type().scalar();
    Kind kind = Kind.of(type);
    int n = s.a().type().lanes();
    if (k == 1 && expr.chunks.of(s.a()) == 1) {
      int lane = s.lanes().get(lo);
      expr.push(lane < n ? s.a() : s.b(), lane < n ? lane : lane - n, 1, mask);
      return;
    }
    if (type == Scalar.BOOL) {
      Scalar byteType = Scalar.U8;
      Expr a = new Expr.Cast(s.a().type().withScalar(byteType), s.a(), true);
      Expr b = new Expr.Cast(s.b().type().withScalar(byteType), s.b(), true);
      shuffle(new Expr.Shuffle(a, b, s.lanes()), lo, k, Kind.BYTE, owner);
      if (k > 1) {
        code.compareScalar(Kind.BYTE, "NE", 0);
        code.maskCast(Kind.BYTE, mask, k);
      }
      return;
    }
    boolean oneVector =
        n == k && s.lanes().size() == k && expr.chunks.of(s.a()) == k && !Code.padded(kind, k);
    if (oneVector) {
      boolean both = s.lanes().stream().anyMatch(lane -> lane >= n);
      if (!both || expr.chunks.of(s.b()) == k) {
        expr.push(s.a(), 0, k, mask);
        owner.pushShuffle(code, kind, s.lanes());
        if (both) {
          expr.push(s.b(), 0, k, mask);
        }
        code.invokeVirtual(
            kind.vector,
            "rearrange",
            "(Ljdk/incubator/vector/VectorShuffle;"
                + (both ? "L" + Code.VECTOR + ";" : "")
                + ")"
                + kind.vectorDescriptor());
        return;
      }
    }
    int mark = code.mark();
    int source = env.scratch(kind, SOURCE_SLOT, 2 * n);
    int[] a = spread(s.a(), 0, n, expr.chunks.of(s.a()), Kind.INT);
    int[] b = spread(s.b(), 0, n, expr.chunks.of(s.b()), Kind.INT);
    for (int i = 0; i < a.length; i++) {
      spill(type, a[i], n / a.length, source, i * (n / a.length));
    }
    for (int i = 0; i < b.length; i++) {
      spill(type, b[i], n / b.length, source, n + i * (n / b.length));
    }
    if (k == 1) {
      code.var(Opcodes.ALOAD, source);
      code.pushInt(s.lanes().get(lo));
      code.op(kind.arrayLoad);
      expr.scalars.loaded(type);
    } else {
      int target = env.scratch(kind, RESULT_SLOT, k);
      for (int i = 0; i < k; i++) {
        code.var(Opcodes.ALOAD, target);
        code.pushInt(i);
        code.var(Opcodes.ALOAD, source);
        code.pushInt(s.lanes().get(lo + i));
        code.op(kind.arrayLoad);
        code.op(kind.arrayStore);
      }
      fromScratch(kind, target, 0, k);
    }
    code.release(mark);
  }

  /**
   * Lanes {@code first} to {@code first + count} of {@code a} as the bytes of one scalar, lowest
   * first.
   */
  void gatherBits(Expr a, int first, int count, Scalar to) {
    Scalar from = a.type().scalar();
    Kind kind = Kind.of(from);
    Kind wide = Kind.of(to).integer();
    for (int i = 0; i < count; i++) {
      expr.pushAny(a, first + i, 1, kind);
      toIntegerBits(from, wide);
      join(wide, i * kind.bytes * 8);
    }
    fromIntegerBits(wide, to);
  }

  /** {@code low, piece -> low} with the piece from that bit on; the first piece stays alone. */
  void join(Kind wide, int bit) {
    if (bit > 0) {
      code.pushInt(bit);
      code.op(wide == Kind.LONG ? Opcodes.LSHL : Opcodes.ISHL);
      code.op(wide == Kind.LONG ? Opcodes.LOR : Opcodes.IOR);
    }
  }

  /** The piece of type {@code to} at byte {@code at} of the wider scalar on the stack. */
  void pieceOf(Scalar from, Scalar to, int at) {
    Kind wide = Kind.of(from).integer();
    toIntegerBits(from, wide);
    if (at > 0) {
      code.pushInt(at * 8);
      code.op(wide == Kind.LONG ? Opcodes.LUSHR : Opcodes.IUSHR);
    }
    fromIntegerBits(wide, to);
  }

  /** The bits of a scalar, zero-extended. */
  void toIntegerBits(Scalar from, Kind wide) {
    Kind kind = Kind.of(from);
    expr.scalars.bits(from, unsigned(kind));
    if (wide == Kind.LONG && kind != Kind.LONG && kind != Kind.DOUBLE) {
      code.op(Opcodes.I2L);
      if (kind.bytes == 4) {
        code.pushLong(0xFFFF_FFFFL);
        code.op(Opcodes.LAND);
      }
    }
  }

  /** The low bits of an int or long as a scalar of that type. */
  void fromIntegerBits(Kind wide, Scalar to) {
    Kind kind = Kind.of(to);
    if (wide == Kind.LONG && kind.bytes < 8) {
      code.op(Opcodes.L2I);
    }
    if (kind == Kind.FLOAT || kind == Kind.DOUBLE) {
      expr.scalars.bits(unsigned(kind), to);
    } else {
      expr.scalars.canonical(to);
    }
  }

  static Scalar unsigned(Kind kind) {
    return switch (kind) {
      case BYTE -> Scalar.U8;
      case SHORT -> Scalar.U16;
      case INT, FLOAT -> Scalar.U32;
      case LONG, DOUBLE -> Scalar.U64;
    };
  }

  /**
   * A kind of which {@code k} elements fill a vector of at least 64 and, k being at most its lanes
   * of bytes, no more than its bits.
   */
  static Kind maskKind(int k) {
    return k >= 8 ? Kind.BYTE : k == 4 ? Kind.SHORT : Kind.INT;
  }

  /** The kind of mask that a BOOL expression gives without a conversion. */
  Kind maskKind(Expr e, int k) {
    return switch (e) {
      case Expr.Compare c when c.a().type().scalar() != Scalar.BOOL ->
          Kind.of(c.a().type().scalar());
      case Expr.Compare c -> maskKind(c.a(), k);
      case Expr.Unary u -> maskKind(u.a(), k);
      case Expr.Binary b -> maskKind(b.a(), k);
      case Expr.Var v
          when env.variable(v.name()) instanceof Env.Value value && value.chunk() == k ->
          value.kind();
      default -> maskKind(k);
    };
  }

  void reduce(Expr.Reduce r) {
    int mark = code.mark();
    Scalar type = r.type().scalar();
    Kind kind = Kind.of(type);
    int n = r.a().type().lanes();
    int k = expr.chunks.of(r.a());
    if (n == 1) {
      expr.push(r.a());
      return;
    }
    boolean bool = type == Scalar.BOOL;
    int[] locals = spread(r.a(), 0, n, k, maskKind(k));
    for (int c = locals.length / 2; c >= 1; c /= 2) {
      for (int i = 0; i < c; i++) {
        code.var(k == 1 ? kind.localLoad() : Opcodes.ALOAD, locals[i]);
        code.var(k == 1 ? kind.localLoad() : Opcodes.ALOAD, locals[i + c]);
        combine(r.op(), type, k);
        code.var(k == 1 ? kind.localStore() : Opcodes.ASTORE, locals[i]);
      }
    }
    code.var(k == 1 ? kind.localLoad() : Opcodes.ALOAD, locals[0]);
    if (k > 1) {
      if (bool) {
        reduceMask(r.op());
      } else if (type.isFloat()
          || (type.isUnsigned() && (r.op() == ReduceOp.MIN || r.op() == ReduceOp.MAX))) {
        // reduceLanes has no fixed order for floats, and starts UMIN from the largest signed
        // number.
        reduceHalves(r.op(), type, k);
      } else if (!Code.padded(kind, k)) {
        code.operator(
            VectorCode.operator(r.op().combine(), type).orElseThrow().name(), "Associative");
        code.invokeVirtual(
            kind.vector, "reduceLanes", "(L" + Code.OPERATORS + "$Associative;)" + kind.letter);
        expr.scalars.loaded(type);
      } else {
        lanesOf(r.op(), type, k);
      }
    }
    code.release(mark);
  }

  private void combine(ReduceOp op, Scalar type, int k) {
    if (k == 1) {
      expr.scalars.binary(op.combine(), type);
    } else if (type == Scalar.BOOL) {
      code.maskOp(
          switch (op) {
            case AND, MIN -> "and";
            case OR, MAX -> "or";
            case XOR -> "xor";
            case SUM, PROD -> throw new IllegalArgumentException(op + " of bool");
          });
    } else {
      var operator = VectorCode.operator(op.combine(), type).orElseThrow();
      code.lanewise(Kind.of(type), operator.name(), operator.associative());
    }
  }

  /** {@code mask over maskKind(k) -> boolean}. */
  private void reduceMask(ReduceOp op) {
    switch (op) {
      case AND, MIN -> code.invokeVirtual(Code.MASK, "allTrue", "()Z");
      case OR, MAX -> code.invokeVirtual(Code.MASK, "anyTrue", "()Z");
      case XOR -> {
        code.invokeVirtual(Code.MASK, "trueCount", "()I");
        code.op(Opcodes.ICONST_1);
        code.op(Opcodes.IAND);
      }
      case SUM, PROD -> throw new IllegalArgumentException(op + " of bool");
    }
  }

  /** {@code v -> scalar}, halves first: the order of {@link Expr.Reduce}. */
  private void reduceHalves(ReduceOp op, Scalar type, int k) {
    Kind kind = Kind.of(type);
    while (k > 2 && !Code.padded(kind, k / 2)) {
      int v = code.newLocal(1);
      code.var(Opcodes.ASTORE, v);
      code.var(Opcodes.ALOAD, v);
      code.part(kind, k / 2, 0);
      code.var(Opcodes.ALOAD, v);
      code.part(kind, k / 2, 1);
      k /= 2;
      combine(op, type, k);
    }
    lanesOf(op, type, k);
  }

  /** {@code v -> scalar}, lane after lane. */
  private void lanesOf(ReduceOp op, Scalar type, int k) {
    Kind kind = Kind.of(type);
    int v = code.newLocal(1);
    code.var(Opcodes.ASTORE, v);
    for (int i = 0; i < k; i++) {
      code.var(Opcodes.ALOAD, v);
      code.pushInt(i);
      code.invokeVirtual(kind.vector, "lane", "(I)" + kind.letter);
      expr.scalars.loaded(type);
      if (i > 0) {
        expr.scalars.binary(op.combine(), type);
      }
    }
  }
}
