package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** First position of each number among keys [n]; n where it is none of them. NaN equals NaN. */
final class KeyPosition extends OpBase {
  static final String NAME = "key_position";

  KeyPosition() {
    super(
        OpSchema.of(OpKey.TERSOR, NAME, 1)
            .input("x", "T")
            .input("keys", "T")
            .output("y", "I")
            .types("T", Types.NUMERIC)
            .types("I", Types.I64)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  @Override
  List<ValueType> types(OpContext c) {
    return List.of(c.in(0).withDtype(DType.I64));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor keys = c.input(1);
    long[] positions = new long[keys.size()];
    java.util.Arrays.setAll(positions, i -> i);
    Tensor values =
        LabelMap.withDefault(
            c, Tensor.of(positions, positions.length), Tensor.of(new long[] {positions.length}));
    return List.of(new LabelMap(keys, values).apply(c, c.input(0)));
  }

  @Override
  Lowering code(OpContext c) {
    Buf x = in(c, 0);
    Buf keys = in(c, 1);
    Buf out = out(c, 0, outType(c, 0));
    List<Axis> axes = Shapes.axes(x.shape());
    Axis k = new Axis("k", keys.shape().getFirst());
    Scalar number = Elementwise.compute(c.dtype(0));
    KExpr here = K.cast(number, K.at(x, Shapes.refs(axes)));
    KExpr key = K.cast(number, K.at(keys, K.axis(k)));
    KExpr match = K.eq(here, key);
    if (c.dtype(0).isFloat()) {
      match = K.or(match, K.and(K.ne(here, here), K.ne(key, key)));
    }
    KExpr none = K.cast(Scalar.I64, K.dim(keys.shape().getFirst()));
    KExpr first =
        K.fold(ReduceOp.MIN, List.of(k), K.select(match, K.cast(Scalar.I64, K.axis(k)), none));
    return compute(List.of(x, keys), out, List.of(Stage.of(out, axes, K.min(first, none))));
  }
}
