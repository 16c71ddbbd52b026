package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
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
 * NonMaxSuppression: per batch and class, boxes by falling score that overlap no better one by more
 * than a threshold; rows of (batch, class, box). Of equal scores the lower box comes first, a NaN
 * is the best one.
 */
final class NonMaxSuppression extends OpBase {
  NonMaxSuppression() {
    super(
        operands(OpSchema.of("", "NonMaxSuppression", 10, 11))
            .sample(
                "boxes[b n 4]; scores[b c n]; max_output_boxes_per_class[]=1..3; iou_threshold[]=0.0..1.0; score_threshold[]=-0.5..0.5; center_point_box=0|1")
            .output("selected_indices", "I"));
  }

  private static OpSchema.Builder operands(OpSchema.Builder schema) {
    return schema
        .input("boxes", "F")
        .input("scores", "F")
        .optional("max_output_boxes_per_class", "I")
        .optional("iou_threshold", "F")
        .optional("score_threshold", "F")
        .types("F", Types.set(DType.F32))
        .types("I", Types.I64)
        .attribute("center_point_box", AttributeKind.INT)
        .tolerance(OpSchema.Tolerance.EXACT);
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
    return List.of(rows(c, 0));
  }

  /** Rows of what is selected, followed by zeros if there are less than {@code least}. */
  private static Tensor rows(EvalContext c, int least) {
    check(c);
    Tensor boxes = c.input(0);
    Tensor scores = c.input(1);
    double most = number(c, 2, 0);
    double overlap = number(c, 3, 0);
    if (overlap < 0 || overlap > 1) {
      throw c.error("TSR-0303", "iou_threshold " + overlap + " is outside 0..1");
    }
    double threshold = number(c, 4, Double.NEGATIVE_INFINITY);
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
                .filter(i -> !c.hasInput(4) || scores.getDouble(row + i) > threshold)
                .boxed()
                // Adding 0 makes one of the two zeros.
                .sorted((a, b) ->
                    Double.compare(
                        scores.getDouble(row + b) + 0.0, scores.getDouble(row + a) + 0.0))
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
    Tensor out = Tensor.zeros(DType.I64, Math.max(found.size(), least), 3);
    for (int i = 0; i < found.size(); i++) {
      System.arraycopy(found.get(i), 0, out.longs(), 3 * i, 3);
    }
    return out;
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
    return new Lowering.Decompose(b -> {
      List<Value> found = List.of(b.value("", ValueType.UNKNOWN), b.value("", ValueType.UNKNOWN));
      b.addNode(OpKey.TERSOR, Boxes.NAME, c.node().attributes(), c.node().inputs(), found);
      return List.of(
          b.add(
              OpKey.TERSOR,
              DataSizedOperators.TakeFirst.NAME,
              Map.of(),
              found.getFirst(),
              found.get(1)));
    });
  }

  /** The same with as many rows as there can be, and how many of them are selected. */
  static final class Boxes extends OpBase {
    static final String NAME = "selected_boxes";

    private static final String TEXT =
        """
        kernel boxes(in0: f32, in1: f32$OPERANDS$, out0: mut i64, out1: mut i64,
            order: mut i64, other: mut i64; batches, classes, n, rows) {
          for i in 0..3 * rows {
            out0[i] = 0;
          }
          let most = index(max(min($MOST$, i64(rows)), 0));
          let overlap = f64($OVERLAP$);
          local found = 0;
          for row in 0..batches * classes {
            local count = 0;
            for i in 0..n {
              let score = in1[row * n + i];
              if $CANDIDATE$ {
                order[count] = i64(i);
                count = count + 1;
              }
            }
            $SORT$
            let first = row / classes * n;
            let begin = found;
            local next = 0;
            while (next < count) & (found - begin < most) {
              let box = index(order[next]);
              let at_a = 4 * (first + box);
              $BOX_A$
              local kept = 1;
              local k = begin;
              while (kept == 1) & (k < found) {
                let at_b = 4 * (first + index(out0[3 * k + 2]));
                $BOX_B$
                let h = min(a2, b2) - max(a0, b0);
                let w = min(a3, b3) - max(a1, b1);
                let size = (a2 - a0) * (a3 - a1);
                let area = (b2 - b0) * (b3 - b1);
                let both = h * w;
                let some = (h > 0) & (w > 0) & (size > 0) & (area > 0);
                let iou = select(some, both / (size + area - both), 0.0_f64);
                kept = select(iou > overlap, 0, 1);
                k = k + 1;
              }
              if kept == 1 {
                out0[3 * found] = i64(row / classes);
                out0[3 * found + 1] = i64(row % classes);
                out0[3 * found + 2] = i64(box);
                found = found + 1;
              }
              next = next + 1;
            }
          }
          out1[0] = i64(found);
        }
        """;

    /** The higher score first. */
    private static final String VERDICT =
        """
        let x = in1[row * n + q];
        let y = in1[row * n + p];
        verdict = select((x == x) & (y == y), select(x < y, -1, select(y < x, 1, 0)),
            select(y != y, -1, 1));
        """;

    private static final String CORNERS =
        """
        let p$X$ = f64(in0[at_$X$]);
        let q$X$ = f64(in0[at_$X$ + 1]);
        let r$X$ = f64(in0[at_$X$ + 2]);
        let s$X$ = f64(in0[at_$X$ + 3]);
        let $X$0 = min(p$X$, r$X$);
        let $X$1 = min(q$X$, s$X$);
        let $X$2 = max(p$X$, r$X$);
        let $X$3 = max(q$X$, s$X$);
        """;

    private static final String CENTER =
        """
        let p$X$ = f64(in0[at_$X$]);
        let q$X$ = f64(in0[at_$X$ + 1]);
        let r$X$ = f64(in0[at_$X$ + 2]) / 2;
        let s$X$ = f64(in0[at_$X$ + 3]) / 2;
        let $X$0 = p$X$ - r$X$;
        let $X$1 = q$X$ - s$X$;
        let $X$2 = p$X$ + r$X$;
        let $X$3 = q$X$ + s$X$;
        """;

    Boxes() {
      super(
          operands(OpSchema.of(OpKey.TERSOR, NAME, 1)).output("indices", "I").output("count", "I"));
    }

    private static DimExpr capacity(OpContext c) {
      DimExpr each = c.dims(0).get(1);
      Optional<long[]> most = c.hasInput(2) ? Shapes.constantLongs(c, 2) : Optional.of(new long[1]);
      if (most.isPresent() && most.get().length == 1) {
        each = each.min(DimExpr.of(Math.max(0, most.get()[0])));
      }
      return c.dims(1).getFirst().times(c.dims(1).get(1)).times(each);
    }

    @Override
    List<ValueType> types(OpContext c) {
      check(c);
      return List.of(
          TensorType.of(DType.I64, List.of(capacity(c), DimExpr.of(3))),
          TensorType.of(DType.I64, 1));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      long count = rows(c, 0).shape()[0];
      int capacity = (int) Window.numbers(List.of(capacity(c)))[0];
      return List.of(rows(c, capacity), Tensor.of(new long[] {count}, 1));
    }

    @Override
    Lowering code(OpContext c) {
      List<Buf> inputs = new ArrayList<>();
      StringBuilder operands = new StringBuilder();
      for (int i = 0; i < c.inputCount(); i++) {
        if (c.hasInput(i)) {
          inputs.add(in(c, i));
          operands.append(i < 2 ? "" : ", in" + i + ": " + (i == 2 ? "i64" : "f32"));
        }
      }
      DimExpr n = c.dims(0).get(1);
      String corners = c.intAttr("center_point_box", 0) != 0 ? CENTER : CORNERS;
      return LoopText.compute(
          inputs,
          List.of(out(c, 0, outType(c, 0)), out(c, 1, outType(c, 1))),
          List.of(
              new Buf("order", Scalar.I64, List.of(n)), new Buf("other", Scalar.I64, List.of(n))),
          TEXT,
          List.of(c.dims(1).getFirst(), c.dims(1).get(1), n, capacity(c)),
          Map.of(
              "OPERANDS",
              operands.toString(),
              "MOST",
              c.hasInput(2) ? "in2[0]" : "0_i64",
              "OVERLAP",
              c.hasInput(3) ? "in3[0]" : "0.0_f32",
              "CANDIDATE",
              c.hasInput(4) ? "score > in4[0]" : "true",
              "SORT",
              LoopText.SORT,
              "VERDICT",
              VERDICT,
              "BOX_A",
              corners.replace("$X$", "a"),
              "BOX_B",
              corners.replace("$X$", "b")));
    }
  }
}
