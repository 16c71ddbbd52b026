package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * What {@link Unique} needs, at sizes that are known: where each different slice occurs first,
 * which one each slice is, how often each occurs (zeros after them), and how many there are.
 */
final class UniqueSlices extends OpBase {
  static final String NAME = "unique_slices";

  /** Equal slices are neighbours in the order; groups are renumbered by their first slices. */
  private static final String TEXT =
      """
      kernel unique(in0: $T$, out0: mut i64, out1: mut i64, out2: mut i64, out3: mut i64,
          order: mut i64, other: mut i64; count, elements, inner, sorted) {
        for i in 0..count {
          order[i] = i64(i);
          out0[i] = 0;
          out2[i] = 0;
        }
        $SORT$
        local groups = 0;
        for i in 0..count {
          let q = index(order[i]);
          let p = index(order[i - 1 if i > 0]);
          local same = select(i > 0, 1, 0);
          local e = 0;
          while (same == 1) & (e < elements) {
            let offset = e / inner * count * inner + e % inner;
            let x = $C$(in0[offset + p * inner]);
            let y = $C$(in0[offset + q * inner]);
            same = select($SAME$, 1, 0);
            e = e + 1;
          }
          if same == 0 {
            out0[groups] = i64(q);
            groups = groups + 1;
          }
          out1[q] = i64(groups - 1);
          out2[groups - 1] = out2[groups - 1] + 1;
        }
        out3[0] = i64(groups);
        if sorted == 0 {
          local next = 0;
          for i in 0..count {
            let group = index(out1[i]);
            if index(out0[group]) == i {
              other[group] = i64(next);
              order[next] = i64(i);
              next = next + 1;
            }
            out1[i] = other[group];
            out2[i] = 0;
          }
          for i in 0..count {
            let group = index(out1[i]);
            out2[group] = out2[group] + 1;
            out0[group] = order[group];
          }
        }
      }
      """;

  /** As numpy.unique has it of elements, but not of slices. */
  private static final String EQUAL_OR_NAN = "(x == y) | ((x != x) & (y != y))";

  private static final String COMPARE =
      """
      local e = 0;
      while (verdict == 0) & (e < elements) {
        let offset = e / inner * count * inner + e % inner;
        let x = $C$(in0[offset + p * inner]);
        let y = $C$(in0[offset + q * inner]);
        verdict = $ORDER$;
        e = e + 1;
      }
      """;

  UniqueSlices() {
    super(
        OpSchema.of(OpKey.TERSOR, NAME, 1)
            .input("X", "T")
            .output("indices", "I")
            .output("inverse_indices", "I")
            .output("counts", "I")
            .output("count", "I")
            .types("T", Types.COMPARABLE)
            .types("I", Types.I64)
            .attribute("axis", AttributeKind.INT)
            .attribute("sorted", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static List<DimExpr> shape(OpContext c) {
    return c.has("axis") ? c.dims(0) : List.of(c.in(0).elements());
  }

  private static int axis(OpContext c) {
    return c.has("axis") ? c.axis(c.intAttr("axis", 0), c.rank(0)) : 0;
  }

  @Override
  List<ValueType> types(OpContext c) {
    TensorType each = TensorType.of(DType.I64, List.of(shape(c).get(axis(c))));
    return List.of(each, each, each, TensorType.of(DType.I64, 1));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Unique.Found found = Unique.Found.of(c);
    int count = found.firsts().size();
    Tensor firsts = Tensor.zeros(DType.I64, found.inverse().size());
    Tensor counts = Tensor.zeros(DType.I64, found.inverse().size());
    for (int i = 0; i < count; i++) {
      firsts.longs()[i] = found.firsts().get(i);
      counts.longs()[i] = found.counts().get(i);
    }
    return List.of(firsts, Unique.longs(found.inverse()), counts, Tensor.of(new long[] {count}, 1));
  }

  @Override
  Lowering code(OpContext c) {
    List<DimExpr> shape = shape(c);
    int axis = axis(c);
    Buf x = in(c, 0);
    DimExpr count = shape.get(axis);
    DimExpr inner = Shapes.product(shape, axis + 1, shape.size());
    Scalar type = LoopText.comparable(x.element());
    List<Buf> outputs = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      outputs.add(out(c, i, outType(c, i)));
    }
    return LoopText.compute(
        List.of(x),
        outputs,
        List.of(
            new Buf("order", Scalar.I64, List.of(count)),
            new Buf("other", Scalar.I64, List.of(count))),
        TEXT,
        List.of(
            count,
            Shapes.product(shape, 0, axis).times(inner),
            inner,
            DimExpr.of(c.intAttr("sorted", 1) == 0 ? 0 : 1)),
        Map.of(
            "SORT",
            LoopText.SORT,
            "VERDICT",
            COMPARE,
            "T",
            x.element().text(),
            "C",
            type.text(),
            "SAME",
            type.isFloat() && !c.has("axis") ? EQUAL_OR_NAN : "x == y",
            "ORDER",
            LoopText.order(type)));
  }
}
