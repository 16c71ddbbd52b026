package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
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

  CMasks(CUnit unit) {
    this.unit = unit;
    this.bits = unit.isa().bitMasks();
  }

  String type(int lanes, int width) {
    return bits ? CUnit.bits(lanes) : unit.type(new Type(CUnit.signedOf(width), lanes));
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
        () -> {
          String head = "TSR_FN " + type + " " + name + "(int64_t n) { ";
          if (bits) {
            return head
                + "return ("
                + type
                + ")(n <= 0 ? 0 : n >= "
                + lanes
                + " ? "
                + full(lanes)
                + " : (1ull << n) - 1); }";
          }
          String element = CUnit.scalar(CUnit.signedOf(width));
          List<String> iota = new ArrayList<>();
          for (int i = 0; i < lanes; i++) {
            iota.add(Integer.toString(i));
          }
          return head
              + element
              + " m = ("
              + element
              + ")(n < 0 ? 0 : n > "
              + lanes
              + " ? "
              + Math.min(lanes, 127)
              + " : n); return ("
              + type
              + ")(("
              + type
              + "){"
              + String.join(", ", iota)
              + "} < ("
              + type
              + "){} + m); }";
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
    int lanes = t.lanes();
    String name = "tsr_cmp_" + op.name().toLowerCase(Locale.ROOT) + "_" + s.text() + "_x" + lanes;
    return unit.helper(
        name,
        () -> {
          String type = unit.type(t);
          String result = CUnit.bits(lanes);
          String head = "TSR_FN " + result + " " + name + "(" + type + " a, " + type + " b) { ";
          int bytes = t.bytes();
          if (unit.isa().registers(bytes)) {
            String register = CLift.register(s, bytes);
            String immediate = s.isFloat() ? floatImmediate(op) : integerImmediate(op);
            return head
                + "return ("
                + result
                + ")"
                + CLift.prefix(bytes)
                + "_cmp_"
                + CLift.suffix(s)
                + "_mask(("
                + register
                + ")a, ("
                + register
                + ")b, "
                + immediate
                + "); }";
          }
          if (bytes > 64) {
            String half = compareBits(op, t.withLanes(lanes / 2));
            String part = unit.type(t.withLanes(lanes / 2));
            return head
                + "union { "
                + type
                + " v; "
                + part
                + " p[2]; } x, y; x.v = a; y.v = b; return ("
                + result
                + ")("
                + half
                + "(x.p[0], y.p[0]) | ("
                + result
                + ")"
                + half
                + "(x.p[1], y.p[1]) << "
                + lanes / 2
                + "); }";
          }
          return head
              + result
              + " r = 0; for (int i = 0; i < "
              + lanes
              + "; i++) r |= ("
              + result
              + ")(("
              + result
              + ")(a[i]"
              + CExprs.symbol(op)
              + "b[i]) << i); return r; }";
        });
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
    String name = "tsr_blend_" + s.text() + "_x" + t.lanes();
    unit.helper(name, () -> blendText(name, t, s));
    return name + "(" + mask + ", " + a + ", " + b + ")";
  }

  private String blendText(String name, Type t, Scalar s) {
    String type = unit.type(t);
    int lanes = t.lanes();
    String head =
        "TSR_FN "
            + type
            + " "
            + name
            + "("
            + type(lanes, s.bytes())
            + " m, "
            + type
            + " a, "
            + type
            + " b) { ";
    int bytes = t.bytes();
    String register = CLift.register(s, bytes);
    String prefix = CLift.prefix(bytes);
    if (!bits) {
      String mask = type(lanes, s.bytes());
      if (s.isFloat() && unit.isa().registers(bytes)) {
        return head
            + "return ("
            + type
            + ")"
            + prefix
            + "_blendv_"
            + CLift.suffix(s)
            + "(("
            + register
            + ")b, ("
            + register
            + ")a, ("
            + register
            + ")m); }";
      }
      return head + "return (" + type + ")((m & (" + mask + ")a) | (~m & (" + mask + ")b)); }";
    }
    if (unit.isa().registers(bytes)) {
      String suffix = s.isFloat() ? CLift.suffix(s) : "epi" + s.bytes() * 8;
      return head
          + "return ("
          + type
          + ")"
          + prefix
          + "_mask_blend_"
          + suffix
          + "(m, ("
          + register
          + ")b, ("
          + register
          + ")a); }";
    }
    if (bytes > 64) {
      Type half = t.withLanes(lanes / 2);
      String part = unit.type(half);
      String halfMask = CUnit.bits(lanes / 2);
      return head
          + "union { "
          + type
          + " v; "
          + part
          + " p[2]; } x, y; x.v = a; y.v = b; x.p[0] = "
          + blend(half, "(" + halfMask + ")m", "x.p[0]", "y.p[0]")
          + "; x.p[1] = "
          + blend(half, "(" + halfMask + ")(m >> " + lanes / 2 + ")", "x.p[1]", "y.p[1]")
          + "; return x.v; }";
    }
    return head
        + "for (int i = 0; i < "
        + lanes
        + "; i++) if (!(m >> i & 1)) a[i] = b[i]; return a; }";
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

  /** Whether the lane is set, in a helper's loop over i. */
  String lane(String mask) {
    return bits ? "(" + mask + " >> i & 1)" : mask + "[i]";
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
        () ->
            "TSR_FN int "
                + name
                + "("
                + type
                + " m) { "
                + (bits && (op == BinaryOp.AND || op == BinaryOp.MIN || op == BinaryOp.MUL)
                    ? "return m == (" + type + ")" + full(lanes) + "; }"
                    : bits && (op == BinaryOp.OR || op == BinaryOp.MAX)
                        ? "return m != 0; }"
                        : "int r = "
                            + lane("m").replace(">> i", ">> 0").replace("[i]", "[0]")
                            + " & 1; for (int i = 1; i < "
                            + lanes
                            + "; i++) "
                            + step
                            + lane("m")
                            + " & 1; return r; }"));
    return name + "(" + mask + ")";
  }
}
