package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.schedule.Target;

/** Code of expressions: one switch over them. */
final class Exprs {
  private final Code code;
  private final Scope scope;
  private final Ints ints;
  private final Vectors vectors;
  private final Masks masks;
  private final Casts casts;
  private final Pieces pieces;
  private final Lanes lanes;
  private final Shuffles shuffles;
  private final Indices indices;
  private final Memory memory;
  private final Sums sums;

  Exprs(Code code, Scope scope, Target target) {
    this.code = code;
    this.scope = scope;
    this.ints = new Ints(code);
    this.vectors = new Vectors(code);
    this.masks = new Masks(code, vectors);
    this.pieces = new Pieces(code);
    this.casts = new Casts(code, masks, pieces);
    this.lanes = new Lanes(code, masks, pieces, ints);
    this.shuffles = new Shuffles(code, masks, casts, vectors, lanes);
    this.indices = new Indices(code, scope, this);
    this.memory = new Memory(code, masks, pieces, lanes, ints, indices, this);
    this.sums = new Sums(code, vectors, this, target);
  }

  Ints ints() {
    return ints;
  }

  Indices indices() {
    return indices;
  }

  Memory memory() {
    return memory;
  }

  Sums sums() {
    return sums;
  }

  Scope.Buffer buffer(String name) {
    return scope.buffer(name);
  }

  Val scalar(Expr e) {
    if (e.type().isVector()) {
      throw new IllegalStateException("a scalar is needed, not " + e.type());
    }
    return value(e);
  }

  private static boolean isIndex(Type type) {
    return type.scalar() == Scalar.INDEX && !type.isVector();
  }

  /** The value of an expression. */
  Val value(Expr e) {
    Type type = e.type();
    return switch (e) {
      case Expr.IntConst c -> constant(type, c.value());
      case Expr.FloatConst c ->
          new Val(
              type,
              repeated(
                  type, code.all(type.scalar().bytes(), Vectors.bits(type.scalar(), c.value()))),
              false);
      case Expr.Var v -> scope.variable(v.name()).value().shared();
      case Expr.Load l -> load(l);
      case Expr.Unary u -> unary(u);
      case Expr.Binary b -> binary(b);
      case Expr.Compare c -> compare(c);
      case Expr.Fma f -> sums.fma(f, Optional.empty());
      case Expr.Select s -> select(s);
      case Expr.Cast c -> cast(c);
      case Expr.Bits b -> bits(b);
      case Expr.Dot4 d -> sums.dot(d, d.acc(), d.a(), d.b(), Optional.empty());
      case Expr.Dot2 d -> sums.dot(d, d.acc(), d.a(), d.b(), Optional.empty());
      case Expr.Reduce r -> reduce(r);
      case Expr.Broadcast b -> broadcast(b);
      case Expr.Ramp r -> ramp(r);
      case Expr.Shuffle s -> shuffle(s);
      case Expr.LaneLt l -> laneLt(l);
    };
  }

  private Val laneLt(Expr.LaneLt l) {
    Linear count = indices.linear(l.count());
    if (l.lanes() == 1) {
      Reg number = indices.value(count);
      code.read(Op.TEST, 8, number, number);
      return Val.of(l.type(), ints.flag(Condition.GREATER));
    }
    return count.stable() && count.level() < code.level()
        ? code.once(
            count.level() + 1,
            List.of("lanes", l.lanes(), count),
            Val.class,
            () -> masks.below(indices.value(count), l.lanes()))
        : masks.below(indices.value(count), l.lanes());
  }

  private static List<Reg> repeated(Type type, Reg reg) {
    return Collections.nCopies(Val.count(type), reg);
  }

  private Val constant(Type type, long value) {
    if (Val.isMask(type)) {
      return masks.constant(value != 0, type.lanes());
    }
    if (type.isVector()) {
      return new Val(type, repeated(type, code.all(type.scalar().bytes(), value)), false);
    }
    return Val.of(type, code.number(value));
  }

  private Val load(Expr.Load l) {
    Scope.Buffer buffer = scope.buffer(l.buffer());
    if (!buffer.registers().isEmpty()) {
      Val register = register(buffer, l.index());
      if (l.mask().isPresent()) {
        throw new IllegalStateException("a masked load of a register");
      }
      return register.shared();
    }
    return memory.load(l.type(), buffer, l.index(), l.mask());
  }

  Val register(Scope.Buffer buffer, Expr index) {
    return buffer.registers().get(Math.toIntExact(Indices.constant(index).orElseThrow()));
  }

  private Val unary(Expr.Unary u) {
    UnaryOp.Primitive op = u.op().primitive().orElseThrow(() -> Faults.notLegal(u.op()));
    Val a = value(u.a());
    Type type = u.type();
    if (Val.isMask(type)) {
      return masks.not(a);
    }
    if (Val.isInteger(type)) {
      return Val.of(type, ints.unary(op, type.scalar(), a.reg()));
    }
    Type part = type.withLanes(Val.lanes(type));
    return Val.of(type, a.parts().stream().map(p -> vectors.unary(op, part, p)).toList());
  }

  private Val binary(Expr.Binary b) {
    Type type = b.type();
    if (isIndex(type)) {
      Reg reg = indices.value(indices.linear(b));
      return new Val(type, List.of(reg), false);
    }
    if (Val.isMask(type)) {
      return masks.binary(b.op(), value(b.a()), value(b.b()));
    }
    if (Val.isInteger(type)) {
      Reg a = value(b.a()).reg();
      Reg c = value(b.b()).reg();
      return Val.of(type, ints.binary(b.op(), type.scalar(), a, c, Indices.constant(b.b())));
    }
    if (!Vectors.does(b.op(), type.scalar())) {
      return divide(b, type);
    }
    return sums.binary(b, Optional.empty());
  }

  /** Divisions of integers, lane by lane but for shifts. */
  private Val divide(Expr.Binary b, Type type) {
    Scalar s = type.scalar();
    Optional<Long> constant = Indices.constant(b.b());
    boolean power = constant.filter(c -> c > 0 && Long.bitCount(c) == 1).isPresent();
    boolean floor = b.op() == BinaryOp.FLOORDIV || b.op() == BinaryOp.FLOORMOD;
    if (power && (floor || s.isUnsigned())) {
      boolean quotient = b.op() == BinaryOp.FLOORDIV || b.op() == BinaryOp.DIV;
      long by = quotient ? Long.numberOfTrailingZeros(constant.get()) : constant.get() - 1;
      return sums.binary(
          new Expr.Binary(
              quotient ? BinaryOp.SHR : BinaryOp.AND, b.a(), new Expr.IntConst(type, by)),
          Optional.empty());
    }
    Val a = value(b.a());
    if (constant.isPresent()) {
      Reg divisor = code.number(constant.get());
      return lanes.each(
          type, List.of(a), x -> ints.binary(b.op(), s, x.getFirst().reg(), divisor, constant));
    }
    return lanes.each(
        type,
        List.of(a, value(b.b())),
        x -> ints.binary(b.op(), s, x.get(0).reg(), x.get(1).reg(), Optional.empty()));
  }

  private Val compare(Expr.Compare c) {
    Type operand = c.a().type();
    Val a = value(c.a());
    Val b = value(c.b());
    if (c.type().isVector()) {
      return masks.compare(c.op(), a, b);
    }
    if (operand.scalar().isFloat()) {
      Reg mask = masks.trimmed(vectors.compare(c.op(), operand, a.reg(), b.reg()), 1);
      return Val.of(c.type(), masks.toInteger(mask));
    }
    return Val.of(c.type(), ints.compare(c.op(), operand.scalar(), a.reg(), b.reg()));
  }

  private Val select(Expr.Select s) {
    Type type = s.type();
    Val condition = value(s.condition());
    Val then = value(s.then());
    Val otherwise = value(s.otherwise());
    if (Val.isMask(type)) {
      return masks.select(condition, then, otherwise);
    }
    if (Val.isInteger(type)) {
      return Val.of(type, ints.select(condition.reg(), then.reg(), otherwise.reg()));
    }
    int bytes = type.scalar().bytes();
    List<Reg> parts = new ArrayList<>();
    for (int i = 0; i < then.parts().size(); i++) {
      Reg mask =
          type.isVector() ? masks.of(condition, i, bytes) : masks.fromInteger(condition.reg());
      parts.add(
          vectors.blend(
              bytes, Val.size(type), mask, then.parts().get(i), otherwise.parts().get(i)));
    }
    return Val.of(type, parts);
  }

  private Val cast(Expr.Cast c) {
    Type from = c.a().type();
    Type to = c.type();
    Optional<Val> narrow = Narrowing.of(c, this, vectors, code, pieces);
    if (narrow.isPresent()) {
      return narrow.get();
    }
    Val a = value(c.a());
    if (from.equals(to)) {
      return a;
    }
    if (from.isVector()) {
      return casts.withMasks(a, to).orElseGet(() -> casts.cast(a, to.scalar(), c.inRange()));
    }
    return scalarCast(a, to, c.inRange());
  }

  private Val scalarCast(Val a, Type to, boolean inRange) {
    Scalar from = a.type().scalar();
    boolean fromInteger = Val.isInteger(a.type());
    if (to.scalar() == Scalar.BOOL) {
      if (from.isFloat()) {
        return Val.of(to, masks.toInteger(masks.trimmed(vectors.nonZero(a.type(), a.reg()), 1)));
      }
      return from == Scalar.F16
          ? scalarCast(scalarCast(a, Type.F32, inRange), to, inRange)
          : Val.of(to, ints.truth(from, a.reg()));
    }
    if (fromInteger && Val.isInteger(to) && !from.isSmallFloat() && !to.scalar().isSmallFloat()) {
      return Val.of(to, ints.convert(from, to.scalar(), a.reg()));
    }
    Val x = a;
    if (fromInteger) {
      // Small integers are in registers as 32 bits.
      boolean wide = from.bytes() == 8;
      Scalar as = from.isSmallFloat() || from.bytes() >= 4 ? from : Scalar.I32;
      Reg t = Code.vector();
      code.two(wide ? Op.VMOVQ : Op.VMOVD, 16, t, a.reg());
      x = Val.of(Type.of(as), t);
    }
    if (!Val.isInteger(to)) {
      return casts.cast(x, to.scalar(), inRange);
    }
    Val y = casts.cast(x, to.scalar(), inRange);
    return fromVector(y.parts().getFirst(), to);
  }

  /** The first bytes of a vector register as an integer scalar. */
  private Val fromVector(Reg vector, Type to) {
    Reg t = Code.integer();
    boolean wide = to.scalar().bytes() == 8;
    code.read(wide ? Op.VMOVQTO : Op.VMOVDTO, 16, vector, Operand.NONE).target(t);
    if (to.scalar() == Scalar.BOOL) {
      code.two(Op.MOVZB, 4, t, t);
      return Val.of(to, ints.truth(Scalar.I32, t));
    }
    return Val.of(to, ints.normal(to.scalar(), t));
  }

  private Val bits(Expr.Bits b) {
    Val a = value(b.a());
    Type from = a.type();
    Type to = b.type();
    if (Val.isMask(from) || Val.isMask(to)) {
      throw Faults.unsupported("bits of bool", "bool has no defined bits");
    }
    if (Val.isInteger(from) && Val.isInteger(to)) {
      return Val.of(to, ints.normal(to.scalar(), code.copy(a.reg())));
    }
    if (Val.isInteger(from)) {
      Reg t = Code.vector();
      code.two(from.bytes() == 8 ? Op.VMOVQ : Op.VMOVD, 16, t, a.reg());
      return Val.of(to, t);
    }
    return Val.isInteger(to) ? fromVector(a.reg(), to) : a.as(to);
  }

  private Val reduce(Expr.Reduce r) {
    Type type = r.a().type();
    Val a = value(r.a());
    if (!type.isVector()) {
      return a;
    }
    if (Val.isMask(type)) {
      return Val.of(r.type(), masks.reduce(r.op(), a, ints));
    }
    Reg result = vectors.reduce(r.op().combine(), type, a.parts());
    return Val.isInteger(r.type()) ? fromVector(result, r.type()) : Val.of(r.type(), result);
  }

  private Val broadcast(Expr.Broadcast b) {
    Type type = b.type();
    if (!type.isVector()) {
      return value(b.a());
    }
    if (b.a() instanceof Expr.IntConst || b.a() instanceof Expr.FloatConst) {
      return value(Operations.withLanes(b.a(), type.lanes()));
    }
    if (b.a() instanceof Expr.Var v) {
      Scope.Variable variable = scope.variable(v.name());
      if (!variable.changes() && variable.level() < code.level()) {
        return code.once(
            variable.level() + 1,
            List.of("broadcast", type, variable.value().reg()),
            Val.class,
            () -> spread(variable.value(), type).shared());
      }
    }
    Optional<Operations.Folded> folded = sums.broadcastOperand(b);
    if (folded.isPresent()) {
      Reg t = Code.vector();
      code.two(broadcastOp(type.scalar().bytes()), Val.size(type), t, folded.get().memory());
      return new Val(type, repeated(type, t), Val.count(type) == 1);
    }
    return spread(value(b.a()), type);
  }

  private static Op broadcastOp(int bytes) {
    return switch (bytes) {
      case 1 -> Op.VPBROADCASTB;
      case 2 -> Op.VPBROADCASTW;
      case 4 -> Op.VPBROADCASTD;
      default -> Op.VPBROADCASTQ;
    };
  }

  private Val spread(Val scalar, Type type) {
    if (Val.isMask(type)) {
      return masks.splat(scalar.reg(), type.lanes());
    }
    Reg t = Code.vector();
    int bytes = type.scalar().bytes();
    Op op =
        !Val.isInteger(scalar.type())
            ? broadcastOp(bytes)
            : switch (bytes) {
              case 1 -> Op.VPBROADCASTBG;
              case 2 -> Op.VPBROADCASTWG;
              case 4 -> Op.VPBROADCASTDG;
              default -> Op.VPBROADCASTQG;
            };
    code.two(op, Val.size(type), t, scalar.reg());
    return new Val(type, repeated(type, t), Val.count(type) == 1);
  }

  private Val ramp(Expr.Ramp r) {
    Type type = r.type();
    if (!type.isVector()) {
      return value(r.base());
    }
    Val base = spread(value(r.base()), type);
    List<Reg> parts = new ArrayList<>();
    int each = Math.max(2, Val.lanes(type));
    for (int i = 0; i < base.parts().size(); i++) {
      long[] steps = new long[each];
      for (int k = 0; k < each; k++) {
        steps[k] = (i * each + k) * r.stride();
      }
      Reg t = Code.vector();
      code.three(Op.VPADDQ, Val.size(type), t, base.parts().get(i), code.constant(8, steps));
      parts.add(t);
    }
    return Val.of(type, parts);
  }

  private Val shuffle(Expr.Shuffle s) {
    Val a = value(s.a());
    Val b = value(s.b());
    int count = a.type().lanes();
    if (s.lanes().size() == 1) {
      int pick = s.lanes().getFirst();
      Val side = pick < count ? a : b;
      return lane(side, pick < count ? pick : pick - count);
    }
    return shuffles.shuffle(a, b, s.lanes());
  }

  /** One lane as a scalar. */
  private Val lane(Val side, int lane) {
    Type type = side.type();
    Type to = type.withLanes(1);
    if (!type.isVector()) {
      return side;
    }
    if (Val.isMask(type)) {
      Reg bits = masks.toInteger(side.parts().get(lane / 64));
      code.change(Op.SHRI, 8, bits, lane % 64);
      code.change(Op.ANDI, 8, bits, 1);
      return Val.of(to, bits);
    }
    int bytes = type.scalar().bytes();
    Reg low = pieces.slice(side.parts(), lane * bytes, bytes);
    return Val.isInteger(to) ? fromVector(low, to) : new Val(to, List.of(low), false);
  }
}
