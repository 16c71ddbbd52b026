package org.tersor.conformance.diff;

import java.util.List;
import java.util.Set;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.diff.KnownDifferences.Known;
import org.tersor.ir.graph.Attribute;
import org.tersor.runtime.DType;

/** Nodes that one side refuses. */
final class KnownRefusals {
  private KnownRefusals() {}

  static List<Known> table() {
    return List.of(
        new Known(
            "modulus-of-floats",
            Kind.REFERENCE_REFUSES,
            List.of("Mod"),
            "Tersor accepts floats with fmod=0.",
            "Operators.md, Mod: with fmod=0 T is constrained to integers. ONNX Runtime"
                + " refuses; Tersor gives the sign of the divisor as it does for integers.",
            e -> e.type().isFloat() && e.number("fmod", 0) == 0),
        new Known(
            "functions-in-mapped-bodies",
            Set.of(Kind.REFERENCE_REFUSES),
            List.of("SequenceMap"),
            "A body with an operator that is a function: ONNX Runtime writes both out, and refuses the"
                + " order of the nodes that it made.",
            "Operators.md, SequenceMap, body: the graph to be run for each sample in the sequence(s); no"
                + " operator is excluded.",
            e ->
                (e.says("must be topologically sorted, however input '_inlfunc_")
                        || (e.says("_inlfunc_SequenceMap")
                            && e.says("is not output of any previous nodes")))
                    && e.node().attributes().values().stream()
                        .anyMatch(value -> value instanceof Attribute.GraphAttr),
            true),
        new Known(
            "shapes-in-mapped-bodies",
            Set.of(Kind.REFERENCE_REFUSES),
            List.of("SequenceMap"),
            "A body with an operator that must know a shape: ONNX Runtime does not know those of the"
                + " sequence's elements.",
            "Operators.md, SequenceMap: a function whose Loop takes the elements by SequenceAt, with the"
                + " type of the sequence's elements; inference may leave a shape out, which forbids nothing.",
            e -> e.says("_inlfunc_SequenceMap") && e.says("ShapeInferenceError"),
            true),
        new Known(
            "padding-of-the-whole-window",
            Kind.REFERENCE_REFUSES,
            List.of("AveragePool", "MaxPool", "LpPool"),
            "Pads as wide as the kernel.",
            "Operators.md, pads: any value greater than or equal to 0. ONNX Runtime refuses"
                + " those of the kernel's size on.",
            e -> e.says("pool_attributes.h") && widestPad(e) >= narrowestKernel(e)),
        new Known(
            "empty-output-of-a-window",
            Kind.REFERENCE_REFUSES,
            List.of(
                "Conv",
                "FusedConv",
                "CausalConvWithState",
                "ConvInteger",
                "ConvTranspose",
                "QLinearConv",
                "QLinearAveragePool",
                "AveragePool",
                "MaxPool",
                "LpPool"),
            "A kernel larger than its padded input.",
            "Operators.md: the output's extent follows from the sizes and is 0; nothing forbids it."
                + " Tersor gives an empty result, ONNX Runtime refuses the shape.",
            e ->
                emptyResult(e)
                    && (e.in(0).size() > 0
                        || e.says("Invalid input shape")
                        || e.says("Computed output dimension is <= 0"))),
        new Known(
            "operands-of-nothing",
            Kind.REFERENCE_REFUSES,
            List.of(
                "DeformConv",
                "AffineGrid",
                "ArrayFeatureExtractor",
                "EmbedLayerNormalization",
                "SkipLayerNormalization",
                "SkipSimplifiedLayerNormalization",
                "RMSNormalization",
                "Attention",
                "Resize",
                "MatMul",
                "LinearClassifier",
                "GatherElements",
                "StringNormalizer"),
            "An operand without elements, or a size of 0 that is asked for.",
            "Operators.md names no smallest size. ONNX Runtime's kernels refuse a size of 0 by name;"
                + " Tersor gives the empty result, or what the bias alone gives.",
            e ->
                (e.hasEmptyOperand() || emptyResult(e))
                    && (e.says("must be positive")
                        || e.says("must be greater than 0")
                        || e.says("must be at least 1, got 0")
                        || e.says("Scale value should be greater than 0")
                        || e.says("operand cannot broadcast")
                        || e.says("num_indices = 0")
                        || e.says("!coefficients_.empty()")
                        || e.says("shape should have values within bounds")
                        || e.says("either[C > 0] or [1][C > 0]")
                        || e.says("should have 2 dimensions"))),
        new Known(
            "results-never-made",
            Set.of(Kind.REFERENCE_REFUSES),
            List.of("QLinearSoftmax"),
            "An input without elements: ONNX Runtime makes no result, and the node that reads it"
                + " fails.",
            "ContribOperators.md: the output has the shape of the input.",
            e ->
                e.in(0).size() == 0
                    && (e.says("Trying to get a TensorSeq, but got: (null)")
                        || e.node().outputs().stream()
                            .anyMatch(output -> e.says("Missing Input: " + output.name()))),
            true),
        new Known(
            "memory-of-another-shape",
            Set.of(Kind.REFERENCE_REFUSES),
            List.of(),
            "A result gets memory that ONNX Runtime planned for another shape, and the run ends.",
            "Shapes are those that its own kernels give, too: they are not those of its shape"
                + " inference (as of the second output of SimplifiedLayerNormalization).",
            e ->
                e.says("Shape mismatch attempting to re-use buffer")
                    || e.says("with pre-allocated output OrtValues"),
            true),
        new Known(
            "inferred-statistics",
            Set.of(Kind.REFERENCE_REFUSES),
            List.of("SimplifiedLayerNormalization"),
            "What reads the second output is refused for a shape that it does not have.",
            "No document describes it. The kernel makes dimensions 1 from axis on, as"
                + " LayerNormalization's text does; ONNX Runtime's shape inference gives another"
                + " shape, from which later nodes are checked.",
            e ->
                e.node().outputs().size() > 1
                    && e.node().output(1).isPresent()
                    && e.says("ShapeInferenceError"),
            true),
        new Known(
            "numbers-only",
            Set.of(Kind.REFERENCE_REFUSES),
            List.of("Binarizer"),
            "ONNX Runtime refuses NaN; also one that an operator before it made.",
            "Operators-ml.md, Binarizer, threshold: values greater than it are mapped to 1,"
                + " others to 0; NaN is not greater.",
            e -> e.says("is NaN"),
            true),
        new Known(
            "short-caches",
            Kind.REFERENCE_REFUSES,
            List.of("RotaryEmbedding"),
            "Sequences longer than the caches, with positions that lie inside.",
            "Operators.md, RotaryEmbedding: the caches have max_position_id_plus_1 rows,"
                + " which position_ids index; nothing forbids that a position comes twice.",
            e -> e.hasInput(3) && e.says("Updating cos_cache and sin_cache")),
        new Known(
            "split-into-empty-parts",
            Kind.REFERENCE_REFUSES,
            List.of("Split"),
            "num_outputs parts of ceil(size / num_outputs) are more than there is.",
            "Operators.md, Split-18: if the tensor is not evenly splittable into"
                + " num_outputs, the last chunk is smaller. Tersor takes what is left, which may"
                + " be nothing; ONNX Runtime subtracts a whole chunk too many and refuses.",
            e ->
                e.has("num_outputs")
                    && (e.says("Cannot split using values")
                        || e.says("Invalid num_outputs value"))),
        new Known(
            "crashes-on-nothing",
            Set.of(Kind.REFERENCE_CRASHES),
            List.of(),
            "An operand without elements ends ONNX Runtime's process; also in chains.",
            "Nothing in the specification forbids a dimension of size 0.",
            Evidence::hasEmptyOperand,
            true),
        new Known(
            "shapes-known-before",
            Set.of(Kind.REFERENCE_REFUSES),
            List.of("EmbedLayerNormalization"),
            "ONNX Runtime wants to know shapes before it runs, where its inference does not tell them;"
                + " also in chains.",
            "ContribOperators.md says nothing of it.",
            e -> e.says("must have a non null shape") || e.says("dimension size known"),
            true),
        new Known(
            "functions-in-old-models",
            Kind.REFERENCE_REFUSES,
            List.of("LayerNormalization", "Gelu"),
            "A type for which ONNX Runtime has no kernel, in a model of an opset before 17.",
            "ONNX Runtime writes the function body of a later opset (17 for"
                + " LayerNormalization) into the model, whose opset lacks the operators of that"
                + " body (it accepts LayerNormalization from version 1 on). The operator means the"
                + " same in every model.",
            e ->
                e.says("_inlfunc_")
                    && (e.says("No Op registered")
                        || e.says("Mismatched attribute type")
                        || e.says("Error Node with schema"))),
        new Known(
            "division-by-zero",
            Kind.REFERENCE_REFUSES,
            List.of("Div", "Mod"),
            "Integers divided by 0.",
            "Operators.md, Div, Mod: of integers no quotient and no remainder by 0 is"
                + " defined. ONNX Runtime ends the run, Tersor gives a number.",
            e -> e.type().isInteger() && e.says("zero") && holdsZero(e.in(1))),
        new Known(
            "pooling-of-nothing",
            Kind.REFERENCE_REFUSES,
            List.of(
                "GlobalAveragePool",
                "GlobalMaxPool",
                "GlobalLpPool",
                "AveragePool",
                "MaxPool",
                "LpPool",
                "LayerNormalization",
                "SimplifiedLayerNormalization",
                "ReduceMean"),
            "Input without elements.",
            "Nothing in the specification forbids a dimension of size 0; the text of"
                + " ReduceMean calls the mean of an empty set undefined and does not forbid it."
                + " ONNX Runtime refuses it for these operators.",
            e -> e.in(0).size() == 0),
        new Known(
            "unequal-shapes-before-8",
            Kind.REFERENCE_REFUSES,
            List.of("Sum", "Mean", "Max", "Min"),
            "Before version 8 operands must have equal shapes; Tersor broadcasts.",
            "Changelog.md, Sum-6 and the like: all inputs and outputs must have the same"
                + " shape; broadcasting comes with version 8. Tersor accepts more than it must.",
            e -> e.version() < 8 && e.says("All inputs must have the same shape")),
        new Known(
            "regions-of-any-size",
            Kind.REFERENCE_REFUSES,
            List.of("RoiAlign"),
            "sampling_ratio=0 and a region of negative or vast extent.",
            "Operators.md, RoiAlign, sampling_ratio=0: ceil(roi_width / output_width)"
                + " points; no bound is named. ONNX Runtime's integers overflow; Tersor visits"
                + " only samples inside of the image.",
            e -> e.number("sampling_ratio", 0) == 0 && e.says("safeint.h")),
        new Known(
            "scale-of-another-type",
            Kind.REFERENCE_REFUSES,
            List.of("QuantizeLinear"),
            "The scale's type is not the input's.",
            "Operators.md, QuantizeLinear (version 23 on): x and y_scale are allowed to"
                + " have different types. ONNX Runtime loads it and fails when it runs.",
            e -> e.version() >= 23 && e.in(1).dtype() != e.type()),
        new Known(
            "range-of-pooled-scales",
            Kind.REFERENCE_REFUSES,
            List.of("QLinearGlobalAveragePool"),
            "Scales whose quotient, divided by the number of elements, ONNX Runtime does not compute.",
            "ContribOperators.md, QLinearGlobalAveragePool, names no bound. ONNX Runtime"
                + " refuses quotients outside of 2^-32 to 256.",
            e -> e.says("out of computation range")),
        new Known(
            "functions-of-nothing",
            Kind.REFERENCE_REFUSES,
            List.of(
                "GroupNormalization",
                "SoftmaxCrossEntropyLoss",
                "NegativeLogLikelihoodLoss",
                "GridSample",
                "Attention"),
            "Input without elements.",
            "Nothing in the specification forbids a dimension of size 0. The function"
                + " bodies of GroupNormalization and SoftmaxCrossEntropyLoss reshape with 0 and"
                + " -1, which is ambiguous then; ONNX Runtime's GridSample wants pixels to sample."
                + " Tersor gives the empty result, or that of samples outside of the picture; where"
                + " nothing is attended to, Attention gives 0.",
            e ->
                e.in(0).size() == 0
                    || (e.node().op().is("Attention")
                        && e.hasEmptyOperand()
                        && e.says("cannot be reshaped"))),
        new Known(
            "cubic-axes",
            Kind.REFERENCE_REFUSES,
            List.of("Resize", "Upsample"),
            "mode=cubic of other axes than two of pictures, or of pictures that shrink.",
            "Operators.md, Resize, mode: cubic is an interpolation of N dimensions. ONNX Runtime has code for"
                + " pictures that grow only.",
            e -> e.word("mode", "nearest").equals("cubic") && e.says("'Cubic' mode only supports")),
        new Known(
            "cubic-integers",
            Kind.REFERENCE_REFUSES,
            List.of("Resize"),
            "Integers with mode=cubic.",
            "Operators.md, Resize, T1: all tensor types; no mode is excepted. ONNX Runtime"
                + " accepts integers when it loads and has cubic code for float32 only.",
            e ->
                e.word("mode", "nearest").equals("cubic")
                    && e.type() != DType.F32
                    && e.says("tensor.h")),
        new Known(
            "zero-point-of-small-floats",
            Kind.REFERENCE_REFUSES,
            List.of("DequantizeLinear"),
            "A zero point of a float8 type that is not zero.",
            "Operators.md, DequantizeLinear: zero points are usually not used with float8,"
                + " but the formula remains the same. ONNX Runtime wants zeros.",
            e -> e.type().isFloat() && e.hasInput(2) && e.says("should have no zero point")),
        new Known(
            "split-into-outputs",
            Kind.REFERENCE_REFUSES,
            List.of("Split"),
            "Neither split nor num_outputs is given, opset 18 on.",
            "Operators.md, Split-18: either split or num_outputs should be specified, and"
                + " the specification's shape inference, which ONNX Runtime runs, refuses a node"
                + " without both. Tersor accepts more than it must: the number of the node's"
                + " outputs, as version 13 does.",
            e -> e.version() >= 18 && !e.hasInput(1) && !e.has("num_outputs")),
        new Known(
            "recurrent-double",
            Kind.REFERENCE_REFUSES,
            List.of("LSTM", "GRU", "RNN"),
            "ONNX Runtime accepts float64 and fails when it runs.",
            "Operators.md, LSTM, GRU, RNN, T: float16, float and double (bfloat16 from"
                + " version 22 on). ONNX Runtime registers double but has no code for it.",
            e -> e.type() == DType.F64),
        new Known(
            "pad-with-axes-of-int32",
            Kind.REFERENCE_REFUSES,
            List.of("Pad"),
            "ONNX Runtime cannot read axes of type int32.",
            "Operators.md, Pad, Tind: int32 or int64. The specification's shape inference,"
                + " which ONNX Runtime runs, reads int64 only.",
            e ->
                e.input(3).map(a -> a.dtype() == DType.I32).orElse(false)
                    && e.says("ParseData type mismatch")),
        new Known(
            "reflection-of-one",
            Kind.REFERENCE_REFUSES,
            List.of("Pad"),
            "mode=reflect with an axis of one element, or pads as wide as the axis.",
            "Operators.md, Pad: reflect mirrors on the first and last values of each axis,"
                + " as numpy.pad, which repeats a single element and goes on for wider pads; the"
                + " text sets no bound. ONNX Runtime refuses both.",
            e ->
                e.word("mode", "constant").equals("reflect")
                    && (e.says("requires axis length >= 2")
                        || e.says("mode to pad dimension with a value of 0")
                        || e.says("exceeds maximum allowed"))),
        new Known(
            "categories-of-another-type",
            Kind.WE_REFUSE,
            List.of("OneHotEncoder"),
            "Strings with cats_int64s alone, or numbers with cats_strings alone: ONNX Runtime gives zeros.",
            "Operators-ml.md, OneHotEncoder: exactly one of cats_* must be defined, and"
                + " numbers are looked up in cats_int64s; what a string does with them is not"
                + " said. Zeros are for a category that is not present. Tersor takes a list that"
                + " no input can be found in for a fault of the model.",
            e -> e.says("no categories of the type")),
        new Known(
            "rows-of-samples",
            Set.of(Kind.WE_REFUSE, Kind.NOT_COMPILED),
            List.of("LinearClassifier"),
            "Samples of more dimensions, behind a branch that hid them: ONNX Runtime takes the first as"
                + " their number.",
            "Operators-ml.md, LinearClassifier, X: [N, C] or [C].",
            e -> e.says("X must be [N, C] or [C]"),
            true),
        new Known(
            "vectors-of-nothing",
            Kind.WE_REFUSE,
            List.of("SVMClassifier", "SVMRegressor"),
            "Samples without features: Tersor refuses a model whose vectors have no numbers.",
            "Operators-ml.md: support_vectors are one list of numbers, and no length of a"
                + " vector is named, which comes from the length of the list: of none it says"
                + " nothing.",
            e -> e.in(0).size() == 0),
        new Known(
            "products-of-unsigned",
            Kind.REFERENCE_REFUSES,
            List.of("MatMul"),
            "ONNX Runtime accepts uint64 and uint32 and fails when it runs.",
            "Operators.md, MatMul, T: uint32 and uint64 among others.",
            e -> e.type().isInteger() && e.says("Tensor type mismatch")),
        new Known(
            "grid-of-halves",
            Kind.REFERENCE_REFUSES,
            List.of("AffineGrid"),
            "float16: ONNX Runtime runs the function body and fails in a branch of it.",
            "Operators.md, AffineGrid, T1: bfloat16, float16, float and double. For"
                + " pictures the function body squeezes all axes of size 1, that of a single"
                + " sample, too, and splits an axis that is gone then.",
            e -> e.type() == DType.F16 && e.says("running If node")),
        new Known(
            "grams-of-nothing",
            Kind.REFERENCE_REFUSES,
            List.of("TfIdfVectorizer"),
            "Rows of which there are none are refused by ONNX Runtime when it runs.",
            "Operators.md, TfIdfVectorizer, X: [C] or [N, C], where N is the batch size; no"
                + " size of it is excluded.",
            e -> e.in(0).size() == 0 && e.says("with B > 0")),
        new Known(
            "softmax-of-vector",
            Kind.REFERENCE_REFUSES,
            List.of("Softmax", "LogSoftmax", "Hardmax"),
            "Before opset 13 the default axis is 1, which a vector lacks.",
            "Changelog.md, Softmax-1: no range of axis; the input is coerced to a matrix,"
                + " and r is a legal position of the cut. Softmax-11: axis is in [-r, r - 1],"
                + " which the default is not for a vector, and ONNX Runtime refuses it in both."
                + " Tersor accepts it in both.",
            e -> e.version() < 13 && e.number("axis", 1) >= e.in(0).rank()));
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
