package org.tersor.codegen.c;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;

/** C text of arithmetic on numbers (and of scalar bool). */
final class COps {
  private final CUnit unit;
  private final CScalarOps scalars;
  private final CLift lift;
  private final CFloatOps floats;

  COps(CUnit unit, CScalarOps scalars, CLift lift) {
    this.unit = unit;
    this.scalars = scalars;
    this.lift = lift;
    this.floats = new CFloatOps(unit, scalars, lift);
  }

  String unary(UnaryOp op, Type t, String a) {
    Scalar s = t.scalar();
    return switch (op) {
      case NEG -> narrow(t, "-" + a);
      case NOT -> s == Scalar.BOOL ? "(!" + a + ")" : narrow(t, "~" + a);
      case ABS -> abs(t, a);
      case SQRT -> floats.sqrt(t, a);
      case FLOOR -> floats.round(CFloatOps.Rounding.DOWN, t, a);
      case CEIL -> floats.round(CFloatOps.Rounding.UP, t, a);
      case TRUNC -> floats.round(CFloatOps.Rounding.ZERO, t, a);
      case RINT -> floats.round(CFloatOps.Rounding.NEAREST, t, a);
      case POPCOUNT -> popcount(t, a);
      case EXP,
          EXPM1,
          LOG,
          LOG1P,
          TANH,
          SIGMOID,
          ERF,
          SIN,
          COS,
          TAN,
          ASIN,
          ACOS,
          ATAN,
          SINH,
          COSH,
          ASINH,
          ACOSH,
          ATANH ->
          throw Faults.unsupported(op.toString(), "the legalizer must replace it by loop-IR text");
    };
  }

  /** C computes on types below 32 bits in int: back to the type. */
  private String narrow(Type t, String text) {
    return !t.isVector() && CUnit.carrier(t.scalar()).bytes() < 4
        ? "((" + CUnit.scalar(t.scalar()) + ")(" + text + "))"
        : "(" + text + ")";
  }

  private String abs(Type t, String a) {
    Scalar s = t.scalar();
    if (s.isUnsigned()) {
      return a;
    }
    String type = unit.type(t);
    String name = "tsr_abs_" + CUnit.carrier(s).text() + (t.isVector() ? "_x" + t.lanes() : "");
    unit.helper(
        name,
        () -> {
          String head = "TSR_FN " + type + " " + name + "(" + type + " x) { return ";
          if (s.isFloat()) {
            Scalar word = CUnit.unsignedOf(s.bytes());
            String magnitude = CConst.integer(word, Long.MAX_VALUE >>> (64 - s.bytes() * 8));
            return t.isVector()
                ? head
                    + "("
                    + type
                    + ")(("
                    + unit.type(t.withScalar(word))
                    + ")x & "
                    + magnitude
                    + "); }"
                : head
                    + scalars.bits(word, s)
                    + "("
                    + scalars.bits(s, word)
                    + "(x) & "
                    + magnitude
                    + "); }";
          }
          // (x ^ sign) - sign with sign = x >> (width - 1): of the smallest integer, itself.
          String sign = "(x >> " + (s.bytes() * 8 - 1) + ")";
          return head + "(" + type + ")((x ^ " + sign + ") - " + sign + "); }";
        });
    return name + "(" + a + ")";
  }

  private String popcount(Type t, String a) {
    Scalar word = CUnit.unsignedOf(t.scalar().bytes());
    String type = unit.type(t.withScalar(word));
    String name = "tsr_popcount_" + word.text() + (t.isVector() ? "_x" + t.lanes() : "");
    scalars.popcount(word, type, name);
    return "((" + unit.type(t) + ")" + name + "((" + type + ")" + a + "))";
  }

  /** {@code e} gives the operands where constants allow a shorter form. */
  String binary(BinaryOp op, Type t, String a, String b, Expr.Binary e) {
    return switch (op) {
      case ADD -> narrow(t, a + " + " + b);
      case SUB -> narrow(t, a + " - " + b);
      case MUL -> narrow(t, a + " * " + b);
      case DIV ->
          t.scalar().isFloat()
              ? "(" + a + " / " + b + ")"
              : divide(" / ", scalars.div(t.scalar()), "tsr_div_", t, a, b, e);
      case REM -> divide(" % ", scalars.rem(t.scalar()), "tsr_rem_", t, a, b, e);
      case FLOORDIV -> floor(true, t, a, b, e);
      case FLOORMOD -> floor(false, t, a, b, e);
      case MIN -> extremum(false, t, a, b, e);
      case MAX -> extremum(true, t, a, b, e);
      case AND -> narrow(t, a + " & " + b);
      case OR -> narrow(t, a + " | " + b);
      case XOR -> narrow(t, a + " ^ " + b);
      case SHL -> narrow(t, a + " << " + count(t, b));
      case SHR -> narrow(t, a + " >> " + count(t, b));
      case FMOD, POW, ATAN2 ->
          throw Faults.unsupported(op.toString(), "the legalizer must replace it by loop-IR text");
    };
  }

  private String count(Type t, String b) {
    Scalar s = CUnit.carrier(t.scalar());
    return "(" + b + " & " + CConst.integer(s, s.bytes() * 8 - 1) + ")";
  }

  private String divide(
      String symbol, String scalar, String stem, Type t, String a, String b, Expr.Binary e) {
    if (integerConstant(e.b()).filter(c -> c != 0 && c != -1).isPresent()) {
      return narrow(t, a + symbol + b);
    }
    Scalar s = CUnit.carrier(t.scalar());
    return lift.lift(stem + s.text(), s, List.of(s, s), t.lanes(), scalar, n -> Optional.empty())
        + "("
        + a
        + ", "
        + b
        + ")";
  }

  private String floor(boolean quotient, Type t, String a, String b, Expr.Binary e) {
    Optional<Long> divisor = integerConstant(e.b()).filter(c -> c > 0 && Long.bitCount(c) == 1);
    if (divisor.isPresent()) {
      // Shifts round toward minus infinity.
      return quotient
          ? "(" + a + " >> " + Long.numberOfTrailingZeros(divisor.get()) + ")"
          : "(" + a + " & " + CConst.integer(Scalar.I64, divisor.get() - 1) + ")";
    }
    String scalar = quotient ? scalars.floorDiv() : scalars.floorMod();
    return lift.lift(
            scalar,
            Scalar.I64,
            List.of(Scalar.I64, Scalar.I64),
            t.lanes(),
            scalar,
            n -> Optional.empty())
        + "("
        + a
        + ", "
        + b
        + ")";
  }

  private static Optional<Long> integerConstant(Expr e) {
    return switch (e) {
      case Expr.IntConst c -> Optional.of(c.value());
      case Expr.Broadcast b -> integerConstant(b.a());
      default -> Optional.empty();
    };
  }

  private static Optional<Double> floatConstant(Expr e) {
    return switch (e) {
      case Expr.FloatConst c -> Optional.of(c.value());
      case Expr.Broadcast b -> floatConstant(b.a());
      default -> Optional.empty();
    };
  }

  private String extremum(boolean max, Type t, String a, String b, Expr.Binary e) {
    if (!t.scalar().isFloat()) {
      return integerExtremum(max, t, a, b);
    }
    Optional<Double> left = floatConstant(e.a());
    Optional<Double> right = floatConstant(e.b());
    if (left.isPresent() && right.isEmpty()) {
      return withConstant(max, t, a, b, left.get());
    }
    if (right.isPresent()) {
      return withConstant(max, t, b, a, right.get());
    }
    return floats.extremum(max, t, a, b, false);
  }

  /**
   * The plain instruction gives its second operand, x, where either is NaN and where both are zero:
   * right for every constant but NaN and the zero that must win over x = the other zero.
   */
  private String withConstant(boolean max, Type t, String constant, String x, double c) {
    boolean negative = Double.doubleToRawLongBits(c) < 0;
    if (Double.isNaN(c) || (c == 0 && !max && negative)) {
      return floats.extremum(max, t, constant, x, false);
    }
    String plain = floats.extremum(max, t, constant, x, true);
    // max(+0, x): adding +0 turns -0 into +0 and nothing else.
    return c == 0 && max && !negative ? "(" + plain + " + " + constant + ")" : plain;
  }

  private String integerExtremum(boolean max, Type t, String a, String b) {
    Scalar s = CUnit.carrier(t.scalar());
    String c = CUnit.scalar(s);
    String scalar = (max ? "tsr_max_" : "tsr_min_") + s.text();
    unit.helper(
        scalar,
        () ->
            "TSR_FN "
                + c
                + " "
                + scalar
                + "("
                + c
                + " a, "
                + c
                + " b) { return a "
                + (max ? ">" : "<")
                + " b ? a : b; }");
    return lift.lift(
            scalar,
            s,
            List.of(s, s),
            t.lanes(),
            scalar,
            lanes -> {
              int bytes = lanes * s.bytes();
              if (!unit.isa().registers(bytes) || (s.bytes() == 8 && !unit.isa().bitMasks())) {
                return Optional.empty();
              }
              String r = CLift.register(s, bytes);
              String type = unit.type(new Type(s, lanes));
              return Optional.of(
                  "return ("
                      + type
                      + ")"
                      + CLift.prefix(bytes)
                      + (max ? "_max_" : "_min_")
                      + CLift.suffix(s)
                      + "(("
                      + r
                      + ")a, ("
                      + r
                      + ")b);");
            })
        + "("
        + a
        + ", "
        + b
        + ")";
  }

  String fma(Type t, String a, String b, String c) {
    return floats.fma(t, a, b, c);
  }

  String dot4(Type t, String acc, String a, String b) {
    if (!unit.cuda()) {
      unit.helper(
          "tsr_dot4",
          () -> {
            StringBuilder sum = new StringBuilder("(uint32_t)a");
            for (int i = 0; i < 4; i++) {
              sum.append(" + (uint32_t)((int32_t)(uint8_t)(b >> ")
                  .append(8 * i)
                  .append(") * (int8_t)(c >> ")
                  .append(8 * i)
                  .append("))");
            }
            return "TSR_FN int32_t tsr_dot4(int32_t a, int32_t b, int32_t c) { return (int32_t)("
                + sum
                + "); }";
          });
    }
    // The intrinsic makes gcc 12 copy the accumulator around every instruction; inline assembly
    // does not.
    return lift.lift(
            "tsr_dot4",
            Scalar.I32,
            List.of(Scalar.I32, Scalar.I32, Scalar.I32),
            t.lanes(),
            "tsr_dot4",
            lanes ->
                unit.isa().vnni() && unit.isa().registers(lanes * 4)
                    ? Optional.of(
                        "__asm__(\"vpdpbusd %2, %1, %0\" : \"+v\"(a) : \"v\"(b), \"v\"(c)); return a;")
                    : Optional.empty())
        + "("
        + acc
        + ", "
        + a
        + ", "
        + b
        + ")";
  }

  /** Halves combined until one lane is left. */
  String reduce(BinaryOp op, Type t, String a) {
    String name =
        "tsr_reduce_"
            + op.name().toLowerCase(Locale.ROOT)
            + "_"
            + CUnit.carrier(t.scalar()).text()
            + "_x"
            + t.lanes();
    unit.helper(
        name,
        () -> {
          StringBuilder text =
              new StringBuilder(
                  "TSR_FN "
                      + CUnit.scalar(t.scalar())
                      + " "
                      + name
                      + "("
                      + unit.type(t)
                      + " v"
                      + t.lanes()
                      + ") {");
          for (int n = t.lanes() / 2; n > 1; n /= 2) {
            Type half = t.withLanes(n);
            String type = unit.type(half);
            text.append(' ')
                .append(type)
                .append(" l")
                .append(n)
                .append(" = ")
                .append(part("v" + 2 * n, 0, n))
                .append(", h")
                .append(n)
                .append(" = ");
            text.append(part("v" + 2 * n, n, n))
                .append(", v")
                .append(n)
                .append(" = ")
                .append(combine(op, half, "l" + n, "h" + n))
                .append(';');
          }
          Type scalar = t.withLanes(1);
          return text.append(" return ")
              .append(combine(op, scalar, "v2[0]", "v2[1]"))
              .append("; }")
              .toString();
        });
    return name + "(" + a + ")";
  }

  private String combine(BinaryOp op, Type t, String a, String b) {
    Expr unknown = new Expr.Var(t, "");
    return binary(op, t, a, b, new Expr.Binary(op, unknown, unknown));
  }

  private static String part(String vector, int from, int count) {
    StringBuilder text = new StringBuilder("__builtin_shufflevector(" + vector + ", " + vector);
    for (int i = 0; i < count; i++) {
      text.append(", ").append(from + i);
    }
    return text.append(')').toString();
  }
}
