package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Tensor;

/**
 * MeanVarianceNormalization (9, 13): (X - mean) / (standard deviation + 1e-9) over axes, 0, 2 and 3
 * unless told.
 */
final class MeanVarianceNormalization extends OpBase {
  private static final double EPSILON = 1e-9;

  MeanVarianceNormalization() {
    super(
        OpSchema.of("", "MeanVarianceNormalization", 9, 13)
            .sample("X[d*4]; axes=axes(X)")
            .input("X", "T")
            .output("Y", "T")
            .attribute("axes", AttributeKind.INTS)
            .types("T", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(c.in(0));
  }

  private static boolean[] reduced(OpContext c) {
    boolean[] reduced = new boolean[c.rank(0)];
    for (long axis : c.intsAttr("axes").orElse(new long[] {0, 2, 3})) {
      reduced[c.axis(axis, reduced.length)] = true;
    }
    return reduced;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), x.shape());
    boolean[] reduced = reduced(c);
    long[] kept = x.shape().clone();
    for (int d = 0; d < kept.length; d++) {
      kept[d] = reduced[d] ? 1 : kept[d];
    }
    int groups = (int) Tensor.count(kept);
    int[] group = new int[x.size()];
    double[] mean = new double[groups];
    double[] square = new double[groups];
    double n = x.size() / (double) groups;
    for (int i = 0; i < x.size(); i++) {
      long[] index = Shapes.unravel(i, x.shape());
      for (int d = 0; d < index.length; d++) {
        index[d] = reduced[d] ? 0 : index[d];
      }
      group[i] = Shapes.ravel(index, kept);
      mean[group[i]] += x.getDouble(i) / n;
    }
    for (int i = 0; i < x.size(); i++) {
      double d = x.getDouble(i) - mean[group[i]];
      square[group[i]] += d * d / n;
    }
    for (int i = 0; i < x.size(); i++) {
      y.setDouble(i, (x.getDouble(i) - mean[group[i]]) / (Math.sqrt(square[group[i]]) + EPSILON));
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    boolean[] reduced = reduced(c);
    List<Axis> kept = new ArrayList<>();
    List<Axis> folded = new ArrayList<>();
    for (int d = 0; d < reduced.length; d++) {
      (reduced[d] ? folded : kept).add(axes.get(d));
    }
    Reduction r = new Reduction(kernel, kept, folded);
    KExpr x = kernel.value(0, Shapes.refs(axes));
    KExpr centered = K.sub(x, r.mean("mean", x));
    KExpr variance = r.mean("variance", K.mul(centered, centered));
    KExpr deviation =
        r.store(
            "deviation", K.add(K.unary(UnaryOp.SQRT, variance), K.literal(x.scalar(), EPSILON)));
    kernel.stage(kernel.out(0), axes, K.div(centered, deviation));
    return kernel.build();
  }
}
