package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;

/**
 * An elementwise expression evaluated by java.lang.Math in double, or in exact 64-bit integers
 * where all operands of an operation are integers; the witness that kernels are compared with.
 *
 * @param operands place and kind of each operand by name
 */
record ScalarEval(Map<String, Operand> operands, Kind numbers) {

  enum Kind {
    REAL,
    /** Any integer or a condition, as a long. */
    INTEGER,
    /** U64 as its bits. */
    UNSIGNED
  }

  /** An operand: its number in the arrays and its kind. */
  record Operand(int slot, Kind kind) {}

  interface Real {
    double at(double[] reals, long[] integers);
  }

  interface Whole {
    long at(double[] reals, long[] integers);
  }

  /** A function of the operands; only the one of its kind is meaningful. */
  record Code(Kind kind, Real real, Whole integer) {
    static Code real(Real code) {
      return new Code(Kind.REAL, code, (r, i) -> (long) code.at(r, i));
    }

    static Code integer(Whole code) {
      return new Code(Kind.INTEGER, (r, i) -> code.at(r, i), code);
    }

    static Code unsigned(Whole code) {
      return new Code(Kind.UNSIGNED, (r, i) -> unsignedToDouble(code.at(r, i)), code);
    }

    static Code of(Kind kind, Whole code) {
      return kind == Kind.UNSIGNED ? unsigned(code) : integer(code);
    }
  }

  static double unsignedToDouble(long bits) {
    return bits >= 0 ? bits : ((bits >>> 1) | (bits & 1)) * 2.0;
  }

  Code compile(ScalarExpr expr) {
    return compile(expr, numbers);
  }

  private Code compile(ScalarExpr expr, Kind literal) {
    return switch (expr) {
      case ScalarExpr.Num n -> {
        double value = n.value();
        long whole = (long) value;
        yield literal == Kind.REAL ? Code.real((r, i) -> value) : Code.of(literal, (r, i) -> whole);
      }
      case ScalarExpr.Name n -> {
        Operand operand = operands.get(n.name());
        if (operand == null) {
          throw new IllegalArgumentException("no operand " + n.name());
        }
        int slot = operand.slot();
        yield operand.kind() == Kind.REAL
            ? Code.real((r, i) -> r[slot])
            : Code.of(operand.kind(), (r, i) -> i[slot]);
      }
      case ScalarExpr.Call call -> call(call, literal);
    };
  }

  private Code call(ScalarExpr.Call call, Kind literal) {
    List<ScalarExpr> args = call.args();
    if (call.fn() == ScalarExpr.Fn.WHERE) {
      Whole condition = compile(args.getFirst(), Kind.INTEGER).integer();
      Code then = operand(args.get(1), args.get(2), literal);
      Code otherwise = operand(args.get(2), args.get(1), literal);
      return then.kind() == Kind.REAL || otherwise.kind() == Kind.REAL
          ? Code.real(
              (r, i) -> condition.at(r, i) != 0 ? then.real().at(r, i) : otherwise.real().at(r, i))
          : Code.of(
              then.kind(),
              (r, i) ->
                  condition.at(r, i) != 0 ? then.integer().at(r, i) : otherwise.integer().at(r, i));
    }
    if (args.size() == 1) {
      Code a = compile(args.getFirst(), literal);
      return a.kind() == Kind.REAL ? realUnary(call.fn(), a.real()) : integerUnary(call.fn(), a);
    }
    boolean compares =
        switch (call.fn()) {
          case EQ, NE, LT, LE, GT, GE -> true;
          default -> false;
        };
    Kind inner = compares ? numbers : literal;
    Code a = operand(args.get(0), args.get(1), inner);
    Code b = operand(args.get(1), args.get(0), inner);
    return a.kind() == Kind.REAL || b.kind() == Kind.REAL
        ? realBinary(call.fn(), a.real(), b.real())
        : integerBinary(call.fn(), a.kind(), a.integer(), b.integer());
  }

  /** A number takes the kind of its neighbour. */
  private Code operand(ScalarExpr arg, ScalarExpr other, Kind literal) {
    return arg instanceof ScalarExpr.Num && !(other instanceof ScalarExpr.Num)
        ? compile(arg, compile(other, literal).kind())
        : compile(arg, literal);
  }

  private static Code realUnary(ScalarExpr.Fn fn, Real a) {
    return Code.real(
        switch (fn) {
          case NEG -> (r, i) -> -a.at(r, i);
          case ABS -> (r, i) -> Math.abs(a.at(r, i));
          case SQRT -> (r, i) -> Math.sqrt(a.at(r, i));
          case FLOOR -> (r, i) -> Math.floor(a.at(r, i));
          case CEIL -> (r, i) -> Math.ceil(a.at(r, i));
          case RINT -> (r, i) -> Math.rint(a.at(r, i));
          case EXP -> (r, i) -> Math.exp(a.at(r, i));
          case EXPM1 -> (r, i) -> Math.expm1(a.at(r, i));
          case LOG -> (r, i) -> Math.log(a.at(r, i));
          case LOG1P -> (r, i) -> Math.log1p(a.at(r, i));
          case TANH -> (r, i) -> Math.tanh(a.at(r, i));
          case SIGMOID -> (r, i) -> 1 / (1 + Math.exp(-a.at(r, i)));
          case ERF -> (r, i) -> RealMath.erf(a.at(r, i));
          case SIN -> (r, i) -> Math.sin(a.at(r, i));
          case COS -> (r, i) -> Math.cos(a.at(r, i));
          case TAN -> (r, i) -> Math.tan(a.at(r, i));
          case ASIN -> (r, i) -> Math.asin(a.at(r, i));
          case ACOS -> (r, i) -> Math.acos(a.at(r, i));
          case ATAN -> (r, i) -> Math.atan(a.at(r, i));
          case SINH -> (r, i) -> Math.sinh(a.at(r, i));
          case COSH -> (r, i) -> Math.cosh(a.at(r, i));
          case ASINH -> (r, i) -> RealMath.asinh(a.at(r, i));
          case ACOSH -> (r, i) -> RealMath.acosh(a.at(r, i));
          case ATANH -> (r, i) -> RealMath.atanh(a.at(r, i));
          default -> throw new IllegalArgumentException(fn + " of a real number");
        });
  }

  private static Code integerUnary(ScalarExpr.Fn fn, Code code) {
    Whole a = code.integer();
    return switch (fn) {
      case NEG -> Code.of(code.kind(), (r, i) -> -a.at(r, i));
      case ABS ->
          code.kind() == Kind.UNSIGNED ? code : Code.integer((r, i) -> Math.abs(a.at(r, i)));
      case NOT -> Code.integer((r, i) -> a.at(r, i) == 0 ? 1 : 0);
      case INVERT -> Code.of(code.kind(), (r, i) -> ~a.at(r, i));
      case FLOOR, CEIL, RINT -> code;
      default -> realUnary(fn, code.real());
    };
  }

  private static Code realBinary(ScalarExpr.Fn fn, Real a, Real b) {
    return switch (fn) {
      case ADD -> Code.real((r, i) -> a.at(r, i) + b.at(r, i));
      case SUB -> Code.real((r, i) -> a.at(r, i) - b.at(r, i));
      case MUL -> Code.real((r, i) -> a.at(r, i) * b.at(r, i));
      case DIV -> Code.real((r, i) -> a.at(r, i) / b.at(r, i));
      case REM, FMOD -> Code.real((r, i) -> a.at(r, i) % b.at(r, i));
      case MIN -> Code.real((r, i) -> Math.min(a.at(r, i), b.at(r, i)));
      case MAX -> Code.real((r, i) -> Math.max(a.at(r, i), b.at(r, i)));
      case POW -> Code.real((r, i) -> RealMath.pow(a.at(r, i), b.at(r, i)));
      case EQ -> Code.integer((r, i) -> a.at(r, i) == b.at(r, i) ? 1 : 0);
      case NE -> Code.integer((r, i) -> a.at(r, i) != b.at(r, i) ? 1 : 0);
      case LT -> Code.integer((r, i) -> a.at(r, i) < b.at(r, i) ? 1 : 0);
      case LE -> Code.integer((r, i) -> a.at(r, i) <= b.at(r, i) ? 1 : 0);
      case GT -> Code.integer((r, i) -> a.at(r, i) > b.at(r, i) ? 1 : 0);
      case GE -> Code.integer((r, i) -> a.at(r, i) >= b.at(r, i) ? 1 : 0);
      default -> throw new IllegalArgumentException(fn + " of real numbers");
    };
  }

  private static Code integerBinary(ScalarExpr.Fn fn, Kind kind, Whole a, Whole b) {
    boolean unsigned = kind == Kind.UNSIGNED;
    // Adding the smallest long turns unsigned order into signed order.
    long bias = unsigned ? Long.MIN_VALUE : 0;
    return switch (fn) {
      case ADD -> Code.of(kind, (r, i) -> a.at(r, i) + b.at(r, i));
      case SUB -> Code.of(kind, (r, i) -> a.at(r, i) - b.at(r, i));
      case MUL -> Code.of(kind, (r, i) -> a.at(r, i) * b.at(r, i));
      case DIV -> Code.of(kind, (r, i) -> divide(a.at(r, i), b.at(r, i), unsigned));
      case REM, FMOD -> Code.of(kind, (r, i) -> remainder(a.at(r, i), b.at(r, i), unsigned));
      case MIN -> Code.of(kind, (r, i) -> Math.min(a.at(r, i) + bias, b.at(r, i) + bias) - bias);
      case MAX -> Code.of(kind, (r, i) -> Math.max(a.at(r, i) + bias, b.at(r, i) + bias) - bias);
      case POW -> Code.of(kind, (r, i) -> RealMath.pow(a.at(r, i), b.at(r, i)));
      case AND -> Code.of(kind, (r, i) -> a.at(r, i) & b.at(r, i));
      case OR -> Code.of(kind, (r, i) -> a.at(r, i) | b.at(r, i));
      case XOR -> Code.of(kind, (r, i) -> a.at(r, i) ^ b.at(r, i));
      case SHL -> Code.of(kind, (r, i) -> a.at(r, i) << b.at(r, i));
      case SHR ->
          Code.of(kind, (r, i) -> unsigned ? a.at(r, i) >>> b.at(r, i) : a.at(r, i) >> b.at(r, i));
      case EQ -> Code.integer((r, i) -> a.at(r, i) == b.at(r, i) ? 1 : 0);
      case NE -> Code.integer((r, i) -> a.at(r, i) != b.at(r, i) ? 1 : 0);
      case LT -> Code.integer((r, i) -> a.at(r, i) + bias < b.at(r, i) + bias ? 1 : 0);
      case LE -> Code.integer((r, i) -> a.at(r, i) + bias <= b.at(r, i) + bias ? 1 : 0);
      case GT -> Code.integer((r, i) -> a.at(r, i) + bias > b.at(r, i) + bias ? 1 : 0);
      case GE -> Code.integer((r, i) -> a.at(r, i) + bias >= b.at(r, i) + bias ? 1 : 0);
      default -> throw new IllegalArgumentException(fn + " of integers");
    };
  }

  private static long divide(long a, long b, boolean unsigned) {
    return b == 0 ? 0 : unsigned ? Long.divideUnsigned(a, b) : a / b;
  }

  private static long remainder(long a, long b, boolean unsigned) {
    return b == 0 ? 0 : unsigned ? Long.remainderUnsigned(a, b) : a % b;
  }
}
