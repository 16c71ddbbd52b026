package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.diff.KnownDifferences.Known;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Known differences of results. */
final class KnownValues {
  private static final List<String> RECURRENT =
      List.of("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM");
  private static final List<String> WINDOWS =
      List.of("BlackmanWindow", "HammingWindow", "HannWindow");

  private KnownValues() {}

  static List<Known> table() {
    return List.of(
        new Known(
            "cast-out-of-range",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "A float that the integer type cannot hold (or NaN) becomes another integer.",
            "Operators.md, Cast, list of conversions: from floating to fixed point, a number out of"
                + " range is undefined. Tersor keeps the low bits of the truncated 64-bit integer,"
                + " ONNX Runtime gives what the processor's instruction gives.",
            e ->
                e.type().isFloat()
                    && result(e).isInteger()
                    && e.each(i -> Evidence.leaves(result(e), e.in(0).getDouble(i)))),
        new Known(
            "power-out-of-range",
            Kind.VALUES,
            List.of("Pow"),
            "A power that the integer type of the base cannot hold, or that is no real number.",
            "Operators.md, Pow: f(x) = x^exponent in the type of X; nothing is said of a result"
                + " that has no place there. Tersor saturates what it converts from float64 and"
                + " makes NaN 0, ONNX Runtime casts as the processor does.",
            e -> e.type().isInteger() && e.each(i -> leavesPower(e, i))),
        new Known(
            "logarithm-of-nothing",
            Kind.VALUES,
            List.of("ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceL2"),
            "Integers: the result is infinite or NaN, as the logarithm of 0.",
            "Operators.md: ReduceLogSum and the like allow integers and define the result by Log and"
                + " Sqrt, which are defined for floats only; a conversion of infinity to an integer"
                + " is undefined (Cast). Tersor gives 0, ONNX Runtime the smallest integer.",
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
            "Operators.md defines no overflow of integer reductions. Tersor wraps around (and takes"
                + " logarithms and roots of sums without overflow), ONNX Runtime sums up in floats or"
                + " converts as the processor does.",
            e -> e.type().isInteger() && overflows(e)),
        new Known(
            "windows-in-double",
            Kind.VALUES,
            WINDOWS,
            "Coefficients differ by less than 1e-6, or by one where they become integers.",
            "Operators.md, function bodies of the windows: they compute in float32 whatever"
                + " output_datatype is, and ONNX Runtime runs them; Tersor computes in the precision"
                + " of the output.",
            e -> (e.ours().dtype().isFloat() ? e.difference() < 1e-6 : e.difference() <= 1)),
        new Known(
            "window-of-one",
            Kind.VALUES,
            WINDOWS,
            "A symmetric window of size 1 is 1 in Tersor, NaN in ONNX Runtime.",
            "Operators.md, periodic=0: the formula divides by size - 1, which is 0. numpy and scipy"
                + " define the window of one element as 1.",
            e ->
                e.number("periodic", 1) == 0
                    && e.in(0).getLong(0) == 1
                    && e.each(i ->
                        Double.isNaN(e.theirs().getDouble(i))
                            || (!result(e).isFloat()
                                && (e.theirs().getLong(i) == 0
                                    || e.theirs().getLong(i) == Long.MIN_VALUE
                                    || e.theirs().getLong(i) == result(e).minValue())))),
        new Known(
            "recurrent-activations",
            Set.of(Kind.VALUES),
            RECURRENT,
            "States differ by less than 2e-6.",
            "Operators.md: the activations are the exact logistic and hyperbolic functions. ONNX"
                + " Runtime's recurrent kernels approximate them with an absolute error near 1e-7,"
                + " which the steps add up.",
            e -> e.isResult() && e.difference() < 2e-6,
            true),
        new Known(
            "float-constants-of-doubles",
            Kind.VALUES,
            List.of(
                "Gelu",
                "FastGelu",
                "Attention",
                "DFT",
                "STFT",
                "Shrink",
                "GroupNormalization",
                "HardSwish",
                "HardSigmoid",
                "QuickGelu",
                "Selu",
                "Celu"),
            "float64 and integers computed with constants or in sums of float32.",
            "Operators.md: attributes are float32 numbers and alpha = 1/6 of HardSwish is a real"
                + " number; GroupNormalization's stash_type makes sums float32 by default. Tersor"
                + " computes in the type of the operands or wider.",
            e ->
                (e.type() == DType.F64 || e.type().isInteger())
                    && e.each(i ->
                        // Sums of float32 cancel.
                        near(
                            e,
                            i,
                            e.node().op().type().equals("GroupNormalization")
                                ? 0x1p-22 * Math.max(16, cancellation(e))
                                : 0x1p-20))),
        new Known(
            "deviation-of-one",
            Set.of(Kind.VALUES),
            List.of("MeanVarianceNormalization", "InstanceNormalization", "LayerNormalization"),
            "A mean over one element, or over equal ones: Tersor's deviation is exactly zero, ONNX Runtime has a rounding"
                + " error of it, divided by a tiny root, or NaN.",
            "Operators.md: y = (x - mean) / sqrt(variance); the mean of one number is that number,"
                + " so that the result is the bias. ONNX Runtime subtracts E[x]^2 from E[x^2].",
            e ->
                e.isResult()
                    && (oneElement(e)
                        || e.each(i ->
                            Double.isNaN(e.theirs().getDouble(i)) && e.ours().getDouble(i) == 0)),
            true),
        new Known(
            "variance-by-squares",
            Set.of(Kind.VALUES),
            List.of(
                "LayerNormalization",
                "SkipLayerNormalization",
                "InstanceNormalization",
                "GroupNormalization",
                "MeanVarianceNormalization",
                "EmbedLayerNormalization"),
            "Groups whose mean is large beside their deviation differ by the rounding error of the"
                + " mean of squares.",
            "Operators.md, LayerNormalization, first stage: the mean of the squared deviations. ONNX"
                + " Runtime takes the difference of the mean of squares and the squared mean, in"
                + " float32, which cancels.",
            e ->
                e.ours().dtype().isFloat()
                    && (e.isResult()
                        ? e.each(i -> near(e, i, 0x1p-22 * gain(e) * cancellation(e)))
                        : cancellation(e) >= 64
                            && e.difference() <= 0x1p-12 * Math.max(1, largest(e.ours()))),
            true),
        new Known(
            "largest-of-nan",
            Kind.VALUES,
            List.of("ArgMax", "ArgMin", "MaxPool"),
            "The input holds NaN.",
            "Operators.md does not say how NaN compares. Tersor takes the first NaN, as numpy does;"
                + " in ONNX Runtime it depends on where it stands.",
            e ->
                IntStream.range(0, e.in(0).size())
                    .anyMatch(i -> Double.isNaN(e.in(0).getDouble(i)))),
        new Known(
            "softmax-wraps-around",
            Set.of(Kind.VALUES),
            List.of("QLinearSoftmax"),
            "A result beyond the largest code is that code in Tersor and wraps around in ONNX Runtime.",
            "ContribOperators.md, QLinearSoftmax: the result is quantized with scale and zero point,"
                + " which saturates (QuantizeLinear). ONNX Runtime's 1 is 256 steps of 1/256,"
                + " of which it keeps the low byte.",
            e ->
                e.each(i ->
                    e.ours().dtype() == e.type()
                        && e.ours().getLong(i) == e.type().maxValue()
                        && e.theirs().getLong(i) == e.type().minValue()),
            true),
        new Known(
            "transforms-of-floats",
            Kind.VALUES,
            List.of("DFT", "STFT"),
            "float32 results differ by less than 2^-15 of the largest one.",
            "Operators.md, DFT: sums over exact roots of unity. ONNX Runtime's roots and sums are"
                + " float32 numbers whose errors grow with the length.",
            e -> e.type() != DType.F64 && e.difference() <= 0x1p-15 * largest(e.ours())),
        new Known(
            "grid-of-one",
            Kind.VALUES,
            List.of("AffineGrid"),
            "align_corners=1 and an extent of 1: Tersor takes the middle, ONNX Runtime the first"
                + " corner.",
            "Operators.md, AffineGrid, function body: steps are 2 / (extent - 1), which divides by"
                + " zero. PyTorch, from which the operator comes, takes 0.",
            e ->
                e.number("align_corners", 0) == 1
                    && IntStream.range(2, e.in(1).size()).anyMatch(i -> e.in(1).getLong(i) == 1)),
        new Known(
            "digits-of-texts",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "Numbers as texts of more digits than are needed to read them back.",
            "Operators.md, Cast: numbers become texts in plain floating-point representation; no"
                + " number of digits is named. Tersor writes the shortest text of the number, ONNX"
                + " Runtime 8 digits of a float32.",
            e ->
                result(e) == DType.STRING
                    && e.type().isFloat()
                    && e.each(i ->
                        readsAs(e.ours().strings()[i], e.in(0).getDouble(i))
                            && readsAs(e.theirs().strings()[i], e.in(0).getDouble(i)))),
        new Known(
            "logistic-of-doubles",
            Kind.VALUES,
            List.of("Sigmoid", "Swish"),
            "float64: results differ by at most 2^-50.",
            "Operators.md, Sigmoid: y = 1 / (1 + exp(-x)). Of a negative x ONNX Runtime takes 1 minus"
                + " the result of -x, which loses the last places.",
            e -> e.type() == DType.F64 && e.difference() <= 0x1p-50),
        new Known(
            "statistics-in-half",
            Kind.VALUES,
            List.of("LayerNormalization"),
            "float16: ONNX Runtime's Mean and InvStdDev are rounded to float16.",
            "Operators.md, LayerNormalization, stash_type: the type of Mean and InvStdDev, float32 by"
                + " default, is also the precision of the first stage.",
            e -> e.type() == DType.F16 && e.output() > 0 && e.each(i -> near(e, i, 0x1p-10))),
        new Known(
            "causal-after-a-past",
            Kind.VALUES,
            List.of("Attention"),
            "is_causal=1 with past_key: ONNX Runtime lets queries see keys beyond their own position.",
            "Operators.md, Attention, function body: the causal mask is shifted by the length of the"
                + " past. ONNX Runtime fails the suite's cases of it, and passes their expanded"
                + " forms (test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal).",
            e -> e.number("is_causal", 0) == 1 && e.hasInput(4)),
        new Known(
            "wider-than-the-torus",
            Kind.VALUES,
            List.of("Pad"),
            "mode=wrap with pads wider than the axis: ONNX Runtime wraps once and leaves what was"
                + " in memory.",
            "Operators.md, Pad: wrap-around padding as if the data tensor forms a torus.",
            e ->
                e.word("mode", "constant").equals("wrap")
                    && IntStream.range(0, e.ours().rank())
                        .anyMatch(d -> e.ours().shape()[d] > 2 * e.in(0).shape()[d])),
        new Known(
            "loss-of-nothing",
            Kind.VALUES,
            List.of("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
            "The mean over no element, or over weights that are all 0: NaN in Tersor, 0 in ONNX"
                + " Runtime.",
            "Operators.md, NegativeLogLikelihoodLoss, mean: the sum divided by the sum of weights,"
                + " which is 0 / 0.",
            e -> e.each(i -> Double.isNaN(e.ours().getDouble(i)) && e.theirs().getDouble(i) == 0)),
        new Known(
            "exponentials-of-integers",
            Kind.VALUES,
            List.of("ReduceLogSumExp"),
            "Integers: results differ by at most 1.",
            "Operators.md: integers are allowed, Exp and Log of the function body are defined for"
                + " floats only. Tersor truncates the real result; ONNX Runtime rounds in between.",
            e -> e.type().isInteger() && e.difference() <= 1),
        new Known(
            "ties-of-states",
            Kind.VALUES,
            List.of("DynamicQuantizeLSTM"),
            "States differ by at most what one code of a hidden state changes.",
            "ContribOperators.md: hidden states are quantized at every step. ONNX Runtime's"
                + " activations (recurrent-activations) lie on the other side of a tie now and then.",
            e -> e.difference() <= 2.0 / 255 * largestWeight(e, 2)),
        new Known(
            "products-of-run-time-codes",
            Kind.VALUES,
            List.of("MatMulNBits"),
            "accuracy_level=4 where codes or scales are given at run time: Tersor rounds A as it does"
                + " for weights; ONNX Runtime does not, or its result is 0 where only the scales are"
                + " given at run time.",
            "ContribOperators.md, accuracy_level: the least accuracy in which A may be computed;"
                + " rounding is allowed and not required. A result of 0 is none of both.",
            e ->
                e.number("accuracy_level", 0) == 4
                    && !(e.isWeight(1) && e.isWeight(2))
                    && e.each(i ->
                        (e.isWeight(1) && e.theirs().getDouble(i) == 0)
                            || Math.abs(e.ours().getDouble(i) - e.theirs().getDouble(i))
                                <= rounding(e))),
        new Known(
            "codes-of-nan",
            Kind.VALUES,
            List.of("QuantizeLinear", "DynamicQuantizeLinear"),
            "The input holds NaN: its code differs, and so do all if the range is taken from it.",
            "Operators.md, QuantizeLinear: saturate((x / y_scale) + y_zero_point), which gives no"
                + " integer for NaN; nothing is said of it.",
            e ->
                IntStream.range(0, e.in(0).size())
                    .anyMatch(i -> Double.isNaN(e.in(0).getDouble(i)))),
        new Known(
            "texts-in-rows",
            Kind.VALUES,
            List.of("Gather"),
            "Strings gathered by rows of several: ONNX Runtime copies the first of each row and leaves"
                + " the others empty.",
            "Operators.md, Gather: entries of the axis are gathered, whatever their rank.",
            e -> e.type() == DType.STRING && e.each(i -> e.theirs().strings()[i].isEmpty())),
        new Known(
            "extremes-of-large-integers",
            Kind.VALUES,
            List.of("ReduceMin", "ReduceMax"),
            "64-bit integers beyond 2^31: the least of 2172795316, 3873999180, 2120406272, 2839555072"
                + " is 2172795316 in ONNX Runtime.",
            "Operators.md, ReduceMin: the least element. ONNX Runtime's vectors seem to compare lower"
                + " halves.",
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
            "Operators.md, Einsum, T: all numeric types. Tersor sums exactly and wraps around; ONNX"
                + " Runtime's sums go through floating point and end at the largest integer.",
            e ->
                e.type().isInteger()
                    && e.each(i ->
                        Math.abs(e.ours().getDouble(i)) >= 0x1p53
                            || Math.abs(e.theirs().getDouble(i)) >= 0x1p53
                            || e.theirs().getLong(i) == e.type().maxValue()
                            || e.theirs().getLong(i) == e.type().minValue())),
        new Known(
            "modulus-of-large-integers",
            Kind.VALUES,
            List.of("Mod"),
            "fmod=1 with integers beyond 2^53.",
            "Operators.md, Mod: fmod=1 says that the sign is that of the dividend; operands stay"
                + " integers. ONNX Runtime converts them to double.",
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
            List.of("Resize"),
            "Interpolated integers differ by 1, by at most 2 with antialias=1, large ones by their part of"
                + " 2^-22.",
            "Operators.md, Resize: results of a filter are real numbers, and no rounding is named."
                + " With antialias=1 Tersor rounds the result once; ONNX Runtime rounds after each"
                + " axis, in fixed-point arithmetic. Else both truncate, and sums in float32 lie on"
                + " the other side of an integer now and then.",
            e ->
                e.type().isInteger()
                    && e.difference()
                        <= Math.max(
                            e.number("antialias", 0) == 1 ? 2 : 1, 0x1p-22 * largest(e.in(0)))),
        new Known(
            "underflow-before-nonzero",
            Set.of(Kind.SHAPE, Kind.REFERENCE_REFUSES),
            List.of("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", "GlobalLpPool", "LpPool"),
            "NonZero after a recurrent layer or a norm: numbers below 1e-6 are 0 in one of both, and"
                + " what wants their count fails.",
            "As recurrent-activations: ONNX Runtime's approximations have an absolute error near 1e-7;"
                + " squares of small numbers have no place in float32, in which it sums them.",
            e ->
                e.small().operators().contains("NonZero")
                    && IntStream.range(0, e.node().outputs().size())
                        .mapToObj(e::result)
                        .flatMap(Optional::stream)
                        .anyMatch(state ->
                            IntStream.range(0, state.size())
                                .mapToDouble(i -> Math.abs(state.getDouble(i)))
                                .anyMatch(x -> x > 0 && x < 1e-6)),
            true),
        new Known(
            "sampled-positions",
            Kind.VALUES,
            List.of("GridSample", "Resize"),
            "Samples differ by less than 1e-5.",
            "Operators.md, GridSample, Resize: positions are real numbers. ONNX Runtime computes them in"
                + " float32 where Tersor takes float64; a bicubic kernel amplifies the difference.",
            e -> e.type().isFloat() && e.difference() < 1e-5),
        new Known(
            "powers-of-neighbours",
            Kind.VALUES,
            List.of("LRN"),
            "Results differ by less than 2^-18 of the largest.",
            "Operators.md, LRN: x / (bias + alpha / size * sum of squares)^beta. ONNX Runtime takes the"
                + " power by float32 approximations.",
            e -> e.difference() <= 0x1p-18 * largest(e.ours())),
        new Known(
            "scores-of-attention",
            Kind.VALUES,
            List.of("QAttention"),
            "Results differ by less than 2^-13 of the largest.",
            "ContribOperators.md, QAttention: the softmax of products of numbers whose codes are given."
                + " Products near 1000 have float32 errors near 2^-14, which are those of their"
                + " exponentials.",
            e -> e.difference() <= 0x1p-13 * largest(e.ours())),
        new Known(
            "shrunk-integers",
            Kind.VALUES,
            List.of("Shrink"),
            "Integers beyond 2^53.",
            "Operators.md, Shrink: x - bias and the like with bias a float32. Tersor computes in float64,"
                + " ONNX Runtime in float32 (whose 2^64 is no uint64).",
            e -> e.type().isInteger() && e.each(i -> Math.abs(e.in(0).getDouble(i)) >= 0x1p53)),
        new Known(
            "norms-of-integers",
            Kind.VALUES,
            List.of("Normalizer"),
            "Integers of 2^31 and more with norm=L2.",
            "Operators-ml.md, Normalizer: the root of the sum of squares, of which ONNX Runtime takes the"
                + " squares in the integer type.",
            e -> e.type().isInteger() && largest(e.in(0)) >= 0x1p31),
        new Known(
            "score-of-one-target",
            Kind.VALUES,
            List.of("LinearRegressor"),
            "post_transform SOFTMAX, SOFTMAX_ZERO or LOGISTIC with one target: ONNX Runtime gives the"
                + " plain score.",
            "Operators-ml.md, LinearRegressor, post_transform: the transform of the scores, which the"
                + " softmax of one number has, too: 1.",
            e ->
                List.of("SOFTMAX", "SOFTMAX_ZERO", "LOGISTIC")
                        .contains(e.word("post_transform", "NONE"))
                    && e.number("targets", 1) == 1),
        new Known(
            "texts-of-truth",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "A bool as text: True or False in Tersor, 1 or 0 in ONNX Runtime.",
            "Operators.md, Cast: numbers become plain texts; of bool nothing is said. Tersor writes what the"
                + " specification's reference code does.",
            e -> e.type() == DType.BOOL && result(e) == DType.STRING),
        new Known(
            "exponents-of-negatives",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "A negative number that becomes float8e8m0: its exponent in Tersor, the least number in ONNX"
                + " Runtime.",
            "Operators.md, Cast: nothing is said of a sign, which the type does not have. Tersor drops it,"
                + " as the specification's reference code does.",
            e ->
                result(e) == DType.F8E8M0
                    && e.type() != DType.STRING
                    && e.each(i -> e.in(0).getDouble(i) < 0)),
        new Known(
            "ties-of-small-integers",
            Kind.VALUES,
            List.of("Cast", "CastLike"),
            "A float halfway between two integers of 2 or 4 bits: the even one in Tersor, the one farther"
                + " from 0 in ONNX Runtime.",
            "Technical details of int4 and int2: a float is rounded to the nearest integer, ties to even,"
                + " before its low bits are taken.",
            e ->
                e.type().isFloat()
                    && result(e).bits() <= 4
                    && e.each(i -> isTie(e.in(0).getDouble(i)))),
        new Known(
            "integers-of-two-bits",
            Kind.VALUES,
            List.of("Cast", "CastLike", "QuantizeLinear"),
            "int2 and uint2: single elements differ.",
            "Operators.md, Cast: a value that both types hold stays; QuantizeLinear:"
                + " saturate(round(x / scale) + zero point). ONNX Runtime's kernels of these types err"
                + " where rows or tensors do not fill whole bytes of four.",
            e -> (isTwoBits(e.type()) || isTwoBits(result(e))) && ownIsRight(e)));
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
                    Math.clamp(code, (double) result(e).minValue(), (double) result(e).maxValue());
          });
    }
    return e.each(i ->
        e.ours().getDouble(i) == e.in(0).getDouble(i)
            || (result(e).isInteger() && Evidence.leaves(result(e), e.in(0).getDouble(i))));
  }

  /** What a normalised number is multiplied with at most. */
  private static double gain(Evidence e) {
    boolean scaled =
        List.of("LayerNormalization", "InstanceNormalization", "GroupNormalization")
            .contains(e.node().op().type());
    return scaled && e.hasInput(1) ? Math.max(1, largest(e.in(1))) : 1;
  }

  /** What rounding A to 127ths of the largest of a block can change. */
  private static double rounding(Evidence e) {
    long zero = 1L << (e.number("bits", 4) - 1);
    double weight = largest(e.in(2)) * 2 * zero;
    return e.number("K", 1) * weight * largest(e.in(0)) / 127;
  }

  private static boolean holds(Tensor tensor, long value) {
    return IntStream.range(0, tensor.size()).anyMatch(i -> tensor.getLong(i) == value);
  }

  /** Type of the result, which may be compared in a wider one. */
  private static DType result(Evidence e) {
    Tensor made = e.small().values().get(e.node().output(e.output()));
    return made == null ? e.ours().dtype() : made.dtype();
  }

  /** The largest weight of a quantized operand, whose scale and zero point are inputs 10 and 11. */
  private static double largestWeight(Evidence e, int operand) {
    Tensor codes = e.in(operand);
    Tensor zero = e.in(11);
    double largest = 0;
    for (int i = 0; i < codes.size(); i++) {
      for (int z = 0; z < zero.size(); z++) {
        largest = Math.max(largest, Math.abs(codes.getDouble(i) - zero.getDouble(z)));
      }
    }
    return largest * largest(e.in(10));
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

  /** Whether two numbers agree but for a part of the larger one. */
  private static boolean near(Evidence e, int i, double part) {
    double ours = e.ours().getDouble(i);
    double theirs = e.theirs().getDouble(i);
    double scale = Math.max(1, Math.max(Math.abs(ours), Math.abs(theirs)));
    return Math.abs(ours - theirs) <= part * scale;
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

  private static double largest(Tensor tensor) {
    double largest = 0;
    for (int i = 0; i < tensor.size(); i++) {
      largest = Math.max(largest, Math.abs(tensor.getDouble(i)));
    }
    return largest;
  }

  private static boolean oneElement(Evidence e) {
    Tensor x = e.in(0);
    if (e.node().op().type().equals("MeanVarianceNormalization")) {
      long elements = 1;
      List<Long> axes = e.has("axes") ? e.numbers("axes") : List.of(0L, 2L, 3L);
      for (long axis : axes) {
        elements *= x.shape()[(int) (axis < 0 ? axis + x.rank() : axis)];
      }
      return elements == 1;
    }
    return group(e) == 1;
  }

  /** Elements that are normalised together; they lie in a row. */
  private static int group(Evidence e) {
    Tensor x = e.in(0);
    int axis =
        switch (e.node().op().type()) {
          case "InstanceNormalization" -> 2;
          case "GroupNormalization" -> 1;
          case "LayerNormalization" -> (int) e.number("axis", -1);
          default -> -1;
        };
    axis = axis < 0 ? axis + e.ours().rank() : axis;
    long[] shape = x.dtype().isFloat() ? x.shape() : e.ours().shape();
    int group = 1;
    for (int d = axis; d < shape.length; d++) {
      group *= (int) shape[d];
    }
    return group / (int) e.number("num_groups", 1);
  }

  /** The same number for elements that are normalised together, where they may lie apart. */
  private static int[] together(Evidence e, int group) {
    Tensor x = e.in(0);
    int[] groups = new int[x.size()];
    List<Long> axes =
        e.node().op().type().equals("MeanVarianceNormalization")
            ? e.has("axes") ? e.numbers("axes") : List.of(0L, 2L, 3L)
            : List.of();
    for (int i = 0; i < groups.length; i++) {
      int rest = i;
      int unit = 1;
      for (int d = x.rank() - 1; d >= 0; d--) {
        int extent = (int) x.shape()[d];
        if (!axes.contains((long) d) && !axes.contains((long) d - x.rank())) {
          groups[i] += rest % extent * unit;
          unit *= extent;
        }
        rest /= extent;
      }
      groups[i] = axes.isEmpty() ? i / group : groups[i];
    }
    return groups;
  }

  /** The largest ratio of a group's mean square to its variance and epsilon. */
  private static double cancellation(Evidence e) {
    Tensor x = e.in(0);
    String operator = e.node().op().type();
    int group = Math.max(1, operator.equals("LayerNormalization") ? group(e) : rows(e));
    double epsilon = operator.startsWith("Skip") ? 1e-12 : 1e-5;
    epsilon =
        e.node().attributes().get("epsilon") instanceof org.tersor.ir.graph.Attribute.FloatAttr f
            ? f.value()
            : epsilon;
    if (!x.dtype().isFloat()) {
      return 64;
    }
    int[] groups = together(e, group);
    int count = IntStream.of(groups).max().orElse(-1) + 1;
    double[] sums = new double[count];
    double[] squares = new double[count];
    int[] sizes = new int[count];
    for (int i = 0; i < groups.length; i++) {
      double value = x.getDouble(i) + (operator.startsWith("Skip") ? added(e, i) : 0);
      sums[groups[i]] += value;
      squares[groups[i]] += value * value;
      sizes[groups[i]]++;
    }
    double worst = 1;
    for (int g = 0; g < count; g++) {
      double mean = sums[g] / sizes[g];
      double square = squares[g] / sizes[g];
      worst = Math.max(worst, square / (Math.max(0, square - mean * mean) + epsilon));
    }
    return worst;
  }

  private static int rows(Evidence e) {
    return group(e);
  }

  /** What a skip connection and a bias add. */
  private static double added(Evidence e, int i) {
    double skip = e.in(1).getDouble(i % e.in(1).size());
    return skip + e.input(4).map(bias -> bias.getDouble(i % bias.size())).orElse(0.0);
  }
}
