package org.tersor.ir.ops;

import java.util.EnumSet;
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

/** The kernel of tree ensembles. */
final class TreeKernel {
  private final TreeOperators operator;
  private final OpContext context;
  private final TreeOperators.Plan plan;
  private final KernelBuilder kernel;

  TreeKernel(TreeOperators operator, OpContext context, TreeOperators.Plan plan) {
    this.operator = operator;
    this.context = context;
    this.plan = plan;
    this.kernel = new KernelBuilder(operator, context);
  }

  /** The whole numbers of a node. */
  enum Field {
    FEATURE(0),
    MODE(1),
    YES(2),
    NO(3),
    MISSING(4),
    MEMBER_START(5),
    MEMBER_COUNT(6),
    LEAF(7);

    final int column;

    Field(int column) {
      this.column = column;
    }

    int of(TreeEnsemble trees, int node) {
      return switch (this) {
        case FEATURE -> trees.feature()[node];
        case MODE -> trees.mode()[node].code();
        case YES -> trees.yes()[node];
        case NO -> trees.no()[node];
        case MISSING -> trees.missing()[node] ? 1 : 0;
        case MEMBER_START -> trees.memberStart()[node];
        case MEMBER_COUNT -> trees.memberCount()[node];
        case LEAF -> trees.leaf()[node];
      };
    }
  }

  /** All trees of all rows go down one step at a time. */
  Lowering build() {
    Axis n = new Axis("n", context.dims(0).getFirst());
    Axis t = new Axis("t", DimExpr.of(plan.trees().roots().length));
    List<Axis> walks = List.of(n, t);
    KExpr node = K.cast(Scalar.INDEX, K.at(kernel.in(operator.table(2)), K.axis(t)));
    for (int step = 0; step < plan.trees().depth(); step++) {
      Buf next = kernel.temp("node" + step, Scalar.I32, List.of(n.extent(), t.extent()));
      kernel.stage(next, walks, step(n, node, step));
      node = K.cast(Scalar.INDEX, K.at(next, Shapes.refs(walks)));
    }
    Buf leaf = kernel.temp("leaf", Scalar.I32, List.of(n.extent(), t.extent()));
    kernel.stage(leaf, walks, field(node, Field.LEAF));
    KExpr row = K.cast(Scalar.INDEX, K.at(leaf, Shapes.refs(walks)));
    Axis e = new Axis("e", DimExpr.of(plan.targets()));
    KExpr weight = K.at(kernel.in(operator.table(4)), row, K.axis(e));
    KExpr has = K.ne(K.at(kernel.in(operator.table(5)), row, K.axis(e)), K.i32(0));
    Scalar type = TreeOperators.real(plan);
    Buf combined = kernel.temp("combined", type, List.of(n.extent(), e.extent()));
    kernel.stage(combined, List.of(n, e), combined(t, weight, has, type));
    KExpr found = K.at(combined, K.axis(n), K.axis(e));
    KExpr infinite = K.eq(K.unary(UnaryOp.ABS, found), K.literal(type, Double.POSITIVE_INFINITY));
    if (plan.combine() == TreeOperators.Combine.MIN
        || plan.combine() == TreeOperators.Combine.MAX) {
      Buf present = kernel.temp("present", Scalar.I32, List.of(n.extent(), e.extent()));
      KExpr any = K.fold(ReduceOp.MAX, List.of(t), K.select(has, K.i32(1), K.i32(0)));
      kernel.stage(present, List.of(n, e), any);
      KExpr hit = K.ne(K.at(present, K.axis(n), K.axis(e)), K.i32(0));
      found = K.select(K.and(K.not(hit), infinite), K.literal(type, 0.0), found);
    }
    Buf scores = kernel.temp("scores", type, List.of(n.extent(), e.extent()));
    kernel.stage(scores, List.of(n, e), K.add(found, base(e, type)));
    if (plan.scores().isPresent()) {
      plan.scores().get().stages(kernel, operator.table(7), scores);
    } else {
      KExpr score = K.at(scores, K.axis(n), K.axis(e));
      kernel.stage(
          kernel.out(0), List.of(n, e), plan.transform().apply(kernel, List.of(n), e, score));
    }
    return kernel.build();
  }

  private KExpr base(Axis e, Scalar type) {
    return K.cast(type, K.at(kernel.in(operator.table(6)), K.axis(e)));
  }

  private KExpr combined(Axis t, KExpr weight, KExpr has, Scalar type) {
    double none =
        switch (plan.combine()) {
          case SUM, AVERAGE -> 0;
          case MIN -> Double.POSITIVE_INFINITY;
          case MAX -> Double.NEGATIVE_INFINITY;
        };
    ReduceOp op =
        switch (plan.combine()) {
          case SUM, AVERAGE -> ReduceOp.SUM;
          case MIN -> ReduceOp.MIN;
          case MAX -> ReduceOp.MAX;
        };
    KExpr value = K.fold(op, List.of(t), K.select(has, weight, K.literal(type, none)));
    return plan.combine() == TreeOperators.Combine.AVERAGE
        ? K.div(value, K.cast(type, K.dim(t.extent())))
        : value;
  }

  private KExpr field(KExpr node, Field field) {
    return K.at(kernel.in(operator.table(0)), node, K.index(field.column));
  }

  /** The node after {@code node}. */
  private KExpr step(Axis n, KExpr node, int step) {
    KExpr column = K.cast(Scalar.INDEX, field(node, Field.FEATURE));
    KExpr x = K.cast(Scalar.F64, kernel.value(0, K.axis(n), column));
    KExpr split = K.at(kernel.in(operator.table(1)), node);
    KExpr mode = field(node, Field.MODE);
    KExpr holds = K.bool(false);
    EnumSet<TreeEnsemble.Mode> used = EnumSet.noneOf(TreeEnsemble.Mode.class);
    used.addAll(List.of(plan.trees().mode()));
    for (TreeEnsemble.Mode each : used) {
      KExpr test =
          switch (each) {
            case LEAF -> K.bool(true);
            case BRANCH_LEQ -> K.le(x, split);
            case BRANCH_LT -> K.lt(x, split);
            case BRANCH_GTE -> K.ge(x, split);
            case BRANCH_GT -> K.gt(x, split);
            case BRANCH_EQ -> K.eq(x, split);
            case BRANCH_NEQ -> K.ne(x, split);
            case BRANCH_MEMBER -> member(node, x, step);
          };
      if (each != TreeEnsemble.Mode.LEAF) {
        holds =
            holds instanceof KExpr.IntLit
                ? test
                : K.select(K.eq(mode, K.i32(each.code())), test, holds);
      }
    }
    KExpr missing = K.ne(field(node, Field.MISSING), K.i32(0));
    holds = K.select(K.ne(x, x), missing, holds);
    return K.select(holds, field(node, Field.YES), field(node, Field.NO));
  }

  private KExpr member(KExpr node, KExpr x, int step) {
    int largest = 1;
    for (int count : plan.trees().memberCount()) {
      largest = Math.max(largest, count);
    }
    Axis m = new Axis("m" + step, DimExpr.of(largest));
    KExpr start = K.cast(Scalar.INDEX, field(node, Field.MEMBER_START));
    KExpr count = K.cast(Scalar.INDEX, field(node, Field.MEMBER_COUNT));
    KExpr other = K.at(kernel.in(operator.table(3)), K.add(start, K.axis(m)));
    KExpr hit =
        K.select(K.lt(K.axis(m), count), K.select(K.eq(other, x), K.i32(1), K.i32(0)), K.i32(0));
    return K.ne(K.fold(ReduceOp.MAX, List.of(m), hit), K.i32(0));
  }
}
