package org.tersor.passes.graph;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * The same model with other element types throughout: inputs, weights, values, outputs, and what
 * attributes name, bodies included. No pass of a pipeline, since results are other ones: it makes
 * the graphs that rounding errors are measured against.
 *
 * @param types what each element type becomes; others stay
 */
public record Retype(Map<DType, DType> types) {
  /** Attributes whose integer is an element type. */
  private static final Set<String> TYPE_ATTRIBUTES =
      Set.of("to", "dtype", "output_dtype", "stash_type", "softmax_precision");

  /** float32 wherever the model has float16. */
  public static final Retype HALF_TO_FLOAT = new Retype(Map.of(DType.F16, DType.F32));

  /** float64 wherever the model has a shorter float of 16 or 32 bits. */
  public static final Retype TO_DOUBLE =
      new Retype(Map.of(DType.F16, DType.F64, DType.BF16, DType.F64, DType.F32, DType.F64));

  public Retype {
    types = Map.copyOf(types);
  }

  /** The graph with the new types; types of values that are not inferred stay so. */
  public Graph graph(Graph graph) {
    Map<Value, Constant> constants = new LinkedHashMap<>();
    graph.constants().forEach((value, constant) -> constants.put(value, constant(constant)));
    Map<Value, ValueType> valueTypes = new LinkedHashMap<>();
    graph.types().forEach((value, type) -> valueTypes.put(value, type(type)));
    return new Graph(
        graph.name(),
        graph.inputs(),
        graph.outputs(),
        graph.nodes().stream().map(this::node).toList(),
        constants,
        valueTypes,
        graph.opsets(),
        graph.metadata());
  }

  private Node node(Node node) {
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    node.attributes().forEach((name, value) -> attributes.put(name, attribute(name, value)));
    return node.withAttributes(attributes);
  }

  /** The attribute with other element types: bodies, tensors and what names a type. */
  public Attribute attribute(String name, Attribute attribute) {
    return switch (attribute) {
      case Attribute.GraphAttr g -> new Attribute.GraphAttr(graph(g.value()));
      case Attribute.GraphsAttr g ->
          new Attribute.GraphsAttr(g.values().stream().map(this::graph).toList());
      case Attribute.TensorAttr t -> new Attribute.TensorAttr(constant(t.value()));
      case Attribute.IntAttr i when TYPE_ATTRIBUTES.contains(name) ->
          OnnxTypes.dtype(i.value())
              .filter(types::containsKey)
              .<Attribute>map(dtype -> new Attribute.IntAttr(OnnxTypes.code(dtype(dtype))))
              .orElse(attribute);
      case Attribute.TypeAttr t -> new Attribute.TypeAttr(type(t.value()));
      case Attribute.TypesAttr t ->
          new Attribute.TypesAttr(t.values().stream().map(this::type).toList());
      case Attribute.TensorsAttr t ->
          new Attribute.TensorsAttr(t.values().stream().map(this::constant).toList());
      case Attribute.IntAttr _,
          Attribute.FloatAttr _,
          Attribute.StringAttr _,
          Attribute.IntsAttr _,
          Attribute.FloatsAttr _,
          Attribute.StringsAttr _ ->
          attribute;
    };
  }

  private DType dtype(DType dtype) {
    return types.getOrDefault(dtype, dtype);
  }

  /** The type with other elements. */
  public ValueType type(ValueType type) {
    return switch (type) {
      case ValueType.TensorType t -> t.withDtype(dtype(t.dtype()));
      case ValueType.SequenceType s -> new ValueType.SequenceType(type(s.element()));
      case ValueType.OptionalType o -> new ValueType.OptionalType(type(o.element()));
      case ValueType.MapType m -> new ValueType.MapType(m.key(), type(m.value()));
      case ValueType.UnknownType u -> u;
    };
  }

  /** The weights with other elements; the same object if their type stays. */
  public Constant constant(Constant constant) {
    return types.containsKey(constant.dtype()) ? Constant.of(tensor(constant.load())) : constant;
  }

  /** The tensor with other elements, rounded if they are shorter; the same if its type stays. */
  public Tensor tensor(Tensor tensor) {
    if (!types.containsKey(tensor.dtype())) {
      return tensor;
    }
    Tensor converted = Tensor.zeros(dtype(tensor.dtype()), tensor.shape());
    for (int i = 0; i < tensor.size(); i++) {
      converted.setDouble(i, tensor.getDouble(i));
    }
    return converted;
  }

  /** Whether an input or a weight is of a type that changes. */
  public boolean changes(Graph graph) {
    return graph.inputs().stream()
            .anyMatch(v ->
                graph.type(v) instanceof ValueType.TensorType t && types.containsKey(t.dtype()))
        || graph.constants().values().stream().anyMatch(c -> types.containsKey(c.dtype()));
  }
}
