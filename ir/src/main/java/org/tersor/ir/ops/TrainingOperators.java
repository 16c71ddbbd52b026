package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Losses, optimizers and random numbers: one line per operator. */
public final class TrainingOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    return List.of(Loss.negativeLogLikelihood(), Loss.softmaxCrossEntropy());
  }
}
