package org.tersor.codegen.c;

import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
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
    UnaryOp.Primitive primitive = op.primitive().orElseThrow(() -> Faults.notLegal(op));
    return switch (primitive) {
      case NEG -> narrow(t, "-" + a);
      case NOT -> t.scalar() == Scalar.BOOL ? "(!" + a + ")" : narrow(t, "~" + a);
      case ABS -> abs(t, a);
      case SQRT -> floats.sqrt(t, a);
      case FLOOR -> floats.round(CFloatOps.Rounding.DOWN, t, a);
      case CEIL -> floats.round(CFloatOps.Rounding.UP, t, a);
      case TRUNC -> floats.round(CFloatOps.Rounding.ZERO, t, a);
      case RINT -> floats.round(CFloatOps.Rounding.NEAREST, t, a);
      case POPCOUNT -> popcount(t, a);
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
    unit.helper(name, type, type + " x", () -> "return " + magnitude(t) + ";");
    return name + "(" + a + ")";
  }

  private String magnitude(Type t) {
    Scalar s = t.scalar();
    if (!s.isFloat()) {
      // (x ^ sign) - sign with sign = x >> (width - 1): of the smallest integer, itself.
      return "(%1$s)((x ^ (x >> %2$d)) - (x >> %2$d))".formatted(unit.type(t), s.bytes() * 8 - 1);
    }
    Scalar word = CUnit.unsignedOf(s.bytes());
    String bits = CConst.integer(word, Long.MAX_VALUE >>> (64 - s.bytes() * 8));
    return t.isVector()
        ? "(%s)((%s)x & %s)".formatted(unit.type(t), unit.type(t.withScalar(word)), bits)
        : "%s(%s(x) & %s)".formatted(scalars.bits(word, s), scalars.bits(s, word), bits);
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
              : divide(" / ", scalars.div(t.scalar()), t, a, b, e);
      case REM -> divide(" % ", scalars.rem(t.scalar()), t, a, b, e);
      case FLOORDIV -> floor(true, t, a, b, e);
      case FLOORMOD -> floor(false, t, a, b, e);
      case MIN -> extremum(false, t, a, b, e);
      case MAX -> extremum(true, t, a, b, e);
      case AND -> narrow(t, a + " & " + b);
      case OR -> narrow(t, a + " | " + b);
      case XOR -> narrow(t, a + " ^ " + b);
      case SHL -> narrow(t, a + " << " + count(t, b));
      case SHR -> narrow(t, a + " >> " + count(t, b));
      case FMOD, POW, ATAN2 -> throw Faults.notLegal(op);
    };
  }

  private String count(Type t, String b) {
    Scalar s = CUnit.carrier(t.scalar());
    return "(" + b + " & " + CConst.integer(s, s.bytes() * 8 - 1) + ")";
  }

  private String divide(String symbol, String scalar, Type t, String a, String b, Expr.Binary e) {
    if (integerConstant(e.b()).filter(c -> c != 0 && c != -1).isPresent()) {
      return narrow(t, a + symbol + b);
    }
    return perLane(scalar, CUnit.carrier(t.scalar()), t, a, b);
  }

  /** A scalar function of two operands in every lane. */
  private String perLane(String scalar, Scalar s, Type t, String a, String b) {
    return call(scalar, s, t, n -> Optional.empty(), a, b);
  }

  private String call(
      String scalar, Scalar s, Type t, IntFunction<Optional<String>> simd, String... args) {
    return call(scalar, s, Collections.nCopies(args.length, s), t, simd, args);
  }

  private String call(
      String scalar,
      Scalar s,
      List<Scalar> params,
      Type t,
      IntFunction<Optional<String>> simd,
      String... args) {
    return lift.lift(scalar, s, params, t.lanes(), scalar, simd)
        + "("
        + String.join(", ", args)
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
    return perLane(quotient ? scalars.floorDiv() : scalars.floorMod(), Scalar.I64, t, a, b);
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
    String op = max ? "max" : "min";
    return call(
        scalars.pick(max, s, "tsr_" + op + "_" + s.text()),
        s,
        t,
        lanes ->
            s.bytes() == 8 && !unit.isa().bitMasks()
                ? Optional.empty()
                : lift.intrinsic(op, s, lanes, 2),
        a,
        b);
  }

  String fma(Type t, String a, String b, String c) {
    return floats.fma(t, a, b, c);
  }

  String dot4(Type t, String acc, String a, String b) {
    if (!unit.cuda()) {
      String i = CUnit.scalar(Scalar.I32);
      unit.helper(
          "tsr_dot4",
          i,
          "%1$s a, %1$s b, %1$s c".formatted(i),
          () ->
              IntStream.iterate(0, shift -> shift < 32, shift -> shift + 8)
                  .mapToObj(
                      "(uint32_t)((int32_t)(uint8_t)(b >> %1$d) * (int8_t)(c >> %1$d))"::formatted)
                  .collect(Collectors.joining(" + ", "return (int32_t)((uint32_t)a + ", ");")));
    }
    return call("tsr_dot4", Scalar.I32, t, this::dot4, acc, a, b);
  }

  /** Only the instruction set that has it: others get other operations. */
  String dot2(Type t, String acc, String a, String b) {
    String f = CUnit.scalar(Scalar.F32);
    String i = CUnit.scalar(Scalar.I32);
    // One lane of a register.
    unit.helper(
        "tsr_dot2",
        f,
        "%s a, %2$s b, %2$s c".formatted(f, i),
        () ->
            "__m128 s = _mm_set_ss(a); __m128i x = _mm_cvtsi32_si128(b), y = _mm_cvtsi32_si128(c); "
                + DOT2.formatted("s", "x", "y")
                + " return _mm_cvtss_f32(s);");
    List<Scalar> params = List.of(Scalar.F32, Scalar.I32, Scalar.I32);
    return call("tsr_dot2", Scalar.F32, params, t, this::dot2, acc, a, b);
  }

  private static final String DOT2 =
      "__asm__(\"vdpbf16ps %%2, %%1, %%0\" : \"+v\"(%s) : \"v\"(%s), \"v\"(%s));";

  private Optional<String> dot2(int lanes) {
    return unit.isa().registers(lanes * 4)
        ? Optional.of(DOT2.formatted("a", "b", "c") + " return a;")
        : Optional.empty();
  }

  private Optional<String> dot4(int lanes) {
    int bytes = lanes * 4;
    if (unit.isa().neon(bytes)) {
      // Products of bytes fit 16 bits; pairs of them are added to 32 bits.
      return Optional.of(
          "uint8x16_t u = (uint8x16_t)b; int8x16_t v = (int8x16_t)c; "
              + "int16x8_t l = vmulq_s16((int16x8_t)vmovl_u8(vget_low_u8(u)), vmovl_s8(vget_low_s8(v))), "
              + "h = vmulq_s16((int16x8_t)vmovl_high_u8(u), vmovl_high_s8(v)); "
              + "return a + (__typeof__(a))vpaddq_s32(vpaddlq_s16(l), vpaddlq_s16(h));");
    }
    if (!unit.isa().registers(bytes)) {
      return Optional.empty();
    }
    if (unit.isa().vnni()) {
      // The intrinsic makes gcc 12 copy the accumulator around every instruction; inline assembly
      // does not.
      return Optional.of(
          "__asm__(\"vpdpbusd %2, %1, %0\" : \"+v\"(a) : \"v\"(b), \"v\"(c)); return a;");
    }
    // Bytes 0 and 2 of every word, then 1 and 3, as 16 bits: no sum of two products leaves 32 bits.
    // The empty assembly keeps gcc from masking a scalar and moving it over a second time.
    return Optional.of(
        ("__asm__(\"\" : \"+v\"(b)); %1$s e = (%1$s)(b & 0x00FF00FF), o = %2$s_srli_epi16((%1$s)b, 8); "
                + "%1$s f = %2$s_srai_epi16(%2$s_slli_epi16((%1$s)c, 8), 8), p = %2$s_srai_epi16((%1$s)c, 8); "
                + "return a + (__typeof__(a))%2$s_madd_epi16(e, f) + (__typeof__(a))%2$s_madd_epi16(o, p);")
            .formatted("__m" + bytes * 8 + "i", CLift.prefix(bytes)));
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
        CUnit.scalar(t.scalar()),
        unit.type(t) + " v" + t.lanes(),
        () -> {
          StringBuilder text = new StringBuilder();
          for (int n = t.lanes() / 2; n > 1; n /= 2) {
            Type half = t.withLanes(n);
            String whole = "v" + 2 * n;
            text.append(
                "%1$s l%2$d = %3$s, h%2$d = %4$s, v%2$d = %5$s; "
                    .formatted(
                        unit.type(half),
                        n,
                        part(whole, 0, n),
                        part(whole, n, n),
                        combine(op, half, "l" + n, "h" + n)));
          }
          return text + "return " + combine(op, t.withLanes(1), "v2[0]", "v2[1]") + ";";
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
