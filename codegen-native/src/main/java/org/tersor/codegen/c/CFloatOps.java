package org.tersor.codegen.c;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Float operations that are instructions on some targets and integer code on others; none calls a
 * library.
 */
final class CFloatOps {

  /** Roundings to an integer, with the immediate of vroundps and vrndscaleps. */
  enum Rounding {
    NEAREST(8, "rint"),
    DOWN(9, "floor"),
    UP(10, "ceil"),
    ZERO(11, "trunc");

    private final int immediate;
    private final String stem;

    Rounding(int immediate, String stem) {
      this.immediate = immediate;
      this.stem = stem;
    }
  }

  private final CUnit unit;
  private final CScalarOps scalars;
  private final CLift lift;

  CFloatOps(CUnit unit, CScalarOps scalars, CLift lift) {
    this.unit = unit;
    this.scalars = scalars;
    this.lift = lift;
  }

  private String call(String function, String... args) {
    return function + "(" + String.join(", ", args) + ")";
  }

  String round(Rounding rounding, Type t, String a) {
    Scalar s = t.scalar();
    String name = "tsr_" + rounding.stem + "_" + s.text();
    if (!unit.cuda()) {
      unit.helper(name, () -> scalarRound(rounding, s, name));
    }
    return call(
        lift.lift(
            name,
            s,
            List.of(s),
            t.lanes(),
            name,
            lanes -> {
              int bytes = lanes * s.bytes();
              if (!unit.isa().registers(bytes)) {
                return Optional.empty();
              }
              String type = unit.type(new Type(s, lanes));
              return Optional.of(
                  "return ("
                      + type
                      + ")"
                      + CLift.prefix(bytes)
                      + (bytes == 64 ? "_roundscale_" : "_round_")
                      + CLift.suffix(s)
                      + "(("
                      + CLift.register(s, bytes)
                      + ")a, "
                      + rounding.immediate
                      + ");");
            }),
        a);
  }

  private String scalarRound(Rounding rounding, Scalar s, String name) {
    boolean f32 = s == Scalar.F32;
    String t = CUnit.scalar(s);
    if (unit.isa() != Isa.SCALAR) {
      return "TSR_FN "
          + t
          + " "
          + name
          + "("
          + t
          + " x) { return __builtin_"
          + rounding.stem
          + (f32 ? "f" : "")
          + "(x); }";
    }
    // Beyond 2^23 (2^52) every float is an integer; below, adding and subtracting it rounds half to
    // even.
    String abs = "__builtin_fabs" + (f32 ? "f" : "");
    String sign = "__builtin_copysign" + (f32 ? "f" : "");
    String limit = f32 ? "0x1p23f" : "0x1p52";
    String head =
        "TSR_FN "
            + t
            + " "
            + name
            + "("
            + t
            + " x) { if (!("
            + abs
            + "(x) < "
            + limit
            + ")) return x; ";
    String truncated = t + " r = (" + t + ")(" + (f32 ? "int32_t" : "int64_t") + ")x; ";
    return head
        + switch (rounding) {
          case NEAREST -> t + " r = (" + abs + "(x) + " + limit + ") - " + limit + "; ";
          case DOWN -> truncated + "if (r > x) r -= 1; ";
          case UP -> truncated + "if (r < x) r += 1; ";
          case ZERO -> truncated;
        }
        + "return "
        + sign
        + "(r, x); }";
  }

  String sqrt(Type t, String a) {
    Scalar s = t.scalar();
    String name = "tsr_sqrt_" + s.text();
    if (!unit.cuda()) {
      String type = CUnit.scalar(s);
      unit.helper(
          name,
          () ->
              "TSR_FN "
                  + type
                  + " "
                  + name
                  + "("
                  + type
                  + " x) { return __builtin_sqrt"
                  + (s == Scalar.F32 ? "f" : "")
                  + "(x); }");
    }
    return call(
        lift.lift(name, s, List.of(s), t.lanes(), name, lanes -> intrinsic("sqrt", s, lanes, 1)),
        a);
  }

  /** One intrinsic of that many operands where the registers allow. */
  private Optional<String> intrinsic(String op, Scalar s, int lanes, int operands) {
    int bytes = lanes * s.bytes();
    if (!unit.isa().registers(bytes)) {
      return Optional.empty();
    }
    String register = CLift.register(s, bytes);
    StringBuilder args = new StringBuilder("(" + register + ")a");
    for (int i = 1; i < operands; i++) {
      args.append(", (").append(register).append(')').append(i == 1 ? 'b' : 'c');
    }
    String type = unit.type(new Type(s, lanes));
    return Optional.of(
        "return ("
            + type
            + ")"
            + CLift.prefix(bytes)
            + "_"
            + op
            + "_"
            + CLift.suffix(s)
            + "("
            + args
            + ");");
  }

  String fma(Type t, String a, String b, String c) {
    Scalar s = t.scalar();
    String name = "tsr_fma_" + s.text();
    if (!unit.cuda()) {
      unit.helper(name, () -> scalarFma(s, name));
    }
    return call(
        lift.lift(
            name,
            s,
            List.of(s, s, s),
            t.lanes(),
            name,
            lanes -> unit.isa().fma() ? intrinsic("fmadd", s, lanes, 3) : Optional.empty()),
        a,
        b,
        c);
  }

  private String scalarFma(Scalar s, String name) {
    String t = CUnit.scalar(s);
    if (unit.isa().fma()) {
      return "TSR_FN "
          + t
          + " "
          + name
          + "("
          + t
          + " a, "
          + t
          + " b, "
          + t
          + " c) { return __builtin_fma"
          + (s == Scalar.F32 ? "f" : "")
          + "(a, b, c); }";
    }
    if (s == Scalar.F64) {
      throw Faults.unsupported(
          "a fused multiply-add of f64 on a target without FMA",
          "the legalizer must replace it by a multiplication and an addition");
    }
    // The product is exact in f64; the sum is rounded to odd there, so that the conversion rounds
    // once.
    String to = scalars.bits(Scalar.F64, Scalar.U64);
    String from = scalars.bits(Scalar.U64, Scalar.F64);
    return "TSR_FN float "
        + name
        + "(float a, float b, float c) { double p = (double)a * b, q = c, s = p + q; if (s - s != 0.0) return (float)s;"
        + " double v = s - p, e = (p - (s - v)) + (q - v); uint64_t u = "
        + to
        + "(s);"
        + " if (e != 0.0 && !(u & 1u)) { u += (e > 0.0) == (s > 0.0) ? 1u : (uint64_t)-1; }"
        + " return (float)"
        + from
        + "(u); }";
  }

  /**
   * Minimum or maximum; {@code constantFirst}: a is a constant for which the plain instruction is
   * exact.
   */
  String extremum(boolean max, Type t, String a, String b, boolean constantFirst) {
    Scalar s = t.scalar();
    String scalar = constantFirst ? plainScalar(max, s) : scalars.extremum(max, s);
    String op = max ? "max" : "min";
    return call(
        lift.lift(
            "tsr_" + op + (constantFirst ? "c_" : "_") + s.text(),
            s,
            List.of(s, s),
            t.lanes(),
            scalar,
            lanes -> constantFirst ? intrinsic(op, s, lanes, 2) : exactExtremum(max, s, lanes)),
        a,
        b);
  }

  /** minss(a, b): b unless a is less. */
  private String plainScalar(boolean max, Scalar s) {
    String t = CUnit.scalar(s);
    String name = (max ? "tsr_maxc_" : "tsr_minc_") + s.text();
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
                + " b) { return a "
                + (max ? ">" : "<")
                + " b ? a : b; }");
  }

  private Optional<String> exactExtremum(boolean max, Scalar s, int lanes) {
    int bytes = lanes * s.bytes();
    if (!unit.isa().registers(bytes)) {
      return Optional.empty();
    }
    String type = unit.type(new Type(s, lanes));
    String p = CLift.prefix(bytes);
    String x = CLift.suffix(s);
    String r = CLift.register(s, bytes);
    String zeros = max ? "_and_" : "_or_";
    String plain =
        r
            + " x = ("
            + r
            + ")a, y = ("
            + r
            + ")b, m = "
            + p
            + (max ? "_max_" : "_min_")
            + x
            + "(x, y); ";
    if (unit.isa().bitMasks()) {
      return Optional.of(
          plain
              + "m = "
              + p
              + "_mask"
              + zeros
              + x
              + "(m, "
              + p
              + "_cmp_"
              + x
              + "_mask(x, y, _CMP_EQ_OQ), x, y); m = "
              + p
              + "_mask_mov_"
              + x
              + "(m, "
              + p
              + "_cmp_"
              + x
              + "_mask(x, x, _CMP_UNORD_Q), x); return ("
              + type
              + ")m;");
    }
    return Optional.of(
        plain
            + "m = "
            + p
            + "_blendv_"
            + x
            + "(m, "
            + p
            + zeros
            + x
            + "(x, y), "
            + p
            + "_cmp_"
            + x
            + "(x, y, _CMP_EQ_OQ)); m = "
            + p
            + "_blendv_"
            + x
            + "(m, x, "
            + p
            + "_cmp_"
            + x
            + "(x, x, _CMP_UNORD_Q)); return ("
            + type
            + ")m;");
  }
}
