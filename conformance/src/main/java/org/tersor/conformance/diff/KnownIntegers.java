package org.tersor.conformance.diff;

import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.diff.KnownDifferences.Known;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Known differences of results of integers. */
final class KnownIntegers {
  private KnownIntegers() {}

  static List<Known> table() {
    return List.of(
        new Known(
            "power-out-of-range",
            Kind.VALUES,
            List.of("Pow"),
            "A power that the integer type of the base cannot hold, or that is no real number.",
            "Operators.md, Pow: f(x) = x^exponent in the type of X; nothing is said of a"
                + " result that has no place there. Tersor saturates what it converts from float64"
                + " and makes NaN 0, ONNX Runtime casts as the processor does.",
            e -> e.type().isInteger() && e.each(i -> leavesPower(e, i))),
        new Known(
            "logarithm-of-nothing",
            Kind.VALUES,
            List.of("ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceL2"),
            "Integers: the result is infinite or NaN, as the logarithm of 0.",
            "Operators.md, ReduceLogSum and ReduceLogSumExp: over an empty set minus"
                + " infinity where the type supports it, else undefined; ReduceMean: undefined;"
                + " ReduceL2: 0. Of the logarithm of a sum that is 0 nothing is said, and a cast"
                + " of infinity to an integer is undefined (Cast). Tersor gives 0, ONNX Runtime"
                + " the smallest integer.",
            e ->
                e.type().isInteger()
                    && e.each(i ->
                        e.ours().getLong(i) == 0 && e.theirs().getLong(i) == e.type().minValue())),
        new Known(
            "integer-sum-overflows",
            Kind.VALUES,
            List.of(
                "ReduceSum",
                "ReduceSumSquare",
                "ReduceProd",
                "ReduceL1",
                "ReduceL2",
                "ReduceMean",
                "ReduceLogSum",
                "ReduceLogSumExp"),
            "Integers whose sum or product the type cannot hold.",
            "Operators.md says nothing of integer reductions that overflow. Tersor wraps"
                + " around (and takes logarithms and roots of sums without overflow). ONNX"
                + " Runtime's results are those of sums in floats, and end at the largest integer.",
            e -> e.type().isInteger() && overflows(e)),
        new Known(
            "softmax-wraps-around",
            Set.of(Kind.VALUES),
            List.of("QLinearSoftmax"),
            "A result beyond the largest code is that code in Tersor; far beyond it, ONNX"
                + " Runtime gives the smallest one.",
            "ContribOperators.md, QLinearSoftmax: y_scale and y_zero_point are those of the"
                + " quantized output; nothing is said of a result beyond its codes. QuantizeLinear"
                + " saturates, and so does ONNX Runtime near the largest code: of uint8 it makes"
                + " 291 the largest code, but 400 the smallest.",
            e ->
                e.each(i ->
                    e.ours().dtype() == e.type()
                        && e.ours().getLong(i) == e.type().maxValue()
                        && e.theirs().getLong(i) == e.type().minValue()),
            true),
        new Known(
            "exponentials-of-integers",
            Kind.VALUES,
            List.of("ReduceLogSumExp"),
            "Integers: results differ by at most 1.",
            "Operators.md, ReduceLogSumExp-18, function body: a cast to float64, Exp,"
                + " ReduceSum, Log and a cast back, which truncates in Tersor. ONNX Runtime makes"
                + " each exponential an integer: of 1, 1, 1, 1, 1, 1, 2 it gives 2, where the"
                + " logarithm is 3.17.",
            e -> e.type().isInteger() && e.difference() <= 1),
        new Known(
            "extremes-of-large-integers",
            Kind.VALUES,
            List.of("ReduceMin", "ReduceMax"),
            "64-bit integers beyond 2^31: the least of 2172795316, 3873999180, 2120406272, 2839555072"
                + " is 2172795316 in ONNX Runtime.",
            "Operators.md, ReduceMin: the min of the elements. With three of these numbers"
                + " ONNX Runtime finds it; the cause is not known.",
            e -> {
              DType type = e.type();
              boolean wide = type == DType.I64 || type == DType.U32 || type == DType.U64;
              return wide
                  && IntStream.range(0, e.in(0).size())
                      .anyMatch(i -> Math.abs(e.in(0).getDouble(i)) >= 0x1p31)
                  && e.each(i -> holds(e.in(0), e.ours().getLong(i)))
                  && e.each(i -> holds(e.in(0), e.theirs().getLong(i)));
            }),
        new Known(
            "sums-of-large-integers",
            Kind.VALUES,
            List.of("Einsum"),
            "Integers beyond 2^53, or sums that the type cannot hold.",
            "Operators.md, Einsum, T: all numeric types; nothing is said of overflow."
                + " Tersor sums exactly and wraps around. ONNX Runtime does so for sums of"
                + " products; sums of one operand (ij->i) lose the last places beyond 2^53 and end"
                + " at the largest integer, as its ReduceSum does, before they are multiplied.",
            e ->
                e.type().isInteger()
                    && (sumsAloneOverflow(e)
                        || e.each(i ->
                            Math.abs(e.ours().getDouble(i)) >= 0x1p53
                                || Math.abs(e.theirs().getDouble(i)) >= 0x1p53
                                || e.theirs().getLong(i) == e.type().maxValue()
                                || e.theirs().getLong(i) == e.type().minValue()))),
        new Known(
            "modulus-of-large-integers",
            Kind.VALUES,
            List.of("Mod"),
            "fmod=1 with integers beyond 2^53.",
            "Operators.md, Mod, fmod=1: fmod of C, for floating point types; Changelog.md,"
                + " Mod-10: numpy.fmod, of integers, too, and the suite has a case of int64."
                + " Tersor's remainder of integers is exact; ONNX Runtime's is that of float64"
                + " numbers: 2 for 2^53 + 1 and 3.",
            e ->
                e.type().isInteger()
                    && e.number("fmod", 0) == 1
                    && IntStream.range(0, 2)
                        .anyMatch(k ->
                            IntStream.range(0, e.in(k).size())
                                .anyMatch(i -> Math.abs(e.in(k).getDouble(i)) >= 0x1p53))),
        new Known(
            "integers-of-pictures",
            Kind.VALUES,
            List.of("Resize", "Upsample"),
            "Interpolated integers differ by 1, by at most 2 with antialias=1, large ones by their part of"
                + " 2^-22.",
            "Operators.md, Resize (of Upsample nothing is said): a weighted average of neighbours, of which no rounding"
                + " is named. With antialias=1 Tersor rounds the result once; ONNX Runtime rounds"
                + " after each axis, 8-bit integers in fixed-point arithmetic. Else both truncate,"
                + " and sums in float32 lie on the other side of an integer now and then. Negative"
                + " results of a filter of int8 are 0 in ONNX Runtime, which clips them to the"
                + " range of uint8.",
            e -> e.type().isInteger() && e.each(i -> near(e, i))),
        new Known(
            "shrunk-integers",
            Kind.VALUES,
            List.of("Shrink"),
            "Integers with a lambd or bias that is no integer, or beyond 2^24.",
            "Operators.md, Shrink, function body: lambd and bias are cast to the type of x, in which 0.5 is 0."
                + " ONNX Runtime computes in float32 (whose 2^64 is no uint64).",
            e ->
                e.type().isInteger()
                    && (isFraction(e.real("lambd", 0.5f))
                        || isFraction(e.real("bias", 0))
                        || e.each(i -> Math.abs(e.in(0).getDouble(i)) >= 0x1p24))),
        new Known(
            "norms-of-integers",
            Kind.VALUES,
            List.of("Normalizer"),
            "norm=L2 of integers whose sum of squares the type cannot hold.",
            "Operators-ml.md, Normalizer, L2: sqrt(X^2 / sum(X^2)), a float; nothing is"
                + " said of squares that the type of X cannot hold. ONNX Runtime adds them up in"
                + " that type, Tersor in floats.",
            e -> e.type().isInteger() && e.each(i -> leavesNorm(e, i))));
  }

  /** Whether the sum of squares of an element's row has no place in the type. */
  private static boolean leavesNorm(Evidence e, int i) {
    Tensor x = e.in(0);
    int row = (int) x.shape()[x.rank() - 1];
    int first = i / row * row;
    double squares =
        IntStream.range(first, first + row).mapToDouble(x::getDouble).map(v -> v * v).sum();
    return Evidence.leaves(x.dtype(), squares);
  }

  private static boolean near(Evidence e, int i) {
    boolean filter = e.number("antialias", 0) == 1;
    double most = Math.max(filter ? 2 : 1, 0x1p-22 * Evidence.largest(e.in(0)));
    boolean unsigned = filter && e.ours().getLong(i) < 0 && e.theirs().getLong(i) == 0;
    return unsigned || Math.abs(e.ours().getDouble(i) - e.theirs().getDouble(i)) <= most;
  }

  private static boolean leavesPower(Evidence e, int i) {
    // Positions of operands that broadcast are not worth finding: any pair may be it.
    Tensor base = e.in(0);
    Tensor exponent = e.in(1);
    return places(base, e, i)
        .anyMatch(b ->
            places(exponent, e, i)
                .anyMatch(k ->
                    Evidence.leaves(
                        base.dtype(), Math.pow(base.getDouble(b), exponent.getDouble(k)))));
  }

  private static IntStream places(Tensor operand, Evidence e, int i) {
    return operand.size() == e.ours().size() ? IntStream.of(i) : IntStream.range(0, operand.size());
  }

  /** Whether the magnitudes of all elements have no place in the type, added or multiplied. */
  private static boolean overflows(Evidence e) {
    Tensor x = e.in(0);
    boolean squares = e.node().op().type().matches("ReduceSumSquare|ReduceL2");
    double sum = 0;
    double product = 1;
    for (int i = 0; i < x.size(); i++) {
      double magnitude = Math.abs(x.getDouble(i));
      sum += squares ? magnitude * magnitude : magnitude;
      product *= Math.max(1, magnitude);
    }
    boolean exponential = e.node().op().type().equals("ReduceLogSumExp") && sum > 700;
    return exponential
        || Evidence.leaves(x.dtype(), e.node().op().type().equals("ReduceProd") ? product : sum)
        // Sums of 64-bit integers in float64 lose their last digits.
        || sum > 0x1p53;
  }

  /**
   * Whether an operand whose sum over an index of its own may not fit is summed before products.
   */
  private static boolean sumsAloneOverflow(Evidence e) {
    String[] sides = e.word("equation", "").replace(" ", "").split("->", -1);
    if (sides.length != 2) {
      return false;
    }
    String[] terms = sides[0].split(",", -1);
    return IntStream.range(0, terms.length)
        .anyMatch(k ->
            overflows(e.in(k))
                && terms[k]
                    .chars()
                    .filter(Character::isLetter)
                    .anyMatch(letter ->
                        sides[1].indexOf(letter) < 0
                            && Stream.of(terms).filter(t -> t.indexOf(letter) >= 0).count() == 1));
  }

  /** Whether the magnitudes of all elements, added, have no place in the type. */
  private static boolean overflows(Tensor x) {
    return Evidence.leaves(
        x.dtype(), IntStream.range(0, x.size()).mapToDouble(i -> Math.abs(x.getDouble(i))).sum());
  }

  private static boolean holds(Tensor tensor, long value) {
    return IntStream.range(0, tensor.size()).anyMatch(i -> tensor.getLong(i) == value);
  }

  private static boolean isFraction(double value) {
    return value != Math.rint(value);
  }
}
