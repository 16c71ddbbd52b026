package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
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
 * TreeEnsembleRegressor, TreeEnsembleClassifier (ai.onnx.ml 1, 3) and TreeEnsemble (5): every tree
 * leads a row of X [N, C] to a leaf; the leaves' weights are combined per target, base values
 * added, and the row transformed.
 */
final class TreeOperators extends TabledOperator {
  private static final int MAX_DEPTH = 256;

  private enum Kind {
    REGRESSOR("target"),
    CLASSIFIER("class"),
    TABLES("leaf");

    private final String leaves;

    Kind(String leaves) {
      this.leaves = leaves;
    }
  }

  /** How the weights of all trees become one number. */
  private enum Combine {
    AVERAGE,
    SUM,
    MIN,
    MAX
  }

  private final Kind kind;

  private TreeOperators(Kind kind, boolean own) {
    super(schema(kind, own));
    this.kind = kind;
  }

  static List<OpBase> all() {
    List<OpBase> all = new ArrayList<>();
    for (Kind kind : Kind.values()) {
      all.add(new TreeOperators(kind, false));
      all.add(new TreeOperators(kind, true));
    }
    return all;
  }

  private static OpSchema.Builder schema(Kind kind, boolean own) {
    if (kind == Kind.TABLES) {
      return schema(own, "TreeEnsemble", 5)
          .input("X", "T")
          .output("Y", "T")
          .types("T", Types.set(DType.F16, DType.F32, DType.F64))
          .attribute("aggregate_function", AttributeKind.INT)
          .required("leaf_targetids", AttributeKind.INTS)
          .required("leaf_weights", AttributeKind.TENSOR)
          .attribute("membership_values", AttributeKind.TENSOR)
          .attribute("n_targets", AttributeKind.INT)
          .required("nodes_falseleafs", AttributeKind.INTS)
          .required("nodes_falsenodeids", AttributeKind.INTS)
          .required("nodes_featureids", AttributeKind.INTS)
          .attribute("nodes_hitrates", AttributeKind.TENSOR)
          .attribute("nodes_missing_value_tracks_true", AttributeKind.INTS)
          .required("nodes_modes", AttributeKind.TENSOR)
          .required("nodes_splits", AttributeKind.TENSOR)
          .required("nodes_trueleafs", AttributeKind.INTS)
          .required("nodes_truenodeids", AttributeKind.INTS)
          .attribute("post_transform", AttributeKind.INT)
          .required("tree_roots", AttributeKind.INTS)
          .tolerance(OpSchema.Tolerance.ACCUMULATION);
    }
    boolean classifier = kind == Kind.CLASSIFIER;
    OpSchema.Builder schema =
        schema(own, "TreeEnsemble" + (classifier ? "Classifier" : "Regressor"), 1, 3)
            .input("X", "T")
            .types("T", Types.set(DType.F32, DType.F64, DType.I32, DType.I64))
            .attribute("base_values", AttributeKind.FLOATS)
            .attribute("base_values_as_tensor", AttributeKind.TENSOR)
            .attribute("nodes_falsenodeids", AttributeKind.INTS)
            .attribute("nodes_featureids", AttributeKind.INTS)
            .attribute("nodes_hitrates", AttributeKind.FLOATS)
            .attribute("nodes_hitrates_as_tensor", AttributeKind.TENSOR)
            .attribute("nodes_missing_value_tracks_true", AttributeKind.INTS)
            .attribute("nodes_modes", AttributeKind.STRINGS)
            .attribute("nodes_nodeids", AttributeKind.INTS)
            .attribute("nodes_treeids", AttributeKind.INTS)
            .attribute("nodes_truenodeids", AttributeKind.INTS)
            .attribute("nodes_values", AttributeKind.FLOATS)
            .attribute("nodes_values_as_tensor", AttributeKind.TENSOR)
            .attribute("post_transform", AttributeKind.STRING)
            .attribute(kind.leaves + "_ids", AttributeKind.INTS)
            .attribute(kind.leaves + "_nodeids", AttributeKind.INTS)
            .attribute(kind.leaves + "_treeids", AttributeKind.INTS)
            .attribute(kind.leaves + "_weights", AttributeKind.FLOATS)
            .attribute(kind.leaves + "_weights_as_tensor", AttributeKind.TENSOR)
            .tolerance(OpSchema.Tolerance.ACCUMULATION);
    return classifier
        ? schema
            .output("Y", "*")
            .output("Z", "F")
            .attribute("classlabels_int64s", AttributeKind.INTS)
            .attribute("classlabels_strings", AttributeKind.STRINGS)
        : schema
            .output("Y", "F")
            .attribute("aggregate_function", AttributeKind.STRING)
            .attribute("n_targets", AttributeKind.INT);
  }

  /** One node, read. */
  private record Plan(
      TreeEnsemble trees,
      int targets,
      Combine combine,
      double[] base,
      PostTransform transform,
      Optional<Scores> scores,
      DType type) {}

  private Plan plan(OpContext c) {
    if (c.in(0).isRanked() && c.rank(0) != 2) {
      throw c.error("TSR-0303", "X must be [N, C]");
    }
    Plan plan =
        switch (kind) {
          case TABLES -> tablesPlan(c);
          case REGRESSOR -> {
            int targets = targets(c);
            Combine combine = combine(c, c.stringAttr("aggregate_function", "SUM"));
            yield new Plan(
                TreeEnsemble.ofNodes(c, kind.leaves, targets),
                targets,
                combine,
                base(c, targets),
                PostTransform.of(c),
                Optional.empty(),
                DType.F32);
          }
          case CLASSIFIER -> classifier(c);
        };
    if (c.in(0).isRanked() && c.dims(0).get(1).isConst()) {
      long columns = c.dims(0).get(1).constValue();
      if (plan.trees.features() > columns) {
        throw c.error(
            "TSR-0303",
            "the trees look at column " + (plan.trees.features() - 1) + " of " + columns);
      }
    }
    return plan;
  }

  private static int targets(OpContext c) {
    long targets = c.intAttr("n_targets", 1);
    if (targets < 1 || targets > 1 << 20) {
      throw c.error("TSR-0304", "n_targets is " + targets);
    }
    return (int) targets;
  }

  private static Combine combine(OpContext c, String name) {
    for (Combine combine : Combine.values()) {
      if (combine.name().equals(name.toUpperCase(Locale.ROOT))) {
        return combine;
      }
    }
    throw c.error("TSR-0304", "aggregate_function '" + name + "' is not known");
  }

  private static double[] base(OpContext c, int targets) {
    double[] base = TreeEnsemble.doubles(c, "base_values");
    if (base.length != 0 && base.length != targets) {
      throw c.error("TSR-0304", base.length + " base values for " + targets + " targets");
    }
    return base.length == 0 ? new double[targets] : base;
  }

  private static Plan tablesPlan(OpContext c) {
    int targets = targets(c);
    long combine = c.intAttr("aggregate_function", 1);
    long transform = c.intAttr("post_transform", 0);
    if (combine < 0 || combine > 3 || transform < 0 || transform > 4) {
      throw c.error("TSR-0304", "aggregate_function or post_transform is not known");
    }
    PostTransform[] order = {
      PostTransform.NONE,
      PostTransform.SOFTMAX,
      PostTransform.LOGISTIC,
      PostTransform.SOFTMAX_ZERO,
      PostTransform.PROBIT
    };
    return new Plan(
        TreeEnsemble.ofTables(c, targets),
        targets,
        Combine.values()[(int) combine],
        new double[targets],
        order[(int) transform],
        Optional.empty(),
        c.dtype(0));
  }

  private Plan classifier(OpContext c) {
    long[] ids = c.intsAttr("class_ids").orElse(new long[0]);
    Scores.Labels labels = Scores.Labels.of(c, "classlabels_int64s", "classlabels_strings", 2);
    int size = labels.size();
    // Two labels whose leaves all are of one class: one score, for or against the second.
    boolean binary = size == 2 && java.util.Arrays.stream(ids).distinct().count() == 1;
    TreeEnsemble trees = TreeEnsemble.ofNodes(c, kind.leaves, size);
    double[] given = TreeEnsemble.doubles(c, "base_values");
    PostTransform transform = PostTransform.of(c);
    if (!binary) {
      return new Plan(
          trees,
          size,
          Combine.SUM,
          base(c, size),
          transform,
          Optional.of(new Scores(labels, transform, size, 0, false)),
          DType.F32);
    }
    boolean positive = true;
    double[][] weights = new double[trees.weights().length][1];
    boolean[][] present = new boolean[weights.length][1];
    for (int i = 0; i < weights.length; i++) {
      weights[i][0] = trees.weights()[i][(int) ids[0]];
      present[i][0] = trees.present()[i][(int) ids[0]];
      positive &= weights[i][0] >= 0;
    }
    double[] base = {given.length == 0 ? 0 : given[given.length - 1]};
    return new Plan(
        trees.with(weights, present),
        1,
        Combine.SUM,
        base,
        transform,
        Optional.of(new Scores(labels, transform, 1, positive ? 0.5 : 0, !positive)),
        DType.F32);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    Plan plan = plan(c);
    DimExpr rows = c.in(0).isRanked() ? c.dims(0).getFirst() : unknown(c, 0);
    if (plan.scores.isEmpty()) {
      return List.of(TensorType.of(plan.type, List.of(rows, DimExpr.of(plan.targets))));
    }
    Scores scores = plan.scores.get();
    return List.of(
        TensorType.of(scores.labels().dtype(), List.of(rows)),
        TensorType.of(DType.F32, List.of(rows, DimExpr.of(scores.columns()))));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Plan plan = plan(c);
    Tensor x = c.input(0);
    int rows = (int) x.shape()[0];
    int columns = plan.scores.map(Scores::columns).orElse(plan.targets);
    Tensor z = Shapes.allocate(c, plan.type, rows, columns);
    Tensor y = Shapes.allocate(c, plan.scores.map(s -> s.labels().dtype()).orElse(DType.I64), rows);
    for (int n = 0; n < rows; n++) {
      boolean[] present = new boolean[plan.targets];
      double[] row = combined(plan, x, n, present);
      double[] result = row;
      if (plan.scores.isPresent()) {
        result = new double[columns];
        Scores scores = plan.scores.get();
        scores.labels().store(y, n, scores.evaluate(row, present, result));
      } else {
        plan.transform.apply(row);
      }
      for (int e = 0; e < columns; e++) {
        z.setDouble(n * columns + e, result[e]);
      }
    }
    return plan.scores.isPresent() ? List.of(y, z) : List.of(z);
  }

  private static double[] combined(Plan plan, Tensor x, int n, boolean[] present) {
    int count = plan.trees.roots().length;
    double[] row = new double[plan.targets];
    for (int t = 0; t < count; t++) {
      int leaf = plan.trees.walk(t, x, n * (int) x.shape()[1]);
      for (int e = 0; e < plan.targets; e++) {
        if (!plan.trees.present()[leaf][e]) {
          continue;
        }
        double weight = plan.trees.weights()[leaf][e];
        row[e] =
            switch (plan.combine) {
              case SUM -> row[e] + weight;
              case AVERAGE -> row[e] + weight / count;
              case MIN -> present[e] ? Math.min(row[e], weight) : weight;
              case MAX -> present[e] ? Math.max(row[e], weight) : weight;
            };
        present[e] = true;
      }
    }
    for (int e = 0; e < plan.targets; e++) {
      present[e] |= plan.base[e] != 0;
      row[e] += plan.base[e];
    }
    return row;
  }

  /** Nodes by column: feature, mode, split, yes, no, missing, members' start and count, leaf. */
  @Override
  List<Tensor> tables(OpContext c) {
    Plan plan = plan(c);
    TreeEnsemble trees = plan.trees;
    if (trees.depth() > MAX_DEPTH) {
      throw notLowered(c, "a tree is " + trees.depth() + " deep, more than " + MAX_DEPTH);
    }
    int nodes = trees.feature().length;
    int[] fields = new int[nodes * Field.values().length];
    for (int i = 0; i < nodes; i++) {
      for (Field field : Field.values()) {
        fields[i * Field.values().length + field.column] = field.of(trees, i);
      }
    }
    double[] members = trees.members().length == 0 ? new double[1] : trees.members();
    int leaves = trees.weights().length;
    Tensor weights = Tensor.zeros(real(plan).dtype(), leaves, plan.targets);
    Tensor present = Tensor.zeros(DType.I32, leaves, plan.targets);
    for (int i = 0; i < leaves * plan.targets; i++) {
      weights.setDouble(i, trees.weights()[i / plan.targets][i % plan.targets]);
      present.setLong(i, trees.present()[i / plan.targets][i % plan.targets] ? 1 : 0);
    }
    long[] labels = plan.scores.map(s -> s.labels().numbers()).orElse(new long[1]);
    return List.of(
        Tensor.of(fields, nodes, Field.values().length),
        Tensor.of(trees.split(), nodes),
        Tensor.of(trees.roots(), trees.roots().length),
        Tensor.of(members, members.length),
        weights,
        present,
        Tensor.of(plan.base, plan.targets),
        Tensor.of(labels, labels.length));
  }

  /** The whole numbers of a node. */
  private enum Field {
    FEATURE(0),
    MODE(1),
    YES(2),
    NO(3),
    MISSING(4),
    MEMBER_START(5),
    MEMBER_COUNT(6),
    LEAF(7);

    private final int column;

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

  private static Scalar real(Plan plan) {
    return plan.type == DType.F64 ? Scalar.F64 : Scalar.F32;
  }

  /** All trees of all rows go down one step at a time. */
  @Override
  Lowering kernel(OpContext c) {
    Plan plan = plan(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    Axis n = new Axis("n", c.dims(0).getFirst());
    Axis t = new Axis("t", DimExpr.of(plan.trees.roots().length));
    List<Axis> walks = List.of(n, t);
    KExpr node = K.cast(Scalar.INDEX, K.at(kernel.in(table(2)), K.axis(t)));
    for (int step = 0; step < plan.trees.depth(); step++) {
      Buf next = kernel.temp("node" + step, Scalar.I32, List.of(n.extent(), t.extent()));
      kernel.stage(next, walks, step(kernel, plan, n, node, step));
      node = K.cast(Scalar.INDEX, K.at(next, Shapes.refs(walks)));
    }
    Buf leaf = kernel.temp("leaf", Scalar.I32, List.of(n.extent(), t.extent()));
    kernel.stage(leaf, walks, field(kernel, node, Field.LEAF));
    KExpr row = K.cast(Scalar.INDEX, K.at(leaf, Shapes.refs(walks)));
    Axis e = new Axis("e", DimExpr.of(plan.targets));
    KExpr weight = K.at(kernel.in(table(4)), row, K.axis(e));
    KExpr has = K.ne(K.at(kernel.in(table(5)), row, K.axis(e)), K.i32(0));
    Scalar type = real(plan);
    Buf present = kernel.temp("present", Scalar.I32, List.of(n.extent(), e.extent()));
    KExpr based = K.ne(base(kernel, e, Scalar.F64), K.literal(Scalar.F64, 0.0));
    KExpr any = K.fold(ReduceOp.MAX, List.of(t), K.select(has, K.i32(1), K.i32(0)));
    kernel.stage(present, List.of(n, e), K.max(any, K.select(based, K.i32(1), K.i32(0))));
    Buf combined = kernel.temp("combined", type, List.of(n.extent(), e.extent()));
    kernel.stage(combined, List.of(n, e), combined(plan, t, weight, has, type));
    KExpr found = K.at(combined, K.axis(n), K.axis(e));
    KExpr infinite =
        K.eq(
            K.unary(org.tersor.ir.loop.UnaryOp.ABS, found),
            K.literal(type, Double.POSITIVE_INFINITY));
    if (plan.combine == Combine.MIN || plan.combine == Combine.MAX) {
      KExpr hit = K.ne(K.at(present, K.axis(n), K.axis(e)), K.i32(0));
      found = K.select(K.and(K.not(hit), infinite), K.literal(type, 0.0), found);
    }
    Buf scores = kernel.temp("scores", type, List.of(n.extent(), e.extent()));
    kernel.stage(scores, List.of(n, e), K.add(found, base(kernel, e, type)));
    if (plan.scores.isPresent()) {
      plan.scores.get().stages(kernel, table(7), scores, Optional.of(present));
    } else {
      KExpr score = K.at(scores, K.axis(n), K.axis(e));
      kernel.stage(
          kernel.out(0), List.of(n, e), plan.transform.apply(kernel, List.of(n), e, score));
    }
    return kernel.build();
  }

  private KExpr base(KernelBuilder kernel, Axis e, Scalar type) {
    return K.cast(type, K.at(kernel.in(table(6)), K.axis(e)));
  }

  private static KExpr combined(Plan plan, Axis t, KExpr weight, KExpr has, Scalar type) {
    double none =
        switch (plan.combine) {
          case SUM, AVERAGE -> 0;
          case MIN -> Double.POSITIVE_INFINITY;
          case MAX -> Double.NEGATIVE_INFINITY;
        };
    ReduceOp op =
        switch (plan.combine) {
          case SUM, AVERAGE -> ReduceOp.SUM;
          case MIN -> ReduceOp.MIN;
          case MAX -> ReduceOp.MAX;
        };
    KExpr value = K.fold(op, List.of(t), K.select(has, weight, K.literal(type, none)));
    return plan.combine == Combine.AVERAGE ? K.div(value, K.cast(type, K.dim(t.extent()))) : value;
  }

  private KExpr field(KernelBuilder kernel, KExpr node, Field field) {
    return K.at(kernel.in(table(0)), node, K.index(field.column));
  }

  /** The node after {@code node}. */
  private KExpr step(KernelBuilder kernel, Plan plan, Axis n, KExpr node, int step) {
    KExpr column = K.cast(Scalar.INDEX, field(kernel, node, Field.FEATURE));
    KExpr x = K.cast(Scalar.F64, kernel.value(0, K.axis(n), column));
    KExpr split = K.at(kernel.in(table(1)), node);
    KExpr mode = field(kernel, node, Field.MODE);
    KExpr holds = K.bool(false);
    EnumSet<TreeEnsemble.Mode> used = EnumSet.noneOf(TreeEnsemble.Mode.class);
    used.addAll(List.of(plan.trees.mode()));
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
            case BRANCH_MEMBER -> member(kernel, plan, node, x, step);
          };
      if (each != TreeEnsemble.Mode.LEAF) {
        holds =
            holds instanceof KExpr.IntLit
                ? test
                : K.select(K.eq(mode, K.i32(each.code())), test, holds);
      }
    }
    KExpr missing = K.ne(field(kernel, node, Field.MISSING), K.i32(0));
    holds = K.select(K.ne(x, x), missing, holds);
    return K.select(holds, field(kernel, node, Field.YES), field(kernel, node, Field.NO));
  }

  private KExpr member(KernelBuilder kernel, Plan plan, KExpr node, KExpr x, int step) {
    int largest = 1;
    for (int count : plan.trees.memberCount()) {
      largest = Math.max(largest, count);
    }
    Axis m = new Axis("m" + step, DimExpr.of(largest));
    KExpr start = K.cast(Scalar.INDEX, field(kernel, node, Field.MEMBER_START));
    KExpr count = K.cast(Scalar.INDEX, field(kernel, node, Field.MEMBER_COUNT));
    KExpr other = K.at(kernel.in(table(3)), K.add(start, K.axis(m)));
    KExpr hit =
        K.select(K.lt(K.axis(m), count), K.select(K.eq(other, x), K.i32(1), K.i32(0)), K.i32(0));
    return K.ne(K.fold(ReduceOp.MAX, List.of(m), hit), K.i32(0));
  }
}
