package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Numeric operators of ai.onnx.ml: one line per operator or group. */
public final class MachineLearningOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    List<Operator> all = new ArrayList<>();
    all.addAll(FeatureOperators.all());
    all.addAll(LinearModel.all());
    all.addAll(TreeOperators.all());
    all.add(new SvmClassifier());
    all.add(new SvmRegressor());
    all.add(new PairwiseCoupling());
    all.add(new PostTransformed());
    return List.copyOf(all);
  }
}
