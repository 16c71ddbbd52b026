package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
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
 * HannWindow, HammingWindow, BlackmanWindow (17): a - b cos(2 pi n / N) + c cos(4 pi n / N) for the
 * numbers n below the size; N is the size or, symmetric (periodic = 0), one less. A symmetric
 * window of one number is 1.
 */
final class CosineWindow extends OpBase {
  private final double a;
  private final double b;
  private final double c;

  private CosineWindow(String name, double a, double b, double c) {
    super(
        OpSchema.of("", name, 17)
            .sample("size[]=1..9; output_datatype=type(T2); periodic=0|1")
            .input("size", "T1")
            .output("output", "T2")
            .types("T1", Types.INDICES)
            .types("T2", Types.NUMERIC)
            .attribute("output_datatype", AttributeKind.INT)
            .attribute("periodic", AttributeKind.INT));
    this.a = a;
    this.b = b;
    this.c = c;
  }

  static List<CosineWindow> all() {
    return List.of(
        new CosineWindow("HannWindow", 0.5, 0.5, 0),
        new CosineWindow("HammingWindow", 25.0 / 46, 21.0 / 46, 0),
        new CosineWindow("BlackmanWindow", 0.42, 0.5, 0.08));
  }

  private static boolean periodic(OpContext c) {
    return c.intAttr("periodic", 1) != 0;
  }

  @Override
  List<? extends ValueType> types(OpContext context) {
    Optional<DimExpr> size = Shapes.extent(context, 0, "size");
    return List.of(
        TensorType.of(
            Shapes.outputType(context, Types.NUMERIC),
            List.of(size.orElseGet(() -> unknown(context, 0)))));
  }

  @Override
  List<Tensor> values(EvalContext context) {
    TensorType type = outType(context, 0);
    Tensor y = Shapes.allocate(context, type.dtype(), type.staticShape());
    double period = periodic(context) ? y.size() : y.size() - 1;
    for (int n = 0; n < y.size(); n++) {
      double turn = 2 * Math.PI * n / period;
      double value = period > 0 ? a - b * Math.cos(turn) + c * Math.cos(2 * turn) : 1;
      if (y.dtype().isFloat()) {
        y.setDouble(n, value);
      } else {
        y.setLong(n, ElementReader.toInteger(value, y.dtype()));
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext context) {
    DimExpr size =
        Shapes.extent(context, 0, "size")
            .orElseThrow(() -> notLowered(context, "the size is only known when it runs"));
    KernelBuilder kernel = new KernelBuilder(this, context);
    Axis n = new Axis("n", size);
    DimExpr period = periodic(context) ? size : size.minus(1);
    KExpr turn =
        K.div(
            K.mul(number(2 * Math.PI), K.cast(Scalar.F64, K.axis(n))),
            K.cast(Scalar.F64, K.dim(period)));
    KExpr value = K.sub(number(a), K.mul(number(b), K.unary(UnaryOp.COS, turn)));
    if (c != 0) {
      value = K.add(value, K.mul(number(c), K.unary(UnaryOp.COS, K.mul(number(2), turn))));
    }
    kernel.stage(
        kernel.out(0), List.of(n), K.select(K.gt(K.dim(period), K.index(0)), value, number(1)));
    return kernel.build();
  }

  private static KExpr number(double value) {
    return K.literal(Scalar.F64, value);
  }
}
