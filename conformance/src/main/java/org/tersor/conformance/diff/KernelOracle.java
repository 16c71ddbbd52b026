package org.tersor.conformance.diff;

import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.Tensor;

/** Says how the reference can compute a node. */
@FunctionalInterface
interface KernelOracle {
  /** How it can. */
  enum Route {
    /** It has code for the node. */
    DIRECT,
    /** It has code for the node with operands in wider types ({@link Carriers#wider}). */
    WIDENED,
    NONE
  }

  /**
   * @param alone a graph of the node alone
   * @param values of its operands, and of its results where they are known
   * @param exact whether the operator rounds nothing
   */
  Route route(Graph alone, Map<Value, Tensor> values, boolean exact);

  /** For drawing without a reference. */
  static KernelOracle everything() {
    return (alone, values, exact) -> Route.DIRECT;
  }
}
