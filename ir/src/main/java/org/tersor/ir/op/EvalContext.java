package org.tersor.ir.op;

import java.util.List;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.runtime.Tensor;

/**
 * A node with the values of its inputs. {@link #inputType} and {@link #symbolic} tell the actual
 * types and values.
 */
public abstract class EvalContext extends OpContext {
  protected EvalContext(Graph graph, Node node) {
    super(graph, node);
  }

  /** Input {@code index}; a diagnostic if it is absent. */
  public abstract Tensor input(int index);

  /** Runs a body of this node: values captured from outside are supplied by the evaluator. */
  public abstract List<Tensor> run(Graph body, List<Tensor> bodyInputs);
}
