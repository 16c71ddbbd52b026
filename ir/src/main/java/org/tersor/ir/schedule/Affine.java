package org.tersor.ir.schedule;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * An INDEX expression as {@code constant + sum(coefficient * atom)}, where an atom is an axis or an
 * expression that is not linear. Canonical up to the order of first occurrence.
 */
record Affine(Map<KExpr, DimExpr> terms, DimExpr constant) {

  static Affine constant(DimExpr value) {
    return new Affine(Map.of(), value);
  }

  private static Affine atom(KExpr atom) {
    return new Affine(Map.of(atom, DimExpr.ONE), DimExpr.ZERO);
  }

  boolean isConstant() {
    return terms.isEmpty();
  }

  Affine plus(Affine other) {
    if (terms.isEmpty() || other.terms.isEmpty()) {
      Map<KExpr, DimExpr> all = terms.isEmpty() ? other.terms : terms;
      return new Affine(all, constant.plus(other.constant));
    }
    Map<KExpr, DimExpr> sum = new LinkedHashMap<>(terms);
    other.terms.forEach((atom, c) -> {
      DimExpr total = sum.getOrDefault(atom, DimExpr.ZERO).plus(c);
      if (total.isConst(0)) {
        sum.remove(atom);
      } else {
        sum.put(atom, total);
      }
    });
    return new Affine(sum, constant.plus(other.constant));
  }

  Affine times(DimExpr factor) {
    if (factor.isConst(0)) {
      return constant(DimExpr.ZERO);
    }
    if (factor.isConst(1)) {
      return this;
    }
    Map<KExpr, DimExpr> scaled = new LinkedHashMap<>();
    terms.forEach((atom, c) -> scaled.put(atom, c.times(factor)));
    return new Affine(scaled, constant.times(factor));
  }

  /**
   * Coefficient of an axis as a plain term; the axis may also occur inside other atoms, see {@link
   * #isLinearIn}.
   */
  DimExpr coefficient(Axis axis) {
    return terms.getOrDefault(new KExpr.AxisRef(axis), DimExpr.ZERO);
  }

  /** Whether no opaque atom depends on the axis. */
  boolean isLinearIn(Axis axis) {
    return terms.keySet().stream()
        .allMatch(atom -> atom instanceof KExpr.AxisRef || !KExprs.freeAxes(atom).contains(axis));
  }

  /** This without the term of an axis. */
  Affine without(Axis axis) {
    Map<KExpr, DimExpr> rest = new LinkedHashMap<>(terms);
    rest.remove(new KExpr.AxisRef(axis));
    return new Affine(rest, constant);
  }

  static Affine of(KExpr expr) {
    if (expr.scalar() != Scalar.INDEX) {
      throw new IllegalArgumentException("not an index: " + expr);
    }
    return switch (expr) {
      case KExpr.IntLit e -> constant(DimExpr.of(e.value()));
      case KExpr.Dim e -> constant(e.value());
      case KExpr.AxisRef e -> e.axis().extent().isConst(1) ? constant(DimExpr.ZERO) : atom(e);
      case KExpr.Bin e -> ofBinary(e);
      default -> atom(KExprs.mapOperands(expr, Affine::canonical));
    };
  }

  /** The expression with every index inside it in canonical form. */
  static KExpr canonical(KExpr expr) {
    return expr.scalar() == Scalar.INDEX
        ? of(expr).joined().toKExpr()
        : KExprs.mapOperands(expr, Affine::canonical);
  }

  private static Affine ofBinary(KExpr.Bin e) {
    return switch (e.op()) {
      case ADD -> of(e.a()).plus(of(e.b()));
      case SUB -> of(e.a()).plus(of(e.b()).times(DimExpr.of(-1)));
      case MUL -> {
        Affine a = of(e.a());
        Affine b = of(e.b());
        if (b.isConstant()) {
          yield a.times(b.constant);
        }
        yield a.isConstant()
            ? b.times(a.constant)
            : atom(new KExpr.Bin(BinaryOp.MUL, a.toKExpr(), b.toKExpr()));
      }
      case FLOORDIV, FLOORMOD -> ofDivision(e);
      default -> atom(new KExpr.Bin(e.op(), of(e.a()).toKExpr(), of(e.b()).toKExpr()));
    };
  }

  /** Splits the dividend into multiples of the divisor and a rest known to lie in 0..divisor-1. */
  private static Affine ofDivision(KExpr.Bin e) {
    Affine a = of(e.a());
    Affine b = of(e.b());
    if (b.isConstant() && b.constant.isConst() && b.constant.constValue() > 0) {
      long divisor = b.constant.constValue();
      Affine multiples = constant(DimExpr.ZERO);
      Affine rest = constant(DimExpr.ZERO);
      for (Map.Entry<KExpr, DimExpr> term : a.terms.entrySet()) {
        Affine one = new Affine(Map.of(term.getKey(), term.getValue()), DimExpr.ZERO);
        if (term.getValue().isConst() && term.getValue().constValue() % divisor == 0) {
          multiples =
              multiples.plus(
                  new Affine(
                      Map.of(term.getKey(), DimExpr.of(term.getValue().constValue() / divisor)),
                      DimExpr.ZERO));
        } else {
          rest = rest.plus(one);
        }
      }
      if (a.constant.isConst()) {
        long c = a.constant.constValue();
        multiples = multiples.plus(constant(DimExpr.of(Math.floorDiv(c, divisor))));
        rest = rest.plus(constant(DimExpr.of(Math.floorMod(c, divisor))));
        Optional<Interval> range = Interval.of(rest.toKExpr());
        if (range.isPresent() && range.get().low() >= 0 && range.get().high() < divisor) {
          return e.op() == BinaryOp.FLOORDIV ? multiples : rest;
        }
      }
    }
    return atom(new KExpr.Bin(e.op(), a.toKExpr(), b.toKExpr()));
  }

  /** With {@code c * n * (e / n) + c * (e mod n)} as {@code c * e}, as often as there are such. */
  private Affine joined() {
    for (Map.Entry<KExpr, DimExpr> term : terms.entrySet()) {
      if (term.getKey() instanceof KExpr.Bin quotient
          && quotient.op() == BinaryOp.FLOORDIV
          && quotient.b() instanceof KExpr.IntLit divisor
          && divisor.value() > 0) {
        KExpr remainder = new KExpr.Bin(BinaryOp.FLOORMOD, quotient.a(), quotient.b());
        DimExpr c = terms.getOrDefault(remainder, DimExpr.ZERO);
        if (!c.isConst(0) && term.getValue().equals(c.times(DimExpr.of(divisor.value())))) {
          Map<KExpr, DimExpr> rest = new LinkedHashMap<>(terms);
          rest.remove(quotient);
          rest.remove(remainder);
          return new Affine(rest, constant).plus(of(quotient.a()).times(c)).joined();
        }
      }
    }
    return this;
  }

  KExpr toKExpr() {
    KExpr sum = K.dim(constant);
    KExpr linear = null;
    for (Map.Entry<KExpr, DimExpr> term : terms.entrySet()) {
      KExpr product = K.mul(term.getKey(), K.dim(term.getValue()));
      linear = linear == null ? product : K.add(linear, product);
    }
    return linear == null ? sum : K.add(linear, sum);
  }
}
