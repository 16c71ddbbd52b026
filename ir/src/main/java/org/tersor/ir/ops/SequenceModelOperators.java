package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/**
 * Operators of recent sequence models: rotary positions, linear attention, caches: one line per
 * operator.
 */
public final class SequenceModelOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    return List.of(
        new RotaryEmbedding(),
        new TensorScatter(),
        new CausalConvWithState(),
        new LinearAttention(),
        new FlexAttention());
  }
}
