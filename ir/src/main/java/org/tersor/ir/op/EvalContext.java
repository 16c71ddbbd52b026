package org.tersor.ir.op;

import java.util.List;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * A node with the values of its inputs. {@link #inputType} and {@link #symbolic} tell the actual
 * types and values.
 */
public abstract class EvalContext extends OpContext {
  protected EvalContext(Graph graph, Node node) {
    super(graph, node);
  }

  /** Input {@code index} as a tensor; a diagnostic if it is absent or something else. */
  public final Tensor input(int index) {
    if (datum(index) instanceof Tensor tensor) {
      return tensor;
    }
    throw error("TSR-0302", "input " + index + " must be a tensor, not " + datum(index));
  }

  /** Input {@code index}, whatever it is; a diagnostic if it is absent. */
  public abstract Datum datum(int index);

  /** Runs a body of this node: values captured from outside are supplied by the evaluator. */
  public abstract List<Datum> run(Graph body, List<? extends Datum> bodyInputs);
}
