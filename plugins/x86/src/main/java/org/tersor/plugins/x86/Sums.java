package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.schedule.Target;
import org.tersor.plugins.x86.Operations.Folded;
import org.tersor.plugins.x86.Operations.Source;

/** Operations whose operands may be memory, and whose result may be an operand's register. */
final class Sums {
  private final Code code;
  private final Vectors vectors;
  private final Exprs exprs;
  private final Target target;

  Sums(Code code, Vectors vectors, Exprs exprs, Target target) {
    this.code = code;
    this.vectors = vectors;
    this.exprs = exprs;
    this.target = target;
  }

  /** Memory that an instruction over vectors of a type may read itself. */
  private Optional<Folded> fold(Expr e) {
    if (e instanceof Expr.Load l
        && l.mask().isEmpty()
        && !l.index().type().isVector()
        && exprs.buffer(l.buffer()).registers().isEmpty()) {
      Type type = l.type();
      boolean whole = type.bytes() >= 16 && type.scalar() != Scalar.BOOL;
      if (whole || (!type.isVector() && type.scalar().isFloat())) {
        return Optional.of(
            new Folded(
                exprs
                    .indices()
                    .address(exprs.buffer(l.buffer()), exprs.indices().linear(l.index())),
                false));
      }
    }
    return e instanceof Expr.Broadcast b && b.type().scalar().bytes() >= 4
        ? broadcastOperand(b)
        : Optional.empty();
  }

  /** The element that a broadcast repeats, if it is in memory. */
  Optional<Folded> broadcastOperand(Expr.Broadcast b) {
    Expr a = b.a() instanceof Expr.Bits bits && !bits.a().type().isVector() ? bits.a() : b.a();
    if (b.lanes() > 1
        && a instanceof Expr.Load l
        && l.type().scalar() != Scalar.BOOL
        && l.mask().isEmpty()
        && exprs.buffer(l.buffer()).registers().isEmpty()) {
      return Optional.of(
          new Folded(
              exprs.indices().address(exprs.buffer(l.buffer()), exprs.indices().linear(l.index())),
              true));
    }
    return Optional.empty();
  }

  private Source source(Expr e, boolean broadcasts) {
    return fold(e)
        .filter(f -> broadcasts || !f.broadcast())
        .map(Source::of)
        .orElseGet(() -> Source.of(exprs.value(e)));
  }

  private static boolean isSame(Val a, Val b) {
    for (int i = 0; i < a.parts().size(); i++) {
      if (a.parts().get(i) != b.parts().get(i)) {
        return false;
      }
    }
    return a.parts().size() == b.parts().size();
  }

  /** a * b + c; {@code into}: registers that the result may be made in, if c is in them. */
  Val fma(Expr.Fma f, Optional<Val> into) {
    Type type = f.type();
    Val c = exprs.value(f.c());
    boolean swap = fold(f.b()).isEmpty() && fold(f.a()).isPresent();
    Val a = exprs.value(swap ? f.b() : f.a());
    Source b = source(swap ? f.a() : f.b(), true);
    boolean single = type.scalar() == Scalar.F32;
    boolean inPlace = into.filter(v -> isSame(v, c)).isPresent();
    if (!inPlace && !c.owned() && a.owned()) {
      // The sum is read again, so a factor gives its register.
      Op op =
          type.isVector()
              ? single ? Op.VFMADD213PS : Op.VFMADD213PD
              : single ? Op.VFMADD213SS : Op.VFMADD213SD;
      if (b.value().isPresent()) {
        for (int i = 0; i < a.parts().size(); i++) {
          code.three(op, Val.size(type), a.parts().get(i), (Reg) b.operand(i), c.parts().get(i));
        }
        return a.as(type);
      }
    }
    Op op =
        type.isVector()
            ? single ? Op.VFMADD231PS : Op.VFMADD231PD
            : single ? Op.VFMADD231SS : Op.VFMADD231SD;
    return accumulate(op, type, c, inPlace, a, b);
  }

  private Val accumulate(Op op, Type type, Val c, boolean inPlace, Val a, Source b) {
    List<Reg> parts = new ArrayList<>();
    for (int i = 0; i < c.parts().size(); i++) {
      Reg sum = c.parts().get(i);
      Reg t = inPlace || c.owned() ? sum : code.copy(sum);
      Ins ins = code.three(op, Val.size(type), t, a.parts().get(i), b.operand(i));
      ins.broadcast = b.broadcast();
      parts.add(t);
    }
    return new Val(type, parts, !inPlace);
  }

  /** Dot4 and Dot2, also of one lane. */
  Val dot(Expr e, Expr acc, Expr left, Expr right, Optional<Val> into) {
    Type type = e.type();
    boolean bytes = e instanceof Expr.Dot4;
    if (!type.isVector()) {
      return single(type, acc, left, right, bytes);
    }
    Val c = exprs.value(acc);
    Val a = exprs.value(left);
    boolean inPlace = into.filter(v -> isSame(v, c)).isPresent();
    if (bytes && !target.has(Target.Feature.DOT4)) {
      Val b = exprs.value(right);
      List<Reg> parts = new ArrayList<>();
      for (int i = 0; i < c.parts().size(); i++) {
        Reg sum = c.parts().get(i);
        Reg t = inPlace ? sum : Code.vector();
        vectors.dot4(Val.size(type), t, sum, a.parts().get(i), b.parts().get(i));
        parts.add(t);
      }
      return new Val(type, parts, !inPlace);
    }
    return accumulate(bytes ? Op.VPDPBUSD : Op.VDPBF16PS, type, c, inPlace, a, source(right, true));
  }

  private Val single(Type type, Expr acc, Expr left, Expr right, boolean bytes) {
    Type pair = type.withLanes(4);
    Reg sum = vector(exprs.value(acc));
    Reg a = vector(exprs.value(left));
    Reg b = vector(exprs.value(right));
    Reg result;
    if (bytes && !target.has(Target.Feature.DOT4)) {
      result = Code.vector();
      vectors.dot4(16, result, sum, a, b);
    } else {
      result = code.copy(sum);
      code.three(bytes ? Op.VPDPBUSD : Op.VDPBF16PS, Val.size(pair), result, a, b);
    }
    if (!Val.isInteger(type)) {
      return Val.of(type, result);
    }
    Reg t = Code.integer();
    code.read(Op.VMOVDTO, 16, result, Operand.NONE).target(t);
    return Val.of(type, t);
  }

  private Reg vector(Val scalar) {
    if (!Val.isInteger(scalar.type())) {
      return scalar.reg();
    }
    Reg t = Code.vector();
    code.two(Op.VMOVD, 16, t, scalar.reg());
    return t;
  }

  private static Optional<Double> number(Expr e) {
    return switch (e) {
      case Expr.FloatConst c -> Optional.of(c.value());
      case Expr.Broadcast b -> number(b.a());
      default -> Optional.empty();
    };
  }

  /** Whether {@link #binary} is one instruction for each register. */
  static boolean isOne(Expr.Binary b) {
    Type type = b.type();
    return !Val.isMask(type)
        && !Val.isInteger(type)
        && Vectors.does(b.op(), type.scalar())
        && Vectors.instruction(b.op(), type).isPresent();
  }

  /**
   * An operation on vectors or on scalar floats, see {@link Vectors#does}; {@code into}: where the
   * result may be made.
   */
  Val binary(Expr.Binary b, Optional<Val> into) {
    Type type = b.type();
    BinaryOp op = b.op();
    boolean extremum = (op == BinaryOp.MIN || op == BinaryOp.MAX) && type.scalar().isFloat();
    if (extremum) {
      Optional<Val> plain = withConstant(b);
      if (plain.isPresent()) {
        return plain.get();
      }
    }
    Optional<Op> instruction = Vectors.instruction(op, type);
    Expr first = b.a();
    Expr second = b.b();
    if (Vectors.commutes(op) && fold(first).isPresent() && fold(second).isEmpty()) {
      first = b.b();
      second = b.a();
    }
    Val x = exprs.value(first);
    int bytes = type.scalar().bytes();
    boolean mayFold = instruction.isPresent();
    boolean broadcasts =
        instruction.filter(i -> i.tuple.equals("fv") && bytes == (i.w == 1 ? 8 : 4)).isPresent();
    Source y = mayFold ? source(second, broadcasts) : Source.of(exprs.value(second));
    Optional<Long> constant = Indices.constant(second);
    Type part = type.withLanes(Val.lanes(type));
    List<Reg> parts = new ArrayList<>();
    for (int i = 0; i < x.parts().size(); i++) {
      Reg left = x.parts().get(i);
      if (instruction.isPresent()) {
        // With more registers a later one might still be read.
        Reg t = x.parts().size() == 1 ? into.map(Val::reg).orElseGet(Code::vector) : Code.vector();
        Ins ins = code.three(instruction.get(), Val.size(type), t, left, y.operand(i));
        ins.broadcast = y.broadcast();
        parts.add(t);
      } else {
        parts.add(vectors.binary(op, part, left, y.operand(i), constant));
      }
    }
    return Val.of(type, parts);
  }

  private Optional<Val> withConstant(Expr.Binary b) {
    Type type = b.type();
    Optional<Double> left = number(b.a());
    Optional<Double> right = number(b.b());
    if (left.isPresent() == right.isPresent()) {
      return Optional.empty();
    }
    double constant = left.orElseGet(right::orElseThrow);
    Val x = exprs.value(left.isPresent() ? b.b() : b.a());
    Type part = type.withLanes(Val.lanes(type));
    List<Reg> parts = new ArrayList<>();
    for (Reg lane : x.parts()) {
      Optional<Reg> t = vectors.withConstant(b.op() == BinaryOp.MAX, part, constant, lane);
      if (t.isEmpty()) {
        // Nothing was emitted but the operand, which is computed again.
        return Optional.empty();
      }
      parts.add(t.get());
    }
    return Optional.of(Val.of(type, parts));
  }
}
