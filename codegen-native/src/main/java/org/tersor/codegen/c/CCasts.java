package org.tersor.codegen.c;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;

/** Conversions between numbers (those from and to bool are the caller's). */
final class CCasts {
  private final CUnit unit;
  private final CScalarOps scalars;
  private final CLift lift;

  CCasts(CUnit unit, CScalarOps scalars, CLift lift) {
    this.unit = unit;
    this.scalars = scalars;
    this.lift = lift;
  }

  /**
   * A float brought into the range of an 8-bit integer and converted.
   *
   * @param value before that
   * @param rounds whether it is rounded half to even first; else it is cut off
   */
  record Narrowing(Expr value, boolean rounds) {
    static Optional<Narrowing> of(Expr.Cast cast) {
      Scalar to = cast.type().scalar();
      boolean isByte = to == Scalar.U8 || to == Scalar.I8;
      if (!isByte
          || !cast.inRange()
          || !(cast.a() instanceof Expr.Binary low)
          || low.op() != BinaryOp.MIN
          || !(low.a() instanceof Expr.Binary high)
          || high.op() != BinaryOp.MAX
          || !isConst(low.b(), to == Scalar.U8 ? 255 : 127)
          || !isConst(high.b(), to == Scalar.U8 ? 0 : -128)) {
        return Optional.empty();
      }
      return Optional.of(
          high.a() instanceof Expr.Unary round && round.op() == UnaryOp.RINT
              ? new Narrowing(round.a(), true)
              : new Narrowing(high.a(), false));
    }

    private static boolean isConst(Expr e, double value) {
      return e instanceof Expr.FloatConst c && c.value() == value;
    }
  }

  /** Whether {@link #narrow} has instructions for it. */
  boolean narrows(Type from, Scalar to) {
    int bytes = from.lanes() * 4;
    return from.scalar() == Scalar.F32
        && from.lanes() >= 4
        && unit.isa().bitMasks()
        && unit.isa().registers(bytes);
  }

  /**
   * Saturating instructions do the upper bound of unsigned bytes: what is too large for 32 bits is
   * 2^31 there. NaN becomes 0 as in the plain steps, by the order of the operands.
   */
  String narrow(Type from, Scalar to, boolean rounds, String a) {
    int lanes = from.lanes();
    String name = "tsr_narrow" + (rounds ? "_rint" : "") + "_" + to.text();
    String vector = name + "_x" + lanes;
    String result = unit.type(new Type(to, lanes));
    String p = CLift.prefix(lanes * 4);
    String x = "(" + CLift.register(Scalar.F32, lanes * 4) + ")a";
    String clamped =
        to == Scalar.U8
            ? "%1$s_max_ps(%2$s, %1$s_setzero_ps())".formatted(p, x)
            : "%1$s_max_ps(%1$s_set1_ps(-128), %1$s_min_ps(%1$s_set1_ps(127), %2$s))"
                .formatted(p, x);
    String bytes =
        "%1$s_cvt%2$sepi32_epi8(%1$s_cvt%3$sps_epi32(%4$s))"
            .formatted(p, to == Scalar.U8 ? "us" : "", rounds ? "" : "t", clamped);
    unit.helper(
        vector,
        result,
        unit.type(from) + " a",
        () -> "return (%s)%s;".formatted(result, ofRegister(bytes, lanes)));
    return vector + "(" + a + ")";
  }

  String cast(Type from, Scalar to, boolean inRange, String a) {
    Scalar f = from.scalar();
    if (f == to
        || (CUnit.carrier(f) == CUnit.carrier(to) && !f.isSmallFloat() && !to.isSmallFloat())) {
      return a;
    }
    if (f.isSmallFloat() || to.isSmallFloat()) {
      return small(from, to, inRange, a);
    }
    if (f.isFloat() && to.isInteger()) {
      return inRange ? truncate(from, to, a) : saturate(from, to, a);
    }
    if (from.isVector() && to == Scalar.F32 && f.bytes() < 4) {
      return convert(from.withScalar(Scalar.I32), Scalar.F32, convert(from, Scalar.I32, a));
    }
    return convert(from, to, a);
  }

  private String convert(Type from, Scalar to, String a) {
    if (!from.isVector()) {
      return "((" + CUnit.scalar(to) + ")" + a + ")";
    }
    Scalar f = from.scalar();
    if (f.isInteger() && to.isInteger() && f.bytes() <= 4 && to.bytes() <= 4) {
      String name = "tsr_int_" + f.text() + "_" + to.text();
      String scalar = scalars.unary(name, f, to, () -> "return (" + CUnit.scalar(to) + ")x;");
      return lift.lift(name, to, List.of(f), from.lanes(), scalar, lanes -> resize(f, to, lanes))
          + "("
          + a
          + ")";
    }
    return "__builtin_convertvector(" + a + ", " + unit.type(new Type(to, from.lanes())) + ")";
  }

  /** Integers of another size: gcc's own conversions take dozens of instructions for most. */
  private Optional<String> resize(Scalar from, Scalar to, int lanes) {
    String result = unit.type(new Type(to, lanes));
    int in = lanes * from.bytes();
    int out = lanes * to.bytes();
    if (in == out || Math.min(in, out) < 4 || !unit.isa().registers(16)) {
      return Optional.of("return __builtin_convertvector(a, " + result + ");");
    }
    if (!unit.isa().registers(Math.max(16, Math.max(in, out)))) {
      return Optional.empty();
    }
    String register = CLift.prefix(Math.max(16, Math.max(in, out)));
    if (out > in) {
      String wide =
          "%s_cvtep%s%d_epi%d(%s)"
              .formatted(
                  register,
                  from.isUnsigned() ? "u" : "i",
                  8 * from.bytes(),
                  8 * to.bytes(),
                  inRegister("a", in));
      return Optional.of("return (%s)%s;".formatted(result, ofRegister(wide, out)));
    }
    if (unit.isa().bitMasks()) {
      String narrow =
          "%s_cvtepi%d_epi%d(%s)"
              .formatted(register, 8 * from.bytes(), 8 * to.bytes(), inRegister("a", in));
      return Optional.of("return (%s)%s;".formatted(result, ofRegister(narrow, out)));
    }
    return Optional.of(
        from.bytes() == 4 && in >= 16
            ? packed(to, result, in, out)
            : "return __builtin_convertvector(a, " + result + ");");
  }

  /** The low bits of 32, packed in steps: each saturates, which masked values do not notice. */
  private static String packed(Scalar to, String result, int in, int out) {
    String mask = "_mm_set1_epi32(" + (to.bytes() == 1 ? "255" : "65535") + ")";
    String low = in == 32 ? "_mm256_castsi256_si128((__m256i)a)" : "(__m128i)a";
    String high = in == 32 ? "_mm256_extracti128_si256((__m256i)a, 1)" : low;
    return "__m128i m = %s, x = _mm_packus_epi32(_mm_and_si128(%s, m), _mm_and_si128(%s, m));%s return (%s)%s;"
        .formatted(
            mask,
            low,
            high,
            to.bytes() == 1 ? " x = _mm_packus_epi16(x, x);" : "",
            result,
            ofRegister("x", out));
  }

  /** A vector of {@code bytes} at the low end of a register. */
  private static String inRegister(String vector, int bytes) {
    return switch (bytes) {
      case 4 -> "_mm_cvtsi32_si128((int32_t)" + vector + ")";
      case 8 -> "_mm_cvtsi64_si128((int64_t)" + vector + ")";
      default -> "(" + CLift.register(Scalar.I32, bytes) + ")" + vector;
    };
  }

  private static String ofRegister(String register, int bytes) {
    return switch (bytes) {
      case 4 -> "_mm_cvtsi128_si32(" + register + ")";
      case 8 -> "_mm_cvtsi128_si64(" + register + ")";
      default -> register;
    };
  }

  private String truncate(Type from, Scalar to, String a) {
    return to.bytes() < 4
        ? convert(from.withScalar(Scalar.I32), to, convert(from, Scalar.I32, a))
        : convert(from, to, a);
  }

  private String saturate(Type from, Scalar to, String a) {
    Scalar f = from.scalar();
    Scalar carrier = CUnit.carrier(to);
    if (from.isVector() && f == Scalar.F32 && to.bytes() < 4) {
      // Clamp and convert in 32 bits, then take the low bits.
      String name = "tsr_satv_" + f.text() + "_" + carrier.text();
      String wide =
          lift.lift(
              name,
              Scalar.I32,
              List.of(f),
              from.lanes(),
              scalars.saturate(f, carrier),
              lanes -> clamped(carrier, lanes));
      return convert(from.withScalar(Scalar.I32), to, wide + "(" + a + ")");
    }
    String name = "tsr_sat_" + f.text() + "_" + carrier.text();
    return lift.lift(
            name,
            carrier,
            List.of(f),
            from.lanes(),
            scalars.saturate(f, carrier),
            lanes -> f == Scalar.F32 && carrier == Scalar.I32 ? toInt(lanes) : Optional.empty())
        + "("
        + a
        + ")";
  }

  /** max(x, low) gives low for NaN, which the mask turns into 0. */
  private Optional<String> clamped(Scalar to, int lanes) {
    int bytes = lanes * 4;
    if (!unit.isa().registers(bytes)) {
      return Optional.empty();
    }
    String text =
        "%1$s x = (%1$s)a, y = %2$s_min_ps(%2$s_max_ps(x, %2$s_set1_ps(%4$s)), %2$s_set1_ps(%5$s)); return (%3$s)"
            + (unit.isa().bitMasks()
                ? "%2$s_maskz_cvttps_epi32(%2$s_cmp_ps_mask(x, x, _CMP_ORD_Q), y);"
                : "%2$s_cvttps_epi32(%2$s_and_ps(y, %2$s_cmp_ps(x, x, _CMP_ORD_Q)));");
    return Optional.of(
        text.formatted(
            CLift.register(Scalar.F32, bytes),
            CLift.prefix(bytes),
            unit.type(new Type(Scalar.I32, lanes)),
            CConst.min(to),
            CConst.max(to)));
  }

  /** The instruction gives the smallest integer for whatever does not fit. */
  private Optional<String> toInt(int lanes) {
    int bytes = lanes * 4;
    if (!unit.isa().registers(bytes)) {
      return Optional.empty();
    }
    String text =
        unit.isa().bitMasks()
            ? "%1$s x = (%1$s)a; return (%4$s)%3$s_mask_mov_epi32("
                + "%3$s_maskz_cvttps_epi32(%3$s_cmp_ps_mask(x, x, _CMP_ORD_Q), x), "
                + "%3$s_cmp_ps_mask(x, %3$s_set1_ps(0x1p31f), _CMP_GE_OQ), "
                + "%3$s_set1_epi32(2147483647));"
            : "%1$s x = (%1$s)a; %2$s v = "
                + "%3$s_cvttps_epi32(%3$s_and_ps(x, %3$s_cmp_ps(x, x, _CMP_ORD_Q))); "
                + "return (%4$s)%3$s_xor_si%5$d(v, %3$s_castps_si%5$d("
                + "%3$s_cmp_ps(x, %3$s_set1_ps(0x1p31f), _CMP_GE_OQ)));";
    return Optional.of(
        text.formatted(
            CLift.register(Scalar.F32, bytes),
            CLift.register(Scalar.I32, bytes),
            CLift.prefix(bytes),
            unit.type(new Type(Scalar.I32, lanes)),
            bytes * 8));
  }

  private String small(Type from, Scalar to, boolean inRange, String a) {
    Scalar f = from.scalar();
    if (f == Scalar.F16) {
      String value = halfToFloat(from.lanes(), a);
      return to == Scalar.F32 ? value : cast(from.withScalar(Scalar.F32), to, inRange, value);
    }
    if (to == Scalar.F16) {
      String value =
          switch (f) {
            case F32 -> a;
            case F64 ->
                lift.lift(
                        "tsr_f64_to_f32_odd",
                        Scalar.F32,
                        List.of(Scalar.F64),
                        from.lanes(),
                        scalars.doubleToFloatOdd(),
                        n -> Optional.empty())
                    + "("
                    + a
                    + ")";
            default -> cast(from, Scalar.F32, inRange, a);
          };
      return floatToHalf(from.lanes(), value);
    }
    throw Faults.unsupported(
        "a conversion from " + f.text() + " to " + to.text(),
        "the legalizer must replace it by integer operations");
  }

  private String halfToFloat(int lanes, String a) {
    return half(true, Scalar.U16, Scalar.F32, lanes, a);
  }

  private String floatToHalf(int lanes, String a) {
    return half(false, Scalar.F32, Scalar.U16, lanes, a);
  }

  private String half(boolean toFloat, Scalar from, Scalar to, int lanes, String a) {
    String scalar = halfFunction(toFloat);
    return lift.lift(scalar, to, List.of(from), lanes, scalar, n -> halfVector(toFloat, n))
        + "("
        + a
        + ")";
  }

  private String halfFunction(boolean toFloat) {
    if (unit.cuda()) {
      return toFloat ? "tsr_f16_to_f32" : "tsr_f32_to_f16";
    }
    if (!unit.isa().f16c()) {
      return toFloat ? scalars.halfToFloat() : scalars.floatToHalf();
    }
    return toFloat
        ? scalars.unary("tsr_f16_to_f32", Scalar.U16, Scalar.F32, () -> "return _cvtsh_ss(x);")
        : scalars.unary(
            "tsr_f32_to_f16", Scalar.F32, Scalar.U16, () -> "return (uint16_t)_cvtss_sh(x, 0);");
  }

  private Optional<String> halfVector(boolean toFloat, int lanes) {
    if (lanes < 8 || !unit.isa().registers(lanes * 4)) {
      return Optional.empty();
    }
    String p = CLift.prefix(lanes * 4);
    return Optional.of(
        toFloat
            ? "return ("
                + unit.type(new Type(Scalar.F32, lanes))
                + ")"
                + p
                + "_cvtph_ps(("
                + CLift.register(Scalar.I32, lanes * 2)
                + ")a);"
            : "return ("
                + unit.type(new Type(Scalar.U16, lanes))
                + ")"
                + p
                + "_cvtps_ph(("
                + CLift.register(Scalar.F32, lanes * 4)
                + ")a, "
                + (lanes == 16 ? "8" : "0")
                + ");");
  }
}
