package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.tersor.conformance.diff.Finding.Kind;

/**
 * Differences between Tersor and ONNX Runtime that are known, with the reason. They are counted,
 * never dropped; {@code docs/differences.md} is {@link #markdown}.
 */
final class KnownDifferences {
  private static final List<String> FLOATS = List.of("f16", "bf16", "f32", "f64", "f8");
  private static final List<String> RECURRENT = List.of("LSTM", "GRU", "RNN");
  private static final List<String> WINDOWS =
      List.of("BlackmanWindow", "HammingWindow", "HannWindow");
  private static final List<String> REDUCTIONS =
      List.of(
          "ReduceL1",
          "ReduceL2",
          "ReduceLogSum",
          "ReduceLogSumExp",
          "ReduceSumSquare",
          "ReduceProd",
          "ReduceSum",
          "ReduceMean");

  private KnownDifferences() {}

  /**
   * One difference.
   *
   * @param what the difference
   * @param why what the specification says, and who is right
   * @param rule which findings it explains
   */
  record Known(String id, String operators, String what, String why, Predicate<Finding> rule) {}

  private static boolean is(Finding finding, Kind kind, List<String> operators) {
    return finding.kind() == kind && operators.contains(finding.operator());
  }

  private static boolean startsWithFloat(Finding finding) {
    return FLOATS.stream().anyMatch(finding.type()::startsWith);
  }

  /** The table. */
  static List<Known> table() {
    return List.of(
        new Known(
            "cast-out-of-range",
            "Cast, CastLike",
            "A float outside of an integer type's range becomes another integer.",
            "Cast: a conversion to an integer type that cannot hold the number is undefined."
                + " Tersor truncates and keeps the low bits of the 64-bit integer; ONNX Runtime"
                + " gives what the processor's instruction gives.",
            f ->
                is(f, Kind.VALUES, List.of("Cast", "CastLike"))
                    && startsWithFloat(f)
                    && f.detail().contains("the reference has")),
        new Known(
            "integer-reductions",
            String.join(", ", REDUCTIONS),
            "Sums and logarithms of integers that overflow or are not finite.",
            "The specification defines neither overflow nor the logarithm of zero for integers."
                + " Tersor wraps around and converts an infinity to 0, ONNX Runtime saturates or"
                + " gives the smallest integer.",
            f -> is(f, Kind.VALUES, REDUCTIONS) && !startsWithFloat(f)),
        new Known(
            "windows-in-double",
            String.join(", ", WINDOWS),
            "Coefficients differ by 1e-8 where the output is float64 or near zero, integers by 1.",
            "The function body of the specification computes in float32 whatever output_datatype"
                + " says, and ONNX Runtime runs that body; Tersor computes in the precision of the"
                + " output.",
            f ->
                is(f, Kind.VALUES, WINDOWS)
                    && (f.difference() < 1e-6 || f.detail().contains("output_datatype"))),
        new Known(
            "recurrent-activations",
            String.join(", ", RECURRENT),
            "States differ by less than 2e-6.",
            "Sigmoid and Tanh are approximated inside of ONNX Runtime's recurrent kernels with an"
                + " absolute error near 1e-7, which the steps accumulate.",
            f -> is(f, Kind.VALUES, RECURRENT) && f.difference() < 2e-6),
        new Known(
            "modulus-of-floats",
            "Mod",
            "Tersor accepts floats with fmod=0.",
            "Mod: \"fmod ... must be 1 for floating point types\". ONNX Runtime refuses, Tersor"
                + " gives the sign of the divisor as it does for integers.",
            f -> is(f, Kind.REFERENCE_REFUSES, List.of("Mod")) && startsWithFloat(f)),
        new Known(
            "nonzero-of-scalar",
            "NonZero",
            "The positions in a scalar have the shape [0, N]; ONNX Runtime has [1, N].",
            "NonZero: \"for a scalar input, NonZero produces output shape (0, N) instead of"
                + " (1, N)\". Tersor does that.",
            f ->
                f.kind() == Kind.SHAPE
                    && f.operator().endsWith("NonZero")
                    && f.detail().contains("[0, 1] but the reference has i64[1, 1]")),
        new Known(
            "variance-of-one",
            "MeanVarianceNormalization, InstanceNormalization",
            "One element: Tersor's deviation is exactly zero; ONNX Runtime has a rounding error of"
                + " it, or NaN.",
            "The mean of one number is that number, so that the result is the bias. ONNX Runtime"
                + " subtracts E[x]^2 from E[x^2], or scale * mean after multiplying, in float32.",
            f -> is(f, Kind.VALUES, List.of("MeanVarianceNormalization", "InstanceNormalization"))),
        new Known(
            "padding-of-the-whole-window",
            "AveragePool, MaxPool, LpPool",
            "Windows that lie in the padding as a whole.",
            "The specification does not forbid pads as wide as the kernel; ONNX Runtime refuses"
                + " them, Tersor computes.",
            f ->
                is(f, Kind.REFERENCE_REFUSES, List.of("AveragePool", "MaxPool", "LpPool"))
                    && f.detail().contains("pool_attributes.h")),
        new Known(
            "empty-output-of-convolution",
            "Conv, ConvInteger, QLinearConv",
            "A kernel larger than its padded input.",
            "The output has no elements, which Tersor gives; ONNX Runtime refuses the shape.",
            f ->
                is(f, Kind.REFERENCE_REFUSES, List.of("Conv", "ConvInteger", "QLinearConv"))
                    && f.detail().contains("Invalid input shape")),
        new Known(
            "split-into-outputs",
            "Split",
            "Neither split nor num_outputs is given, opset 18 on.",
            "Split: \"either input 'split' or the attribute 'num_outputs' should be specified\"."
                + " Tersor takes the number of the node's outputs instead of refusing.",
            f -> is(f, Kind.REFERENCE_REFUSES, List.of("Split"))),
        new Known(
            "float-constants-of-doubles",
            "Gelu, Shrink, GroupNormalization, QuickGelu",
            "float64 (and Gelu near zero) differs by less than 1e-6.",
            "ONNX Runtime computes with float32 constants, for GroupNormalization as stash_type says"
                + " by default; Tersor computes in the type of the operands or wider.",
            f ->
                is(f, Kind.VALUES, List.of("Gelu", "Shrink", "GroupNormalization", "QuickGelu"))
                    && f.difference() < 1e-6),
        new Known(
            "windows-beyond-the-input",
            "AveragePool, MaxPool, LpPool",
            "A window larger than its padded input: Tersor gives no output, ONNX Runtime one.",
            "\"output_spatial_shape[i] = floor((input_spatial_shape[i] + pad_shape[i] - ...) /"
                + " strides[i] + 1)\" is 0 there; ONNX Runtime divides with truncation.",
            f ->
                is(f, Kind.SHAPE, List.of("AveragePool", "MaxPool", "LpPool"))
                    && f.detail().contains(" 0")),
        new Known(
            "empty-arg-max",
            "ArgMax, ArgMin",
            "An empty input keeps its reduced axis in ONNX Runtime.",
            "keepdims: \"Keep the reduced dimension or not, default 1 means keep reduced"
                + " dimension\", with size 1 whatever the other sizes are.",
            f -> is(f, Kind.SHAPE, List.of("ArgMax", "ArgMin")) && f.detail().contains("0")),
        new Known(
            "product-of-nothing",
            "Gemm",
            "A product over no elements: ONNX Runtime gives C instead of beta * C.",
            "Gemm: \"Y = alpha * A' * B' + beta * C\", where the sum is 0.",
            f -> is(f, Kind.VALUES, List.of("Gemm")) && f.detail().contains("beta")),
        new Known(
            "old-versions-are-stricter",
            "Gemm before 11, Min, Max, Sum, Mean before 8",
            "Tersor accepts what later versions allow: no C, operands that broadcast.",
            "Old versions demand C, and equal shapes.",
            f ->
                is(f, Kind.REFERENCE_REFUSES, List.of("Gemm", "Min", "Max", "Sum", "Mean"))
                    && (f.detail().startsWith("version 6")
                        || f.detail().startsWith("version 7")
                        || f.detail().startsWith("version 9"))),
        new Known(
            "recurrent-double",
            String.join(", ", RECURRENT),
            "ONNX Runtime accepts float64 and fails when it runs.",
            "T is float16, float or double; it has no code for double.",
            f -> is(f, Kind.REFERENCE_REFUSES, RECURRENT) && f.type().startsWith("f64")),
        new Known(
            "reversed-axes",
            "ReverseSequence",
            "batch_axis and time_axis are the same.",
            "The specification wants one to be 0 and the other 1; Tersor does not check it.",
            f -> is(f, Kind.REFERENCE_REFUSES, List.of("ReverseSequence"))),
        new Known(
            "sampled-positions",
            "GridSample",
            "Samples differ by less than 1e-5.",
            "Positions are computed in float32 by ONNX Runtime, in float64 by Tersor; a bicubic"
                + " kernel amplifies the difference.",
            f -> is(f, Kind.VALUES, List.of("GridSample")) && f.difference() < 1e-5),
        new Known(
            "pad-of-booleans-with-axes",
            "Pad",
            "ONNX Runtime cannot read axes of type int32.",
            "Pad: Tind is int32 or int64. Its shape inference expects int64 (\"ParseData type"
                + " mismatch\").",
            f ->
                is(f, Kind.REFERENCE_REFUSES, List.of("Pad"))
                    && f.detail().contains("ParseData type mismatch")));
  }

  /** The id of what explains a finding. */
  static Optional<String> explain(Finding finding) {
    return table().stream().filter(k -> k.rule().test(finding)).map(Known::id).findFirst();
  }

  /** The table as a document. */
  static String markdown() {
    StringBuilder text = new StringBuilder();
    text.append(
        """
        # Differences to ONNX Runtime

        `./tersor difftest` makes up small graphs and compares results with ONNX Runtime. Made from `KnownDifferences`:
        what is listed is counted by its name there, anything else fails.

        | name | operators | difference | reason |
        |---|---|---|---|
        """);
    for (Known known : table()) {
      text.append("| ")
          .append(known.id())
          .append(" | ")
          .append(known.operators())
          .append(" | ")
          .append(known.what())
          .append(" | ")
          .append(known.why())
          .append(" |\n");
    }
    return text.toString();
  }
}
