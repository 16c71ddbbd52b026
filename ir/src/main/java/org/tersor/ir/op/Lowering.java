package org.tersor.ir.op;

import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.tersor.ir.graph.Graph;
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

  /**
   * A host operation (strings, sequences, ...).
   *
   * @param hostOp its id in the closed list of host ops
   * @param settings attributes as text, with defaults filled in
   */
  record Host(String hostOp, Map<String, List<String>> settings) implements Lowering {
    public Host(String hostOp) {
      this(hostOp, Map.of());
    }
  }

  /** One of two bodies without inputs, chosen by input 0; the bodies' outputs are the node's. */
  record Branch(Graph then, Graph otherwise) implements Lowering {}

  /**
   * A body run again and again. Its inputs are, in this order, the iteration number and the
   * condition if {@code counted}, what is carried, slices of what is scanned; its outputs the
   * condition if {@code counted}, what is carried, slices to be stacked. The node's outputs are the
   * last carried values, then the stacks.
   *
   * @param tripCount index of the node's input that bounds the iterations; -1 for none
   * @param condition index of the node's input that says whether to begin; -1 for yes
   * @param carried indices of the node's inputs that the first iteration gets
   */
  record Iterate(
      Graph body,
      boolean counted,
      int tripCount,
      int condition,
      List<Integer> carried,
      List<Scanned> scanned,
      List<Stacked> stacked)
      implements Lowering {}

  /**
   * An operand that every iteration gets one slice of; the number of slices is the number of
   * iterations. Of a sequence it gets an element.
   *
   * @param input index of the node's input
   * @param axis not negative
   */
  record Scanned(int input, int axis, boolean reverse) {}

  /**
   * How slices become a result.
   *
   * @param axis where the dimension of the iterations goes, not negative; -1 makes a sequence
   * @param reverse whether later iterations come first
   */
  record Stacked(int axis, boolean reverse) {}
}
