package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
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

  static Tensor wrap(Tensor tensor) {
    DType carrier = carrier(tensor.dtype());
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
   * @param types element type of each output
   */
  static Graph copy(Graph graph, Map<Value, DType> types) {
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
      List<Value> inputs = new ArrayList<>();
      node.inputs().forEach(v -> inputs.add(instead.getOrDefault(v, v)));
      List<Value> outputs = new ArrayList<>();
      for (Value output : node.outputs()) {
        DType type = types.get(output);
        boolean wrapped = graph.isOutput(output) && type != null && carrier(type) != type;
        Value own = b.value(wrapped ? "w" + output.id() : output.name(), ValueType.UNKNOWN);
        instead.put(output, own);
        outputs.add(own);
      }
      b.addNode(node.name(), node.op(), node.attributes(), inputs, outputs);
    }
    for (Value output : graph.outputs()) {
      DType type = types.get(output);
      Value own = instead.getOrDefault(output, output);
      b.output(
          type != null && carrier(type) != type ? cast(b, own, carrier(type), output.name()) : own);
    }
    return b.build(graph.name(), Map.of());
  }

  private static Value cast(GraphBuilder b, Value value, DType to, String name) {
    Value result = b.value(name, ValueType.UNKNOWN);
    b.addNode(
        "cast_" + name,
        "",
        "Cast",
        Map.of("to", new Attribute.IntAttr(TypeNumbers.number(to))),
        List.of(value),
        List.of(result));
    return result;
  }
}
