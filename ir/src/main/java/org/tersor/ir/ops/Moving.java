package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;

/**
 * An operator whose results are elements of its first input: applied to the positions of these
 * elements it tells where each result comes from, and there its gradient is added.
 */
interface Moving extends Differentiable {
  @Override
  default List<Value> gradients(OpContext c, Pullback p) {
    return List.of(p.back(c, p.positions(c)));
  }
}
