package org.tersor.conformance.diff;

import java.util.List;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.diff.KnownDifferences.Known;
import org.tersor.runtime.DType;

/** Nodes that one side refuses. */
final class KnownRefusals {
  private KnownRefusals() {}

  static List<Known> table() {
    return List.of(
        new Known(
            "modulus-of-floats",
            "Mod",
            "Tersor accepts floats with fmod=0.",
            "Operators.md, Mod: fmod must be 1 for floating point operands. ONNX Runtime refuses;"
                + " Tersor gives the sign of the divisor as it does for integers.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Mod")
                    && e.type().isFloat()
                    && e.number("fmod", 0) == 0),
        new Known(
            "padding-of-the-whole-window",
            "AveragePool, MaxPool, LpPool",
            "Pads as wide as the kernel.",
            "Operators.md, pads: values of at least 0, no upper bound. ONNX Runtime refuses those of"
                + " the kernel's size on.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "AveragePool", "MaxPool", "LpPool")
                    && e.says("pool_attributes.h")
                    && widestPad(e) >= narrowestKernel(e)),
        new Known(
            "empty-output-of-a-window",
            "Conv, ConvInteger, ConvTranspose, QLinearConv, QLinearAveragePool, AveragePool, MaxPool,"
                + " LpPool",
            "A kernel larger than its padded input.",
            "Operators.md: the output's extent follows from the sizes and is 0; nothing forbids it."
                + " Tersor gives an empty result, ONNX Runtime refuses the shape.",
            e ->
                e.is(
                        Kind.REFERENCE_REFUSES,
                        "Conv",
                        "ConvInteger",
                        "ConvTranspose",
                        "QLinearConv",
                        "QLinearAveragePool",
                        "AveragePool",
                        "MaxPool",
                        "LpPool")
                    && emptyResult(e)
                    && (e.in(0).size() > 0
                        || e.says("Invalid input shape")
                        || e.says("Computed output dimension is <= 0"))),
        new Known(
            "operands-of-nothing",
            "DeformConv, AffineGrid, ArrayFeatureExtractor, EmbedLayerNormalization, SkipLayerNormalization,"
                + " SkipSimplifiedLayerNormalization, StringNormalizer",
            "An operand without elements, or a size of 0 that is asked for.",
            "Operators.md names no smallest size. ONNX Runtime's kernels refuse a size of 0 by name;"
                + " Tersor gives the empty result, or what the bias alone gives.",
            e ->
                (e.is(Kind.REFERENCE_REFUSES, "DeformConv")
                        && e.says("must be positive")
                        && empty(e))
                    || (e.is(Kind.REFERENCE_REFUSES, "AffineGrid")
                        && e.says("must be positive")
                        && holdsZero(e.in(1)))
                    || (e.is(Kind.REFERENCE_REFUSES, "ArrayFeatureExtractor")
                        && e.says("num_indices = 0")
                        && e.in(1).size() == 0)
                    || (e.is(Kind.REFERENCE_REFUSES, "EmbedLayerNormalization")
                        && e.says("should have 2 dimensions")
                        && e.in(2).size() == 0)
                    || (e.is(
                            Kind.REFERENCE_REFUSES,
                            "SkipLayerNormalization",
                            "SkipSimplifiedLayerNormalization",
                            "StringNormalizer")
                        && (e.says("must be positive") || e.says("must be greater than 0"))
                        && empty(e))),
        new Known(
            "split-into-empty-parts",
            "Split",
            "num_outputs parts of ceil(size / num_outputs) are more than there is.",
            "Operators.md, Split-18: if the tensor is not equally splittable into num_outputs, the last"
                + " chunk is smaller. Tersor takes what is left, which may be nothing; ONNX Runtime"
                + " subtracts a whole chunk too many and refuses.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Split")
                    && e.has("num_outputs")
                    && (e.says("Cannot split using values")
                        || e.says("Invalid num_outputs value"))),
        new Known(
            "crashes-on-nothing",
            "BiasGelu, LpNormalization, GroupQueryAttention, RoiAlign, DFT, LSTM,"
                + " DynamicQuantizeLSTM",
            "An operand without elements ends ONNX Runtime's process.",
            "Nothing in the specification forbids a dimension of size 0.",
            e ->
                e.is(
                        Kind.REFERENCE_CRASHES,
                        "BiasGelu",
                        "LpNormalization",
                        "GroupQueryAttention",
                        "RoiAlign",
                        "DFT",
                        "LSTM",
                        "DynamicQuantizeLSTM")
                    && empty(e)),
        new Known(
            "functions-in-old-models",
            "LayerNormalization, Gelu",
            "A type for which ONNX Runtime has no kernel, in a model of an opset before 17.",
            "ONNX Runtime writes the function body of opset 17 into the model, whose opset lacks the"
                + " operators of that body (it accepts LayerNormalization from version 1 on). The"
                + " operator means the same in every model.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "LayerNormalization", "Gelu")
                    && e.says("_inlfunc_")
                    && (e.says("No Op registered") || e.says("Mismatched attribute type"))),
        new Known(
            "division-by-zero",
            "Div, Mod",
            "Integers divided by 0.",
            "Operators.md defines no quotient by 0. ONNX Runtime ends the run, Tersor gives a number.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Div", "Mod")
                    && e.type().isInteger()
                    && e.says("zero")
                    && holdsZero(e.in(1))),
        new Known(
            "pooling-of-nothing",
            "GlobalAveragePool, GlobalMaxPool, GlobalLpPool, AveragePool, MaxPool, LpPool,"
                + " LayerNormalization, SimplifiedLayerNormalization, ReduceMean",
            "Input without elements.",
            "Nothing in the specification forbids a dimension of size 0. ONNX Runtime refuses it for"
                + " these operators.",
            e ->
                e.is(
                        Kind.REFERENCE_REFUSES,
                        "GlobalAveragePool",
                        "GlobalMaxPool",
                        "GlobalLpPool",
                        "AveragePool",
                        "MaxPool",
                        "LpPool",
                        "LayerNormalization",
                        "SimplifiedLayerNormalization",
                        "ReduceMean")
                    && e.in(0).size() == 0),
        new Known(
            "unequal-shapes-before-8",
            "Sum, Mean, Max, Min",
            "Before version 8 operands must have equal shapes; Tersor broadcasts.",
            "Changelog.md, Sum-6 and the like: all inputs have the same shape; broadcasting comes with"
                + " version 8.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Sum", "Mean", "Max", "Min")
                    && e.version() < 8
                    && e.says("All inputs must have the same shape")),
        new Known(
            "regions-of-any-size",
            "RoiAlign",
            "sampling_ratio=0 and a region of negative or vast extent.",
            "Operators.md, RoiAlign: the number of samples is ceil(extent / cells), whatever it is."
                + " ONNX Runtime's integers overflow; Tersor visits only samples inside of the image.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "RoiAlign")
                    && e.number("sampling_ratio", 0) == 0
                    && e.says("safeint.h")),
        new Known(
            "scale-of-another-type",
            "QuantizeLinear",
            "The scale's type is not the input's.",
            "Operators.md, QuantizeLinear-23: x and y_scale have type variables of their own. ONNX"
                + " Runtime loads it and fails when it runs.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "QuantizeLinear")
                    && e.version() >= 23
                    && e.in(1).dtype() != e.type()),
        new Known(
            "range-of-pooled-scales",
            "QLinearGlobalAveragePool",
            "Scales whose quotient, divided by the number of elements, ONNX Runtime does not compute.",
            "ContribOperators.md names no bound. ONNX Runtime refuses quotients outside of 2^-32 to"
                + " 256.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "QLinearGlobalAveragePool")
                    && e.says("out of computation range")),
        new Known(
            "functions-of-nothing",
            "GroupNormalization, SoftmaxCrossEntropyLoss, NegativeLogLikelihoodLoss, GridSample",
            "Input without elements.",
            "Nothing in the specification forbids a dimension of size 0; the function bodies reshape"
                + " with 0 and -1, which is ambiguous then. Tersor gives the empty result.",
            e ->
                e.is(
                        Kind.REFERENCE_REFUSES,
                        "GroupNormalization",
                        "SoftmaxCrossEntropyLoss",
                        "NegativeLogLikelihoodLoss",
                        "GridSample")
                    && e.in(0).size() == 0),
        new Known(
            "cubic-integers",
            "Resize",
            "Integers with mode=cubic.",
            "Operators.md, Resize, T1: all types, in every mode. ONNX Runtime accepts integers when"
                + " it loads and has cubic code for float32 only.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Resize")
                    && e.word("mode", "nearest").equals("cubic")
                    && e.type() != DType.F32
                    && e.says("tensor.h")),
        new Known(
            "zero-point-of-small-floats",
            "DequantizeLinear",
            "A zero point of a float8 type that is not zero.",
            "Operators.md, DequantizeLinear: zero points are usually not used with float8, but the"
                + " formula remains the same. ONNX Runtime wants zeros.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "DequantizeLinear")
                    && e.type().isFloat()
                    && e.hasInput(2)
                    && e.says("should have no zero point")),
        new Known(
            "split-into-outputs",
            "Split",
            "Neither split nor num_outputs is given, opset 18 on.",
            "Operators.md, Split-18: one of them should be given. Tersor takes the number of the"
                + " node's outputs as version 13 does, ONNX Runtime refuses.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Split")
                    && e.version() >= 18
                    && !e.hasInput(1)
                    && !e.has("num_outputs")),
        new Known(
            "recurrent-double",
            "LSTM, GRU, RNN",
            "ONNX Runtime accepts float64 and fails when it runs.",
            "Operators.md, T: float16, float or double. ONNX Runtime registers double but has no code"
                + " for it.",
            e -> e.is(Kind.REFERENCE_REFUSES, "LSTM", "GRU", "RNN") && e.type() == DType.F64),
        new Known(
            "pad-with-axes-of-int32",
            "Pad",
            "ONNX Runtime cannot read axes of type int32.",
            "Operators.md, Pad, Tind: int32 or int64. Its shape inference expects int64.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Pad")
                    && e.input(3).map(a -> a.dtype() == DType.I32).orElse(false)
                    && e.says("ParseData type mismatch")),
        new Known(
            "reflection-of-one",
            "Pad",
            "mode=reflect with an axis of one element, or pads as wide as the axis.",
            "Operators.md, Pad: reflect mirrors without the edge, which numpy does for one element by"
                + " repeating it, and for wider pads by going on; the text sets no bound. ONNX Runtime"
                + " refuses both.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Pad")
                    && e.word("mode", "constant").equals("reflect")
                    && (e.says("requires axis length >= 2") || e.says("exceeds maximum allowed"))),
        new Known(
            "softmax-of-vector",
            "Softmax, LogSoftmax, Hardmax",
            "Before opset 13 the default axis is 1, which a vector lacks.",
            "Operators.md, version 11: axis is in [-r, r - 1], where older ones name none: the input"
                + " is coerced to a matrix, and r is a legal position of the cut. ONNX Runtime refuses"
                + " axis = r.",
            e ->
                e.is(Kind.REFERENCE_REFUSES, "Softmax", "LogSoftmax", "Hardmax")
                    && e.version() < 13
                    && e.number("axis", 1) >= e.in(0).rank()));
  }

  /** Whether an operand has no elements. */
  private static boolean empty(Evidence e) {
    return java.util.stream.IntStream.range(0, e.node().inputs().size())
        .anyMatch(i -> e.input(i).map(tensor -> tensor.size() == 0).orElse(false));
  }

  private static boolean holdsZero(org.tersor.runtime.Tensor numbers) {
    return java.util.stream.IntStream.range(0, numbers.size())
        .anyMatch(i -> numbers.getDouble(i) == 0);
  }

  private static boolean emptyResult(Evidence e) {
    org.tersor.runtime.Tensor result = e.small().values().get(e.node().output(0));
    return result != null && result.size() == 0;
  }

  private static long widestPad(Evidence e) {
    return e.numbers("pads").stream().mapToLong(Long::longValue).max().orElse(0);
  }

  private static long narrowestKernel(Evidence e) {
    return e.numbers("kernel_shape").stream().mapToLong(Long::longValue).min().orElse(0);
  }
}
