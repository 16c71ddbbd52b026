package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * How often each n-gram of a table occurs in the rows of X [C] or [N, C], its items up to {@code
 * skips} others apart. A row of the table [grams, n + 1] is an n-gram and its column in the result;
 * rows are different and in the order of their items.
 */
final class GramCounts extends OpBase {
  static final String NAME = "gram_counts";

  private static final String TEXT =
      """
      kernel grams(in0: $T$, in1: i64, out0: mut f32; rows, length, columns, grams, n, skips) {
        for i in 0..rows * columns {
          out0[i] = 0.0_f32;
        }
        local steps = skips + 1;
        if n > 1 {
          steps = min(steps, (length - 1) / max(n - 1, 1));
        }
        for row in 0..rows {
          for step in 1..steps + 1 {
            for at in 0..max(length - (n - 1) * step, 0) {
              local low = 0;
              local high = grams;
              while low < high {
                let middle = low + (high - low) / 2;
                local verdict = 0;
                local k = 0;
                while (verdict == 0) & (k < n) {
                  let x = i64(in0[row * length + at + k * step]);
                  let y = in1[middle * (n + 1) + k];
                  verdict = select(x < y, -1, select(y < x, 1, 0));
                  k = k + 1;
                }
                if verdict == 0 {
                  let column = row * columns + index(in1[middle * (n + 1) + n]);
                  out0[column] = out0[column] + 1.0_f32;
                }
                high = select(verdict > 0, high, select(verdict == 0, low, middle));
                low = select(verdict > 0, middle + 1, low);
              }
            }
          }
        }
      }
      """;

  GramCounts() {
    super(
        OpSchema.of(OpKey.TERSOR, NAME, 1)
            .input("X", "T")
            .input("table", "I")
            .output("Y", "F")
            .types("T", Types.INDICES)
            .types("I", Types.I64)
            .types("F", Types.set(DType.F32))
            .required("columns", AttributeKind.INT)
            .required("skips", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  @Override
  List<ValueType> types(OpContext c) {
    DimExpr columns = DimExpr.of(c.intAttr("columns", 0));
    return List.of(
        TensorType.of(
            DType.F32, c.rank(0) == 2 ? List.of(c.dims(0).getFirst(), columns) : List.of(columns)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor table = c.input(1);
    Tensor y = Shapes.allocate(c, DType.F32, outType(c, 0).staticShape());
    int rows = x.rank() == 2 ? (int) x.shape()[0] : 1;
    int length = rows == 0 ? 0 : x.size() / rows;
    int columns = (int) c.intAttr("columns", 0);
    int n = (int) table.shape()[1] - 1;
    for (int gram = 0; gram < table.shape()[0]; gram++) {
      int column = (int) table.getLong(gram * (n + 1) + n);
      for (int row = 0; row < rows; row++) {
        for (long step = 1; step <= c.intAttr("skips", 0) + 1 && (n - 1) * step < length; step++) {
          for (int at = 0; at + (n - 1) * step < length; at++) {
            boolean found = true;
            for (int k = 0; k < n; k++) {
              int from = (int) (row * length + at + k * step);
              found &= x.getLong(from) == table.getLong(gram * (n + 1) + k);
            }
            y.floats()[row * columns + column] += found ? 1 : 0;
          }
        }
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    Buf x = in(c, 0);
    long skips = Math.max(0, Math.min(c.intAttr("skips", 0), Integer.MAX_VALUE - 1));
    return LoopText.compute(
        List.of(x, in(c, 1)),
        List.of(out(c, 0, outType(c, 0))),
        List.of(),
        TEXT,
        List.of(
            x.shape().size() == 2 ? x.shape().getFirst() : DimExpr.ONE,
            x.shape().isEmpty() ? DimExpr.ONE : x.shape().getLast(),
            DimExpr.of(c.intAttr("columns", 0)),
            c.dims(1).getFirst(),
            c.dims(1).get(1).minus(DimExpr.ONE),
            DimExpr.of(skips)),
        Map.of("T", x.element().text()));
  }
}
