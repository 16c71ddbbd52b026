package org.tersor.codegen.c;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Vectors of bool: bit masks where the target has mask registers, else vectors of 0 and -1 whose
 * element width is that of the values they act on. {@code width} below is that width in bytes; bit
 * masks have none.
 */
final class CMasks {
  private final CUnit unit;
  private final boolean bits;
  private final CLift lift;

  CMasks(CUnit unit) {
    this.unit = unit;
    this.bits = unit.isa().bitMasks();
    this.lift = new CLift(unit);
  }

  String type(int lanes, int width) {
    return unit.maskType(lanes, width);
  }

  private static String full(int lanes) {
    return lanes == 64
        ? "0xffffffffffffffffull"
        : "0x" + Long.toHexString((1L << lanes) - 1) + "ull";
  }

  private String trimmed(String value, int lanes) {
    String type = CUnit.bits(lanes);
    return lanes < 8
        ? "((" + type + ")((" + value + ") & " + full(lanes) + "))"
        : "((" + type + ")(" + value + "))";
  }

  /** The same truth values at another width. */
  String convert(String mask, int lanes, int from, int to) {
    return bits || from == to
        ? mask
        : "__builtin_convertvector(" + mask + ", " + type(lanes, to) + ")";
  }

  /** A scalar truth value in every lane. */
  String splat(String value, int lanes, int width) {
    if (bits) {
      return "(("
          + value
          + ") ? ("
          + CUnit.bits(lanes)
          + ")"
          + full(lanes)
          + " : ("
          + CUnit.bits(lanes)
          + ")0)";
    }
    String type = type(lanes, width);
    return "((" + type + "){} - (" + CUnit.scalar(CUnit.signedOf(width)) + ")(" + value + "))";
  }

  String not(String mask, int lanes) {
    return bits ? trimmed("~" + mask, lanes) : "(~" + mask + ")";
  }

  String binary(BinaryOp op, String a, String b, int lanes) {
    String c =
        switch (op) {
          case AND, MIN, MUL -> " & ";
          case OR, MAX -> " | ";
          case XOR -> " ^ ";
          case ADD, SUB, DIV, REM, FLOORDIV, FLOORMOD, SHL, SHR, FMOD, POW, ATAN2 ->
              throw Faults.unsupported(op + " of bool", "the kernel must cast to a number first");
        };
    return bits ? "((" + CUnit.bits(lanes) + ")(" + a + c + b + "))" : "(" + a + c + b + ")";
  }

  String select(String condition, String a, String b, int lanes) {
    String text = "((" + condition + " & " + a + ") | (" + not(condition, lanes) + " & " + b + "))";
    return bits ? "((" + CUnit.bits(lanes) + ")" + text + ")" : text;
  }

  /** Lane i is i < count. */
  String laneLt(String count, int lanes, int width) {
    String type = type(lanes, width);
    String name = "tsr_lanes_lt_" + type + "_" + lanes;
    unit.helper(
        name,
        type,
        "int64_t n",
        () -> {
          if (bits) {
            return "return (%s)(n <= 0 ? 0 : n >= %d ? %s : (1ull << n) - 1);"
                .formatted(type, lanes, full(lanes));
          }
          String iota =
              IntStream.range(0, lanes)
                  .mapToObj(Integer::toString)
                  .collect(Collectors.joining(", "));
          return "%1$s m = (%1$s)(n < 0 ? 0 : n > %2$d ? %3$d : n); return (%4$s)((%4$s){%5$s} < (%4$s){} + m);"
              .formatted(
                  CUnit.scalar(CUnit.signedOf(width)), lanes, Math.min(lanes, 127), type, iota);
        });
    return name + "(" + count + ")";
  }

  /** Compares lanes of {@code t}; the width of the result is that of the scalar of {@code t}. */
  String compare(CompareOp op, Type t, String a, String b) {
    if (!bits) {
      String type = type(t.lanes(), t.scalar().bytes());
      return "((" + type + ")(" + a + CExprs.symbol(op) + b + "))";
    }
    return compareBits(op, t) + "(" + a + ", " + b + ")";
  }

  private String compareBits(CompareOp op, Type t) {
    Scalar s = CUnit.carrier(t.scalar());
    return lift.lift(
        new CLift.Lanewise(
            "tsr_cmp_" + op.name().toLowerCase(Locale.ROOT) + "_" + s.text(),
            Optional.of(new CLift.Operand.Mask("r", s.bytes())),
            List.of(new CLift.Operand.Vector("a", s), new CLift.Operand.Vector("b", s)),
            Optional.empty(),
            lanes -> lanes.get(0) + CExprs.symbol(op) + lanes.get(1),
            lanes -> {
              int bytes = lanes * s.bytes();
              return when(
                  unit.isa().registers(bytes),
                  () ->
                      "return (%1$s)%2$s_cmp_%3$s_mask((%4$s)a, (%4$s)b, %5$s);"
                          .formatted(
                              CUnit.bits(lanes),
                              CLift.prefix(bytes),
                              CLift.suffix(s),
                              CLift.register(s, bytes),
                              s.isFloat() ? floatImmediate(op) : integerImmediate(op)));
            }),
        t.lanes());
  }

  private static Optional<String> when(boolean condition, Supplier<String> text) {
    return condition ? Optional.of(text.get()) : Optional.empty();
  }

  private static String floatImmediate(CompareOp op) {
    return switch (op) {
      case EQ -> "_CMP_EQ_OQ";
      case NE -> "_CMP_NEQ_UQ";
      case LT -> "_CMP_LT_OQ";
      case LE -> "_CMP_LE_OQ";
      case GT -> "_CMP_GT_OQ";
      case GE -> "_CMP_GE_OQ";
    };
  }

  private static String integerImmediate(CompareOp op) {
    return switch (op) {
      case EQ -> "_MM_CMPINT_EQ";
      case NE -> "_MM_CMPINT_NE";
      case LT -> "_MM_CMPINT_LT";
      case LE -> "_MM_CMPINT_LE";
      case GT -> "_MM_CMPINT_NLE";
      case GE -> "_MM_CMPINT_NLT";
    };
  }

  /** {@code mask ? a : b} per lane; the mask has the width of {@code t}'s scalar. */
  String blend(Type t, String mask, String a, String b) {
    Scalar s = CUnit.carrier(t.scalar());
    String name =
        lift.lift(
            new CLift.Lanewise(
                "tsr_blend_" + s.text(),
                Optional.of(new CLift.Operand.Vector("r", s)),
                List.of(
                    new CLift.Operand.Mask("m", s.bytes()),
                    new CLift.Operand.Vector("a", s),
                    new CLift.Operand.Vector("b", s)),
                Optional.empty(),
                lanes -> "%s ? %s : %s".formatted(lanes.get(0), lanes.get(1), lanes.get(2)),
                lanes -> blend(s, lanes)),
            t.lanes());
    return name + "(" + mask + ", " + a + ", " + b + ")";
  }

  private Optional<String> blend(Scalar s, int lanes) {
    int bytes = lanes * s.bytes();
    String type = unit.type(new Type(s, lanes));
    if (unit.isa().registers(bytes) && (bits || s.isFloat())) {
      String suffix = s.isFloat() ? CLift.suffix(s) : "epi" + s.bytes() * 8;
      return Optional.of(
          (bits
                  ? "return (%1$s)%2$s_mask_blend_%3$s(m, (%4$s)b, (%4$s)a);"
                  : "return (%1$s)%2$s_blendv_%3$s((%4$s)b, (%4$s)a, (%4$s)m);")
              .formatted(type, CLift.prefix(bytes), suffix, CLift.register(s, bytes)));
    }
    return when(
        !bits,
        () ->
            "return (%1$s)((m & (%2$s)a) | (~m & (%2$s)b));"
                .formatted(type, type(lanes, s.bytes())));
  }

  /** Lanes of 0 and 1 of an integer type of that width. */
  String toInteger(String mask, Scalar s, int lanes) {
    Type t = new Type(CUnit.carrier(s), lanes);
    String type = unit.type(t);
    if (bits) {
      return blend(
          t, mask, "((" + type + "){} + " + CConst.integer(s, 1) + ")", "(" + type + "){}");
    }
    return "((" + type + ")(" + mask + " & 1))";
  }

  String shuffle(String a, String b, int lanesOfA, List<Integer> order, int width) {
    if (!bits) {
      StringBuilder text = new StringBuilder("__builtin_shufflevector(" + a + ", " + b);
      order.forEach(i -> text.append(", ").append(i));
      return text.append(')').toString();
    }
    StringBuilder text = new StringBuilder("((" + CUnit.bits(order.size()) + ")(");
    for (int i = 0; i < order.size(); i++) {
      int from = order.get(i);
      text.append(i == 0 ? "" : " | ")
          .append("((uint64_t)(")
          .append(from < lanesOfA ? a : b)
          .append(" >> ");
      text.append(from < lanesOfA ? from : from - lanesOfA)
          .append(" & 1) << ")
          .append(i)
          .append(')');
    }
    return text.append("))").toString();
  }

  /** All, any or odd parity of the lanes, as a scalar. */
  String reduce(BinaryOp op, String mask, int lanes, int width) {
    String type = type(lanes, width);
    String name = "tsr_reduce_" + op.name().toLowerCase(Locale.ROOT) + "_" + type + "_m" + lanes;
    String step =
        switch (op) {
          case AND, MIN, MUL -> "r &= ";
          case OR, MAX -> "r |= ";
          case XOR -> "r ^= ";
          case ADD, SUB, DIV, REM, FLOORDIV, FLOORMOD, SHL, SHR, FMOD, POW, ATAN2 ->
              throw Faults.unsupported(
                  "a reduction by " + op + " of bool", "the kernel must cast to a number first");
        };
    unit.helper(
        name,
        "int",
        type + " m",
        () -> {
          if (bits && (op == BinaryOp.AND || op == BinaryOp.MIN || op == BinaryOp.MUL)) {
            return "return m == (%s)%s;".formatted(type, full(lanes));
          }
          if (bits && (op == BinaryOp.OR || op == BinaryOp.MAX)) {
            return "return m != 0;";
          }
          return "int r = %s & 1; for (int i = 1; i < %d; i++) %s%s & 1; return r;"
              .formatted(unit.maskLane("m", "0"), lanes, step, unit.maskLane("m", "i"));
        });
    return name + "(" + mask + ")";
  }
}
