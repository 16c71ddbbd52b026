package org.tersor.codegen.c;

import org.tersor.ir.loop.Scalar;

/**
 * Scalar helper functions in plain C, valid in CUDA C++ too. Each method returns the name of the
 * function.
 */
final class CScalarOps {
  private final CUnit unit;

  CScalarOps(CUnit unit) {
    this.unit = unit;
  }

  /** The same bits as another type of the same size. */
  String bits(Scalar from, Scalar to) {
    String f = CUnit.scalar(from);
    String t = CUnit.scalar(to);
    String name = "tsr_bits_" + CUnit.carrier(from).text() + "_" + CUnit.carrier(to).text();
    return unit.helper(
        name,
        () ->
            "TSR_FN "
                + t
                + " "
                + name
                + "("
                + f
                + " x) { union { "
                + f
                + " a; "
                + t
                + " b; } u; u.a = x; return u.b; }");
  }

  /** Quotient toward zero; x / 0 = 0, the smallest integer / -1 wraps. */
  String div(Scalar s) {
    String t = CUnit.scalar(s);
    String name = "tsr_div_" + CUnit.carrier(s).text();
    String wrap =
        s.isSigned()
            ? " : b == -1 ? (" + t + ")(0 - (" + CUnit.scalar(CUnit.unsignedOf(s.bytes())) + ")a)"
            : "";
    return unit.helper(
        name,
        () ->
            "TSR_FN "
                + t
                + " "
                + name
                + "("
                + t
                + " a, "
                + t
                + " b) { return b == 0 ? 0"
                + wrap
                + " : ("
                + t
                + ")(a / b); }");
  }

  /** Remainder of {@link #div}; x % 0 = 0. */
  String rem(Scalar s) {
    String t = CUnit.scalar(s);
    String name = "tsr_rem_" + CUnit.carrier(s).text();
    String zero = s.isSigned() ? "b == 0 || b == -1" : "b == 0";
    return unit.helper(
        name,
        () ->
            "TSR_FN "
                + t
                + " "
                + name
                + "("
                + t
                + " a, "
                + t
                + " b) { return "
                + zero
                + " ? 0 : ("
                + t
                + ")(a % b); }");
  }

  /** Quotient toward minus infinity of a positive divisor. */
  String floorDiv() {
    return unit.helper(
        "tsr_floordiv",
        () ->
            "TSR_FN int64_t tsr_floordiv(int64_t a, int64_t b) { if (b == 0) return 0; int64_t q = a / b; return q - (a % b < 0); }");
  }

  String floorMod() {
    return unit.helper(
        "tsr_floormod",
        () ->
            "TSR_FN int64_t tsr_floormod(int64_t a, int64_t b) { if (b == 0) return 0; int64_t r = a % b; return r < 0 ? r + b : r; }");
  }

  /** Float minimum or maximum: NaN if either is; -0 is less than +0. */
  String extremum(boolean max, Scalar s) {
    String t = CUnit.scalar(s);
    Scalar word = CUnit.unsignedOf(s.bytes());
    String name = (max ? "tsr_max_" : "tsr_min_") + s.text();
    return unit.helper(
        name,
        () -> {
          String to = bits(s, word);
          String from = bits(word, s);
          return "TSR_FN "
              + t
              + " "
              + name
              + "("
              + t
              + " a, "
              + t
              + " b) { return a "
              + (max ? ">" : "<")
              + " b ? a : b "
              + (max ? ">" : "<")
              + " a ? b : a == b ? "
              + from
              + "("
              + to
              + "(a) "
              + (max ? "&" : "|")
              + " "
              + to
              + "(b)) : a + b; }";
        });
  }

  /** Number of one bits, of a scalar or (for {@code type} a vector type name) of each lane. */
  String popcount(Scalar s, String type, String name) {
    int bits = s.bytes() * 8;
    return unit.helper(
        name,
        () -> {
          StringBuilder text =
              new StringBuilder("TSR_FN " + type + " " + name + "(" + type + " x) {");
          String c = "(" + CUnit.scalar(s) + ")";
          text.append(" x = x - ((x >> 1) & ").append(c).append("0x5555555555555555ull);");
          text.append(" x = (x & ")
              .append(c)
              .append("0x3333333333333333ull) + ((x >> 2) & ")
              .append(c)
              .append("0x3333333333333333ull);");
          text.append(" x = (x + (x >> 4)) & ").append(c).append("0x0f0f0f0f0f0f0f0full;");
          for (int shift = 8; shift < bits; shift *= 2) {
            text.append(" x = x + (x >> ").append(shift).append(");");
          }
          return text.append(" return x & ").append(c).append("127; }").toString();
        });
  }

  /** Toward zero with saturation; NaN gives 0. */
  String saturate(Scalar from, Scalar to) {
    String f = CUnit.scalar(from);
    String t = CUnit.scalar(to);
    String name = "tsr_sat_" + from.text() + "_" + CUnit.carrier(to).text();
    return unit.helper(
        name,
        () ->
            "TSR_FN "
                + t
                + " "
                + name
                + "("
                + f
                + " x) { return x >= ("
                + f
                + ")"
                + upper(to)
                + " ? "
                + CConst.max(to)
                + " : x < ("
                + f
                + ")"
                + lower(to)
                + " ? "
                + CConst.min(to)
                + " : x == x ? ("
                + t
                + ")"
                + (to.bytes() < 4 ? "(int32_t)" : "")
                + "x : 0; }");
  }

  /** The first float beyond the range of an integer type: a power of two. */
  static String upper(Scalar to) {
    int bits = to.bytes() * 8 - (to.isSigned() ? 1 : 0);
    return Double.toHexString(Math.scalb(1.0, bits));
  }

  /** The smallest value of an integer type as a float. */
  static String lower(Scalar to) {
    return to.isSigned()
        ? "(-" + Double.toHexString(Math.scalb(1.0, to.bytes() * 8 - 1)) + ")"
        : "0.0";
  }

  /** Binary16 to binary32 in integer code. */
  String halfToFloat() {
    return unit.helper(
        "tsr_f16_to_f32",
        () -> {
          String from = bits(Scalar.U32, Scalar.F32);
          String to = bits(Scalar.F32, Scalar.U32);
          return "TSR_FN float tsr_f16_to_f32(uint16_t h) { uint32_t s = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 31u, m = h & 1023u;"
              + " if (e == 31u) return "
              + from
              + "(s | 0x7f800000u | m << 13 | (m ? 0x400000u : 0u));"
              + " if (e != 0u) return "
              + from
              + "(s | (e + 112u) << 23 | m << 13);"
              + " return "
              + from
              + "(s | "
              + to
              + "((float)m * 0x1p-24f)); }";
        });
  }

  /** Binary32 to binary16, half to even, in integer code. */
  String floatToHalf() {
    return unit.helper(
        "tsr_f32_to_f16",
        () -> {
          String from = bits(Scalar.U32, Scalar.F32);
          String to = bits(Scalar.F32, Scalar.U32);
          return "TSR_FN uint16_t tsr_f32_to_f16(float x) { uint32_t u = "
              + to
              + "(x), s = u >> 16 & 0x8000u, a = u & 0x7fffffffu;"
              + " if (a > 0x7f800000u) return (uint16_t)(s | 0x7e00u);"
              + " if (a >= 0x477ff000u) return (uint16_t)(s | 0x7c00u);"
              + " if (a < 0x38800000u) return (uint16_t)(s | ("
              + to
              + "("
              + from
              + "(a) + 0.5f) - 0x3f000000u));"
              + " a += 0xfffu + (a >> 13 & 1u); return (uint16_t)(s | (a - 0x38000000u) >> 13); }";
        });
  }

  /**
   * Binary64 to binary32 rounded to odd, so that a second rounding to binary16 is the only one that
   * counts.
   */
  String doubleToFloatOdd() {
    return unit.helper(
        "tsr_f64_to_f32_odd",
        () -> {
          String from = bits(Scalar.U32, Scalar.F32);
          String to = bits(Scalar.F32, Scalar.U32);
          return "TSR_FN float tsr_f64_to_f32_odd(double x) { float f = (float)x; double g = (double)f; if (g == x || x != x || g - g != 0.0) return f;"
              + " uint32_t u = "
              + to
              + "(f); double m = x < 0 ? -x : x, n = g < 0 ? -g : g; if (n > m) u -= 1u; return "
              + from
              + "(u | 1u); }";
        });
  }
}
