package org.tersor.conformance.hostile;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Models whose operators ask for what cannot be: sizes, indices, divisors, iterations. */
final class HostileCases {
  /** What a correct answer is. */
  enum Answer {
    /** Only a diagnostic. */
    REFUSED,
    /**
     * A diagnostic by evaluation; generated code may take the nearest index that exists, as it
     * cannot stop in the middle of a kernel. It must not read or write anywhere else.
     */
    INDEX,
    /** A diagnostic or a value: the specification says nothing, or it is well defined. */
    ANY
  }

  /** One node with its operands. */
  record Case(
      String name,
      String domain,
      String type,
      Map<String, Attribute> attributes,
      List<Tensor> operands,
      int outputs,
      Answer answer) {
    /** The model; operands are constants or inputs. */
    Graph graph(boolean constants) {
      GraphBuilder b = new GraphBuilder(Map.of("", 21, "ai.onnx.ml", 1), 0);
      List<Value> values = new ArrayList<>();
      for (int i = 0; i < operands.size(); i++) {
        Tensor tensor = operands.get(i);
        values.add(
            constants
                ? b.constant("i" + i, Constant.of(tensor))
                : b.input("i" + i, TensorType.of(tensor.dtype(), tensor.shape())));
      }
      List<Value> results = new ArrayList<>();
      for (int i = 0; i < outputs; i++) {
        results.add(b.value("o" + i, ValueType.UNKNOWN));
      }
      b.addNode(domain, type, attributes, values, results);
      results.forEach(b::output);
      return b.build(name, Map.of());
    }

    Map<String, Tensor> inputs() {
      Map<String, Tensor> inputs = new LinkedHashMap<>();
      for (int i = 0; i < operands.size(); i++) {
        inputs.put("i" + i, operands.get(i));
      }
      return inputs;
    }
  }

  private static final long HUGE = 1L << 40;
  private static final long WRAPS = 1L << 32;
  private static final long FAR = 1L << 62;

  private final List<Case> cases = new ArrayList<>();

  private HostileCases() {}

  static List<Case> all() {
    HostileCases all = new HostileCases();
    all.sizes();
    all.indices();
    all.windows();
    all.arithmetic();
    all.loops();
    all.others();
    return all.cases;
  }

  private static Tensor floats(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = i % 7 - 3;
    }
    return tensor;
  }

  private static Tensor longs(long... values) {
    return Tensor.of(values, values.length);
  }

  private static Tensor scalar(long value) {
    return new Tensor(DType.I64, new long[0], new long[] {value});
  }

  private static Attribute ints(long... values) {
    return new Attribute.IntsAttr(Arrays.stream(values).boxed().toList());
  }

  private static Attribute integer(long value) {
    return new Attribute.IntAttr(value);
  }

  private static Attribute text(String value) {
    return new Attribute.StringAttr(value);
  }

  private void refused(
      String name, String type, Map<String, Attribute> attributes, Tensor... operands) {
    cases.add(new Case(name, "", type, attributes, List.of(operands), 1, Answer.REFUSED));
  }

  private void index(
      String name, String type, Map<String, Attribute> attributes, Tensor... operands) {
    cases.add(new Case(name, "", type, attributes, List.of(operands), 1, Answer.INDEX));
  }

  private void any(
      String name, String type, Map<String, Attribute> attributes, Tensor... operands) {
    cases.add(new Case(name, "", type, attributes, List.of(operands), 1, Answer.ANY));
  }

  private void sizes() {
    Map<String, Attribute> none = Map.of();
    refused("expand wraps", "Expand", none, floats(1), longs(WRAPS, WRAPS));
    refused("expand far", "Expand", none, floats(1), longs(FAR, 8));
    refused("expand large", "Expand", none, floats(1), longs(1 << 20, 1 << 20));
    refused("expand memory", "Expand", none, floats(1), longs(1 << 15, 1 << 15));
    refused("constant of shape wraps", "ConstantOfShape", none, longs(WRAPS, WRAPS));
    refused("constant of shape negative", "ConstantOfShape", none, longs(-1, 3));
    refused("constant of shape memory", "ConstantOfShape", none, longs(1 << 15, 1 << 14));
    refused("tile wraps", "Tile", none, floats(2, 2), longs(FAR, FAR));
    refused("tile negative", "Tile", none, floats(2), longs(-1));
    refused("range far", "Range", none, scalar(0), scalar(FAR), scalar(1));
    refused("range without step", "Range", none, scalar(0), scalar(5), scalar(0));
    refused("reshape wraps", "Reshape", none, floats(4), longs(WRAPS, WRAPS));
    refused("reshape two unknown", "Reshape", none, floats(4), longs(-1, -1));
    refused("reshape negative", "Reshape", none, floats(4), longs(-2, -2));
    index("reshape other size", "Reshape", none, floats(4), longs(3));
    refused("pad far", "Pad", none, floats(2), longs(FAR, FAR));
    refused("pad memory", "Pad", none, floats(2), longs(1 << 30, 1 << 30));
    refused("pad too negative", "Pad", none, floats(2), longs(-3, -3));
    refused("one-hot far", "OneHot", none, longs(1), scalar(FAR), longs(0, 1));
    any("one-hot negative", "OneHot", none, longs(1), scalar(-1), longs(0, 1));
    refused(
        "resize far",
        "Resize",
        Map.of(),
        floats(1, 1, 2, 2),
        floats(0),
        floats(0),
        longs(1, 1, HUGE, HUGE));
    refused(
        "resize wraps",
        "Resize",
        Map.of(),
        floats(1, 1, 2, 2),
        floats(0),
        Tensor.of(new float[] {1, 1, 1e30f, 1e30f}, 4));
    any(
        "resize nothing",
        "Resize",
        Map.of(),
        floats(1, 1, 2, 2),
        floats(0),
        Tensor.of(new float[] {1, 1, 0, Float.NaN}, 4));
    refused("window far", "HannWindow", none, scalar(HUGE));
    refused("random far", "RandomNormal", Map.of("shape", ints(WRAPS, WRAPS)));
    refused("split negative", "Split", none, floats(4), longs(-1, 5));
    refused("top-k far", "TopK", none, floats(4), longs(FAR));
    refused("top-k negative", "TopK", none, floats(4), longs(-1));
    refused("center crop far", "CenterCropPad", none, floats(2), longs(HUGE));
    refused("dft far", "DFT", none, floats(1, 4, 1), scalar(HUGE), scalar(1));
    index("unsqueeze axis", "Unsqueeze", none, floats(4), longs(HUGE));
    index("squeeze axis", "Squeeze", none, floats(4), longs(0));
    refused(
        "mel far",
        "MelWeightMatrix",
        none,
        scalar(HUGE),
        scalar(HUGE),
        scalar(8000),
        Tensor.of(new float[] {0}),
        Tensor.of(new float[] {4000}));
  }

  private void indices() {
    for (long index : new long[] {2, -3, 1_000_000_000L, FAR, Long.MIN_VALUE}) {
      index("gather " + index, "Gather", Map.of(), floats(2, 3), longs(index));
      index(
          "gather elements " + index,
          "GatherElements",
          Map.of(),
          floats(2, 3),
          Tensor.of(new long[] {index}, 1, 1));
      index(
          "gather tuples " + index,
          "GatherND",
          Map.of(),
          floats(2, 3),
          Tensor.of(new long[] {index}, 1, 1));
      index(
          "scatter elements " + index,
          "ScatterElements",
          Map.of(),
          floats(2, 3),
          Tensor.of(new long[] {index}, 1, 1),
          floats(1, 1));
      index(
          "scatter tuples " + index,
          "ScatterND",
          Map.of(),
          floats(2, 3),
          Tensor.of(new long[] {index}, 1, 1),
          floats(1, 3));
    }
    refused("axis", "Softmax", Map.of("axis", integer(HUGE)), floats(2, 2));
    index("cumulate axis", "CumSum", Map.of(), floats(2, 2), scalar(5));
    refused("permutation", "Transpose", Map.of("perm", ints(0, 0)), floats(2, 2));
    refused("permutation far", "Transpose", Map.of("perm", ints(HUGE, 0)), floats(2, 2));
    any(
        "slice far",
        "Slice",
        Map.of(),
        floats(4),
        longs(Long.MIN_VALUE),
        longs(Long.MAX_VALUE),
        longs(0),
        longs(Long.MAX_VALUE));
    any(
        "slice backwards",
        "Slice",
        Map.of(),
        floats(4),
        longs(Long.MAX_VALUE),
        longs(Long.MIN_VALUE),
        longs(0),
        longs(Long.MIN_VALUE));
    refused(
        "slice without step", "Slice", Map.of(), floats(4), longs(0), longs(4), longs(0), longs(0));
    any("triangle", "Trilu", Map.of(), floats(3, 3), scalar(Long.MIN_VALUE));
    index(
        "reversed lengths",
        "ReverseSequence",
        Map.of("batch_axis", integer(0), "time_axis", integer(1)),
        floats(2, 3),
        longs(99, -5));
    index("region of no image", "RoiAlign", Map.of(), floats(1, 1, 4, 4), floats(1, 4), longs(99));
    index("loss label", "NegativeLogLikelihoodLoss", Map.of(), floats(1, 3), longs(1_000_000_000L));
    cases.add(
        new Case(
            "feature -10",
            "ai.onnx.ml",
            "ArrayFeatureExtractor",
            Map.of(),
            List.of(floats(1, 3), longs(-10)),
            1,
            Answer.INDEX));
    index(
        "unpooled",
        "MaxUnpool",
        Map.of("kernel_shape", ints(2, 2), "strides", ints(2, 2)),
        floats(1, 1, 1, 1),
        Tensor.of(new long[] {1_000_000}, 1, 1, 1, 1));
  }

  private void windows() {
    Tensor x = floats(1, 2, 5, 5);
    Tensor w = floats(2, 2, 3, 3);
    refused("conv stride 0", "Conv", Map.of("strides", ints(0, 1)), x, w);
    refused("conv stride negative", "Conv", Map.of("strides", ints(-1, 1)), x, w);
    refused("conv dilation 0", "Conv", Map.of("dilations", ints(0, 1)), x, w);
    refused("conv dilation far", "Conv", Map.of("dilations", ints(FAR, FAR)), x, w);
    refused("conv group 0", "Conv", Map.of("group", integer(0)), x, w);
    refused("conv group -1", "Conv", Map.of("group", integer(-1)), x, w);
    refused("conv group 3", "Conv", Map.of("group", integer(3)), x, w);
    refused("conv pads far", "Conv", Map.of("pads", ints(FAR, FAR, FAR, FAR)), x, w);
    refused("conv pads few", "Conv", Map.of("pads", ints(1)), x, w);
    refused("conv kernel lies", "Conv", Map.of("kernel_shape", ints(7, 7)), x, w);
    refused("conv weight of rank 2", "Conv", Map.of(), x, floats(2, 2));
    refused("transposed stride far", "ConvTranspose", Map.of("strides", ints(FAR, FAR)), x, w);
    refused(
        "pool stride 0", "MaxPool", Map.of("kernel_shape", ints(2, 2), "strides", ints(0, 0)), x);
    refused("pool kernel 0", "MaxPool", Map.of("kernel_shape", ints(0, 2)), x);
    refused("pool kernel far", "AveragePool", Map.of("kernel_shape", ints(FAR, FAR)), x);
    refused(
        "pool pads far",
        "AveragePool",
        Map.of("kernel_shape", ints(2, 2), "pads", ints(HUGE, 0, 0, HUGE)),
        x);
    refused("blocks of 0", "DepthToSpace", Map.of("blocksize", integer(0)), x);
    refused("blocks far", "SpaceToDepth", Map.of("blocksize", integer(FAR)), x);
    refused("column image", "Col2Im", Map.of(), floats(1, 5, 5), longs(WRAPS, WRAPS), longs(1, 5));
    refused(
        "normalization groups",
        "GroupNormalization",
        Map.of("num_groups", integer(0)),
        x,
        floats(2),
        floats(2));
    any("response size", "LRN", Map.of("size", integer(FAR)), x);
  }

  private void arithmetic() {
    long[] least = {Long.MIN_VALUE, 5, -5};
    for (String type : List.of("Div", "Mod")) {
      any(type + " I64 0", type, Map.of(), longs(least), longs(0, 0, 0));
      any(type + " I64 -1", type, Map.of(), longs(least), longs(-1, -1, -1));
      Tensor small = Tensor.of(new int[] {Integer.MIN_VALUE, 5, -5}, 3);
      any(type + " I32 0", type, Map.of(), small, Tensor.of(new int[] {0, 0, 0}, 3));
      any(type + " I32 -1", type, Map.of(), small, Tensor.of(new int[] {-1, -1, -1}, 3));
      Tensor bytes = new Tensor(DType.I8, new long[] {3}, new byte[] {-128, 5, -5});
      any(
          type + " I8 -1",
          type,
          Map.of(),
          bytes,
          new Tensor(DType.I8, new long[] {3}, new byte[] {-1, 0, -1}));
      any(
          type + " U8 0",
          type,
          Map.of(),
          new Tensor(DType.U8, new long[] {1}, new byte[] {5}),
          new Tensor(DType.U8, new long[] {1}, new byte[] {0}));
    }
    any(
        "shift",
        "BitShift",
        Map.of("direction", text("LEFT")),
        new Tensor(DType.U32, new long[] {1}, new int[] {5}),
        new Tensor(DType.U32, new long[] {1}, new int[] {-1}));
    any("power", "Pow", Map.of(), longs(0, -2), longs(-1, Long.MIN_VALUE));
    any(
        "cast of infinity",
        "Cast",
        Map.of("to", integer(7)),
        Tensor.of(new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1e30f}, 3));
    refused("cast to nothing", "Cast", Map.of("to", integer(999)), floats(1));
    refused("no broadcast", "Add", Map.of(), floats(2, 3), floats(2, 4));
    refused("product", "MatMul", Map.of(), floats(2, 3), floats(2, 3));
    refused(
        "equation", "Einsum", Map.of("equation", text("ij,jk->zz")), floats(2, 2), floats(2, 2));
    any("many letters", "Einsum", Map.of("equation", text("i".repeat(5000))), floats(1));
  }

  private void loops() {
    cases.add(
        new Case(
            "endless loop",
            "",
            "Loop",
            Map.of("body", new Attribute.GraphAttr(endless())),
            List.of(scalar(FAR), new Tensor(DType.BOOL, new long[0], new byte[] {1}), floats(1)),
            2,
            Answer.REFUSED));
    refused(
        "scan of nothing",
        "Scan",
        Map.of("body", new Attribute.GraphAttr(endless()), "num_scan_inputs", integer(FAR)),
        floats(2, 2));
  }

  /** Goes on for ever and keeps a slice of each turn. */
  private static Graph endless() {
    GraphBuilder body = new GraphBuilder(Map.of("", 21), 100);
    body.input("trip", TensorType.of(DType.I64));
    Value go = body.input("go", TensorType.of(DType.BOOL));
    Value state = body.input("state", TensorType.of(DType.F32, 1));
    Value goOn = body.value("goOn", ValueType.UNKNOWN);
    Value next = body.value("next", ValueType.UNKNOWN);
    body.addNode("", "Identity", Map.of(), List.of(go), List.of(goOn));
    body.addNode("", "Neg", Map.of(), List.of(state), List.of(next));
    body.output(goOn);
    body.output(next);
    body.output(next);
    return body.build("body", Map.of());
  }

  private void others() {
    String a = "a".repeat(40);
    any(
        "regular expression",
        "RegexFullMatch",
        Map.of("pattern", text("(a+)+$")),
        new Tensor(DType.STRING, new long[] {1}, new String[] {a + "b"}));
    refused(
        "broken expression",
        "RegexFullMatch",
        Map.of("pattern", text("(((")),
        new Tensor(DType.STRING, new long[] {1}, new String[] {a}));
    any(
        "large expression",
        "RegexFullMatch",
        Map.of("pattern", text("((a{1,1000}){1,1000}){1,1000}")),
        new Tensor(DType.STRING, new long[] {1}, new String[] {a}));
    any(
        "overlaps",
        "NonMaxSuppression",
        Map.of(),
        floats(1, 3, 4),
        floats(1, 1, 3),
        scalar(FAR),
        Tensor.of(new float[] {Float.NaN}),
        Tensor.of(new float[] {-1}));
    refused(
        "grid", "GridSample", Map.of("mode", text("none")), floats(1, 1, 2, 2), floats(1, 2, 2, 2));
    any(
        "grid far",
        "GridSample",
        Map.of(),
        floats(1, 1, 2, 2),
        Tensor.of(new float[] {1e30f, Float.NaN, Float.NEGATIVE_INFINITY, -1e30f}, 1, 1, 2, 2));
    refused(
        "hidden",
        "LSTM",
        Map.of("hidden_size", integer(FAR)),
        floats(2, 1, 3),
        floats(1, 8, 3),
        floats(1, 8, 2));
    any(
        "region",
        "RoiAlign",
        Map.of("sampling_ratio", integer(0)),
        floats(1, 1, 4, 4),
        Tensor.of(new float[] {-1e30f, -1e30f, 1e30f, 1e30f}, 1, 4),
        longs(0));
  }
}
