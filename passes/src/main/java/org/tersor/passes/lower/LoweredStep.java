package org.tersor.passes.lower;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.Lowering;
import org.tersor.runtime.Plan;

/** What a node became. */
public sealed interface LoweredStep
    permits KernelCall, LoweredStep.View, LoweredStep.Require, LoweredStep.Control {

  /** {@code value} is {@code source} under another shape or type: no code. */
  record View(Value value, Value source) implements LoweredStep {}

  /** What must hold for the dimensions before the step after it; no code. */
  record Require(Plan.Check check) implements LoweredStep {
    Set<String> symbols() {
      Set<String> symbols = new TreeSet<>(check.is().symbols());
      symbols.addAll(check.least().symbols());
      return symbols;
    }
  }

  /**
   * Something that kernels cannot do: bodies, or an operation of the host.
   *
   * @param reads present inputs, and what bodies capture
   */
  record Control(Node node, Lowering lowering, List<Value> reads) implements LoweredStep {}
}
