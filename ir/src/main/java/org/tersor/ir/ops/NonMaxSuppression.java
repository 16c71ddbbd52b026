package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * NonMaxSuppression: per batch and class, boxes by falling score that overlap no better one by more
 * than a threshold; rows of (batch, class, box). Of equal scores the lower box comes first.
 */
final class NonMaxSuppression extends OpBase {
  NonMaxSuppression() {
    super(
        OpSchema.of("", "NonMaxSuppression", 10, 11)
            .input("boxes", "F")
            .input("scores", "F")
            .optional("max_output_boxes_per_class", "I")
            .optional("iou_threshold", "F")
            .optional("score_threshold", "F")
            .output("selected_indices", "I")
            .types("F", Types.set(DType.F32))
            .types("I", Types.I64)
            .attribute("center_point_box", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static void check(OpContext c) {
    if (c.in(0).isRanked()
        && c.in(1).isRanked()
        && (c.rank(0) != 3
            || c.rank(1) != 3
            || (c.dims(0).get(2).isConst() && !c.dims(0).get(2).isConst(4))
            || differ(c.dims(0).get(0), c.dims(1).get(0))
            || differ(c.dims(0).get(1), c.dims(1).get(2)))) {
      throw c.error("TSR-0303", "boxes [batch, n, 4] and scores [batch, classes, n] are needed");
    }
  }

  private static boolean differ(DimExpr a, DimExpr b) {
    return a.isConst() && b.isConst() && !a.equals(b);
  }

  @Override
  List<ValueType> types(OpContext c) {
    check(c);
    return List.of(TensorType.of(DType.I64, List.of(unknown(c, 0), DimExpr.of(3))));
  }

  private static double number(EvalContext c, int input, double otherwise) {
    if (!c.hasInput(input)) {
      return otherwise;
    }
    if (c.input(input).size() != 1) {
      throw c.error("TSR-0303", "input " + input + " must be one element");
    }
    return c.input(input).getDouble(0);
  }

  @Override
  List<Tensor> values(EvalContext c) {
    check(c);
    Tensor boxes = c.input(0);
    Tensor scores = c.input(1);
    double most = number(c, 2, 0);
    double overlap = number(c, 3, 0);
    if (overlap < 0 || overlap > 1) {
      throw c.error("TSR-0303", "iou_threshold " + overlap + " is outside 0..1");
    }
    double least = number(c, 4, Double.NEGATIVE_INFINITY);
    boolean center = c.intAttr("center_point_box", 0) != 0;
    int n = (int) boxes.shape()[1];
    int classes = (int) scores.shape()[1];
    List<long[]> found = new ArrayList<>();
    for (int batch = 0; batch < boxes.shape()[0]; batch++) {
      for (int k = 0; k < classes; k++) {
        int row = (batch * classes + k) * n;
        int first = batch * n;
        List<Integer> order =
            IntStream.range(0, n)
                .filter(i -> !c.hasInput(4) || scores.getDouble(row + i) > least)
                .boxed()
                .sorted((a, b) -> Float.compare(scores.floats()[row + b], scores.floats()[row + a]))
                .toList();
        List<Integer> kept = new ArrayList<>();
        for (int box : order) {
          if (kept.size() >= most) {
            break;
          }
          double[] here = corners(boxes, first + box, center);
          if (kept.stream()
              .noneMatch(other -> iou(here, corners(boxes, first + other, center)) > overlap)) {
            kept.add(box);
          }
        }
        for (int box : kept) {
          found.add(new long[] {batch, k, box});
        }
      }
    }
    Tensor out = Tensor.zeros(DType.I64, found.size(), 3);
    for (int i = 0; i < found.size(); i++) {
      System.arraycopy(found.get(i), 0, out.longs(), 3 * i, 3);
    }
    return List.of(out);
  }

  /** Smaller and larger coordinates of a box; its diagonal may be given either way round. */
  private static double[] corners(Tensor boxes, int box, boolean center) {
    double a = boxes.getDouble(4 * box);
    double b = boxes.getDouble(4 * box + 1);
    double p = boxes.getDouble(4 * box + 2);
    double q = boxes.getDouble(4 * box + 3);
    return center
        ? new double[] {a - p / 2, b - q / 2, a + p / 2, b + q / 2}
        : new double[] {Math.min(a, p), Math.min(b, q), Math.max(a, p), Math.max(b, q)};
  }

  private static double iou(double[] a, double[] b) {
    double h = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
    double w = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
    if (h <= 0 || w <= 0) {
      return 0;
    }
    double first = (a[2] - a[0]) * (a[3] - a[1]);
    double second = (b[2] - b[0]) * (b[3] - b[1]);
    return first <= 0 || second <= 0 ? 0 : h * w / (first + second - h * w);
  }

  @Override
  Lowering code(OpContext c) {
    throw notLowered(c, "the size of the result depends on the data");
  }
}
