package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Losses, optimizers and random numbers: one line per operator. */
public final class TrainingOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    List<Operator> all = new ArrayList<>();
    all.add(Loss.negativeLogLikelihood());
    all.add(Loss.softmaxCrossEntropy());
    all.add(new Optimizer(Optimizer.Kind.ADAGRAD));
    all.add(new Optimizer(Optimizer.Kind.ADAM));
    all.add(new Optimizer(Optimizer.Kind.MOMENTUM));
    all.add(new Gradient());
    all.add(new Dropout(false));
    all.add(new Dropout(true));
    all.addAll(RandomOperators.all());
    return List.copyOf(all);
  }
}
