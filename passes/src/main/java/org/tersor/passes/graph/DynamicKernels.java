package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Layers whose input gets its codes when the model runs, each row on a grid of its own ({@link
 * DynamicFakeQuant}) or the whole tensor on one (DynamicQuantizeLinear): the codes are multiplied,
 * and the int32 sums take both scales. It is the same number but for the rounding of float sums.
 */
final class DynamicKernels {
  private static final int CONV_INTEGER = 10;

  /** What becomes of a node. */
  sealed interface Found {
    /** It is written as an integer operator. */
    record Kernel(String operator) implements Found {}

    /** It computes in float. */
    record Obstacle(String why) implements Found {}

    /** It is no layer whose input has codes made when the model runs. */
    record Nothing() implements Found {}
  }

  /**
   * Codes of a value.
   *
   * @param scale a number, or one for each row, [..., 1]
   * @param zero absent if it is 0
   */
  private record Codes(Value codes, Value scale, Value zero) {}

  private final Rewrite rewrite;
  private final Graph graph;
  private final Map<Node, Codes> shared = new HashMap<>();

  DynamicKernels(Rewrite rewrite) {
    this.rewrite = rewrite;
    this.graph = rewrite.graph();
  }

  /** Writes a layer anew if it can be. */
  Found choose(Node layer) {
    Optional<Node> coder =
        layer.inputs().isEmpty() ? Optional.empty() : graph.producer(layer.input(0));
    boolean rows = coder.filter(n -> n.op().is(OpKey.TERSOR, DynamicFakeQuant.TYPE)).isPresent();
    boolean whole = coder.flatMap(this::quantizer).isPresent();
    Optional<Node> weight =
        layer.inputs().size() < 2
            ? Optional.empty()
            : graph.producer(layer.input(1)).filter(QuantParams::isDequantize);
    if ((!rows && !whole) || rewrite.isTouched(layer)) {
      return new Found.Nothing();
    }
    Optional<QuantParams> params =
        weight
            .filter(n -> graph.constant(n.input(0)).isPresent())
            .flatMap(n -> QuantParams.of(graph, n))
            .filter(p -> ByteCodes.fitsByte(p.codes()));
    if (params.isEmpty()) {
      return new Found.Obstacle("no integer kernel knows the grid of its weights");
    }
    Optional<String> obstacle = IntegerKernels.obstacle(graph, layer);
    if (obstacle.isPresent()) {
      return new Found.Obstacle(obstacle.get());
    }
    if (rows
        && coder.get().attributes().get("levels") instanceof Attribute.IntAttr levels
        && levels.value() > Byte.MAX_VALUE) {
      return new Found.Obstacle("the codes of its input are no bytes");
    }
    boolean transposed = layer.op().is("ConvTranspose");
    int axis =
        transposed || layer.op().is("MatMul") || (layer.op().is("Gemm") && !isOn(layer, "transB"))
            ? 1
            : 0;
    if (!params.get().perTensor() && params.get().axis() != axis) {
      return new Found.Obstacle("the scales of its weights are not those of its outputs");
    }
    boolean convolves = transposed || layer.op().is("Conv");
    if (convolves && rows) {
      return new Found.Obstacle("the grid of its input is chosen for each row");
    }
    Codes x = shared.computeIfAbsent(coder.get(), rows ? this::rows : this::whole);
    return new Found.Kernel(
        convolves
            ? conv(layer, x, weight.get(), params.get())
            : layer.op().is("Gemm")
                ? gemm(layer, x, weight.get(), params.get())
                : matMul(layer, x, weight.get(), params.get()));
  }

  private static boolean isOn(Node node, String attribute) {
    return node.attributes().get(attribute) instanceof Attribute.IntAttr i && i.value() != 0;
  }

  /** The DynamicQuantizeLinear whose three results a DequantizeLinear reads. */
  private Optional<Node> quantizer(Node dequantize) {
    return QuantParams.isDequantize(dequantize)
        ? graph
            .producer(dequantize.input(0))
            .filter(
                n -> n.op().is("DynamicQuantizeLinear") && n.outputs().equals(dequantize.inputs()))
        : Optional.empty();
  }

  private Codes whole(Node dequantize) {
    return new Codes(dequantize.input(0), dequantize.input(1), dequantize.input(2));
  }

  private Codes rows(Node coder) {
    Value codes = rewrite.edit().value("", ValueType.UNKNOWN);
    Value scale = rewrite.edit().value("", ValueType.UNKNOWN);
    rewrite
        .edit()
        .add(
            new Node(
                rewrite.edit().freshId(),
                "",
                new OpKey(OpKey.TERSOR, DynamicCodes.TYPE, 1),
                coder.inputs(),
                List.of(codes, scale),
                coder.attributes()));
    return new Codes(codes, scale, Value.NONE);
  }

  private Value zero(QuantParams weight) {
    return new ByteCodes(rewrite, false).widened(weight.zeroPoint());
  }

  /** New nodes in the place of a layer; the last one has its results. */
  private final class Nodes {
    private final Node layer;
    private final List<Node> nodes = new ArrayList<>();

    Nodes(Node layer) {
      this.layer = layer;
    }

    Value add(OpKey op, Map<String, Attribute> attributes, Value... inputs) {
      Value output = rewrite.edit().value("", ValueType.UNKNOWN);
      nodes.add(
          new Node(
              rewrite.edit().freshId(),
              layer.name(),
              op,
              List.of(inputs),
              List.of(output),
              attributes));
      return output;
    }

    Value add(String type, Value... inputs) {
      return add(new OpKey("", type, graph.opset("")), Map.of(), inputs);
    }

    void write() {
      Node last = nodes.removeLast();
      nodes.add(
          new Node(
              layer.id(),
              layer.name(),
              last.op(),
              last.inputs(),
              layer.outputs(),
              last.attributes()));
      rewrite.edit().replace(layer, List.copyOf(nodes));
    }
  }

  private String matMul(Node layer, Codes x, Node weight, QuantParams w) {
    Nodes nodes = new Nodes(layer);
    rewrite.edit().importDomain("com.microsoft", 1);
    OpKey op = new OpKey("com.microsoft", "MatMulIntegerToFloat", 1);
    nodes.add(
        op,
        Map.of(),
        x.codes(),
        new ByteCodes(rewrite, false).widened(weight.input(0)),
        x.scale(),
        weight.input(1),
        x.zero(),
        zero(w));
    nodes.write();
    return op.type();
  }

  private String gemm(Node layer, Codes x, Node weight, QuantParams w) {
    Nodes nodes = new Nodes(layer);
    rewrite.edit().importDomain("com.microsoft", 1);
    OpKey op = new OpKey("com.microsoft", "QGemm", 1);
    Value zero =
        x.zero().isPresent()
            ? x.zero()
            : rewrite.edit().constant("", Constant.of(Tensor.zeros(DType.I8)));
    Value product =
        nodes.add(
            op,
            Map.of("transB", new Attribute.IntAttr(isOn(layer, "transB") ? 1 : 0)),
            x.codes(),
            x.scale(),
            zero,
            new ByteCodes(rewrite, false).widened(weight.input(0)),
            weight.input(1),
            zero(w));
    if (layer.input(2).isPresent()) {
      nodes.add("Add", product, layer.input(2));
    }
    nodes.write();
    return op.type();
  }

  private String conv(Node layer, Codes x, Node weight, QuantParams w) {
    Nodes nodes = new Nodes(layer);
    boolean transposed = layer.op().is("ConvTranspose");
    OpKey op =
        transposed
            ? new OpKey(OpKey.TERSOR, "ConvTransposeInteger", 1)
            : new OpKey("", "ConvInteger", CONV_INTEGER);
    if (transposed) {
      rewrite.edit().importDomain(OpKey.TERSOR, 1);
    }
    int rank = graph.constant(weight.input(0)).orElseThrow().shape().length;
    Value sum =
        nodes.add(
            op,
            layer.attributes(),
            x.codes(),
            new ByteCodes(rewrite, false).widened(weight.input(0)),
            x.zero(),
            zero(w));
    Value real =
        nodes.add(
            new OpKey("", "Cast", graph.opset("")),
            Map.of("to", new Attribute.IntAttr(OnnxTypes.code(DType.F32))),
            sum);
    Value scale =
        w.perTensor()
            ? weight.input(1)
            : transposed
                ? rewrite.edit().constant("", Constant.of(ofGroups(layer, w.scale(), rank)))
                : nodes.add("Reshape", weight.input(1), upright(rank));
    Value result = nodes.add("Mul", real, nodes.add("Mul", x.scale(), scale));
    if (layer.input(2).isPresent()) {
      nodes.add("Add", result, nodes.add("Reshape", layer.input(2), upright(rank)));
    }
    nodes.write();
    return op.type();
  }

  /** The scales that all groups of a ConvTranspose share, for each channel of its result. */
  private static Tensor ofGroups(Node layer, Tensor scale, int rank) {
    int groups =
        layer.attributes().get("group") instanceof Attribute.IntAttr g ? (int) g.value() : 1;
    long[] shape = new long[rank - 1];
    java.util.Arrays.fill(shape, 1);
    shape[0] = (long) groups * scale.size();
    Tensor all = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < all.size(); i++) {
      all.setDouble(i, scale.getDouble(i % scale.size()));
    }
    return all;
  }

  /** [M] as [M, 1, ...], to go with [N, M, ...]. */
  private Value upright(int rank) {
    Tensor shape = Tensor.zeros(DType.I64, rank - 1);
    for (int d = 0; d < shape.size(); d++) {
      shape.setLong(d, d == 0 ? -1 : 1);
    }
    return rewrite.edit().constant("", Constant.of(shape));
  }
}
