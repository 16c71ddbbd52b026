package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.runtime.DimExpr;

/**
 * A product whose sums are computed in parts side by side, for outputs too small to keep a GPU
 * busy. A float sum is in another order than in one go.
 *
 * @param sums the parts, each over a run of k
 * @param rest adds up the parts and does what followed the sum
 */
record CudaSplit(Stage sums, Stage rest) {
  /**
   * @param parts a divisor of the sum's length; of one part nothing is made
   */
  static Optional<CudaSplit> apply(Contraction c, int parts) {
    if (parts == 1) {
      return Optional.empty();
    }
    Axis part = new Axis("part", DimExpr.of(parts));
    long length = c.extentK().constValue() / parts;
    Axis within = new Axis("in_part", DimExpr.of(length));
    Map<Axis, KExpr> at = new HashMap<>();
    Positions.decompose(K.add(K.mul(K.axis(part), K.index(length)), K.axis(within)), c.k(), at);
    List<Axis> axes = new ArrayList<>(List.of(part));
    axes.addAll(c.stage().axes());
    Buf sums =
        new Buf(
            c.stage().target().name() + "_parts",
            c.fold().scalar(),
            List.of(DimExpr.product(axes.stream().map(Axis::extent).toList())));
    List<KExpr> index = List.of(Positions.flat(axes));
    KExpr body = Affine.canonical(KExprs.substitute(c.fold().body(), at));
    Stage first =
        new Stage(sums, axes, index, new KExpr.Fold(c.fold().op(), List.of(within), body));
    KExpr total = new KExpr.Fold(ReduceOp.SUM, List.of(part), new KExpr.At(sums, index));
    KExpr value = KExprs.rewrite(c.stage().value(), e -> e.equals(c.fold()) ? total : e);
    Stage second = new Stage(c.stage().target(), c.stage().axes(), c.stage().index(), value);
    return Contraction.match(first).map(_ -> new CudaSplit(first, second));
  }
}
