package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * MelWeightMatrix (17): [dft_length / 2 + 1, num_mel_bins] triangles over the bins of a spectrum.
 * Their corners are equally spaced in mel (2595 log10(1 + hertz / 700)) from the lower to the upper
 * edge and rounded down to bins; a triangle that starts where its top is has 1 there.
 */
final class MelWeightMatrix extends OpBase {
  private static final int RATE = 2;
  private static final int LOWER = 3;
  private static final int UPPER = 4;

  MelWeightMatrix() {
    super(
        OpSchema.of("", "MelWeightMatrix", 17)
            .sample(
                "num_mel_bins[]=1..5; dft_length[]=8..32; sample_rate[]=2000..8000; lower_edge_hertz[]=0.0..200.0; upper_edge_hertz[]=500.0..1000.0; output_datatype=type(T3)")
            .input("num_mel_bins", "T1")
            .input("dft_length", "T1")
            .input("sample_rate", "T1")
            .input("lower_edge_hertz", "T2")
            .input("upper_edge_hertz", "T2")
            .output("output", "T3")
            .types("T1", Types.INDICES)
            .types("T2", Types.FLOATS)
            .types("T3", Types.NUMERIC)
            .attribute("output_datatype", AttributeKind.INT));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    Optional<DimExpr> bins = Shapes.extent(c, 0, "num_mel_bins");
    Optional<DimExpr> length = Shapes.extent(c, 1, "dft_length");
    return List.of(
        TensorType.of(
            Shapes.outputType(c, Types.NUMERIC),
            List.of(
                length.map(n -> n.floorDiv(2).plus(1)).orElseGet(() -> unknown(c, 0)),
                bins.orElseGet(() -> unknown(c, 1)))));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    TensorType type = outType(c, 0);
    Tensor y = Shapes.allocate(c, type.dtype(), type.staticShape());
    int bins = (int) type.staticShape()[1];
    long length = c.input(1).getLong(0);
    double low = mel(c.input(LOWER).getDouble(0));
    double step = (mel(c.input(UPPER).getDouble(0)) - low) / (bins + 2);
    double[] corner = new double[bins + 2];
    for (int i = 0; i < corner.length; i++) {
      double hertz = 700 * (Math.pow(10, (i * step + low) / 2595) - 1);
      corner[i] = Math.floor((length + 1) * hertz / c.input(RATE).getLong(0));
    }
    for (int i = 0; i < y.size(); i++) {
      int bin = i / bins;
      double left = corner[i % bins];
      double top = corner[i % bins + 1];
      double right = corner[i % bins + 2];
      double value = 0;
      if (bin >= top && bin < right) {
        value = (right - bin) / (right - top);
      } else if (left == top) {
        value = bin == top ? 1 : 0;
      } else if (bin >= left && bin <= top) {
        value = (bin - left) / (top - left);
      }
      if (y.dtype().isFloat()) {
        y.setDouble(i, value);
      } else {
        y.setLong(i, (long) value);
      }
    }
    return List.of(y);
  }

  private static double mel(double hertz) {
    return 2595 * Math.log10(1 + hertz / 700);
  }

  @Override
  Lowering code(OpContext c) {
    List<DimExpr> shape = outType(c, 0).dims();
    DimExpr length =
        Shapes.extent(c, 1, "dft_length")
            .filter(n -> Shapes.extent(c, 0, "num_mel_bins").isPresent())
            .orElseThrow(() -> notLowered(c, "the shape is only known when it runs"));
    KernelBuilder kernel = new KernelBuilder(this, c);
    DimExpr corners = shape.get(1).plus(2);
    Buf edges = kernel.temp("edges", Scalar.F64, List.of(DimExpr.of(2)));
    for (int e = 0; e < 2; e++) {
      KExpr ratio = K.div(kernel.scalar(LOWER + e, Scalar.F64), number(700));
      KExpr mel = K.mul(number(2595 / Math.log(10)), K.unary(UnaryOp.LOG1P, ratio));
      kernel.stage(edges, List.of(), List.of(K.index(e)), mel);
    }
    Axis i = new Axis("i", corners);
    KExpr low = K.at(edges, K.index(0));
    KExpr step = K.div(K.sub(K.at(edges, K.index(1)), low), K.cast(Scalar.F64, K.dim(corners)));
    KExpr mel = K.add(K.mul(K.cast(Scalar.F64, K.axis(i)), step), low);
    KExpr hertz =
        K.mul(number(700), K.unary(UnaryOp.EXPM1, K.mul(mel, number(Math.log(10) / 2595))));
    KExpr scaled =
        K.div(
            K.mul(K.cast(Scalar.F64, K.dim(length.plus(1))), hertz),
            kernel.scalar(RATE, Scalar.F64));
    Buf table = kernel.temp("corners", Scalar.F64, List.of(corners));
    kernel.stage(table, List.of(i), K.unary(UnaryOp.FLOOR, scaled));
    List<Axis> axes = Shapes.axes("o", shape);
    KExpr bin = K.cast(Scalar.F64, K.axis(axes.get(0)));
    KExpr triangle = K.axis(axes.get(1));
    KExpr left = K.at(table, triangle);
    KExpr top = K.at(table, K.add(triangle, K.index(1)));
    KExpr right = K.at(table, K.add(triangle, K.index(2)));
    KExpr rising =
        K.select(
            K.and(K.ge(bin, left), K.le(bin, top)),
            K.div(K.sub(bin, left), K.sub(top, left)),
            number(0));
    KExpr alone = K.select(K.eq(bin, top), number(1), number(0));
    KExpr falling = K.div(K.sub(right, bin), K.sub(right, top));
    kernel.stage(
        kernel.out(0),
        axes,
        K.select(
            K.and(K.ge(bin, top), K.lt(bin, right)),
            falling,
            K.select(K.eq(left, top), alone, rising)));
    return kernel.build();
  }

  private static KExpr number(double value) {
    return K.literal(Scalar.F64, value);
  }
}
