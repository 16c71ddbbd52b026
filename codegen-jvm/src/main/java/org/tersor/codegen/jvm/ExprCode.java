package org.tersor.codegen.jvm;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.objectweb.asm.Label;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;

/**
 * Expressions. Every expression is pushed in chunks of lanes: {@code push(e, lo, k, kind)} leaves
 * lanes lo to lo + k on the stack, as a Java scalar if k is 1, else as a vector, or for BOOL as a
 * mask over elements of {@code kind}. So a value wider than a register is evaluated in parts by
 * whoever consumes it, and without vectors every lane is scalar code.
 */
final class ExprCode {
  final Code code;
  final Env env;
  final Env.Chunks chunks;
  final ScalarCode scalars;
  final VectorCode vectors;
  final LaneCode lanes;
  final MemoryCode memory;
  final StoreCode stores;
  private final ClassCode owner;

  ExprCode(Code code, Env env, int vectorBytes, ClassCode owner) {
    this.code = code;
    this.env = env;
    this.chunks = new Env.Chunks(env, vectorBytes);
    this.scalars = new ScalarCode(code);
    this.vectors = new VectorCode(code);
    this.lanes = new LaneCode(this);
    this.memory = new MemoryCode(this, owner);
    this.stores = new StoreCode(this, owner);
    this.owner = owner;
  }

  /** A scalar expression. */
  void push(Expr e) {
    push(e, 0, 1, Kind.INT);
  }

  void push(Expr e, int lo, int k, Kind mask) {
    Scalar type = e.type().scalar();
    Kind kind = Kind.of(type);
    boolean bool = type == Scalar.BOOL;
    switch (e) {
      case Expr.IntConst c -> {
        if (k == 1) {
          scalars.constant(type, bool ? (c.value() != 0 ? 1 : 0) : c.value());
        } else if (bool) {
          code.maskAll(mask, k, c.value() != 0);
        } else {
          code.broadcastConst(kind, k, narrow(kind, c.value()));
        }
      }
      case Expr.FloatConst c -> {
        if (k > 1) {
          code.broadcastFloat(kind, k, c.value());
        } else {
          code.pushFloating(kind, c.value());
        }
      }
      case Expr.Var v -> variable(v, lo, k, mask);
      case Expr.Load l -> memory.load(l, lo, k, mask);
      case Expr.Unary u -> {
        push(u.a(), lo, k, mask);
        if (k == 1) {
          scalars.unary(u.op(), type);
        } else if (bool) {
          code.maskNot();
        } else {
          vectors.unary(u.op(), type, k);
        }
      }
      case Expr.Binary b -> binary(b, lo, k, mask);
      case Expr.Compare c -> compare(c, lo, k, mask);
      case Expr.Fma f -> fma(f, lo, k);
      case Expr.Select s -> select(s, lo, k, mask);
      case Expr.Cast c -> cast(c, lo, k, mask);
      case Expr.Bits b -> bits(b, lo, k);
      case Expr.Dot2 d -> throw new IllegalStateException("no JVM target has " + d);
      case Expr.Dot4 d ->
          lanes.map(
              Scalar.I32,
              k,
              lo,
              List.of(d.acc(), d.a(), d.b()),
              () -> code.invokeStatic(Code.MATH, "dot4", "(III)I"));
      case Expr.Reduce r -> lanes.reduce(r);
      case Expr.Broadcast b -> {
        if (k == 1) {
          push(b.a());
        } else {
          code.species(bool ? mask : kind, k);
          push(b.a());
          if (bool) {
            code.maskAll();
          } else {
            narrowForVector(kind);
            code.broadcast(kind);
          }
        }
      }
      case Expr.Ramp r -> ramp(r, lo, k);
      case Expr.Shuffle s -> lanes.shuffle(s, lo, k, mask, owner);
      case Expr.LaneLt l -> {
        push(l.count());
        laneLt(lo, k, mask);
      }
    }
  }

  /**
   * Like {@link #push}, also where {@code k} exceeds what the expression can be evaluated in at
   * once.
   */
  void pushAny(Expr e, int lo, int k, Kind mask) {
    int chunk = Math.min(k, chunks.of(e));
    if (chunk == k) {
      push(e, lo, k, mask);
    } else {
      lanes.join(e, lo, k, chunk, mask);
    }
  }

  /** A constant as a Java value of that kind. */
  private static long narrow(Kind kind, long value) {
    return kind == Kind.BYTE ? (byte) value : kind == Kind.SHORT ? (short) value : value;
  }

  /** A scalar on the stack as an argument of type byte or short. */
  void narrowForVector(Kind kind) {
    if (kind == Kind.BYTE) {
      code.op(Opcodes.I2B);
    } else if (kind == Kind.SHORT) {
      code.op(Opcodes.I2S);
    }
  }

  /** {@code count -> mask} of lanes lo + i < count. */
  private void laneLt(int lo, int k, Kind mask) {
    if (k == 1) {
      code.pushInt(lo);
      scalars.compare(CompareOp.GT, Scalar.INDEX);
      return;
    }
    code.species(mask, k);
    code.swap();
    code.pushInt(lo);
    code.swap();
    code.invokeInterface(Code.SPECIES, "indexInRange", "(II)L" + Code.MASK + ";");
  }

  private void variable(Expr.Var v, int lo, int k, Kind mask) {
    switch (env.variable(v.name())) {
      case Env.LaneCount count -> {
        code.var(Opcodes.ILOAD, count.local());
        laneLt(lo, k, mask);
      }
      case Env.Value value -> value(value, lo, k, mask);
      case Env.Memory m -> throw new IllegalArgumentException(v.name() + " is a buffer");
      case Env.Registers r -> throw new IllegalArgumentException(v.name() + " is a buffer");
    }
  }

  /** Lanes of a value in locals. */
  void value(Env.Value value, int lo, int k, Kind mask) {
    int local = value.locals()[lo / value.chunk()];
    boolean bool = value.type().scalar() == Scalar.BOOL;
    Kind kind = value.kind();
    if (value.chunk() == 1) {
      code.var(kind.localLoad(), local);
      return;
    }
    code.var(Opcodes.ALOAD, local);
    int at = lo % value.chunk();
    if (bool) {
      if (k == value.chunk()) {
        code.maskCast(kind, mask, k);
      } else {
        code.maskToLong();
        code.pushInt(at);
        code.op(Opcodes.LUSHR);
        if (k == 1) {
          code.op(Opcodes.L2I);
          code.op(Opcodes.ICONST_1);
          code.op(Opcodes.IAND);
        } else {
          code.maskFromLong(mask, k);
        }
      }
    } else if (k == 1) {
      code.pushInt(at);
      code.invokeVirtual(kind.vector, "lane", "(I)" + kind.letter);
      scalars.loaded(value.type().scalar());
    } else if (k < value.chunk()) {
      if (Code.padded(kind, k)) {
        lanes.slice(kind, at, k);
      } else {
        code.part(kind, k, at / k);
      }
    }
  }

  private void binary(Expr.Binary b, int lo, int k, Kind mask) {
    Scalar type = b.type().scalar();
    Kind kind = Kind.of(type);
    if (k == 1) {
      push(b.a(), lo, 1, mask);
      if (!divideByConstant(b)) {
        push(b.b(), lo, 1, mask);
        scalars.binary(b.op(), type);
      }
      return;
    }
    if (type == Scalar.BOOL) {
      push(b.a(), lo, k, mask);
      push(b.b(), lo, k, mask);
      switch (b.op()) {
        case AND, MIN -> code.maskOp("and");
        case OR, MAX -> code.maskOp("or");
        case XOR -> code.maskOp("xor");
        default -> throw new IllegalArgumentException(b.op() + " on bool");
      }
      return;
    }
    Optional<VectorCode.Operator> operator = VectorCode.operator(b.op(), type);
    if (operator.isEmpty()) {
      lanes.map(type, k, lo, List.of(b.a(), b.b()), () -> scalars.binary(b.op(), type));
      return;
    }
    OptionalDouble bound = bound(b);
    push(b.a(), lo, k, mask);
    if (bound.isPresent()) {
      vectors.bound(b.op(), kind, bound.getAsDouble(), k);
    } else if (b.b() instanceof Expr.IntConst c) {
      code.lanewiseScalar(
          kind, operator.get().name(), narrow(kind, c.value()), operator.get().associative());
    } else {
      push(b.b(), lo, k, mask);
      code.lanewise(kind, operator.get().name(), operator.get().associative());
    }
  }

  /** The number that a float is held above or below. */
  private static OptionalDouble bound(Expr.Binary b) {
    Scalar type = b.type().scalar();
    boolean holds =
        (type == Scalar.F32 || type == Scalar.F64)
            && (b.op() == BinaryOp.MIN || b.op() == BinaryOp.MAX);
    Expr limit = b.b() instanceof Expr.Broadcast broadcast ? broadcast.a() : b.b();
    return holds && limit instanceof Expr.FloatConst c && !Double.isNaN(c.value())
        ? OptionalDouble.of(c.value())
        : OptionalDouble.empty();
  }

  /** The cheap forms of division by a positive constant, the dividend being on the stack. */
  private boolean divideByConstant(Expr.Binary b) {
    if (!(b.b() instanceof Expr.IntConst c)
        || Kind.of(c.type().scalar()) != Kind.INT
        || c.value() <= 0) {
      return false;
    }
    boolean power = Long.bitCount(c.value()) == 1;
    if (b.op() == BinaryOp.FLOORDIV && power) {
      code.pushInt(Long.numberOfTrailingZeros(c.value()));
      code.op(Opcodes.ISHR);
      return true;
    }
    if (b.op() == BinaryOp.FLOORMOD && power) {
      code.pushInt((int) c.value() - 1);
      code.op(Opcodes.IAND);
      return true;
    }
    if (b.type().scalar() != Scalar.U32 && (b.op() == BinaryOp.DIV || b.op() == BinaryOp.REM)) {
      code.pushInt((int) c.value());
      code.op(b.op() == BinaryOp.DIV ? Opcodes.IDIV : Opcodes.IREM);
      return true;
    }
    return false;
  }

  private void compare(Expr.Compare c, int lo, int k, Kind mask) {
    Scalar type = c.a().type().scalar();
    Kind kind = Kind.of(type);
    if (type == Scalar.BOOL && k > 1) {
      CompareOp op = c.op();
      boolean swapped = op == CompareOp.GT || op == CompareOp.GE;
      push(swapped ? c.b() : c.a(), lo, k, mask);
      if (op != CompareOp.NE) {
        code.maskNot();
      }
      push(swapped ? c.a() : c.b(), lo, k, mask);
      // a == b is !a ^ b; a < b is !a & b; a <= b is !a | b.
      code.maskOp(
          switch (op) {
            case EQ, NE -> "xor";
            case LT, GT -> "and";
            case LE, GE -> "or";
          });
      return;
    }
    push(c.a(), lo, k, mask);
    if (k > 1 && c.b() instanceof Expr.IntConst constant) {
      code.compareScalar(kind, VectorCode.comparison(c.op(), type), narrow(kind, constant.value()));
      code.maskCast(kind, mask, k);
      return;
    }
    push(c.b(), lo, k, mask);
    if (k == 1) {
      scalars.compare(c.op(), type);
    } else {
      code.compare(kind, VectorCode.comparison(c.op(), type));
      code.maskCast(kind, mask, k);
    }
  }

  private void fma(Expr.Fma f, int lo, int k) {
    Scalar type = f.type().scalar();
    Kind kind = Kind.of(type);
    if (!type.isFloat()) {
      push(
          new Expr.Binary(BinaryOp.ADD, new Expr.Binary(BinaryOp.MUL, f.a(), f.b()), f.c()),
          lo,
          k,
          kind);
      return;
    }
    push(f.a(), lo, k, kind);
    push(f.b(), lo, k, kind);
    push(f.c(), lo, k, kind);
    if (k == 1) {
      scalars.fma(type);
    } else {
      code.invokeVirtual(
          kind.vector,
          "fma",
          "(L" + Code.VECTOR + ";L" + Code.VECTOR + ";)" + kind.vectorDescriptor());
    }
  }

  private void select(Expr.Select s, int lo, int k, Kind mask) {
    Scalar type = s.type().scalar();
    if (k == 1) {
      Label no = new Label();
      Label end = new Label();
      int at = s.condition().type().isVector() ? lo : 0;
      jumpUnless(s.condition(), at, no);
      push(s.then(), lo, 1, mask);
      code.jump(Opcodes.GOTO, end);
      code.label(no);
      push(s.otherwise(), lo, 1, mask);
      code.label(end);
    } else if (type == Scalar.BOOL) {
      int mark = code.mark();
      int condition = code.newLocal(1);
      push(s.condition(), lo, k, mask);
      code.op(Opcodes.DUP);
      code.var(Opcodes.ASTORE, condition);
      push(s.then(), lo, k, mask);
      code.maskOp("and");
      push(s.otherwise(), lo, k, mask);
      code.var(Opcodes.ALOAD, condition);
      code.maskOp("andNot");
      code.maskOp("or");
      code.release(mark);
    } else {
      Kind kind = Kind.of(type);
      push(s.otherwise(), lo, k, mask);
      push(s.then(), lo, k, mask);
      push(s.condition(), lo, k, kind);
      code.blend(kind);
    }
  }

  /** Jumps to {@code target} if lane {@code lo} of the condition is false. */
  void jumpUnless(Expr condition, int lo, Label target) {
    if (condition instanceof Expr.Compare c && c.a().type().scalar() != Scalar.BOOL) {
      push(c.a(), lo, 1, Kind.INT);
      push(c.b(), lo, 1, Kind.INT);
      scalars.jumpIf(c.op(), c.a().type().scalar(), false, target);
    } else if (condition instanceof Expr.Binary(BinaryOp op, Expr a, Expr b)
        && op == BinaryOp.AND) {
      jumpUnless(a, lo, target);
      jumpUnless(b, lo, target);
    } else if (condition instanceof Expr.Unary(UnaryOp op, Expr a) && op == UnaryOp.NOT) {
      push(a, lo, 1, Kind.INT);
      code.jump(Opcodes.IFNE, target);
    } else {
      push(condition, lo, 1, Kind.INT);
      code.jump(Opcodes.IFEQ, target);
    }
  }

  private void cast(Expr.Cast c, int lo, int k, Kind mask) {
    Scalar from = c.a().type().scalar();
    Scalar to = c.type().scalar();
    if (k == 1) {
      push(c.a(), lo, 1, mask);
      scalars.cast(from, to, c.inRange());
    } else if (from == Scalar.BOOL && to == Scalar.BOOL) {
      push(c.a(), lo, k, mask);
    } else if (from == Scalar.BOOL && !to.isSmallFloat()) {
      Kind kind = Kind.of(to);
      code.broadcastConst(kind, k, 0);
      code.broadcastConst(kind, k, 1);
      push(c.a(), lo, k, kind);
      code.blend(kind);
    } else if (to == Scalar.BOOL && !from.isSmallFloat()) {
      push(c.a(), lo, k, mask);
      code.compareScalar(Kind.of(from), "NE", 0);
      code.maskCast(Kind.of(from), mask, k);
    } else if (VectorCode.canCast(from, to)) {
      Optional<ClampedCast> clamped = ClampedCast.of(c);
      push(clamped.map(ClampedCast::x).orElse(c.a()), lo, k, mask);
      clamped.ifPresentOrElse(
          each -> vectors.cast(each, to, k), () -> vectors.cast(from, to, k, c.inRange()));
    } else if (to == Scalar.BOOL || from == Scalar.BOOL) {
      cast(
          new Expr.Cast(
              c.type(), new Expr.Cast(c.type().withScalar(Scalar.F32), c.a(), false), false),
          lo,
          k,
          mask);
    } else {
      lanes.map(to, k, lo, List.of(c.a()), () -> scalars.cast(from, to, c.inRange()));
    }
  }

  private void bits(Expr.Bits b, int lo, int k) {
    Type from = b.a().type();
    Scalar to = b.type().scalar();
    if (to == Scalar.BOOL) {
      throw new IllegalArgumentException("bits as bool");
    }
    if (from.scalar() == Scalar.BOOL) {
      bits(new Expr.Bits(b.type(), new Expr.Cast(from.withScalar(Scalar.U8), b.a(), true)), lo, k);
      return;
    }
    if (from.scalar() == Scalar.INDEX || to == Scalar.INDEX) {
      push(new Expr.Cast(b.type(), b.a(), true), lo, k, Kind.INT);
      return;
    }
    Kind a = Kind.of(from.scalar());
    Kind t = Kind.of(to);
    int first = lo * t.bytes / a.bytes;
    int count = Math.max(1, k * t.bytes / a.bytes);
    if (k > 1 && k * t.bytes < a.bytes) {
      int whole = a.bytes / t.bytes;
      bits(b, lo / whole * whole, whole);
      lanes.slice(t, lo % whole, k);
      return;
    }
    if (a.bytes == t.bytes) {
      pushAny(b.a(), lo, k, Kind.INT);
      if (k == 1) {
        scalars.bits(from.scalar(), to);
      } else {
        code.reinterpret(a, t);
      }
    } else if (k > 1) {
      if (count == 1) {
        code.species(a, 1);
        push(b.a(), first, 1, a);
        narrowForVector(a);
        code.broadcast(a);
      } else {
        pushAny(b.a(), first, count, a);
      }
      code.reinterpret(a, t);
    } else if (count > 1) {
      lanes.gatherBits(b.a(), first, count, to);
    } else {
      pushAny(b.a(), first, 1, a);
      lanes.pieceOf(from.scalar(), to, lo * t.bytes % a.bytes);
    }
  }

  private void ramp(Expr.Ramp r, int lo, int k) {
    Scalar type = r.type().scalar();
    Kind kind = Kind.of(type);
    if (k > 1) {
      code.species(kind, k);
    }
    push(r.base());
    if (lo != 0) {
      code.pushConst(kind, lo * r.stride());
      code.op(kind.arithmetic(Opcodes.IADD));
    }
    if (k > 1) {
      code.broadcast(kind);
      code.pushInt(Math.toIntExact(r.stride()));
      code.invokeVirtual(kind.vector, "addIndex", "(I)" + kind.vectorDescriptor());
    }
  }
}
