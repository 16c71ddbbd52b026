package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.runtime.DimExpr;

/**
 * Stages of a kernel that reduce some of the axes into temporaries, for softmax and normalizations.
 *
 * @param kept axes that index the temporaries
 * @param folded axes that are reduced
 */
record Reduction(KernelBuilder kernel, List<Axis> kept, List<Axis> folded) {

  /** Over the axes from {@code from} to {@code to}. */
  static Reduction over(KernelBuilder kernel, List<Axis> axes, int from, int to) {
    List<Axis> kept = new ArrayList<>(axes.subList(0, from));
    kept.addAll(axes.subList(to, axes.size()));
    return new Reduction(kernel, kept, axes.subList(from, to));
  }

  /** Number of elements that are combined. */
  DimExpr count() {
    return DimExpr.product(folded.stream().map(Axis::extent).toList());
  }

  /** A stage that combines {@code value}; the result as an expression over the kept axes. */
  KExpr reduce(String name, ReduceOp op, KExpr value) {
    return store(name, K.fold(op, folded, value));
  }

  KExpr sum(String name, KExpr value) {
    return reduce(name, ReduceOp.SUM, value);
  }

  /** The mean of {@code value}. */
  KExpr mean(String name, KExpr value) {
    KExpr count = K.cast(value.scalar(), K.dim(count()));
    return store(name, K.div(K.sum(folded, value), count));
  }

  /** A stage that stores {@code value}, an expression over the kept axes. */
  KExpr store(String name, KExpr value) {
    Buf buffer = kernel.temp(name, value.scalar(), kept.stream().map(Axis::extent).toList());
    kernel.stage(buffer, kept, value);
    return K.at(buffer, Shapes.refs(kept));
  }
}
