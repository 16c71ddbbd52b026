package org.tersor.codegen.c;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Float operations that are instructions on some targets and integer code on others; none calls a
 * library.
 */
final class CFloatOps {

  /** Roundings to an integer, with the immediate of vroundps and vrndscaleps, and NEON's name. */
  enum Rounding {
    NEAREST(8, "rint", "vrndn"),
    DOWN(9, "floor", "vrndm"),
    UP(10, "ceil", "vrndp"),
    ZERO(11, "trunc", "vrnd");

    private final int immediate;
    private final String stem;
    private final String neon;

    Rounding(int immediate, String stem, String neon) {
      this.immediate = immediate;
      this.stem = stem;
      this.neon = neon;
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

  /** The compiler's function of that name for a float type. */
  private static String builtin(String stem, Scalar s) {
    return "__builtin_" + stem + (s == Scalar.F32 ? "f" : "");
  }

  /**
   * An operation of one float type: a scalar function, lifted to vectors.
   *
   * @param scalar the scalar function's body over x, or a, b and c; CUDA has the function already
   */
  private String apply(
      String name,
      Type t,
      Supplier<String> scalar,
      IntFunction<Optional<String>> simd,
      String... args) {
    Scalar s = t.scalar();
    if (!unit.cuda()) {
      String parameters =
          switch (args.length) {
            case 1 -> "%1$s x";
            case 2 -> "%1$s a, %1$s b";
            default -> "%1$s a, %1$s b, %1$s c";
          };
      String type = CUnit.scalar(s);
      unit.helper(name, type, parameters.formatted(type), scalar);
    }
    List<Scalar> params = Collections.nCopies(args.length, s);
    return lift.lift(name, s, params, t.lanes(), name, simd) + "(" + String.join(", ", args) + ")";
  }

  String round(Rounding rounding, Type t, String a) {
    Scalar s = t.scalar();
    return apply(
        "tsr_" + rounding.stem + "_" + s.text(),
        t,
        () -> scalarRound(rounding, s),
        lanes ->
            lift.neon(rounding.neon, s, lanes, "a")
                .or(() ->
                    lift.intrinsic(
                        lanes * s.bytes() == 64 ? "roundscale" : "round",
                        s,
                        lanes,
                        1,
                        Integer.toString(rounding.immediate))),
        a);
  }

  private String scalarRound(Rounding rounding, Scalar s) {
    if (unit.isa() != Isa.SCALAR) {
      return "return %s(x);".formatted(builtin(rounding.stem, s));
    }
    // Beyond 2^23 (2^52) every float is an integer; below, adding and subtracting it rounds half to
    // even.
    boolean f32 = s == Scalar.F32;
    String type = CUnit.scalar(s);
    String abs = builtin("fabs", s);
    String limit = f32 ? "0x1p23f" : "0x1p52";
    String truncated = "%s r = (%s)(%s)x; ".formatted(type, type, f32 ? "int32_t" : "int64_t");
    String rounded =
        switch (rounding) {
          case NEAREST -> "%s r = (%s(x) + %s) - %s; ".formatted(type, abs, limit, limit);
          case DOWN -> truncated + "if (r > x) r -= 1; ";
          case UP -> truncated + "if (r < x) r += 1; ";
          case ZERO -> truncated;
        };
    return "if (!(%s(x) < %s)) return x; %sreturn %s(r, x);"
        .formatted(abs, limit, rounded, builtin("copysign", s));
  }

  String sqrt(Type t, String a) {
    Scalar s = t.scalar();
    return apply(
        "tsr_sqrt_" + s.text(),
        t,
        () -> "return %s(x);".formatted(builtin("sqrt", s)),
        lanes -> lift.neon("vsqrt", s, lanes, "a").or(() -> lift.intrinsic("sqrt", s, lanes, 1)),
        a);
  }

  String fma(Type t, String a, String b, String c) {
    Scalar s = t.scalar();
    return apply(
        "tsr_fma_" + s.text(),
        t,
        () -> scalarFma(s),
        lanes ->
            lift.neon("vfma", s, lanes, "c", "a", "b")
                .or(() ->
                    unit.isa().fma() ? lift.intrinsic("fmadd", s, lanes, 3) : Optional.empty()),
        a,
        b,
        c);
  }

  private String scalarFma(Scalar s) {
    if (unit.isa().fma()) {
      return "return %s(a, b, c);".formatted(builtin("fma", s));
    }
    if (s == Scalar.F64) {
      throw Faults.unsupported(
          "a fused multiply-add of f64 on a target without FMA",
          "the legalizer must replace it by a multiplication and an addition");
    }
    // The product is exact in f64; the sum is rounded to odd there, so that the conversion rounds
    // once.
    return ("double p = (double)a * b, q = c, s = p + q; if (s - s != 0.0) return (float)s;"
            + " double v = s - p, e = (p - (s - v)) + (q - v); uint64_t u = %s(s);"
            + " if (e != 0.0 && !(u & 1u)) { u += (e > 0.0) == (s > 0.0) ? 1u : (uint64_t)-1; }"
            + " return (float)%s(u);")
        .formatted(scalars.bits(Scalar.F64, Scalar.U64), scalars.bits(Scalar.U64, Scalar.F64));
  }

  /**
   * Minimum or maximum; {@code constantFirst}: a is a constant for which the plain instruction is
   * exact.
   */
  String extremum(boolean max, Type t, String a, String b, boolean constantFirst) {
    Scalar s = t.scalar();
    String op = max ? "max" : "min";
    // minss(a, b): b unless a is less.
    String scalar =
        constantFirst
            ? scalars.pick(max, s, "tsr_" + op + "c_" + s.text())
            : scalarExtremum(max, s);
    return lift.lift(
            scalar,
            s,
            List.of(s, s),
            t.lanes(),
            scalar,
            lanes ->
                lift.neon("v" + op, s, lanes, "a", "b")
                    .or(() ->
                        constantFirst
                            ? lift.intrinsic(op, s, lanes, 2)
                            : exactExtremum(max, s, lanes)))
        + "(%s, %s)".formatted(a, b);
  }

  /** In lane 0 of vectors, where there are any: values that vary would make branches miss. */
  private String scalarExtremum(boolean max, Scalar s) {
    if (unit.cuda() || !unit.isa().registers(16)) {
      return scalars.extremum(max, s);
    }
    String type = CUnit.scalar(s);
    String suffix = s == Scalar.F32 ? "ss" : "sd";
    return unit.helper(
        (max ? "tsr_max_" : "tsr_min_") + s.text(),
        type,
        "%1$s a, %1$s b".formatted(type),
        () ->
            extremumText(
                    max,
                    s,
                    16,
                    "_mm_set_%s(a)".formatted(suffix),
                    "_mm_set_%s(b)".formatted(suffix))
                + " return _mm_cvt%s_f%d(m);".formatted(suffix, s.bytes() * 8));
  }

  private Optional<String> exactExtremum(boolean max, Scalar s, int lanes) {
    int bytes = lanes * s.bytes();
    if (!unit.isa().registers(bytes)) {
      return Optional.empty();
    }
    String register = CLift.register(s, bytes);
    return Optional.of(
        extremumText(max, s, bytes, "(" + register + ")a", "(" + register + ")b")
            + " return (%s)m;".formatted(unit.type(new Type(s, lanes))));
  }

  /** Statements that leave the result in m. */
  private String extremumText(boolean max, Scalar s, int bytes, String a, String b) {
    // Where both are equal (zeros of two signs) the bits decide; where a is NaN, a is the result.
    String text =
        unit.isa().bitMasks()
            ? "%1$s x = %6$s, y = %7$s, m = %2$s_%4$s_%3$s(x, y);"
                + " m = %2$s_mask_%5$s_%3$s(m, %2$s_cmp_%3$s_mask(x, y, _CMP_EQ_OQ), x, y);"
                + " m = %2$s_mask_mov_%3$s(m, %2$s_cmp_%3$s_mask(x, x, _CMP_UNORD_Q), x);"
            : "%1$s x = %6$s, y = %7$s, m = %2$s_%4$s_%3$s(x, y);"
                + " m = %2$s_blendv_%3$s(m, %2$s_%5$s_%3$s(x, y), %2$s_cmp_%3$s(x, y, _CMP_EQ_OQ));"
                + " m = %2$s_blendv_%3$s(m, x, %2$s_cmp_%3$s(x, x, _CMP_UNORD_Q));";
    return text.formatted(
        CLift.register(s, bytes),
        CLift.prefix(bytes),
        CLift.suffix(s),
        max ? "max" : "min",
        max ? "and" : "or",
        a,
        b);
  }
}
