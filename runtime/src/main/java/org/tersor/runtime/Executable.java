package org.tersor.runtime;

import java.util.List;
import java.util.Map;

/**
 * A compiled model. Thread-safe; a call keeps no state behind and nothing needs closing. A wrong
 * name, type or shape is reported by {@link TersorException} before anything runs.
 */
public interface Executable {
  /** Inputs in the order of the model. */
  List<Port> inputs();

  /** Outputs in the order of the model. */
  List<Port> outputs();

  /**
   * Runs the model.
   *
   * @param inputs a tensor for every input, by name
   * @param outputs tensors to write results into, by name; outputs not named here are allocated
   * @return all outputs by name, in the order of the model
   */
  Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs);

  default Map<String, Tensor> run(Map<String, Tensor> inputs) {
    return run(inputs, Map.of());
  }

  /** Facts for a person: backend, vector width, nodes run on the host, memory. */
  default String describe() {
    return getClass().getSimpleName();
  }

  /**
   * A named input or output; symbolic dimensions are bound by the shapes of the inputs of a call.
   */
  record Port(String name, DType dtype, List<DimExpr> shape) {}
}
