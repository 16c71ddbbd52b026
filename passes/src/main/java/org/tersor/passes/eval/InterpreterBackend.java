package org.tersor.passes.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.spi.Backend;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** {@code --backend interpreter}: the reference evaluation of every operator. Slow on purpose. */
public final class InterpreterBackend implements Backend.OfGraph {
  @Override
  public String id() {
    return "interpreter";
  }

  @Override
  public Executable load(Graph graph, Options options) {
    return load(graph, OpRegistry.standard());
  }

  /** As {@link #load(Graph, org.tersor.ir.spi.Backend.Options)}, with operators of plugins. */
  public static Executable load(Graph graph, OpRegistry operators) {
    return new Interpreted(
        Ports.inputs(graph), outputs(graph), new Evaluator(graph, operators), graph.nodes().size());
  }

  /** Outputs of unknown rank are shown without dimensions: here nothing depends on them. */
  private static List<Executable.Port> outputs(Graph graph) {
    List<Executable.Port> ports = new ArrayList<>();
    for (Value output : graph.outputs()) {
      ValueType type = graph.type(output);
      ports.add(
          type instanceof ValueType.TensorType tensor && !tensor.isRanked()
              ? new Executable.Port(output.name(), tensor.dtype(), List.of())
              : Ports.of(output.name(), type, "output"));
    }
    return List.copyOf(ports);
  }

  private record Interpreted(List<Port> inputs, List<Port> outputs, Evaluator evaluator, int nodes)
      implements Executable {
    @Override
    public Map<String, Tensor> run(Map<String, Tensor> given, Map<String, Tensor> targets) {
      List<Tensor> results = evaluator.run(Arguments.inputs(inputs, given));
      Map<String, Tensor> byName = new LinkedHashMap<>();
      for (int i = 0; i < outputs.size(); i++) {
        Port port = outputs.get(i);
        byName.put(
            port.name(),
            Arguments.deliver(port, results.get(i), Optional.ofNullable(targets.get(port.name()))));
      }
      return byName;
    }

    @Override
    public Map<String, Datum> call(Map<String, ? extends Datum> given) {
      List<Datum> results = evaluator.evaluate(Arguments.data(inputs, given), (value, datum) -> {});
      Map<String, Datum> byName = new LinkedHashMap<>();
      for (int i = 0; i < outputs.size(); i++) {
        byName.put(outputs.get(i).name(), results.get(i));
      }
      return byName;
    }

    @Override
    public String describe() {
      return "backend interpreter: " + nodes + " nodes evaluated one by one";
    }
  }
}
