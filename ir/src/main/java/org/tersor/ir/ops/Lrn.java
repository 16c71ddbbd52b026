package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * LRN (1, 13): Y = X / (bias + alpha / size * s)^beta, s being the sum of squares over the channels
 * from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2).
 */
final class Lrn extends OpBase {
  Lrn() {
    super(
        OpSchema.of("", "LRN", 1, 13)
            .sample("X[n c s*2]; size=1|3|5; alpha=0.01..1.0; beta=0.25..1.0; bias=0.5..2.0")
            .input("X", "T")
            .output("Y", "T")
            .attribute("alpha", AttributeKind.FLOAT)
            .attribute("beta", AttributeKind.FLOAT)
            .attribute("bias", AttributeKind.FLOAT)
            .required("size", AttributeKind.INT)
            .types("T", Types.FLOATS));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(c.in(0));
  }

  private static int size(OpContext c) {
    long size = c.intAttr("size", 1);
    if (size < 1 || size > Integer.MAX_VALUE || c.rank(0) < 2) {
      throw c.error("TSR-0304", "size must be positive and X must have channels");
    }
    return (int) size;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), x.shape());
    int channels = (int) x.shape()[1];
    int plane = x.size() / Math.max(1, (int) (x.shape()[0] * channels));
    int size = size(c);
    for (int i = 0; i < x.size(); i++) {
      int channel = i / plane % channels;
      double squares = 0;
      for (int k = Math.max(0, channel - (size - 1) / 2);
          k <= Math.min(channels - 1, channel + size / 2);
          k++) {
        double v = x.getDouble(i + (k - channel) * plane);
        squares += v * v;
      }
      double base = c.floatAttr("bias", 1) + c.floatAttr("alpha", 1e-4f) / size * squares;
      y.setDouble(i, x.getDouble(i) / Math.pow(base, c.floatAttr("beta", 0.75f)));
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    int size = size(c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    Axis k = new Axis("k", DimExpr.of(size));
    KExpr channel = K.sub(K.add(K.axis(axes.get(1)), K.axis(k)), K.index((size - 1) / 2));
    KExpr inside = K.and(K.ge(channel, K.index(0)), K.lt(channel, K.dim(c.dims(0).get(1))));
    List<KExpr> index = new ArrayList<>(Shapes.refs(axes));
    index.set(1, channel);
    KExpr near = kernel.value(0, index);
    Scalar type = near.scalar();
    KExpr guarded = K.select(inside, near, K.literal(type, 0.0));
    KExpr squares = K.sum(List.of(k), K.mul(guarded, guarded));
    KExpr base =
        K.add(
            K.literal(type, (double) c.floatAttr("bias", 1)),
            K.mul(K.literal(type, (double) c.floatAttr("alpha", 1e-4f) / size), squares));
    KExpr power =
        K.binary(BinaryOp.POW, base, K.literal(type, (double) c.floatAttr("beta", 0.75f)));
    kernel.stage(kernel.out(0), axes, K.div(kernel.value(0, Shapes.refs(axes)), power));
    return kernel.build();
  }
}
