package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** {@link PostTransform} of every row of scores [N, E], as an operator. */
final class PostTransformed extends OpBase {
  private static final String NAME = "post_transform";

  PostTransformed() {
    super(
        OpSchema.of(OpKey.TERSOR, NAME, 1)
            .input("scores", "F")
            .output("Z", "F")
            .types("F", Types.set(DType.F32))
            .required(NAME, AttributeKind.STRING));
  }

  static Value add(GraphBuilder b, PostTransform transform, Value scores) {
    return transform == PostTransform.NONE
        ? scores
        : b.add(
            OpKey.TERSOR, NAME, Map.of(NAME, new Attribute.StringAttr(transform.name())), scores);
  }

  @Override
  List<ValueType> types(OpContext c) {
    return List.of(c.in(0));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor scores = c.input(0);
    Tensor z = Shapes.allocate(c, DType.F32, scores.shape());
    int columns = (int) z.shape()[1];
    double[] row = new double[columns];
    for (int n = 0; n < z.shape()[0]; n++) {
      for (int e = 0; e < columns; e++) {
        row[e] = scores.getDouble(n * columns + e);
      }
      PostTransform.of(c).apply(row);
      for (int e = 0; e < columns; e++) {
        z.setDouble(n * columns + e, row[e]);
      }
    }
    return List.of(z);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes("n", c.dims(0));
    kernel.stage(
        kernel.out(0),
        axes,
        PostTransform.of(c)
            .apply(
                kernel,
                axes.subList(0, 1),
                axes.get(1),
                kernel.value(0, K.axis(axes.get(0)), K.axis(axes.get(1)))));
    return kernel.build();
  }
}
