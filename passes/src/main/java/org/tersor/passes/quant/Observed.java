package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** An executable of a graph that also gives the values in between. */
final class Observed {
  private final Optional<Executable> executable;
  private final Map<Value, String> names = new LinkedHashMap<>();
  private final Map<Value, String> inputs = new LinkedHashMap<>();

  Observed(
      Compiler compiler,
      Graph prepared,
      Collection<Value> values,
      String backend,
      CompileOptions options) {
    this(compiler, prepared, values, backend, options, false);
  }

  /**
   * @param alone compute nothing but these values
   */
  Observed(
      Compiler compiler,
      Graph prepared,
      Collection<Value> values,
      String backend,
      CompileOptions options,
      boolean alone) {
    List<Value> outputs = new ArrayList<>(alone ? List.of() : prepared.outputs());
    String prefix = ProbeNames.prefix(prepared, "_observed_");
    for (Value value : values) {
      if (prepared.inputs().contains(value)) {
        inputs.put(value, value.name());
      } else if (!alone && prepared.isOutput(value)) {
        names.put(value, prepared.outputs().get(prepared.outputs().indexOf(value)).name());
      } else {
        Value named = new Value(value.id(), prefix + value.id());
        outputs.add(named);
        names.put(value, named.name());
      }
    }
    if (outputs.isEmpty()) {
      this.executable = Optional.empty();
      return;
    }
    Graph observed =
        new Graph(
            prepared.name(),
            prepared.inputs(),
            outputs,
            prepared.nodes(),
            prepared.constants(),
            prepared.types(),
            prepared.opsets(),
            Map.of()); // what is said of outputs may not hold for these
    this.executable = Optional.of(compiler.link(observed, backend, options));
  }

  /** The observed values of one call. */
  Map<Value, Tensor> run(Map<String, Tensor> given) {
    Map<String, Tensor> results = executable.map(e -> e.run(given)).orElse(Map.of());
    Map<Value, Tensor> observed = new LinkedHashMap<>();
    inputs.forEach((value, name) -> observed.put(value, given.get(name)));
    names.forEach((value, name) -> observed.put(value, results.get(name)));
    return observed;
  }
}
