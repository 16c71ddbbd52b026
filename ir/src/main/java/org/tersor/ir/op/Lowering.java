package org.tersor.ir.op;

import java.util.List;
import java.util.function.Function;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Kernel;

/** How an operator becomes code. */
public sealed interface Lowering {

  /**
   * Other operators.
   *
   * @param build adds the nodes to the builder and returns one value per output of the node
   */
  record Decompose(Function<GraphBuilder, List<Value>> build) implements Lowering {}

  /**
   * A kernel. Its input buffers are {@code in0, in1, ...} by the node's input index (only those it
   * reads are declared), its outputs {@code out0, ...} by the output index.
   */
  record Compute(Kernel kernel) implements Lowering {}

  /**
   * Output 0 is input {@code input} under another shape or, for an integer of equal bits, another
   * type: no code.
   */
  record View(int input) implements Lowering {}

  /** A host operation (strings, sequences, ...), by its id in the closed list of host ops. */
  record Host(String hostOp) implements Lowering {}
}
