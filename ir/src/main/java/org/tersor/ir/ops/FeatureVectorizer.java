package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Columns of all inputs [N, C] (or [C]: one row) side by side, as floats. */
final class FeatureVectorizer extends OpBase {
  FeatureVectorizer() {
    super(
        OpSchema.of(TabledOperator.ML, "FeatureVectorizer", 1)
            .variadic("X", "*")
            .output("Y", "F")
            .attribute("inputdimensions", AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static DimExpr width(OpContext c, int input) {
    if (!FeatureOperators.NUMBERS.contains(c.dtype(input))) {
      throw c.error("TSR-0302", "input " + input + " holds no numbers");
    }
    if (c.rank(input) < 1 || c.rank(input) > 2) {
      throw c.error("TSR-0303", "input " + input + " must be [N, C] or [C]");
    }
    DimExpr width = c.dims(input).getLast();
    long[] given = c.intsAttr("inputdimensions").orElse(new long[0]);
    if (given.length > 0) {
      if (given.length != c.inputCount()) {
        throw c.error("TSR-0304", "inputdimensions must have a number for each input");
      }
      Shapes.agree(c, "columns of input " + input, width, DimExpr.of(given[input]));
    }
    return width;
  }

  private static DimExpr rows(OpContext c, int input) {
    return c.rank(input) == 1 ? DimExpr.ONE : c.dims(input).getFirst();
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (shapes(c, 0, c.inputCount()).isEmpty()) {
      return List.of(TensorType.unranked(DType.F32));
    }
    DimExpr columns = DimExpr.ZERO;
    for (int i = 0; i < c.inputCount(); i++) {
      columns = columns.plus(width(c, i));
      Shapes.agree(c, "rows of input " + i, rows(c, i), rows(c, 0));
    }
    return List.of(TensorType.of(DType.F32, List.of(rows(c, 0), columns)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor y = Shapes.allocate(c, DType.F32, outType(c, 0).staticShape());
    int columns = (int) y.shape()[1];
    int start = 0;
    for (int i = 0; i < c.inputCount(); i++) {
      Tensor x = c.input(i);
      int width = (int) x.shape()[x.rank() - 1];
      for (int e = 0; e < x.size(); e++) {
        y.setDouble(e / width * columns + start + e % width, x.getDouble(e));
      }
      start += width;
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    DimExpr start = DimExpr.ZERO;
    for (int i = 0; i < c.inputCount(); i++) {
      Axis n = new Axis("n", rows(c, i));
      Axis k = new Axis("k" + i, width(c, i));
      List<KExpr> from = c.rank(i) == 1 ? List.of(K.axis(k)) : List.of(K.axis(n), K.axis(k));
      kernel.stage(
          kernel.out(0),
          List.of(n, k),
          List.of(K.axis(n), K.add(K.dim(start), K.axis(k))),
          kernel.value(i, from));
      start = start.plus(k.extent());
    }
    return kernel.build();
  }
}
