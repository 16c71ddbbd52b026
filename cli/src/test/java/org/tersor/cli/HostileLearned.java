package org.tersor.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import org.tersor.cli.HostileCase.Answer;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Operators whose attributes are a model of their own: trees, vector machines, encoders. */
final class HostileLearned extends HostileList {
  HostileLearned() {
    trees();
    tables();
    classical();
  }

  private void learned(
      Answer answer, String name, String type, Map<String, Attribute> attributes, Tensor... x) {
    boolean two = type.endsWith("Classifier");
    add(answer, name, node("ai.onnx.ml", type, attributes, two ? 2 : 1), x);
  }

  /** A tree of one decision; {@code left} and {@code feature} are what a file may say. */
  private static Map<String, Attribute> tree(long left, long feature, long... targets) {
    Map<String, Attribute> tree = new LinkedHashMap<>();
    tree.put("n_targets", integer(1));
    tree.put("nodes_treeids", ints(0, 0, 0));
    tree.put("nodes_nodeids", ints(0, 1, 2));
    tree.put("nodes_featureids", ints(feature, 0, 0));
    tree.put("nodes_values", numbers(0.5, 0, 0));
    tree.put("nodes_modes", texts("BRANCH_LEQ", "LEAF", "LEAF"));
    tree.put("nodes_truenodeids", ints(left, 0, 0));
    tree.put("nodes_falsenodeids", ints(2, 0, 0));
    tree.put("target_treeids", ints(0, 0));
    tree.put("target_nodeids", ints(1, 2));
    tree.put("target_ids", ints(targets));
    tree.put("target_weights", numbers(1, 2));
    return tree;
  }

  private void trees() {
    String regressor = "TreeEnsembleRegressor";
    Tensor x = floats(2, 3);
    learned(Answer.REFUSED, "tree in a circle", regressor, tree(0, 0, 0, 0), x);
    learned(Answer.REFUSED, "tree without child", regressor, tree(7, 0, 0, 0), x);
    learned(Answer.REFUSED, "tree of no feature", regressor, tree(1, 3, 0, 0), x);
    learned(Answer.REFUSED, "tree of feature -1", regressor, tree(1, -1, 0, 0), x);
    learned(Answer.REFUSED, "tree of feature far", regressor, tree(1, FAR, 0, 0), x);
    learned(Answer.REFUSED, "tree of no target", regressor, tree(1, 0, 0, 5), x);
    learned(Answer.REFUSED, "tree of target far", regressor, tree(1, 0, WRAPS, WRAPS), x);
    Map<String, Attribute> uneven = tree(1, 0, 0, 0);
    uneven.put("nodes_values", numbers(0.5));
    learned(Answer.REFUSED, "uneven tree", regressor, uneven, x);
    Map<String, Attribute> twice = tree(1, 0, 0, 0);
    twice.put("nodes_nodeids", ints(0, 1, 1));
    learned(Answer.REFUSED, "tree with a node twice", regressor, twice, x);
    Map<String, Attribute> wide = tree(1, 0, 0, 0);
    wide.put("n_targets", integer(HUGE));
    learned(Answer.REFUSED, "tree of many targets", regressor, wide, x);
    // Both children of each of 40 nodes are the next: 2^40 paths.
    int depth = 40;
    long[] ids = new long[depth + 1];
    long[] next = new long[depth + 1];
    long[] zeros = new long[depth + 1];
    double[] values = new double[depth + 1];
    String[] modes = new String[depth + 1];
    for (int i = 0; i <= depth; i++) {
      ids[i] = i;
      next[i] = Math.min(depth, i + 1);
      modes[i] = i < depth ? "BRANCH_LEQ" : "LEAF";
    }
    Map<String, Attribute> shared = tree(1, 0, 0, 0);
    shared.put("nodes_treeids", ints(zeros));
    shared.put("nodes_nodeids", ints(ids));
    shared.put("nodes_featureids", ints(zeros));
    shared.put("nodes_values", numbers(values));
    shared.put("nodes_modes", texts(modes));
    shared.put("nodes_truenodeids", ints(next));
    shared.put("nodes_falsenodeids", ints(next));
    shared.put("target_nodeids", ints(depth, depth));
    learned(Answer.ANY, "tree of shared branches", regressor, shared, x);
  }

  /** TreeEnsemble 5 of one decision with two leaves; one list says something else. */
  private void tables(String name, Answer answer, String lie, long... values) {
    Map<String, Attribute> tree = new LinkedHashMap<>();
    tree.put("n_targets", integer(1));
    tree.put("tree_roots", ints(0));
    tree.put("nodes_featureids", ints(0));
    tree.put("nodes_truenodeids", ints(0));
    tree.put("nodes_trueleafs", ints(1));
    tree.put("nodes_falsenodeids", ints(1));
    tree.put("nodes_falseleafs", ints(1));
    tree.put("leaf_targetids", ints(0, 0));
    tree.put("nodes_modes", table(ints(DType.U8, new long[] {1}, 0)));
    tree.put("nodes_splits", table(floats(1)));
    tree.put("leaf_weights", table(floats(2)));
    tree.put(
        lie, values.length == 1 && lie.equals("n_targets") ? integer(values[0]) : ints(values));
    learned(answer, name, "TreeEnsemble", tree, floats(2, 3));
  }

  private static Attribute table(Tensor tensor) {
    return new Attribute.TensorAttr(Constant.of(tensor));
  }

  private void tables() {
    tables("table tree", Answer.ANY, "tree_roots", 0);
    tables("table tree of root far", Answer.REFUSED, "tree_roots", FAR);
    tables("table tree of root -1", Answer.REFUSED, "tree_roots", -1);
    tables("table tree of feature far", Answer.REFUSED, "nodes_featureids", FAR);
    tables("table tree in a circle", Answer.REFUSED, "nodes_trueleafs", 0);
    tables("table tree of leaf far", Answer.REFUSED, "nodes_falsenodeids", FAR);
    tables("table tree of leaf -1", Answer.REFUSED, "nodes_truenodeids", -1);
    tables("table tree of target far", Answer.REFUSED, "leaf_targetids", 0, WRAPS);
    tables("table tree of many targets", Answer.REFUSED, "n_targets", HUGE);
    tables("table tree without nodes", Answer.REFUSED, "nodes_featureids");
  }

  private void classical() {
    Tensor x = floats(2, 3);
    Map<String, Attribute> machine = new LinkedHashMap<>();
    machine.put("coefficients", numbers(1));
    machine.put("support_vectors", numbers(1, 2, 3));
    machine.put("n_supports", integer(FAR));
    machine.put("rho", numbers(0));
    machine.put("kernel_type", text("LINEAR"));
    learned(Answer.REFUSED, "vectors far", "SVMRegressor", machine, x);
    Map<String, Attribute> few = new LinkedHashMap<>(machine);
    few.put("n_supports", integer(3));
    learned(Answer.REFUSED, "few vectors", "SVMRegressor", few, x);
    Map<String, Attribute> without = new LinkedHashMap<>(machine);
    without.put("n_supports", integer(1));
    without.put("rho", numbers());
    learned(Answer.REFUSED, "no rho", "SVMRegressor", without, x);
    Map<String, Attribute> classes = new LinkedHashMap<>(machine);
    classes.remove("n_supports");
    classes.put("vectors_per_class", ints(1, FAR));
    classes.put("classlabels_ints", ints(0, 1));
    learned(Answer.REFUSED, "class of many vectors", "SVMClassifier", classes, x);
    Map<String, Attribute> linear = new LinkedHashMap<>();
    linear.put("coefficients", numbers(1, 2));
    linear.put("intercepts", numbers(0));
    linear.put("classlabels_ints", ints(0, 1, 2));
    learned(Answer.REFUSED, "few coefficients", "LinearClassifier", linear, x);
    learned(
        Answer.REFUSED,
        "many linear targets",
        "LinearRegressor",
        Map.of("coefficients", numbers(1, 2, 3), "targets", integer(HUGE)),
        x);
    learned(
        Answer.REFUSED,
        "uneven labels",
        "LabelEncoder",
        Map.of("keys_int64s", ints(1, 2, 3), "values_floats", numbers(1)),
        longs(1, 2));
    learned(Answer.REFUSED, "no categories", "OneHotEncoder", Map.of(), x);
    learned(
        Answer.REFUSED,
        "uneven scaler",
        "Scaler",
        Map.of("offset", numbers(1, 2), "scale", numbers(1, 2)),
        x);
    learned(
        Answer.REFUSED,
        "uneven imputer",
        "Imputer",
        Map.of(
            "imputed_value_floats",
            numbers(1, 2),
            "replaced_value_float",
            new Attribute.FloatAttr(0)),
        x);
    learned(
        Answer.ANY, "features far", "FeatureVectorizer", Map.of("inputdimensions", ints(FAR)), x);
    learned(
        Answer.REFUSED,
        "uneven categories",
        "CategoryMapper",
        Map.of("cats_int64s", ints(1), "cats_strings", texts("a", "b")),
        longs(1));
    learned(
        Answer.REFUSED,
        "few labels",
        "ZipMap",
        Map.of("classlabels_int64s", ints(1)),
        floats(1, 3));
    Map<String, Attribute> grams = new LinkedHashMap<>();
    grams.put("mode", text("TF"));
    grams.put("min_gram_length", integer(1));
    grams.put("max_gram_length", integer(1));
    grams.put("max_skip_count", integer(0));
    grams.put("ngram_counts", ints(0));
    grams.put("ngram_indexes", ints(FAR));
    grams.put("pool_int64s", ints(1));
    add(Answer.REFUSED, "gram index far", "TfIdfVectorizer", grams, longs(1, 2));
    Map<String, Attribute> counts = new LinkedHashMap<>(grams);
    counts.put("ngram_indexes", ints(0));
    counts.put("ngram_counts", ints(FAR));
    add(Answer.REFUSED, "gram counts far", "TfIdfVectorizer", counts, longs(1, 2));
    Map<String, Attribute> skips = new LinkedHashMap<>(grams);
    skips.put("ngram_indexes", ints(0));
    skips.put("max_gram_length", integer(FAR));
    skips.put("max_skip_count", integer(FAR));
    add(Answer.ANY, "gram skips far", "TfIdfVectorizer", skips, longs(1, 2));
  }
}
