package org.tersor.ir.op;

import java.util.List;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ValueType;

/** An operator with graphs in attributes: what type inference must know about them. */
public interface BodyOperator extends Operator {

  /**
   * A body input that the previous iteration supplies from the second on.
   *
   * @param input index of the body's input
   * @param output index of the body's output that the next iteration gets
   */
  record Carried(int input, int output) {}

  /** Types that enter a body, one per input of it; UNKNOWN where the body's declaration holds. */
  List<ValueType> bodyInputs(OpContext context, Graph body);

  /** What a body carries from one iteration to the next; nothing unless it is iterated. */
  default List<Carried> carried(OpContext context, Graph body) {
    return List.of();
  }

  /**
   * Whether a call may do without a body: then what is wrong in it is a fault of the call that
   * chooses it, not of the model.
   */
  default boolean mayBeLeftOut(OpContext context, Graph body) {
    return false;
  }
}
