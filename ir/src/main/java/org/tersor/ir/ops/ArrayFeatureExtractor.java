package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Columns Y of X [..., C]; of a line [C] the result is [1, numbers of Y]. */
final class ArrayFeatureExtractor extends OpBase {
  ArrayFeatureExtractor() {
    super(
        OpSchema.of(TabledOperator.ML, "ArrayFeatureExtractor", 1)
            .sample("X[b*0-1 n]; Y[m]=below(n)")
            .input("X", "T")
            .input("Y", "I")
            .output("Z", "T")
            .types("T", Types.union(FeatureOperators.NUMBERS, Types.set(DType.STRING)))
            .types("I", Types.I64)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), shapes(c, 0, 2).map(s -> shape(c))));
  }

  private static List<DimExpr> shape(OpContext c) {
    if (c.rank(0) < 1) {
      throw c.error("TSR-0303", "X has no columns");
    }
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    dims.set(dims.size() - 1, c.in(1).elements());
    if (dims.size() == 1) {
      dims.addFirst(DimExpr.ONE);
    }
    return dims;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor out = Shapes.allocate(c, x.dtype(), Window.numbers(shape(c)));
    int columns = (int) x.shape()[x.rank() - 1];
    int wanted = c.input(1).size();
    for (int i = 0; i < out.size(); i++) {
      long column = c.input(1).getLong(i % wanted);
      if (column < 0 || column >= columns) {
        throw c.error("TSR-0705", "column " + column + " is outside 0.." + (columns - 1));
      }
      Shapes.copy(x, i / wanted * columns + (int) column, out, i);
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<DimExpr> x = c.dims(0);
    List<Axis> axes = Shapes.axes("i", x.subList(0, x.size() - 1));
    List<Axis> y = Shapes.axes("y", c.dims(1));
    KExpr flat = K.index(0);
    for (Axis axis : y) {
      flat = K.add(K.mul(flat, K.dim(axis.extent())), K.axis(axis));
    }
    KExpr number = Moves.inside(K.at(kernel.in(1), Shapes.refs(y)), x.getLast());
    List<KExpr> from = new ArrayList<>(Shapes.refs(axes));
    List<KExpr> to = new ArrayList<>(x.size() == 1 ? List.of(K.index(0)) : from);
    from.add(number);
    to.add(flat);
    List<Axis> all = new ArrayList<>(axes);
    all.addAll(y);
    kernel.stage(kernel.out(0), all, to, K.at(kernel.in(0), from));
    return kernel.build();
  }
}
