package org.tersor.passes.lower;

import java.util.List;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.Lowering;

/** What a node became. */
public sealed interface LoweredStep permits KernelCall, LoweredStep.View, LoweredStep.Control {

  /** {@code value} is {@code source} under another shape or type: no code. */
  record View(Value value, Value source) implements LoweredStep {}

  /**
   * Something that kernels cannot do: bodies, or an operation of the host.
   *
   * @param reads present inputs, and what bodies capture
   */
  record Control(Node node, Lowering lowering, List<Value> reads) implements LoweredStep {}
}
