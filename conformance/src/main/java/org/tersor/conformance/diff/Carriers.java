package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Types that the Java API of ONNX Runtime cannot feed or read enter and leave the reference's copy
 * of a graph in a wider type, through Cast nodes. All their numbers are numbers of the wider type.
 */
final class Carriers {
  private Carriers() {}

  /** A result of a wide node and the value that it becomes. */
  private record Narrowing(Value inner, Value own, DType type) {}

  /** The type in which values of a type travel. */
  static DType carrier(DType type) {
    return switch (type) {
      case U16 -> DType.I32;
      case U32, U64 -> DType.I64;
      case I4, I2 -> DType.I8;
      case U4, U2 -> DType.U8;
      case F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 -> DType.F32;
      default -> type;
    };
  }

  /**
   * The type in which a node runs for which the reference has no code in this one: it holds all the
   * numbers, and a cast back rounds or wraps around as the narrow type does.
   */
  static DType wider(DType type) {
    return switch (type) {
      case F16, BF16 -> DType.F32;
      case I8, U8, I16, U16 -> DType.I32;
      case U32 -> DType.I64;
      default -> type;
    };
  }

  static Tensor wrap(Tensor tensor) {
    return as(carrier(tensor.dtype()), tensor);
  }

  private static Tensor as(DType carrier, Tensor tensor) {
    if (carrier == tensor.dtype()) {
      return tensor;
    }
    Tensor wide = Tensor.zeros(carrier, tensor.shape());
    for (int i = 0; i < tensor.size(); i++) {
      if (carrier.isFloat()) {
        wide.setDouble(i, tensor.getDouble(i));
      } else {
        wide.setLong(i, tensor.getLong(i));
      }
    }
    return wide;
  }

  /**
   * The reference's copy.
   *
   * @param types element type of each value
   * @param widened nodes that run in wider types
   */
  static Graph copy(Graph graph, Map<Value, DType> types, Set<String> widened) {
    GraphBuilder b = new GraphBuilder(graph.opsets(), graph.maxId() + 1);
    Map<Value, Value> instead = new HashMap<>();
    for (Value input : graph.inputs()) {
      TensorType type = graph.type(input).tensor();
      DType carrier = carrier(type.dtype());
      Value outer = b.input(input.name(), type.withDtype(carrier));
      instead.put(
          input, carrier == type.dtype() ? outer : cast(b, outer, type.dtype(), "c" + input.id()));
    }
    graph
        .constants()
        .forEach((value, constant) -> instead.put(value, b.constant(value.name(), constant)));
    for (Node node : graph.nodes()) {
      boolean wide = widened.contains(node.name());
      List<Value> inputs = new ArrayList<>();
      for (Value input : node.inputs()) {
        Value own = instead.getOrDefault(input, input);
        DType type = types.get(input);
        inputs.add(
            wide && type != null && wider(type) != type
                ? cast(b, own, wider(type), "n" + node.outputs().getFirst().id() + own.name())
                : own);
      }
      List<Value> outputs = new ArrayList<>();
      List<Narrowing> narrowings = new ArrayList<>();
      for (Value output : node.outputs()) {
        DType type = types.get(output);
        boolean wrapped = graph.isOutput(output) && type != null && carrier(type) != type;
        Value own = b.value(wrapped ? "w" + output.id() : output.name(), ValueType.UNKNOWN);
        instead.put(output, own);
        if (wide && type != null && wider(type) != type) {
          Value inner = b.value("u" + output.id(), ValueType.UNKNOWN);
          narrowings.add(new Narrowing(inner, own, type));
          outputs.add(inner);
        } else {
          outputs.add(own);
        }
      }
      Map<String, Attribute> attributes = attributes(node, instead);
      if (wide) {
        attributes.replaceAll((name, attribute) -> widened(attribute, node, types));
      }
      b.addNode(node.name(), node.op(), attributes, inputs, outputs);
      narrowings.forEach(n -> cast(b, n.inner(), n.type(), n.own()));
    }
    for (Value output : graph.outputs()) {
      DType type = types.get(output);
      Value own = instead.getOrDefault(output, output);
      b.output(
          type != null && carrier(type) != type ? cast(b, own, carrier(type), output.name()) : own);
    }
    return b.build(graph.name(), Map.of());
  }

  /** Bodies read the copies of what they capture. */
  private static Map<String, Attribute> attributes(Node node, Map<Value, Value> instead) {
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    node.attributes()
        .forEach((name, attribute) ->
            attributes.put(
                name,
                attribute instanceof Attribute.GraphAttr(Graph body)
                    ? new Attribute.GraphAttr(body.withCaptured(instead))
                    : attribute));
    return attributes;
  }

  /** Numbers of the type of an operand that is widened, as its splits are those of a tree. */
  private static Attribute widened(Attribute attribute, Node node, Map<Value, DType> types) {
    if (attribute instanceof Attribute.TensorAttr(Constant constant)
        && node.inputs().stream().anyMatch(input -> types.get(input) == constant.dtype())) {
      Tensor narrow = constant.load();
      return new Attribute.TensorAttr(Constant.of(as(wider(narrow.dtype()), narrow)));
    }
    return attribute;
  }

  private static Value cast(GraphBuilder b, Value value, DType to, String name) {
    return cast(b, value, to, b.value(name, ValueType.UNKNOWN));
  }

  private static Value cast(GraphBuilder b, Value value, DType to, Value result) {
    b.addNode(
        "cast_" + result.name(),
        "",
        "Cast",
        Map.of("to", new Attribute.IntAttr(TypeNumbers.number(to))),
        List.of(value),
        List.of(result));
    return result;
  }
}
