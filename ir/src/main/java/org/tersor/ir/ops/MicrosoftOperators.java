package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Operators of com.microsoft that are made of others: one line per group. */
public final class MicrosoftOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    List<Operator> all = new ArrayList<>();
    all.addAll(IntegerProducts.all());
    all.addAll(BlockWeights.all());
    all.addAll(AttentionFunctions.all());
    all.add(new GroupQueryAttention());
    all.addAll(TransformerFunctions.all());
    return List.copyOf(all);
  }
}
