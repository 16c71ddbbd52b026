package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DType;

/**
 * Computes a float16 model in float32: weights are widened, inputs and outputs keep their type
 * behind a Cast, and a Cast to float16 in the model still rounds. Graphs with bodies or with nodes
 * that name float16 as their output type are left alone, those with sequences, optionals or maps,
 * too.
 */
public final class WidenFloat16 implements Pass {
  private static final String PRECISION = ModelMetadata.TERSOR + "precision";
  private static final long ONNX_FLOAT = OnnxTypes.code(DType.F32);
  private static final long ONNX_FLOAT16 = OnnxTypes.code(DType.F16);

  @Override
  public String id() {
    return "widen-float16";
  }

  @Override
  public Set<String> gives() {
    return Set.of();
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    boolean any = graph.types().values().stream().anyMatch(WidenFloat16::isHalf);
    boolean kept =
        graph.nodes().stream().anyMatch(WidenFloat16::fixesTypes)
            || graph.types().values().stream().anyMatch(WidenFloat16::isContainer);
    if (!any || kept) {
      return graph;
    }
    int next = graph.maxId() + 1;
    int version = graph.opset("");
    Map<Value, Value> wide = new HashMap<>();
    Map<Value, ValueType> types = new LinkedHashMap<>();
    List<Node> nodes = new ArrayList<>();
    for (Value input : graph.inputs()) {
      types.put(input, graph.type(input));
      if (isHalf(graph.type(input))) {
        Value inside = new Value(next++, "");
        wide.put(input, inside);
        nodes.add(cast(next++, version, input, inside, ONNX_FLOAT));
      }
    }
    Map<Value, Constant> constants = new LinkedHashMap<>();
    graph
        .constants()
        .forEach(
            (value, constant) -> constants.put(value, Retype.HALF_TO_FLOAT.constant(constant)));
    List<Node> casts = new ArrayList<>();
    Set<Value> cast = new HashSet<>();
    List<Value> outputs = new ArrayList<>();
    for (Value output : graph.outputs()) {
      if (isHalf(graph.type(output)) && !graph.inputs().contains(output)) {
        Value outside = new Value(next++, output.name());
        casts.add(cast(next++, version, output, outside, ONNX_FLOAT16));
        outputs.add(outside);
        cast.add(output);
      } else {
        outputs.add(output);
      }
    }
    for (Node node : graph.nodes()) {
      Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
      boolean castToHalf =
          node.op().is("Cast")
              && attributes.get("to") instanceof Attribute.IntAttr to
              && to.value() == ONNX_FLOAT16;
      attributes.replaceAll((name, value) ->
          value instanceof Attribute.TensorAttr t
              ? new Attribute.TensorAttr(Retype.HALF_TO_FLOAT.constant(t.value()))
              : value);
      List<Value> inputs = node.inputs().stream().map(v -> wide.getOrDefault(v, v)).toList();
      // The name of an output belongs to the Cast that makes it.
      List<Value> results =
          node.outputs().stream().map(v -> cast.contains(v) ? new Value(v.id(), "") : v).toList();
      if (castToHalf) {
        // The rounding that the model asks for stays: to float16 and back.
        Value half = new Value(next++, "");
        nodes.add(new Node(node.id(), node.name(), node.op(), inputs, List.of(half), attributes));
        nodes.add(cast(next++, version, half, results.getFirst(), ONNX_FLOAT));
      } else {
        nodes.add(new Node(node.id(), node.name(), node.op(), inputs, results, attributes));
      }
    }
    nodes.addAll(casts);
    context.note().accept("widen-float16: values between float16 inputs and outputs are float32");
    return ModelMetadata.with(
        new Graph(
            graph.name(),
            graph.inputs(),
            outputs,
            nodes,
            constants,
            types,
            graph.opsets(),
            graph.metadata()),
        PRECISION,
        "float16 is widened: values between inputs and outputs are float32 (--strict-types rounds"
            + " them)");
  }

  /** For an artifact's description: float16 stays, each operator's result is rounded to it. */
  public static Graph rounded(Graph graph) {
    return graph.types().values().stream().anyMatch(WidenFloat16::isHalf)
        ? ModelMetadata.with(graph, PRECISION, "float16 is rounded after every operator")
        : graph;
  }

  /** Whether a node has bodies, or says itself that its output is float16. */
  private static boolean fixesTypes(Node node) {
    boolean saysHalf =
        !node.op().is("Cast")
            && node.attributes().values().stream()
                .anyMatch(a -> a instanceof Attribute.IntAttr i && i.value() == ONNX_FLOAT16)
            && (node.attributes().containsKey("dtype")
                || node.attributes().containsKey("output_dtype")
                || node.attributes().containsKey("stash_type"));
    return saysHalf || !Graph.bodies(node).isEmpty() || node.op().is("CastLike");
  }

  /** What is in it would have another type outside than inside. */
  private static boolean isContainer(ValueType type) {
    return !(type instanceof TensorType || type instanceof ValueType.UnknownType);
  }

  private static boolean isHalf(ValueType type) {
    return type instanceof TensorType tensor && tensor.dtype() == DType.F16;
  }

  private static Node cast(int id, int version, Value from, Value to, long type) {
    return new Node(
        id,
        "",
        // Before version 6 the type is a name.
        new OpKey("", "Cast", Math.max(version, 6)),
        List.of(from),
        List.of(to),
        Map.of("to", new Attribute.IntAttr(type)));
  }
}
