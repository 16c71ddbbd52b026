package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Transpose: output axis d is input axis perm[d]. */
final class TransposeOperator extends OpBase implements Differentiable {
  TransposeOperator() {
    super(
        OpSchema.of("", "Transpose", 1, 13, 21, 23, 24, 25)
            .carries(OpSchema.Carries.FIRST)
            .sample("data[d*]; perm=perm(data)")
            .input("data", "T")
            .output("transposed", "T")
            .types("T", Types.ALL)
            .attribute("perm", OpSchema.AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static int[] permutation(OpContext c) {
    int rank = c.rank(0);
    Optional<long[]> given = c.intsAttr("perm");
    int[] perm = new int[rank];
    boolean[] used = new boolean[rank];
    if (given.isPresent() && given.get().length != rank) {
      throw c.error("TSR-0304", "perm must have " + rank + " entries");
    }
    for (int d = 0; d < rank; d++) {
      perm[d] = given.isPresent() ? c.axis(given.get()[d], rank) : rank - 1 - d;
      if (used[perm[d]]) {
        throw c.error("TSR-0304", "perm names axis " + perm[d] + " twice");
      }
      used[perm[d]] = true;
    }
    return perm;
  }

  @Override
  List<ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    List<DimExpr> dims = new ArrayList<>();
    for (int axis : permutation(c)) {
      dims.add(c.dims(0).get(axis));
    }
    return List.of(TensorType.of(c.dtype(0), dims));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    int[] perm = permutation(c);
    Tensor out = Tensor.zeros(x.dtype(), outType(c, 0).staticShape());
    long[] strides = Shapes.strides(x.shape());
    long[] index = new long[perm.length];
    for (int i = 0; i < out.size(); i++) {
      long at = 0;
      for (int d = 0; d < perm.length; d++) {
        at += index[d] * strides[perm[d]];
      }
      Shapes.copy(x, (int) at, out, i);
      Shapes.next(index, out.shape());
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    int[] perm = permutation(c);
    if (movesOnlyOnes(c, perm)) {
      return new Lowering.View(0);
    }
    Buf x = in(c, 0);
    Buf out = out(c, 0, outType(c, 0));
    List<Axis> axes = Shapes.axes(out.shape());
    KExpr[] index = new KExpr[perm.length];
    for (int d = 0; d < perm.length; d++) {
      index[perm[d]] = K.axis(axes.get(d));
    }
    return compute(List.of(x), out, List.of(Stage.of(out, axes, K.at(x, index))));
  }

  /** Whether axes longer than 1 keep their order. */
  private static boolean movesOnlyOnes(OpContext c, int[] perm) {
    int last = -1;
    for (int axis : perm) {
      if (!c.dims(0).get(axis).isConst(1)) {
        if (axis < last) {
          return false;
        }
        last = axis;
      }
    }
    return true;
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    int[] perm = permutation(c);
    Long[] back = new Long[perm.length];
    for (int d = 0; d < perm.length; d++) {
      back[perm[d]] = (long) d;
    }
    Map<String, Attribute> order = Map.of("perm", new Attribute.IntsAttr(List.of(back)));
    return List.of(p.builder().add("Transpose", order, p.gradient()));
  }
}
