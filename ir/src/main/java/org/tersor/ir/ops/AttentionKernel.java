package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DimExpr;

/** The kernel of {@link Attention}: scores, capped and masked; softmax; product with the values. */
final class AttentionKernel {
  private final OpContext context;
  private final Attention.Plan plan;
  private final KernelBuilder kernel;
  private final Scalar type;
  private final Axis b;
  private final Axis g;
  private final Axis r;
  private final Axis s;
  private final Axis t;
  private final KExpr head;

  AttentionKernel(OpBase operator, OpContext context, Attention.Plan plan) {
    this.context = context;
    this.plan = plan;
    kernel = new KernelBuilder(operator, context);
    type = kernel.computeType(0);
    DimExpr repeats = plan.heads().floorDiv(plan.kvHeads());
    b = new Axis("b", plan.batch());
    g = new Axis("g", plan.kvHeads());
    r = new Axis("r", repeats);
    s = new Axis("s", plan.queries());
    t = new Axis("t", plan.total());
    head = K.add(K.mul(K.axis(g), K.dim(repeats)), K.axis(r));
  }

  private KExpr number(double value) {
    return K.literal(type, value);
  }

  /** Index into an operand or result whose heads may lie inside the last dimension. */
  private List<KExpr> index(KExpr h, KExpr position, KExpr d, DimExpr size) {
    return plan.flat()
        ? List.of(K.axis(b), position, K.add(K.mul(h, K.dim(size)), d))
        : List.of(K.axis(b), h, position, d);
  }

  /** Keys or values with the past before them. */
  private KExpr joined(int input, int past, int present, DimExpr size, Axis d) {
    KExpr fresh =
        K.at(
            kernel.in(input),
            index(K.axis(g), K.sub(K.axis(t), K.dim(plan.past())), K.axis(d), size));
    if (!context.hasInput(past) && !context.hasOutput(present)) {
      return K.cast(type, fresh);
    }
    Buf all =
        context.hasOutput(present)
            ? kernel.out(present)
            : kernel.temp(
                "joined" + input,
                Scalar.of(context.dtype(input)),
                List.of(plan.batch(), plan.kvHeads(), plan.total(), size));
    List<KExpr> target = List.of(K.axis(b), K.axis(g), K.axis(t), K.axis(d));
    if (context.hasInput(past)) {
      Axis old = new Axis("p", plan.past());
      kernel.stage(
          all,
          List.of(b, g, old, d),
          List.of(K.axis(b), K.axis(g), K.axis(old), K.axis(d)),
          K.at(kernel.in(past), K.axis(b), K.axis(g), K.axis(old), K.axis(d)));
    }
    Axis u = new Axis("u", plan.keys());
    kernel.stage(
        all,
        List.of(b, g, u, d),
        List.of(K.axis(b), K.axis(g), K.add(K.dim(plan.past()), K.axis(u)), K.axis(d)),
        K.at(kernel.in(input), index(K.axis(g), K.axis(u), K.axis(d), size)));
    return K.cast(type, K.at(all, target));
  }

  private KExpr scale() {
    return Double.isNaN(plan.scale())
        ? K.div(number(1), K.unary(UnaryOp.SQRT, K.cast(type, K.dim(plan.size()))))
        : number(plan.scale());
  }

  private void show(int mode, List<Axis> axes, KExpr value) {
    if (context.hasOutput(3) && plan.mode() == mode) {
      kernel.stage(kernel.out(3), axes, List.of(K.axis(b), head, K.axis(s), K.axis(t)), value);
    }
  }

  Lowering build() {
    Axis d = new Axis("d", plan.size());
    Axis e = new Axis("e", plan.valueSize());
    KExpr keys = joined(1, Attention.PAST_KEY, 1, plan.size(), d);
    KExpr values = joined(2, Attention.PAST_VALUE, 2, plan.valueSize(), e);
    List<Axis> axes = List.of(b, g, r, s, t);
    List<DimExpr> shape = axes.stream().map(Axis::extent).toList();
    Buf scores = kernel.temp("scores", type, shape);
    KExpr query = kernel.value(0, index(head, K.axis(s), K.axis(d), plan.size()));
    kernel.stage(scores, axes, K.mul(K.sum(List.of(d), K.mul(query, keys)), scale()));
    KExpr raw = K.at(scores, Shapes.refs(axes));
    show(0, axes, raw);
    KExpr capped = raw;
    if (plan.softcap() > 0) {
      capped =
          K.mul(number(plan.softcap()), K.unary(UnaryOp.TANH, K.div(raw, number(plan.softcap()))));
    }
    show(1, axes, capped);
    Buf maskedScores = kernel.temp("masked", type, shape);
    kernel.stage(maskedScores, axes, masked(capped));
    KExpr masked = K.at(maskedScores, Shapes.refs(axes));
    show(2, axes, masked);
    Reduction reduction = new Reduction(kernel, axes.subList(0, 4), List.of(t));
    KExpr none = number(Double.NEGATIVE_INFINITY);
    KExpr max = reduction.reduce("largest", ReduceOp.MAX, masked);
    KExpr finite = K.select(K.eq(max, none), number(0), max);
    Buf exps = kernel.temp("exps", type, shape);
    kernel.stage(exps, axes, Softmax.power(K.sub(masked, finite)));
    KExpr power = K.at(exps, Shapes.refs(axes));
    KExpr total = reduction.sum("total", power);
    Buf weights = kernel.temp("weights", type, shape);
    kernel.stage(weights, axes, K.select(K.eq(total, number(0)), number(0), K.div(power, total)));
    KExpr weight = K.at(weights, Shapes.refs(axes));
    show(3, axes, weight);
    kernel.stage(
        kernel.out(0),
        List.of(b, g, r, s, e),
        index(head, K.axis(s), K.axis(e), plan.valueSize()),
        K.sum(List.of(t), K.mul(weight, values)));
    return kernel.build();
  }

  private KExpr masked(KExpr score) {
    KExpr none = number(Double.NEGATIVE_INFINITY);
    KExpr hidden = K.bool(false);
    KExpr length =
        context.hasInput(Attention.LENGTHS)
            ? K.cast(Scalar.INDEX, K.at(kernel.in(Attention.LENGTHS), K.axis(b)))
            : K.index(0);
    if (context.hasInput(Attention.LENGTHS)) {
      hidden = K.ge(K.axis(t), length);
    }
    if (plan.causal()) {
      KExpr offset =
          context.hasInput(Attention.LENGTHS)
              ? K.sub(length, K.dim(plan.queries()))
              : K.dim(plan.past());
      KExpr later = K.gt(K.axis(t), K.add(K.axis(s), offset));
      hidden = hidden instanceof KExpr.IntLit ? later : K.or(hidden, later);
    }
    KExpr value = score;
    if (context.hasInput(Attention.MASK)) {
      List<DimExpr> dims = context.dims(Attention.MASK);
      List<KExpr> points = List.of(K.axis(b), head, K.axis(s), K.axis(t));
      List<KExpr> index = new ArrayList<>();
      for (int i = 0; i < dims.size(); i++) {
        index.add(dims.get(i).isConst(1) ? K.index(0) : points.get(4 - dims.size() + i));
      }
      KExpr mask = K.at(kernel.in(Attention.MASK), index);
      DimExpr width = dims.getLast();
      if (mask.scalar() == Scalar.BOOL) {
        value = K.select(mask, value, none);
      } else {
        value = K.add(value, K.cast(type, mask));
      }
      if (!width.isConst(1) && !width.equals(plan.total())) {
        // A narrower mask hides the keys beyond it.
        value = K.select(K.lt(K.axis(t), K.dim(width)), value, none);
      }
    }
    return hidden instanceof KExpr.IntLit ? value : K.select(hidden, none, value);
  }
}
