package org.tersor.conformance.diff;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.diff.KnownDifferences.Known;

/** Known differences of shapes, and of what has no elements. */
final class KnownShapes {
  private static final List<String> POOLS =
      List.of("AveragePool", "MaxPool", "LpPool", "QLinearAveragePool");

  private KnownShapes() {}

  /** Whether a product has no terms: an operand without elements gives a result that has some. */
  private static boolean overNothing(Evidence e) {
    boolean data = e.in(0).size() == 0 && e.in(0).rank() > 0;
    boolean result = e.result(0).map(tensor -> tensor.size() > 0).orElse(false);
    return data || (e.hasEmptyOperand() && result);
  }

  private static boolean hasNoResult(Evidence e) {
    return e.result(0).map(tensor -> tensor.size() == 0).orElse(false);
  }

  private static boolean windowsBeyond(Evidence e) {
    return switch (e.finding().kind()) {
      case SHAPE ->
          e.isAlone()
              && IntStream.range(0, e.ours().rank())
                  .allMatch(d ->
                      e.ours().shape()[d] == e.theirs().shape()[d]
                          || (e.ours().shape()[d] == 0 && e.theirs().shape()[d] == 1));
      case WE_REFUSE ->
          e.in(0).size() > 0
              && (e.isAlone()
                  ? e.says("the kernel does not fit")
                  : hasNoResult(e) && e.says("of no elements"));
      default ->
          !e.isAlone()
              && e.in(0).size() > 0
              && hasNoResult(e)
              && (e.says("ShapeInferenceError")
                  || e.says("should have same length")
                  || e.says("must have shape"));
    };
  }

  static List<Known> table() {
    return List.of(
        new Known(
            "pictures-of-their-size",
            Kind.VALUES,
            List.of("Upsample"),
            "Scales above 1 that leave every extent as it is: ONNX Runtime copies the input.",
            "Operators.md, Upsample: output_dimension = floor(input_dimension * scale), and an algorithm that"
                + " takes the nearest element. Resize-10, which took its place, has x_original = x_resized / scale,"
                + " whatever the extents are.",
            e ->
                Arrays.equals(e.theirs().shape(), e.in(0).shape())
                    && e.each(i -> e.theirs().getDouble(i) == e.in(0).getDouble(i))),
        new Known(
            "shape-of-nonzero-of-scalar",
            Kind.SHAPE,
            List.of("NonZero"),
            "The positions in a scalar have the shape [0, N]; ONNX Runtime has [1, N].",
            "Operators.md, NonZero: unlike numpy, a scalar gives the shape (0, N) and not (1, N).",
            e -> e.in(0).rank() == 0),
        new Known(
            "windows-beyond-the-input",
            Set.of(Kind.SHAPE, Kind.WE_REFUSE, Kind.REFERENCE_REFUSES),
            POOLS,
            "A window larger than its padded input: Tersor gives no output, which ArgMax"
                + " refuses, or refuses an extent below 0;"
                + " ONNX Runtime gives one, or infers one that what reads it does not fit.",
            "Operators.md, output_spatial_shape: floor((input + pads - dilation * (kernel -"
                + " 1) - 1) / strides + 1), which is 0 or less there. The division of ONNX"
                + " Runtime, and of the specification's shape inference, truncates towards zero"
                + " instead.",
            KnownShapes::windowsBeyond,
            true),
        new Known(
            "last-window-in-the-padding",
            Set.of(Kind.REFERENCE_REFUSES),
            List.of("AveragePool", "LpPool", "MaxPool"),
            "ceil_mode=1 with a last window that starts beyond the input: ONNX Runtime leaves it out, as"
                + " Tersor does, but infers a shape with it, which what reads the result does not fit.",
            "Operators.md, MaxPool and AveragePool (version 22): windows that would start"
                + " in the right padded region are ignored, which the specification's shape"
                + " inference does from version 22 on, for LpPool, too. Older versions do not say"
                + " so; both engines leave out the window there, too, which would hold nothing but"
                + " padding.",
            e -> !e.isAlone() && e.number("ceil_mode", 0) == 1 && e.says("ShapeInferenceError"),
            true),
        new Known(
            "unique-nan",
            Set.of(Kind.SHAPE, Kind.VALUES, Kind.REFERENCE_REFUSES),
            List.of("Unique"),
            "The input holds NaN: how many of them are unique differs, and what wants their count fails;"
                + " also in chains.",
            "Operators.md, Unique: nothing is said of NaN. numpy.unique, to which the text links,"
                + " takes all NaN as one element and slices with NaN as different, and so does"
                + " Tersor. In ONNX Runtime NaN equals every number: NaN, 1, NaN, 2 are one.",
            e ->
                e.type().isFloat()
                    && IntStream.range(0, e.in(0).size())
                        .anyMatch(i -> Double.isNaN(e.in(0).getDouble(i))),
            true),
        new Known(
            "regression-of-nothing",
            Kind.SHAPE,
            List.of("LinearRegressor"),
            "Samples without features: ONNX Runtime gives results for another number of samples.",
            "Operators-ml.md, LinearRegressor: as many results as targets for each input n"
                + " in N.",
            e -> e.in(0).size() == 0),
        new Known(
            "empty-arg-max",
            Set.of(Kind.SHAPE, Kind.REFERENCE_REFUSES),
            List.of("ArgMax", "ArgMin"),
            "An empty input keeps the size of its reduced axis in ONNX Runtime, and what wants another"
                + " shape fails; also in chains.",
            "Operators.md, ArgMax: one index for each slice along the axis; keepdims keeps"
                + " the reduced dimension (then of size 1) or prunes it. The other sizes do not"
                + " count.",
            e -> e.in(0).size() == 0 && (!e.isAlone() || e.finding().kind() == Kind.SHAPE),
            true),
        new Known(
            "product-of-nothing",
            Set.of(Kind.VALUES, Kind.SHAPE, Kind.REFERENCE_HANGS),
            List.of(
                "Gemm",
                "FusedGemm",
                "MatMulIntegerToFloat",
                "MatMul",
                "FusedMatMul",
                "MatMulInteger",
                "DynamicQuantizeMatMul",
                "QGemm",
                "QLinearConv",
                "Conv",
                "FusedConv",
                "QLinearMatMul",
                "ConvInteger",
                "ConvTranspose",
                "QAttention",
                "LSTM",
                "GRU",
                "RNN",
                "DynamicQuantizeLSTM"),
            "A product over no elements: ONNX Runtime gives C instead of beta * C, what was in memory,"
                + " or does not come back; also in chains.",
            "Operators.md, Gemm: Y = alpha * A' * B' + beta * C, where the sum over nothing"
                + " is 0; MatMul: as numpy.matmul, LSTM and the like: Xt*(W^T), the same.",
            e -> overNothing(e),
            true),
        new Known(
            "reduction-of-nothing",
            Set.of(Kind.SHAPE, Kind.VALUES, Kind.REFERENCE_REFUSES),
            List.of(
                "ReduceProd",
                "ReduceSum",
                "ReduceMax",
                "ReduceMin",
                "ReduceMean",
                "ReduceL1",
                "ReduceL2",
                "ReduceSumSquare",
                "ReduceLogSum",
                "ReduceLogSumExp"),
            "An input without elements: ONNX Runtime keeps the size of an axis that is reduced, and"
                + " what wants another shape fails; also in chains. Of axes given at run time the mean is 0"
                + " instead of NaN.",
            "Operators.md, the reductions: keepdims keeps the reduced dimension or prunes"
                + " it, and the text names what an empty set gives, as 0 of ReduceSum; of ReduceMean it is"
                + " undefined.",
            e ->
                e.in(0).size() == 0
                    && switch (e.finding().kind()) {
                      case SHAPE -> true;
                      case VALUES ->
                          e.isAlone()
                              && e.each(i ->
                                  Double.isNaN(e.ours().getDouble(i))
                                      && e.theirs().getDouble(i) == 0);
                      default -> !e.isAlone();
                    },
            true),
        new Known(
            "heads-of-nothing",
            Set.of(Kind.SHAPE, Kind.REFERENCE_REFUSES),
            List.of("MultiHeadAttention", "Attention"),
            "A hidden size of 0: ONNX Runtime's result has the size 1, and what wants another shape"
                + " fails; also in chains.",
            "ContribOperators.md, Attention, MultiHeadAttention: the last dimension of the"
                + " output is v_hidden_size, which is 0.",
            e ->
                e.node().op().domain().equals("com.microsoft")
                    && e.hasEmptyOperand()
                    && (!e.isAlone() || e.finding().kind() == Kind.SHAPE),
            true),
        new Known(
            "statistics-of-all-axes",
            Set.of(Kind.SHAPE, Kind.REFERENCE_REFUSES),
            List.of("LayerNormalization"),
            "axis=0 where ONNX Runtime runs the function body: Mean and InvStdDev are scalars, and"
                + " what wants their rank fails; also in chains.",
            "Operators.md, LayerNormalization: the shape of Mean and InvStdDev is [d[0], ...,"
                + " d[axis-1], 1, ..., 1].",
            e ->
                (e.number("axis", -1) == 0 || e.number("axis", -1) == -e.in(0).rank())
                    && e.finding()
                        .mismatch()
                        .map(m -> e.isAlone() && e.output() > 0 && m.theirs().rank() == 0)
                        .orElseGet(() -> e.says("not in valid range [-1,0]")),
            true));
  }
}
