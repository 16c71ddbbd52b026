package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.diff.KnownDifferences.Known;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Known differences of results of floats. */
final class KnownValues {
  private static final List<String> RECURRENT =
      List.of("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM");
  private static final List<String> WINDOWS =
      List.of("BlackmanWindow", "HammingWindow", "HannWindow");

  private KnownValues() {}

  static List<Known> table() {
    return List.of(
        new Known(
            "windows-in-double",
            Kind.VALUES,
            WINDOWS,
            "Coefficients differ by less than 1e-6, or by one where they become integers.",
            "Operators.md, function bodies of the windows: they compute in float32 and cast"
                + " to output_datatype at the end, and ONNX Runtime runs them. Tersor computes in"
                + " the precision of the output, which is nearer to the formula.",
            e -> (e.ours().dtype().isFloat() ? e.difference() < 1e-6 : e.difference() <= 1)),
        new Known(
            "window-of-one",
            Kind.VALUES,
            WINDOWS,
            "A symmetric window of size 1 is 1 in Tersor, NaN in ONNX Runtime.",
            "Operators.md, periodic=0: a symmetric window; the function body divides by"
                + " size - 1, which is 0. numpy and scipy define the window of one element as 1.",
            e ->
                e.number("periodic", 1) == 0
                    && e.in(0).getLong(0) == 1
                    && e.each(i ->
                        Double.isNaN(e.theirs().getDouble(i))
                            || (!e.resultType().isFloat()
                                && (e.theirs().getLong(i) == 0
                                    || e.theirs().getLong(i) == Long.MIN_VALUE
                                    || e.theirs().getLong(i) == e.resultType().minValue())))),
        new Known(
            "recurrent-activations",
            Set.of(Kind.VALUES),
            RECURRENT,
            "States differ by less than 2e-6.",
            "Operators.md, LSTM and the like, activation functions: Sigmoid(x) = 1/(1 +"
                + " e^-x), Tanh(x) = (1 - e^-2x)/(1 + e^-2x); no precision is named. ONNX"
                + " Runtime's results have an absolute error near 1e-7, as of its polynomials,"
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
            "Operators.md: attributes and the constants of function bodies (2/pi of Gelu,"
                + " 1/6 of HardSwish) are float32 numbers; the texts of these operators have real"
                + " ones. Tersor takes attributes as they are and computes in the type of the operands"
                + " or wider; so it sums in GroupNormalization, whose stash_type (float32 by default)"
                + " X and the normalized X are rounded to in both.",
            e ->
                (e.type() == DType.F64 || e.type().isInteger())
                    && e.each(i ->
                        // Sums of float32 cancel.
                        near(
                            e,
                            i,
                            e.node().op().type().equals("GroupNormalization")
                                ? 0x1p-22 * Math.max(16, Cancellation.ratio(e))
                                : 0x1p-20))),
        new Known(
            "deviation-of-one",
            Set.of(Kind.VALUES),
            List.of("MeanVarianceNormalization", "InstanceNormalization", "LayerNormalization"),
            "A mean over one element, or over equal ones: Tersor's deviation is exactly zero, ONNX Runtime has a rounding"
                + " error of it, divided by a tiny root, or NaN.",
            "Operators.md, InstanceNormalization, LayerNormalization: (x - mean) /"
                + " sqrt(variance + epsilon), which is 0 for one number, so that the result is the"
                + " bias; MeanVarianceNormalization: (X-EX)/sqrt(E(X-EX)^2), whose function body"
                + " adds 1e-9 to the root, which gives 0, too. That body and ONNX Runtime's"
                + " LayerNormalization take E[x^2] - E[x]^2; its InstanceNormalization computes x"
                + " * s + (bias - mean * s), which cancels.",
            e ->
                e.isResult()
                    && (Cancellation.oneElement(e)
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
            "Operators.md, LayerNormalization, first stage: the mean of the squared"
                + " deviations; MeanVarianceNormalization: E(X-EX)^2. The function bodies of both"
                + " and of GroupNormalization, and ONNX Runtime's kernels, take the mean of"
                + " squares less the squared mean, in float32, which cancels. Its"
                + " InstanceNormalization cancels as in deviation-of-one.",
            e ->
                e.ours().dtype().isFloat()
                    && (e.isResult()
                        ? e.each(
                            i -> near(e, i, 0x1p-22 * Cancellation.gain(e) * Cancellation.ratio(e)))
                        : Cancellation.ratio(e) >= 64
                            && e.difference() <= 0x1p-12 * Math.max(1, Evidence.largest(e.ours()))),
            true),
        new Known(
            "statistics-in-factors",
            Kind.VALUES,
            List.of("BatchNormalization"),
            "Results that cancel differ by the rounding error of what cancels.",
            "Operators.md, BatchNormalization: (X - mean) / sqrt(var + epsilon) * scale + B. ONNX Runtime"
                + " multiplies X by a factor and adds the rest of it, in float32.",
            e -> e.type().isFloat() && e.difference() <= 0x1p-22 * Cancellation.addends(e)),
        new Known(
            "largest-of-nan",
            Kind.VALUES,
            List.of("ArgMax", "ArgMin", "Hardmax", "MaxPool"),
            "The input holds NaN.",
            "Operators.md, ArgMax, ArgMin, Hardmax, MaxPool: nothing is said of NaN. Tersor takes"
                + " the first NaN, as numpy does; in ONNX Runtime it depends on where it stands.",
            e ->
                IntStream.range(0, e.in(0).size())
                    .anyMatch(i -> Double.isNaN(e.in(0).getDouble(i)))),
        new Known(
            "transforms-of-floats",
            Kind.VALUES,
            List.of("DFT", "STFT"),
            "float32 results differ by less than 2^-15 of the largest one.",
            "Operators.md, DFT: sums over exact roots of unity; no precision is named. ONNX"
                + " Runtime's roots and sums are float32 numbers whose errors grow with the"
                + " length.",
            e -> e.type() != DType.F64 && e.difference() <= 0x1p-15 * Evidence.largest(e.ours())),
        new Known(
            "grid-of-one",
            Kind.VALUES,
            List.of("AffineGrid"),
            "align_corners=1 and an extent of 1: NaN in Tersor (-1 for a depth), ONNX Runtime takes the"
                + " last corner.",
            "Operators.md, AffineGrid, align_corners: -1 and 1 are the centres of the"
                + " corner pixels, which are one here. The function body divides 2 by extent - 1,"
                + " which gives NaN, but for the depth, which is at -1.",
            e ->
                e.number("align_corners", 0) == 1
                    && IntStream.range(2, e.in(1).size()).anyMatch(i -> e.in(1).getLong(i) == 1)),
        new Known(
            "logistic-of-doubles",
            Kind.VALUES,
            List.of("Sigmoid", "Swish"),
            "float64: results differ by at most 2^-50.",
            "Operators.md, Sigmoid: y = 1 / (1 + exp(-x)). Of a negative x ONNX Runtime"
                + " takes 1 minus the result of -x, which loses the last places: the result of -40"
                + " is 0.",
            e -> e.type() == DType.F64 && e.difference() <= 0x1p-50),
        new Known(
            "statistics-in-half",
            Kind.VALUES,
            List.of("LayerNormalization"),
            "float16: ONNX Runtime's Mean and InvStdDev are rounded to float16.",
            "Operators.md, LayerNormalization, stash_type: the type of Mean and InvStdDev"
                + " and the precision of the first stage; float32 by default, and U is float or"
                + " bfloat16.",
            e -> e.type() == DType.F16 && e.output() > 0 && e.each(i -> near(e, i, 0x1p-10))),
        new Known(
            "mask-of-all",
            Kind.VALUES,
            List.of("Dropout"),
            "The mask of inference before version 12: true in Tersor, false in ONNX Runtime.",
            "Operators.md, Dropout, training_mode (version 12 on): in inference nothing is"
                + " dropped, and the mask contains all ones. Changelog.md: versions 7 and 10 name"
                + " no value of the mask, versions 1 and 6 leave it unfilled in test mode.",
            e -> e.output() == 1 && e.version() < 12),
        new Known(
            "maximum-of-padding",
            Kind.VALUES,
            List.of("MaxPool"),
            "Indices of windows that lie in the padding alone, as dilated ones may: 0 in Tersor, any"
                + " number in ONNX Runtime.",
            "Operators.md, MaxPool: Indices are those of the selected values, do not"
                + " consider padding and are in [0, N x C x D1 x ... x Dn). In such a window no"
                + " value is selected; 0 is in that range, ONNX Runtime's -1 is not.",
            e ->
                e.output() == 1
                    && e.each(i -> isLeast(e.result(0), i) && e.ours().getLong(i) == 0)),
        new Known(
            "causal-after-a-past",
            Kind.VALUES,
            List.of("Attention"),
            "is_causal=1 with past_key: ONNX Runtime lets queries see keys beyond their own position.",
            "Operators.md, Attention, is_causal: query i attends key j if j <= i +"
                + " past_sequence_length. ONNX Runtime fails the suite's cases of it, and passes"
                + " their expanded forms"
                + " (test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal).",
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
            "The mean over no element: NaN in Tersor, 0 in ONNX Runtime.",
            "Operators.md, NegativeLogLikelihoodLoss, reduction: the mean of the loss, by"
                + " ReduceMean in the function body, which is undefined over an empty set"
                + " (ReduceMean). Tersor gives 0 / 0, as ONNX Runtime does where weights sum up to"
                + " 0.",
            e -> e.each(i -> Double.isNaN(e.ours().getDouble(i)) && e.theirs().getDouble(i) == 0)),
        new Known(
            "means-of-padding",
            Kind.VALUES,
            List.of("AveragePool"),
            "Windows whose elements all lie in the padding, which is not counted: NaN in Tersor, 0 in ONNX"
                + " Runtime.",
            "Operators.md, AveragePool, count_include_pad: with 0 the pad is excluded from the mean, which is"
                + " then one over an empty set; the specification's reference code gives NaN.",
            e ->
                e.number("count_include_pad", 0) == 0
                    && e.each(
                        i -> Double.isNaN(e.ours().getDouble(i)) && e.theirs().getDouble(i) == 0)
                    && IntStream.range(0, e.in(0).size())
                        .noneMatch(i -> Double.isNaN(e.in(0).getDouble(i)))),
        new Known(
            "ties-of-states",
            Kind.VALUES,
            List.of("DynamicQuantizeLSTM"),
            "States differ by at most what one code of a hidden state changes.",
            "ContribOperators.md, DynamicQuantizeLSTM: scales and zero points of the"
                + " weights are operands; how it computes is not said. Both quantize the hidden"
                + " states at every step. ONNX Runtime's activations (recurrent-activations) lie"
                + " on the other side of a tie now and then.",
            e -> e.difference() <= 2.0 / 255 * largestWeight(e, 2)),
        new Known(
            "products-of-run-time-codes",
            Kind.VALUES,
            List.of("MatMulNBits"),
            "accuracy_level=4 where codes or scales are given at run time: Tersor rounds A as it does"
                + " for weights; ONNX Runtime does not, or its result is 0 where only the scales are"
                + " given at run time.",
            "ContribOperators.md, MatMulNBits: the weights are a constant matrix;"
                + " accuracy_level is the minimum accuracy of A, which with 4 can be quantized to"
                + " int8. Rounding is allowed and not required. A result of 0 is none of both.",
            e ->
                e.number("accuracy_level", 0) == 4
                    && !(e.isWeight(1) && e.isWeight(2))
                    && e.each(i ->
                        (e.isWeight(1) && e.theirs().getDouble(i) == 0)
                            || Math.abs(e.ours().getDouble(i) - e.theirs().getDouble(i))
                                <= rounding(e))),
        new Known(
            "texts-in-rows",
            Kind.VALUES,
            List.of("Gather"),
            "Strings gathered by rows of several: ONNX Runtime copies the first of each row and leaves"
                + " the others empty.",
            "Operators.md, Gather: output[r, s, q] = data[indices[r, s], q]: whole slices,"
                + " of every type.",
            e -> e.type() == DType.STRING && e.each(i -> e.theirs().strings()[i].isEmpty())),
        new Known(
            "underflow-before-nonzero",
            Set.of(Kind.SHAPE, Kind.REFERENCE_REFUSES),
            List.of(
                "LSTM",
                "GRU",
                "RNN",
                "DynamicQuantizeLSTM",
                "GlobalLpPool",
                "LpPool",
                "LinearRegressor",
                "LinearClassifier",
                "FusedConv"),
            "NonZero after a recurrent layer, a norm, a logistic score or the Sigmoid of a FusedConv:"
                + " numbers below 1e-6 are 0 in one of both, and what wants their count fails.",
            "No precision is named for these operators. As recurrent-activations: ONNX"
                + " Runtime's approximations have an absolute error near 1e-7; squares of small"
                + " numbers have no place in float32, in which it sums them; the logistic of a"
                + " negative score is 1 minus that of its magnitude, which rounds to 1.",
            e ->
                e.small().operators().contains("NonZero")
                    && (!e.node().op().type().equals("FusedConv")
                        || e.word("activation", "").equals("Sigmoid"))
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
            "Operators.md, GridSample, Resize: positions are real numbers; no precision is"
                + " named. ONNX Runtime computes them in float32 where Tersor takes float64; a"
                + " bicubic kernel amplifies the difference.",
            e -> e.type().isFloat() && e.difference() < 1e-5),
        new Known(
            "powers-of-neighbours",
            Kind.VALUES,
            List.of("LRN"),
            "Results differ by less than 2^-18 of the largest.",
            "Operators.md, LRN: x / (bias + alpha / size * square_sum)^beta. ONNX Runtime"
                + " makes the sum of a channel from that of the channel before, by adding one"
                + " square and subtracting another, and takes the power in float32.",
            e -> e.difference() <= 0x1p-18 * Evidence.largest(e.ours())),
        new Known(
            "scores-of-attention",
            Kind.VALUES,
            List.of("QAttention"),
            "Results differ by less than what a rounding of the scores changes.",
            "ContribOperators.md, QAttention: multi-head self attention of numbers whose"
                + " codes are given; no precision is named. A score of S has a float32 error near"
                + " 2^-24 S, which is the relative error of its exponential.",
            e -> e.difference() <= 0x1p-22 * scores(e) * Evidence.largest(e.ours())));
  }

  /** Whether an element is the least that its type can hold. */
  private static boolean isLeast(Optional<Tensor> values, int i) {
    return values
        .map(tensor -> {
          DType type = tensor.dtype();
          double least = type.isFloat() ? Double.NEGATIVE_INFINITY : type.minValue();
          return tensor.getDouble(i) == least;
        })
        .orElse(false);
  }

  /** What no score of a QAttention exceeds: products of queries and keys of its operands' codes. */
  private static double scores(Evidence e) {
    double rows = e.in(1).shape()[0];
    double step = Evidence.largest(e.in(3)) * Evidence.largest(e.in(4));
    double number = rows * 255 * 255 * step + Evidence.largest(e.in(2));
    double head = e.in(1).shape()[1] / 3.0 / e.number("num_heads", 1);
    return number * number * Math.sqrt(head);
  }

  /** What rounding A to 127ths of the largest of a block can change. */
  private static double rounding(Evidence e) {
    long zero = 1L << (e.number("bits", 4) - 1);
    double weight = Evidence.largest(e.in(2)) * 2 * zero;
    return e.number("K", 1) * weight * Evidence.largest(e.in(0)) / 127;
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
    return largest * Evidence.largest(e.in(10));
  }

  /** Whether two numbers agree but for a part of the larger one. */
  private static boolean near(Evidence e, int i, double part) {
    double ours = e.ours().getDouble(i);
    double theirs = e.theirs().getDouble(i);
    double scale = Math.max(1, Math.max(Math.abs(ours), Math.abs(theirs)));
    return Math.abs(ours - theirs) <= part * scale;
  }
}
