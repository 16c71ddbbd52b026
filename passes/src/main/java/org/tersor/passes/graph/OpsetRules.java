package org.tersor.passes.graph;

import static java.util.Map.entry;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** How a node of an older opset is written in {@link UpgradeOpset#TARGET}. */
final class OpsetRules {
  /**
   * Operators that changed between the versions in their element types only, in what defaults say
   * already, or in attributes that older models leave out; with the first version for which that is
   * so.
   */
  private static final Map<String, Integer> COMPATIBLE_SINCE =
      Map.ofEntries(
              since(1, "Abs Neg Reciprocal Floor Ceil Sqrt Exp Log Relu LeakyRelu Elu Sigmoid"),
              since(
                  1, "HardSigmoid Tanh Softplus Softsign Not Sum Max Min Mean Conv MatMul MaxPool"),
              since(
                  1,
                  "GlobalAveragePool GlobalMaxPool Transpose Flatten Identity Shape Size Gather"),
              since(1, "ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum"),
              since(1, "ReduceLogSumExp ReduceSumSquare ArgMax ArgMin LRN InstanceNormalization"),
              since(1, "Constant DepthToSpace SpaceToDepth"),
              since(2, "LpPool GlobalLpPool"),
              since(4, "Concat"),
              since(5, "Reshape"),
              since(6, "Cast Tile Selu"),
              since(7, "Add Sub Mul Div Pow And Or Xor Equal Greater Less PRelu Gemm AveragePool"),
              since(7, "LSTM GRU RNN"),
              since(8, "Expand"),
              since(9, "ConstantOfShape Where NonZero Erf Sign IsNaN MeanVarianceNormalization"),
              since(10, "TopK Mod QuantizeLinear DequantizeLinear ThresholdedRelu"),
              since(11, "ScatterElements ScatterND GatherElements GatherND CumSum OneHot Compress"),
              since(11, "GreaterOrEqual LessOrEqual Round BitShift Range"),
              since(UpgradeOpset.SUFFICIENT, "If Loop Scan"))
          .entrySet()
          .stream()
          .flatMap(group ->
              Arrays.stream(group.getKey().split(" ")).map(n -> entry(n, group.getValue())))
          .collect(
              java.util.stream.Collectors.toUnmodifiableMap(
                  Map.Entry::getKey, Map.Entry::getValue));

  private final Graph graph;
  private final OpRegistry operators;
  private final GraphBuilder builder;
  private final int from;
  private final int target;

  OpsetRules(Graph graph, OpRegistry operators, GraphBuilder builder, int target) {
    this.graph = graph;
    this.target = target;
    this.operators = operators;
    this.builder = builder;
    this.from = graph.opset("");
  }

  private static Map.Entry<String, Integer> since(int version, String names) {
    return entry(names, version);
  }

  /** The nodes that take the place of one; they define the same outputs. */
  List<Node> upgrade(Node node) {
    if (!node.op().domain().isEmpty()) {
      if (!Graph.bodies(node).isEmpty()) {
        throw refuse(node, "it holds graphs, which are not raised");
      }
      return List.of(node);
    }
    if (from >= UpgradeOpset.SUFFICIENT) {
      return List.of(recent(node));
    }
    return switch (node.op().type()) {
      case "Softmax", "LogSoftmax", "Hardmax" -> softmax(node);
      case "Squeeze", "Unsqueeze", "ReduceSum" -> List.of(toInputs(node, "axes"));
      case "Split" -> {
        if (from < 2) {
          throw refuse(node, "before version 2 its sizes may be computed");
        }
        yield List.of(toInputs(node, "split"));
      }
      case "Slice" -> List.of(from < 10 ? toInputs(node, "starts", "ends", "axes") : plain(node));
      case "Clip" -> List.of(from < 11 ? clip(node) : plain(node));
      case "Pad" -> List.of(from < 11 ? pad(node) : plain(node));
      case "TopK" -> List.of(from < 10 ? topK(node) : plain(node));
      case "Dropout" -> List.of(dropout(node));
      case "Upsample", "Resize" -> List.of(resize(node));
      case "BatchNormalization" -> List.of(batchNormalization(node));
      case "ConvTranspose" -> {
        if (text(node, "auto_pad", "NOTSET").startsWith("SAME")) {
          throw refuse(node, "auto_pad changed its meaning in version 11");
        }
        yield List.of(plain(node));
      }
      default -> List.of(unchanged(node));
    };
  }

  /** A node of version 13 or later. */
  private Node recent(Node node) {
    String type = node.op().type();
    if (from < 18 && target >= 18 && node.attributes().containsKey("axes")) {
      switch (type) {
        case "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceSumSquare" -> {
          return toInputs(node, "axes");
        }
        default -> {}
      }
    }
    if (type.equals("Split") && from < 18 && target >= 18 && !node.input(1).isPresent()) {
      Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
      attributes.put("num_outputs", new Attribute.IntAttr(node.outputs().size()));
      return node(node, type, node.inputs(), attributes);
    }
    // These changed in between in types, in names of modes or in what is added only.
    boolean same =
        switch (type) {
          case "Squeeze",
              "Unsqueeze",
              "ReduceSum",
              "Split",
              "Slice",
              "Clip",
              "Pad",
              "Resize",
              "Softmax",
              "LogSoftmax",
              "Hardmax",
              "ConvTranspose",
              "BatchNormalization",
              "Dropout",
              "LayerNormalization",
              "HardSwish",
              "Trilu",
              "Einsum",
              "GridSample" ->
              true;
          default -> false;
        };
    if (type.equals("GridSample") && target >= 20 && from < 20 && !node.attributes().isEmpty()) {
      throw refuse(node, "its modes have other names from version 20 on");
    }
    return same ? plain(node) : unchanged(node);
  }

  /** A node whose versions do not differ, or only in ways that do not matter. */
  private Node unchanged(Node node) {
    if (!Graph.bodies(node).isEmpty() && from < UpgradeOpset.SUFFICIENT) {
      throw refuse(node, "it holds graphs, which are not raised");
    }
    String type = node.op().type();
    if (node.attributes().containsKey("broadcast")
        || (node.attributes().containsKey("axis") && isBinary(type))) {
      throw refuse(node, "it has the broadcast attributes of versions before 7");
    }
    Integer since = COMPATIBLE_SINCE.get(type);
    boolean compatible = since != null && since <= from;
    // The elementwise operators of before 7 without their attributes take equal shapes.
    if (!compatible && !(isBinary(type) && !type.equals("PRelu")) && !steps(node).isEmpty()) {
      throw refuse(node, "there is no rule for its changes");
    }
    return plain(node);
  }

  private static boolean isBinary(String type) {
    return switch (type) {
      case "Add",
          "Sub",
          "Mul",
          "Div",
          "Pow",
          "And",
          "Or",
          "Xor",
          "Equal",
          "Greater",
          "Less",
          "PRelu" ->
          true;
      default -> false;
    };
  }

  private Node plain(Node node) {
    return node(node, node.op().type(), node.inputs(), node.attributes());
  }

  /** The node with other content; attributes that only old versions know are left out. */
  private Node node(Node old, String type, List<Value> inputs, Map<String, Attribute> attributes) {
    Map<String, Attribute> kept = new LinkedHashMap<>(attributes);
    kept.remove("consumed_inputs");
    List<Value> trimmed = new ArrayList<>(inputs);
    while (!trimmed.isEmpty() && !trimmed.getLast().isPresent()) {
      trimmed.removeLast();
    }
    OpKey key = new OpKey("", type, target);
    return new Node(old.id(), old.name(), key, trimmed, old.outputs(), kept);
  }

  /** Moves attributes that are lists of integers behind the inputs, in this order. */
  private Node toInputs(Node node, String... names) {
    Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
    List<Value> inputs = new ArrayList<>(node.inputs().subList(0, 1));
    for (String name : names) {
      inputs.add(
          attributes.remove(name) instanceof Attribute.IntsAttr list
              ? builder.longs(list.values().stream().mapToLong(Long::longValue).toArray())
              : Value.NONE);
    }
    return node(node, node.op().type(), inputs, attributes);
  }

  /**
   * Before 13 all dimensions from axis on (1 unless told) were normalised together. That is one
   * axis if the others have one element; else the tensor is made flat for it.
   */
  private List<Node> softmax(Node node) {
    long axis = node.attributes().get("axis") instanceof Attribute.IntAttr a ? a.value() : 1;
    Optional<TensorType> type = type(node.input(0)).filter(TensorType::isRanked);
    if (type.isPresent()) {
      int rank = type.get().rank();
      int first = (int) (axis < 0 ? axis + rank : axis);
      boolean single = first >= 0 && first < rank;
      for (int d = first + 1; single && d < rank; d++) {
        single = type.get().dims().get(d).isConst(1);
      }
      if (single) {
        return List.of(along(node, node.inputs(), node.outputs(), first));
      }
    }
    Value flat = builder.value("", ValueType.UNKNOWN);
    Value result = builder.value("", ValueType.UNKNOWN);
    Value x = node.input(0);
    List<Node> nodes = new ArrayList<>();
    nodes.add(
        builder.addNode(
            "", "Flatten", Map.of("axis", new Attribute.IntAttr(axis)), List.of(x), List.of(flat)));
    nodes.add(along(node, List.of(flat), List.of(result), 1));
    Value shape;
    if (type.filter(TensorType::isStatic).isPresent()) {
      shape = builder.longs(type.get().staticShape());
    } else {
      shape = builder.value("", ValueType.UNKNOWN);
      nodes.add(builder.addNode("", "Shape", Map.of(), List.of(x), List.of(shape)));
    }
    // A dimension of 0 is none, not "as in the input": the flat tensor has other dimensions.
    Map<String, Attribute> zero = Map.of("allowzero", new Attribute.IntAttr(1));
    nodes.add(builder.addNode("", "Reshape", zero, List.of(result, shape), node.outputs()));
    return nodes;
  }

  private Node along(Node node, List<Value> inputs, List<Value> outputs, int axis) {
    OpKey key = new OpKey("", node.op().type(), target);
    Map<String, Attribute> attributes = Map.of("axis", new Attribute.IntAttr(axis));
    return new Node(node.id(), node.name(), key, inputs, outputs, attributes);
  }

  private Node clip(Node node) {
    Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
    List<Value> inputs = new ArrayList<>(node.inputs().subList(0, 1));
    inputs.add(scalar(node, Optional.ofNullable(attributes.remove("min"))));
    inputs.add(scalar(node, Optional.ofNullable(attributes.remove("max"))));
    return node(node, "Clip", inputs, attributes);
  }

  /** A float attribute as a scalar of the type of the node's first input. */
  private Value scalar(Node node, Optional<Attribute> attribute) {
    if (number(attribute).isEmpty()) {
      return Value.NONE;
    }
    TensorType type =
        type(node.input(0)).orElseThrow(() -> refuse(node, "the type of its input is not known"));
    Tensor tensor = Tensor.zeros(type.dtype());
    tensor.setDouble(0, number(attribute).get());
    return builder.constant(tensor);
  }

  private static Optional<Float> number(Optional<Attribute> attribute) {
    return attribute
        .filter(Attribute.FloatAttr.class::isInstance)
        .map(a -> ((Attribute.FloatAttr) a).value());
  }

  private Node pad(Node node) {
    if (from < 2) {
      throw refuse(node, "version 1 has other attributes");
    }
    Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
    Optional<Attribute> value = Optional.ofNullable(attributes.remove("value"));
    Node moved = toInputs(node.withAttributes(attributes), "pads");
    if (number(value).filter(v -> v != 0).isEmpty()) {
      return moved;
    }
    List<Value> inputs = new ArrayList<>(moved.inputs());
    inputs.add(scalar(node, value));
    return moved.withInputs(inputs);
  }

  private Node topK(Node node) {
    Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
    if (!(attributes.remove("k") instanceof Attribute.IntAttr k)) {
      throw refuse(node, "attribute k is missing");
    }
    return node(node, "TopK", List.of(node.input(0), builder.longs(k.value())), attributes);
  }

  /** Models that are run, not trained, drop nothing. */
  private Node dropout(Node node) {
    boolean mask =
        node.output(1).isPresent()
            && (graph.isOutput(node.output(1)) || !graph.consumers(node.output(1)).isEmpty());
    boolean training = from >= 12 && node.input(2).isPresent();
    if (mask || training || (from < 7 && number(node, "is_test", 0) == 0)) {
      throw refuse(node, mask ? "its mask is used" : "it may drop elements");
    }
    Node identity = node(node, "Identity", List.of(node.input(0)), Map.of());
    return new Node(
        identity.id(),
        identity.name(),
        identity.op(),
        identity.inputs(),
        List.of(node.output(0)),
        Map.of());
  }

  /** Upsample and the first Resize are asymmetric; nearest rounded down when it enlarges. */
  private Node resize(Node node) {
    if (node.op().is("Resize") && from >= 11) {
      if (text(node, "coordinate_transformation_mode", "").equals("tf_half_pixel_for_nn")) {
        throw refuse(node, "tf_half_pixel_for_nn went away in version 13");
      }
      return plain(node);
    }
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    String mode = text(node, "mode", "nearest");
    if (from < 7 || (!mode.equals("nearest") && !mode.equals("linear"))) {
      throw refuse(node, "mode '" + mode + "' of this version has no counterpart");
    }
    Value scales = node.input(1);
    Optional<Tensor> known = graph.constant(scales).map(Constant::load);
    if (node.attributes().get("scales") instanceof Attribute.FloatsAttr list) {
      Tensor tensor = Tensor.of(new float[list.values().size()], list.values().size());
      for (int i = 0; i < list.values().size(); i++) {
        tensor.setDouble(i, list.values().get(i));
      }
      known = Optional.of(tensor);
      scales = builder.constant(tensor);
    }
    if (mode.equals("nearest")) {
      boolean enlarges = known.isPresent();
      for (int i = 0; enlarges && i < known.get().size(); i++) {
        enlarges = known.get().getDouble(i) >= 1;
      }
      if (!enlarges) {
        throw refuse(
            node, "nearest neighbours are translated for constant scales of at least 1 only");
      }
    }
    attributes.put("mode", new Attribute.StringAttr(mode));
    attributes.put("coordinate_transformation_mode", new Attribute.StringAttr("asymmetric"));
    attributes.put("nearest_mode", new Attribute.StringAttr("floor"));
    return node(node, "Resize", List.of(node.input(0), Value.NONE, scales), attributes);
  }

  private Node batchNormalization(Node node) {
    Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
    boolean perElement =
        attributes.remove("spatial") instanceof Attribute.IntAttr spatial && spatial.value() == 0;
    boolean test = from >= 7 || number(node, "is_test", 0) != 0;
    attributes.remove("is_test");
    if (perElement || !test || node.outputs().stream().skip(1).anyMatch(Value::isPresent)) {
      throw refuse(
          node, perElement ? "spatial = 0 went away in version 9" : "it is in training mode");
    }
    return node(node, "BatchNormalization", node.inputs(), attributes);
  }

  private Optional<TensorType> type(Value value) {
    return graph.type(value) instanceof TensorType type ? Optional.of(type) : Optional.empty();
  }

  private static String text(Node node, String name, String otherwise) {
    return node.attributes().get(name) instanceof Attribute.StringAttr s ? s.value() : otherwise;
  }

  private static long number(Node node, String name, long otherwise) {
    return node.attributes().get(name) instanceof Attribute.IntAttr i ? i.value() : otherwise;
  }

  /** Versions of the operator that came after the graph's, up to the target. */
  private List<Integer> steps(Node node) {
    return operators
        .find(node.op())
        .map(operator ->
            operator.schema().versions().stream().filter(v -> v > from && v <= target).toList())
        .orElse(List.of(target));
  }

  private TersorException refuse(Node node, String why) {
    return new TersorException(
        "TSR-0415",
        node.label()
            + ": "
            + node.op().type()
            + " of opset "
            + from
            + " cannot be written in opset "
            + target
            + ", which the quantized weights need ("
            + (steps(node).isEmpty()
                ? "the operator itself did not change"
                : "it changed in versions " + steps(node))
            + "): "
            + why
            + "; export the model with opset 13 or later");
  }
}
