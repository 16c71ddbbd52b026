package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * The end of the classifiers of ai.onnx.ml: from scores [N, E] to labels and transformed scores.
 * With two labels and one score a row, the second label is taken above a threshold, and the scores
 * become those of both: 1 - s and s, or with {@code mirrored} -s and s.
 */
record Scores(
    Labels labels, PostTransform transform, int count, double threshold, boolean mirrored) {

  /** Names of classes; numbers of classes where there are none. */
  record Labels(Optional<List<String>> strings, long[] numbers) {
    static Labels of(OpContext c, String ints, String strings, int otherwise) {
      Optional<List<String>> names = c.stringsAttr(strings).filter(s -> !s.isEmpty());
      long[] numbers = c.intsAttr(ints).orElse(new long[0]);
      if (names.isEmpty() && numbers.length == 0) {
        numbers = java.util.stream.LongStream.range(0, otherwise).toArray();
      }
      return new Labels(names, numbers);
    }

    int size() {
      return strings.map(List::size).orElse(numbers.length);
    }

    DType dtype() {
      return strings.isPresent() ? DType.STRING : DType.I64;
    }

    void store(Tensor out, int at, int label) {
      if (strings.isPresent()) {
        out.strings()[at] = strings.get().get(label);
      } else {
        out.setLong(at, numbers[label]);
      }
    }

    Tensor table() {
      return Tensor.of(numbers, numbers.length);
    }
  }

  boolean binary() {
    return count == 1 && labels.size() == 2;
  }

  int columns() {
    return binary() ? 2 : count;
  }

  /**
   * Evaluates one row.
   *
   * @return number of the label; {@code result} becomes the transformed scores
   */
  int evaluate(double[] row, double[] result) {
    if (binary()) {
      int label = row[0] > threshold ? 1 : 0;
      double[] both = {mirrored ? -row[0] : 1 - row[0], row[0]};
      if (transform == PostTransform.LOGISTIC && !mirrored) {
        transform.apply(row);
        both = new double[] {1 - row[0], row[0]};
      } else if (transform == PostTransform.LOGISTIC) {
        transform.apply(both);
      }
      System.arraycopy(both, 0, result, 0, 2);
      return label;
    }
    int best = 0;
    for (int e = 1; e < count; e++) {
      best = row[e] > row[best] ? e : best;
    }
    System.arraycopy(row, 0, result, 0, count);
    transform.apply(result);
    return Math.min(best, labels.size() - 1);
  }

  /**
   * The stages of labels (output 0) and scores (output 1).
   *
   * @param table input of the labels' numbers
   * @param scores [N, count]
   */
  void stages(KernelBuilder kernel, int table, Buf scores) {
    Axis n = new Axis("n", scores.shape().getFirst());
    Scalar type = scores.element();
    KExpr label;
    if (binary()) {
      KExpr s = K.at(scores, K.axis(n), K.index(0));
      label = K.select(K.gt(s, K.literal(type, threshold)), K.index(1), K.index(0));
      KExpr one = K.literal(type, 1.0);
      KExpr first = mirrored ? K.neg(s) : K.sub(one, s);
      KExpr second = s;
      if (transform == PostTransform.LOGISTIC) {
        second = PostTransform.LOGISTIC.apply(kernel, List.of(n), n, s);
        first =
            mirrored
                ? PostTransform.LOGISTIC.apply(kernel, List.of(n), n, first)
                : K.sub(one, second);
      }
      kernel.stage(kernel.out(1), List.of(n), List.of(K.axis(n), K.index(0)), first);
      kernel.stage(kernel.out(1), List.of(n), List.of(K.axis(n), K.index(1)), second);
    } else {
      Axis e = new Axis("e", DimExpr.of(count));
      KExpr score = K.at(scores, K.axis(n), K.axis(e));
      label = K.cast(Scalar.INDEX, best(kernel, n, e, score));
      kernel.stage(kernel.out(1), List.of(n, e), transform.apply(kernel, List.of(n), e, score));
    }
    KExpr last = K.index(labels.size() - 1L);
    kernel.stage(
        kernel.out(0), List.of(n), K.at(kernel.in(table), K.min(K.max(label, K.index(0)), last)));
  }

  /** The first class with the largest score, I32. */
  private static KExpr best(KernelBuilder kernel, Axis n, Axis e, KExpr score) {
    Reduction row = new Reduction(kernel, List.of(n), List.of(e));
    KExpr largest = row.reduce("best_score", ReduceOp.MAX, score);
    KExpr hit =
        K.select(K.eq(score, largest), K.cast(Scalar.I32, K.axis(e)), K.i32(Integer.MAX_VALUE));
    KExpr first = row.reduce("best", ReduceOp.MIN, hit);
    return K.select(K.eq(first, K.i32(Integer.MAX_VALUE)), K.i32(0), first);
  }
}
