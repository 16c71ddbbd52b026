package org.tersor.ir.loop;

import java.util.function.LongBinaryOperator;
import java.util.function.LongUnaryOperator;

/**
 * Meaning of the operations on one scalar, for interpreters of the IRs. A scalar is a long in
 * canonical form: integers sign- or zero-extended by their type (U64 as its bits), bool 0 or 1,
 * floats as their bits, zero-extended. Unlike the loop interpreter it also computes transcendental
 * functions, by java.lang.Math in double.
 */
public final class ScalarSemantics {
  private ScalarSemantics() {}

  public static LongUnaryOperator unary(UnaryOp op, Scalar type) {
    if (!op.isTranscendental()) {
      return InterpreterOps.unary(op, type)::apply;
    }
    return a -> fromDouble(type, apply(op, toDouble(type, a)));
  }

  public static LongBinaryOperator binary(BinaryOp op, Scalar type) {
    if (!op.isTranscendental()) {
      return InterpreterOps.binary(op, type)::apply;
    }
    return (a, b) -> {
      double x = toDouble(type, a);
      double y = toDouble(type, b);
      return fromDouble(
          type,
          switch (op) {
            case FMOD -> x % y;
            case POW -> x == 1 ? 1 : Math.pow(x, y);
            case ATAN2 -> Math.atan2(x, y);
            default -> throw new IllegalStateException(op + " is primitive");
          });
    };
  }

  public static LongBinaryOperator compare(CompareOp op, Scalar type) {
    return InterpreterOps.compare(op, type)::apply;
  }

  public static LongUnaryOperator cast(Scalar to, Scalar from, boolean inRange) {
    return InterpreterOps.cast(to, from, inRange)::apply;
  }

  /** The canonical form of low bits. */
  public static long canon(Scalar type, long bits) {
    return InterpreterOps.canon(type, bits);
  }

  /** The value of a literal of a float type. */
  public static long fromDouble(Scalar type, double value) {
    return type == Scalar.F32 ? InterpreterOps.bits((float) value) : InterpreterOps.bits(value);
  }

  private static double toDouble(Scalar type, long bits) {
    return switch (type) {
      case F32 -> InterpreterOps.f32(bits);
      case F64 -> InterpreterOps.f64(bits);
      default -> throw new IllegalStateException("a function of " + type.text());
    };
  }

  private static double apply(UnaryOp op, double x) {
    return switch (op) {
      case EXP -> Math.exp(x);
      case EXPM1 -> Math.expm1(x);
      case LOG -> Math.log(x);
      case LOG1P -> Math.log1p(x);
      case TANH -> Math.tanh(x);
      case SIGMOID -> 1 / (1 + Math.exp(-x));
      case ERF -> erf(x);
      case SIN -> Math.sin(x);
      case COS -> Math.cos(x);
      case TAN -> Math.tan(x);
      case ASIN -> Math.asin(x);
      case ACOS -> Math.acos(x);
      case ATAN -> Math.atan(x);
      case SINH -> Math.sinh(x);
      case COSH -> Math.cosh(x);
      case ASINH -> Math.copySign(Math.log(Math.abs(x) + Math.sqrt(x * x + 1)), x);
      case ACOSH -> Math.log(x + Math.sqrt(x * x - 1));
      case ATANH -> 0.5 * Math.log((1 + x) / (1 - x));
      default -> throw new IllegalStateException(op + " is primitive");
    };
  }

  /**
   * By Simpson's rule on the density, which shares nothing with a series or a rational
   * approximation.
   */
  private static double erf(double x) {
    if (Double.isNaN(x) || x == 0) {
      return x;
    }
    double end = Math.min(Math.abs(x), 6.5);
    int steps = 400;
    double h = end / steps;
    double sum = 1 + Math.exp(-end * end);
    for (int i = 1; i < steps; i++) {
      sum += (i % 2 == 1 ? 4 : 2) * Math.exp(-(i * h) * (i * h));
    }
    return Math.copySign(Math.min(1, 2 / Math.sqrt(Math.PI) * sum * h / 3), x);
  }
}
