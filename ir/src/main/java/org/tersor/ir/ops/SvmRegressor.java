package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * SVMRegressor (ai.onnx.ml 1): similarities to support vectors times coefficients plus rho; of one
 * class: 1 where that is positive, else -1. Without support vectors a row of coefficients.
 */
final class SvmRegressor extends OpBase {
  SvmRegressor() {
    super(
        SvmModel.attributes(
                OpSchema.of(TabledOperator.ML, "SVMRegressor", 1)
                    .sample(
                        "X[n f]; n_supports=1..3; k=times(n_supports, f); support_vectors=copies(k, -2.0..2.0); coefficients=copies(n_supports, -1.0..1.0); rho=copies(1, -1.0..1.0); kernel_type=LINEAR|POLY|RBF|SIGMOID; kernel_params!=list(0.5, 0.25..1.0, 2.0); one_class=0|1; post_transform=NONE"))
            .output("Y", "F")
            .types("F", Types.set(DType.F32))
            .attribute("n_supports", AttributeKind.INT)
            .attribute("one_class", AttributeKind.INT));
  }

  private static SvmModel model(OpContext c) {
    long vectors = c.intAttr("n_supports", 0);
    int coefficients = SvmModel.floats(c, "coefficients").length;
    if (vectors > 0 && coefficients != vectors) {
      throw c.error("TSR-0304", coefficients + " coefficients for " + vectors + " vectors");
    }
    if (SvmModel.floats(c, "rho").length < 1) {
      throw c.error("TSR-0304", "rho must be a number");
    }
    return SvmModel.of(c, vectors, 1);
  }

  @Override
  List<ValueType> types(OpContext c) {
    SvmModel _ = model(c);
    PostTransform _ = PostTransform.of(c);
    return List.of(TensorType.of(DType.F32, List.of(SvmModel.rows(c), DimExpr.ONE)));
  }

  /** Weights of the similarities. */
  private static float[] factors(OpContext c) {
    return c.intAttr("n_supports", 0) > 0 ? SvmModel.floats(c, "coefficients") : new float[] {1};
  }

  @Override
  List<Tensor> values(EvalContext c) {
    SvmModel model = model(c);
    float[] weights = factors(c);
    int rows = c.input(0).size() / model.features();
    Tensor y = Shapes.allocate(c, DType.F32, rows, 1);
    for (int n = 0; n < rows; n++) {
      double[] similar = model.similarities(c.input(0), n);
      double sum = SvmModel.floats(c, "rho")[0];
      for (int v = 0; v < similar.length; v++) {
        sum += weights[v] * similar[v];
      }
      double[] row = {c.intAttr("one_class", 0) == 0 ? sum : sum > 0 ? 1 : -1};
      PostTransform.of(c).apply(row);
      y.setDouble(n, row[0]);
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    SvmModel model = model(c);
    return new Lowering.Decompose(b -> {
      b.pin("", FunctionOperator.OPSET);
      Value weights = b.constant(SvmModel.transposed(new float[][] {factors(c)}));
      Value sum = b.add("MatMul", model.similarities(b, c), weights);
      sum = b.add("Add", sum, b.scalar(SvmModel.floats(c, "rho")[0]));
      if (c.intAttr("one_class", 0) != 0) {
        sum = b.add("Where", b.add("Greater", sum, b.scalar(0)), b.scalar(1), b.scalar(-1));
      }
      return List.of(PostTransformed.add(b, PostTransform.of(c), sum));
    });
  }
}
