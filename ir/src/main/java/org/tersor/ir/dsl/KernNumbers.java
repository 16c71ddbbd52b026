package org.tersor.ir.dsl;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/** Numbers, dimensions and operator signs of the kernel language. */
final class KernNumbers {
  /** Text of a dimension may not grow beyond this when products are multiplied out. */
  private static final int DIM_TEXT_LIMIT = 20_000;

  private KernNumbers() {}

  static boolean isFloat(Scalar type) {
    return type.isFloat() || type.isSmallFloat();
  }

  static KExpr number(Ast.Num e, Optional<Scalar> wanted) {
    String text = e.text();
    int suffix = text.indexOf('_');
    String digits = suffix < 0 ? text : text.substring(0, suffix);
    Scalar type =
        suffix < 0
            ? wanted.filter(w -> w != Scalar.BOOL).orElse(e.whole() ? Scalar.INDEX : Scalar.F32)
            : KernSyntax.scalar(text.substring(suffix + 1))
                .orElseThrow(
                    () -> e.at().error("TSR-1004", "no such type: " + text.substring(suffix + 1)));
    if (isFloat(type)) {
      return new KExpr.FloatLit(type, decimal(digits, type));
    }
    if (!e.whole()) {
      throw e.at().error("TSR-1004", digits + " is no number of type " + type.text());
    }
    return new KExpr.IntLit(type, integer(e, digits));
  }

  /** Decimal digits are rounded once, to the type; hexadecimal ones give the value as it stands. */
  private static double decimal(String digits, Scalar type) {
    if (digits.contains("0x")) {
      return Double.parseDouble(digits.indexOf('p') < 0 ? digits + "p0" : digits);
    }
    return type == Scalar.F32 ? Float.parseFloat(digits) : Double.parseDouble(digits);
  }

  static long integer(Ast.Num e, String digits) {
    try {
      if (digits.startsWith("0x")) {
        return Long.parseUnsignedLong(digits, 2, digits.length(), 16);
      }
      return digits.startsWith("-0x")
          ? -Long.parseUnsignedLong(digits, 3, digits.length(), 16)
          : Long.parseLong(digits);
    } catch (NumberFormatException cause) {
      throw e.at().error("TSR-1001", "number out of range: " + digits);
    }
  }

  /** {@code inf}, {@code nan}, with a type or without. */
  static Optional<KExpr> special(Ast.Name e, Optional<Scalar> wanted) {
    String name = e.name();
    String kind = name.length() < 3 ? "" : name.substring(0, 3);
    if (!kind.equals("inf") && !kind.equals("nan")) {
      return Optional.empty();
    }
    Optional<Scalar> type =
        name.length() == 3
            ? Optional.of(wanted.filter(KernNumbers::isFloat).orElse(Scalar.F32))
            : name.charAt(3) == '_' ? KernSyntax.scalar(name.substring(4)) : Optional.empty();
    return type.filter(KernNumbers::isFloat)
        .map(
            t -> new KExpr.FloatLit(t, kind.equals("nan") ? Double.NaN : Double.POSITIVE_INFINITY));
  }

  /** The value of a literal in a table. */
  static double value(Ast literal) {
    return switch (literal) {
      case Ast.Num num ->
          switch (number(num, num.whole() ? Optional.empty() : Optional.of(Scalar.F64))) {
            case KExpr.IntLit e -> e.value();
            case KExpr.FloatLit e -> e.value();
            default -> throw new IllegalStateException(num.toString());
          };
      default -> throw literal.at().error("TSR-1004", "a number is expected");
    };
  }

  static Optional<CompareOp> compare(String op) {
    return switch (op) {
      case "==" -> Optional.of(CompareOp.EQ);
      case "!=" -> Optional.of(CompareOp.NE);
      case "<" -> Optional.of(CompareOp.LT);
      case "<=" -> Optional.of(CompareOp.LE);
      case ">" -> Optional.of(CompareOp.GT);
      case ">=" -> Optional.of(CompareOp.GE);
      default -> Optional.empty();
    };
  }

  /** On indices the quotient rounds down. */
  static BinaryOp binary(String op, Scalar type) {
    return switch (op) {
      case "*" -> BinaryOp.MUL;
      case "/" -> type == Scalar.INDEX ? BinaryOp.FLOORDIV : BinaryOp.DIV;
      case "%" -> type == Scalar.INDEX ? BinaryOp.FLOORMOD : BinaryOp.REM;
      case "+" -> BinaryOp.ADD;
      case "-" -> BinaryOp.SUB;
      case "<<" -> BinaryOp.SHL;
      case ">>" -> BinaryOp.SHR;
      case "&" -> BinaryOp.AND;
      case "^" -> BinaryOp.XOR;
      default -> BinaryOp.OR;
    };
  }

  /** An expression over dimension symbols. */
  static DimExpr dim(Ast ast) {
    try {
      DimExpr dim = dimOf(ast);
      if (dim.toString().length() > DIM_TEXT_LIMIT) {
        throw ast.at().error("TSR-1002", "a dimension of too many terms");
      }
      return dim;
    } catch (ArithmeticException e) {
      throw ast.at().error("TSR-1004", "a dimension out of range");
    }
  }

  private static DimExpr dimOf(Ast ast) {
    return switch (ast) {
      case Ast.Num e when e.whole() -> DimExpr.of(integer(e, e.text()));
      case Ast.Name e -> DimExpr.symbol(e.name());
      case Ast.Neg e -> dim(e.a()).times(-1);
      case Ast.Bin e -> {
        DimExpr a = dim(e.a());
        DimExpr b = dim(e.b());
        yield switch (e.op()) {
          case "+" -> a.plus(b);
          case "-" -> a.minus(b);
          case "*" -> {
            if ((long) a.toString().length() * b.toString().length() > DIM_TEXT_LIMIT) {
              throw e.at().error("TSR-1002", "a dimension of too many terms");
            }
            yield a.times(b);
          }
          case "/" -> a.floorDiv(b);
          case "%" -> a.mod(b);
          default -> throw e.at().error("TSR-1004", "no operation on dimensions: " + e.op());
        };
      }
      case Ast.Call e when e.args().size() == 2 && !e.bang() -> {
        DimExpr a = dim(e.args().get(0));
        DimExpr b = dim(e.args().get(1));
        yield switch (e.name()) {
          case "floordiv" -> a.floorDiv(b);
          case "ceildiv" -> a.ceilDiv(b);
          case "mod" -> a.mod(b);
          case "min" -> a.min(b);
          case "max" -> a.max(b);
          default -> throw e.at().error("TSR-1003", "no function on dimensions: " + e.name());
        };
      }
      default -> throw ast.at().error("TSR-1004", "a dimension is made of integers and symbols");
    };
  }

  /** Symbols of dimensions, for names in short kernels. */
  static List<String> symbols(DimExpr dim) {
    return List.copyOf(dim.symbols());
  }
}
