package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
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
 * added, and the row transformed. What is summed are weights of leaves; elements of X are only
 * compared.
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
  enum Combine {
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
          .sample(TreeSamples.tables())
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
          .tolerance(OpSchema.Tolerance.ROUNDING);
    }
    boolean classifier = kind == Kind.CLASSIFIER;
    OpSchema.Builder schema =
        schema(own, "TreeEnsemble" + (classifier ? "Classifier" : "Regressor"), 1, 3, 5)
            .sample(classifier ? TreeSamples.classifier() : TreeSamples.regressor())
            .input("X", "T")
            .types("T", Types.set(DType.F32, DType.F64, DType.I32, DType.I64))
            .types("F", Types.set(DType.F32))
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
            .tolerance(OpSchema.Tolerance.ROUNDING);
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
  record Plan(
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
    // Two labels whose leaves all name the first: one score, for or against the second.
    boolean binary =
        size == 2 && ids.length > 0 && java.util.Arrays.stream(ids).allMatch(i -> i == 0);
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
      weights[i][0] = trees.weights()[i][0];
      present[i][0] = trees.present()[i][0];
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
      double[] row = combined(plan, x, n);
      double[] result = row;
      if (plan.scores.isPresent()) {
        result = new double[columns];
        Scores scores = plan.scores.get();
        scores.labels().store(y, n, scores.evaluate(row, result));
      } else {
        plan.transform.apply(row);
      }
      for (int e = 0; e < columns; e++) {
        z.setDouble(n * columns + e, result[e]);
      }
    }
    return plan.scores.isPresent() ? List.of(y, z) : List.of(z);
  }

  private static double[] combined(Plan plan, Tensor x, int n) {
    int count = plan.trees.roots().length;
    boolean[] present = new boolean[plan.targets];
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
    int[] fields = new int[nodes * TreeKernel.Field.values().length];
    for (int i = 0; i < nodes; i++) {
      for (TreeKernel.Field field : TreeKernel.Field.values()) {
        fields[i * TreeKernel.Field.values().length + field.column] = field.of(trees, i);
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
        Tensor.of(fields, nodes, TreeKernel.Field.values().length),
        Tensor.of(trees.split(), nodes),
        Tensor.of(trees.roots(), trees.roots().length),
        Tensor.of(members, members.length),
        weights,
        present,
        Tensor.of(plan.base, plan.targets),
        Tensor.of(labels, labels.length));
  }

  static Scalar real(Plan plan) {
    return plan.type == DType.F64 ? Scalar.F64 : Scalar.F32;
  }

  @Override
  Lowering kernel(OpContext c) {
    return new TreeKernel(this, c, plan(c)).build();
  }
}
