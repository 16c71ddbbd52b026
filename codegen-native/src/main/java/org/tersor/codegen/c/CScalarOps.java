package org.tersor.codegen.c;

import java.util.function.Supplier;
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

  /** A function of x. */
  String unary(String name, Scalar from, Scalar to, Supplier<String> body) {
    return unit.helper(name, CUnit.scalar(to), CUnit.scalar(from) + " x", body);
  }

  /** A function of a and b. */
  String binary(String name, Scalar s, Supplier<String> body) {
    String t = CUnit.scalar(s);
    return unit.helper(name, t, "%s a, %s b".formatted(t, t), body);
  }

  /** The same bits as another type of the same size. */
  String bits(Scalar from, Scalar to) {
    return unit.reinterpretation(
        "tsr_bits_" + CUnit.carrier(from).text() + "_" + CUnit.carrier(to).text(),
        CUnit.scalar(from),
        CUnit.scalar(to));
  }

  /** Quotient toward zero; x / 0 = 0, the smallest integer / -1 wraps. */
  String div(Scalar s) {
    String t = CUnit.scalar(s);
    String unsigned = CUnit.scalar(CUnit.unsignedOf(s.bytes()));
    String wrap = s.isSigned() ? " : b == -1 ? (%s)(0 - (%s)a)".formatted(t, unsigned) : "";
    return binary(
        "tsr_div_" + CUnit.carrier(s).text(),
        s,
        () -> "return b == 0 ? 0%s : (%s)(a / b);".formatted(wrap, t));
  }

  /** Remainder of {@link #div}; x % 0 = 0. */
  String rem(Scalar s) {
    String zero = s.isSigned() ? "b == 0 || b == -1" : "b == 0";
    return binary(
        "tsr_rem_" + CUnit.carrier(s).text(),
        s,
        () -> "return %s ? 0 : (%s)(a %% b);".formatted(zero, CUnit.scalar(s)));
  }

  /** Quotient toward minus infinity; 0 by a divisor that is not positive. */
  String floorDiv() {
    return binary(
        "tsr_floordiv",
        Scalar.I64,
        () ->
            "if (b <= 0) return 0; " + narrow('/') + "int64_t q = a / b; return q - (a % b < 0);");
  }

  String floorMod() {
    return binary(
        "tsr_floormod",
        Scalar.I64,
        () ->
            "if (b <= 0) return 0; "
                + narrow('%')
                + "int64_t r = a % b; return r < 0 ? r + b : r;");
  }

  /** GPUs divide 32 bits several times as fast as 64, and indices are mostly small. */
  private String narrow(char op) {
    return unit.cuda()
        ? "if (((uint64_t)a | (uint64_t)b) >> 32 == 0) return (int64_t)((uint32_t)a %c (uint32_t)b); "
            .formatted(op)
        : "";
  }

  /** The larger or smaller of two; b if they do not compare. */
  String pick(boolean max, Scalar s, String name) {
    return binary(name, s, () -> "return a %s b ? a : b;".formatted(max ? ">" : "<"));
  }

  /** Float minimum or maximum: NaN if either is; -0 is less than +0. */
  String extremum(boolean max, Scalar s) {
    Scalar word = CUnit.unsignedOf(s.bytes());
    return binary(
        (max ? "tsr_max_" : "tsr_min_") + s.text(),
        s,
        () -> {
          String to = bits(s, word);
          String from = bits(word, s);
          return "return a %1$s b ? a : b %1$s a ? b : a == b ? %2$s(%3$s(a) %4$s %3$s(b)) : a + b;"
              .formatted(max ? ">" : "<", from, to, max ? "&" : "|");
        });
  }

  /** Number of one bits, of a scalar or (for {@code type} a vector type name) of each lane. */
  String popcount(Scalar s, String type, String name) {
    return unit.helper(
        name,
        type,
        type + " x",
        () -> {
          String c = "(" + CUnit.scalar(s) + ")";
          StringBuilder text =
              new StringBuilder(
                  "x = x - ((x >> 1) & %1$s0x5555555555555555ull); x = (x & %1$s0x3333333333333333ull) + ((x >> 2) & %1$s0x3333333333333333ull); x = (x + (x >> 4)) & %1$s0x0f0f0f0f0f0f0f0full;"
                      .formatted(c));
          for (int shift = 8; shift < s.bytes() * 8; shift *= 2) {
            text.append(" x = x + (x >> ").append(shift).append(");");
          }
          return text.append(" return x & ").append(c).append("127;").toString();
        });
  }

  /** Toward zero with saturation; NaN gives 0. */
  String saturate(Scalar from, Scalar to) {
    return unary(
        "tsr_sat_" + from.text() + "_" + CUnit.carrier(to).text(),
        from,
        to,
        () ->
            "return x >= (%1$s)%2$s ? %3$s : x < (%1$s)%4$s ? %5$s : x == x ? %6$sx : 0;"
                .formatted(
                    CUnit.scalar(from),
                    upper(to),
                    CConst.max(to),
                    lower(to),
                    CConst.min(to),
                    "(" + CUnit.scalar(to) + ")" + (to.bytes() < 4 ? "(int32_t)" : "")));
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

  /** A function of x whose text names the functions between F32 and its bits: %1$s and %2$s. */
  private String overWords(String name, Scalar from, Scalar to, String body) {
    return unary(
        name,
        from,
        to,
        () -> body.formatted(bits(Scalar.U32, Scalar.F32), bits(Scalar.F32, Scalar.U32)));
  }

  /** Binary16 to binary32 in integer code. */
  String halfToFloat() {
    return overWords(
        "tsr_f16_to_f32",
        Scalar.U16,
        Scalar.F32,
        "uint32_t s = (uint32_t)(x & 0x8000u) << 16, e = x >> 10 & 31u, m = x & 1023u;"
            + " if (e == 31u) return %1$s(s | 0x7f800000u | m << 13 | (m ? 0x400000u : 0u));"
            + " if (e != 0u) return %1$s(s | (e + 112u) << 23 | m << 13);"
            + " return %1$s(s | %2$s((float)m * 0x1p-24f));");
  }

  /** Binary32 to binary16, half to even, in integer code. */
  String floatToHalf() {
    return overWords(
        "tsr_f32_to_f16",
        Scalar.F32,
        Scalar.U16,
        "uint32_t u = %2$s(x), s = u >> 16 & 0x8000u, a = u & 0x7fffffffu;"
            + " if (a > 0x7f800000u) return (uint16_t)(s | 0x7e00u);"
            + " if (a >= 0x477ff000u) return (uint16_t)(s | 0x7c00u);"
            + " if (a < 0x38800000u) return (uint16_t)(s | (%2$s(%1$s(a) + 0.5f) - 0x3f000000u));"
            + " a += 0xfffu + (a >> 13 & 1u); return (uint16_t)(s | (a - 0x38000000u) >> 13);");
  }

  /**
   * Binary64 to binary32 rounded to odd, so that a second rounding to binary16 is the only one that
   * counts.
   */
  String doubleToFloatOdd() {
    return overWords(
        "tsr_f64_to_f32_odd",
        Scalar.F64,
        Scalar.F32,
        "float f = (float)x; double g = (double)f; if (g == x || x != x || g - g != 0.0) return f;"
            + " uint32_t u = %2$s(f); double m = x < 0 ? -x : x, n = g < 0 ? -g : g;"
            + " if (n > m) u -= 1u; return %1$s(u | 1u);");
  }
}
