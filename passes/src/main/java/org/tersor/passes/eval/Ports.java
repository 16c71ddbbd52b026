package org.tersor.passes.eval;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.TersorException;

/** Inputs and outputs of a typed graph as an executable shows them. */
public final class Ports {
  private Ports() {}

  public static List<Port> inputs(Graph graph) {
    return of(graph, graph.inputs(), "input");
  }

  public static List<Port> outputs(Graph graph) {
    return of(graph, graph.outputs(), "output");
  }

  private static List<Port> of(Graph graph, List<Value> values, String what) {
    List<Port> ports = new ArrayList<>();
    for (Value value : values) {
      if (!(graph.type(value) instanceof ValueType.TensorType type)) {
        throw new TersorException(
            "TSR-0302",
            what
                + " '"
                + value.name()
                + "' is "
                + graph.type(value)
                + "; only tensors can enter and leave a model");
      }
      if (!type.isRanked()) {
        throw new TersorException(
            "TSR-0303",
            "the rank of "
                + what
                + " '"
                + value.name()
                + "' is not known; the file must declare its dimensions");
      }
      ports.add(new Port(value.name(), type.dtype(), type.dims()));
    }
    return List.copyOf(ports);
  }
}
