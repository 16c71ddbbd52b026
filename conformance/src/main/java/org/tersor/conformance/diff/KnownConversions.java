package org.tersor.conformance.diff;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.diff.KnownDifferences.Known;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Known differences of conversions: of types, texts and codes. */
final class KnownConversions {
  private KnownConversions() {}

  static List<Known> table() {
    return List.of(
        new Known(
            "truncated-codes",
            Kind.VALUES,
            List.of("QuantizeLinear"),
            "float16: codes are nearer to the zero point by 1.",
            "Operators.md, QuantizeLinear: x / y_scale is rounded to the nearest integer, ties to even."
                + " Where this was seen, ONNX Runtime's codes were those of the truncated quotient.",
            e ->
                e.type() == DType.F16
                    && e.resultType().isInteger()
                    && e.each(i -> isTruncated(e, i))),
        new Known(
            "cast-out-of-range",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "A float that the integer type cannot hold (or NaN) becomes another integer.",
            "Operators.md, Cast, list of conversions: from floating to fixed point, a"
                + " number out of range is undefined; NaN is not named. Tersor keeps the low bits"
                + " of the truncated 64-bit integer, ONNX Runtime gives what the processor's"
                + " instruction gives.",
            e ->
                e.type().isFloat()
                    && e.resultType().isInteger()
                    && e.each(i -> Evidence.leaves(e.resultType(), e.in(0).getDouble(i)))),
        new Known(
            "digits-of-texts",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "Numbers as texts of more digits than are needed to read them back.",
            "Operators.md, Cast: numbers become texts in plain floating-point"
                + " representation; no number of digits is named. Tersor writes the shortest plain"
                + " text that tells the number from its neighbours, ONNX Runtime 8 digits, with an"
                + " exponent where %g takes one.",
            e ->
                e.resultType() == DType.STRING
                    && e.type().isFloat()
                    && e.each(i ->
                        readsAs(e.ours().strings()[i], e.in(0).getDouble(i))
                            && readsAs(e.theirs().strings()[i], e.in(0).getDouble(i)))),
        new Known(
            "codes-of-nan",
            Kind.VALUES,
            List.of("QuantizeLinear", "DynamicQuantizeLinear"),
            "The input holds NaN: its code differs, and so do all if the range is taken from it.",
            "Operators.md, QuantizeLinear: saturate((x / y_scale) + y_zero_point), which"
                + " gives no integer for NaN; DynamicQuantizeLinear: a scale of max(x) and min(x)."
                + " Nothing is said of NaN.",
            e ->
                IntStream.range(0, e.in(0).size())
                    .anyMatch(i -> Double.isNaN(e.in(0).getDouble(i)))),
        new Known(
            "texts-of-truth",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "A bool as text: True or False in Tersor, 1 or 0 in ONNX Runtime.",
            "Operators.md, Cast: numbers become plain texts; of bool nothing is said."
                + " Tersor writes what the specification's reference code does.",
            e -> e.type() == DType.BOOL && e.resultType() == DType.STRING),
        new Known(
            "exponents-of-negatives",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "A negative number that becomes float8e8m0: its exponent in Tersor, the least number in ONNX"
                + " Runtime.",
            "Operators.md, Cast: casting negative values to FLOAT8E8M0 is undefined, and"
                + " the table of special values names none. Tersor drops the sign, as the"
                + " specification's reference code does.",
            e ->
                e.resultType() == DType.F8E8M0
                    && e.type() != DType.STRING
                    && e.each(i -> e.in(0).getDouble(i) < 0)),
        new Known(
            "exponents-of-nibbles",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "An integer of 4 bits that becomes float8e8m0: ONNX Runtime gives the least number for some.",
            "Operators.md, Cast, round_mode: up by default, to the next power of two.",
            e ->
                e.resultType() == DType.F8E8M0
                    && e.type().isInteger()
                    && e.type().bits() == 4
                    && e.each(i ->
                        e.theirs().getDouble(i) == 0x1p-127
                            && e.ours().getDouble(i) >= e.in(0).getDouble(i)
                            && e.ours().getDouble(i) < 2 * e.in(0).getDouble(i))),
        new Known(
            "ties-of-small-integers",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "A float halfway between two integers of 2 or 4 bits: the even one in Tersor, the one farther"
                + " from 0 in ONNX Runtime.",
            "Technical details of int4 and int2, Cast: a float is rounded to the nearest"
                + " integer, ties to even, before it is truncated to its low bits.",
            e ->
                e.type().isFloat()
                    && e.resultType().bits() <= 4
                    && e.each(i -> isTie(e.in(0).getDouble(i)))),
        new Known(
            "integers-of-two-bits",
            Kind.VALUES,
            List.of("Cast", "CastLike", "QuantizeLinear"),
            "int2 and uint2: single elements differ.",
            "Technical details of int2: a cast from 2 bits is exact. Operators.md, Cast:"
                + " integers out of range lose their higher bits, so that others stay;"
                + " QuantizeLinear: saturate((x / y_scale) + y_zero_point), the quotient rounded"
                + " to even. ONNX Runtime's results are others where rows or tensors do not fill"
                + " whole bytes of four.",
            e -> (isTwoBits(e.type()) || isTwoBits(e.resultType())) && ownIsRight(e)));
  }

  private static boolean readsAs(String text, double number) {
    try {
      if (Float.parseFloat(text) == (float) number) {
        return true;
      }
      double read = Double.parseDouble(text);
      // Eight digits.
      return read == number || Math.abs(read - number) <= 0.5e-7 * Math.abs(number);
    } catch (NumberFormatException e) {
      return false;
    }
  }

  private static boolean isTie(double x) {
    return Math.abs(x - Math.floor(x)) == .5;
  }

  private static boolean isTwoBits(DType type) {
    return type == DType.I2 || type == DType.U2;
  }

  /** Whether Tersor's elements are what the formula gives, worked out here. */
  private static boolean ownIsRight(Evidence e) {
    if (e.node().op().type().equals("QuantizeLinear")) {
      Tensor x = e.in(0);
      Tensor scale = e.in(1);
      long axis = e.number("axis", 1);
      int at = (int) (axis < 0 ? axis + x.rank() : axis);
      return scale.rank() <= 1
          && e.each(i -> {
            long inner = 1;
            for (int d = at + 1; d < x.rank(); d++) {
              inner *= x.shape()[d];
            }
            int s = scale.size() == 1 ? 0 : (int) (i / inner % scale.size());
            long zero = e.hasInput(2) ? e.in(2).getLong(s) : 0;
            double code = Math.rint((float) x.getDouble(i) / (float) scale.getDouble(s)) + zero;
            return e.ours().getLong(i)
                == (long)
                    Math.clamp(
                        code,
                        (double) e.resultType().minValue(),
                        (double) e.resultType().maxValue());
          });
    }
    return e.each(i ->
        e.ours().getDouble(i) == e.in(0).getDouble(i)
            || (e.resultType().isInteger()
                && Evidence.leaves(e.resultType(), e.in(0).getDouble(i))));
  }

  /** Whether a code of theirs is one step nearer to a zero point than ours. */
  private static boolean isTruncated(Evidence e, int i) {
    LongStream zeros =
        e.input(2)
            .map(zero -> IntStream.range(0, zero.size()).mapToLong(zero::getLong))
            .orElse(LongStream.of(0));
    long ours = e.ours().getLong(i);
    long theirs = e.theirs().getLong(i);
    return zeros.anyMatch(zero -> Math.abs(theirs - zero) == Math.abs(ours - zero) - 1);
  }
}
