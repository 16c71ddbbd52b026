package org.tersor.conformance;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * The same model with float32 wherever it has float16: the truth that rounding errors are measured
 * against.
 */
final class HalfToFloat {
  private static final long ONNX_FLOAT = 1;
  private static final long ONNX_FLOAT16 = 10;

  private HalfToFloat() {}

  static boolean usesHalf(Graph graph) {
    return graph.inputs().stream().anyMatch(v -> isHalf(graph.type(v)))
        || graph.constants().values().stream().anyMatch(c -> c.dtype() == DType.F16);
  }

  private static boolean isHalf(ValueType type) {
    return type instanceof ValueType.TensorType t && t.dtype() == DType.F16;
  }

  static Graph convert(Graph graph) {
    Map<Value, Constant> constants = new LinkedHashMap<>();
    graph.constants().forEach((value, constant) -> constants.put(value, convert(constant)));
    Map<Value, ValueType> types = new LinkedHashMap<>();
    graph.types().forEach((value, type) -> types.put(value, convert(type)));
    List<Node> nodes = graph.nodes().stream().map(HalfToFloat::convert).toList();
    return new Graph(
        graph.name(),
        graph.inputs(),
        graph.outputs(),
        nodes,
        constants,
        types,
        graph.opsets(),
        graph.metadata());
  }

  private static Node convert(Node node) {
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    node.attributes()
        .forEach((name, attribute) ->
            attributes.put(
                name,
                switch (attribute) {
                  case Attribute.GraphAttr g -> new Attribute.GraphAttr(convert(g.value()));
                  case Attribute.GraphsAttr g ->
                      new Attribute.GraphsAttr(
                          g.values().stream().map(HalfToFloat::convert).toList());
                  case Attribute.TensorAttr t -> new Attribute.TensorAttr(convert(t.value()));
                  case Attribute.IntAttr i
                      when i.value() == ONNX_FLOAT16
                          && (name.equals("to") || name.equals("dtype")) ->
                      new Attribute.IntAttr(ONNX_FLOAT);
                  default -> attribute;
                }));
    return node.withAttributes(attributes);
  }

  private static Constant convert(Constant constant) {
    return constant.dtype() == DType.F16 ? Constant.of(convert(constant.load())) : constant;
  }

  private static ValueType convert(ValueType type) {
    return type instanceof ValueType.TensorType t && t.dtype() == DType.F16
        ? t.withDtype(DType.F32)
        : type;
  }

  static Tensor convert(Tensor tensor) {
    if (tensor.dtype() != DType.F16) {
      return tensor;
    }
    float[] values = new float[tensor.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) tensor.getDouble(i);
    }
    return Tensor.of(values, tensor.shape());
  }
}
