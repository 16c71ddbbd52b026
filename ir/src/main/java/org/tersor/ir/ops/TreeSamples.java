package org.tersor.ir.ops;

/** Two small trees of every kind, for whoever makes up nodes (OpSchema.sample). */
final class TreeSamples {
  /** Elements that meet splits, and missing ones. */
  private static final String WHOLE = "X[n f]=-2..2|-1..1|nan";

  /** Versions with attributes of float64, which are for operands of float64. */
  private static final String DOUBLES = "-2: -; T=f64; X[n f]=-2..2|-1.5..1.5";

  private static final String VALUES =
      "; nodes_values!=copies(6, -2..2|-1.0..1.0); nodes_values_as_tensor=-";

  private TreeSamples() {}

  /** TreeEnsemble-5: a tree of two nodes and one of one node. */
  static String tables() {
    String branches = "tensor(u8, list(0..5, 0..5, 0..5))";
    return String.join(
        " || ",
        tables("X[n f]", branches, "-") + "; post_transform=0..4",
        tables(WHOLE, branches, "-") + "; post_transform=-",
        tables(
                "X[n f]=-1.5..1.5|-2..2",
                "tensor(u8, list(6, 0..5, 6))",
                "tensor(T, list(0..2, -2..0, nan, -1..1, nan))")
            + "; post_transform=-",
        tables(
                WHOLE,
                "tensor(u8, list(6, 0..5, 6))",
                "tensor(T, list(-2..2, -1..1, 0..2, nan, -2..2, nan))")
            + "; post_transform=-");
  }

  private static String tables(String x, String modes, String members) {
    return String.join(
        "; ",
        x,
        "n_targets!=1..3",
        "aggregate_function=0..3",
        "nodes_featureids!=copies(3, below(f))",
        "nodes_modes!=" + modes,
        "nodes_splits!=tensor(T, copies(3, -2..2|-1.5..1.5))",
        "membership_values!=" + members,
        "nodes_truenodeids!=dims(0 1 3)",
        "nodes_trueleafs!=dims(1 1 1)",
        "nodes_falsenodeids!=dims(1 2 4)",
        "nodes_falseleafs!=dims(0 1 1)",
        "nodes_missing_value_tracks_true=copies(3, 0|1)",
        "nodes_hitrates=-",
        "leaf_targetids!=copies(5, below(n_targets))",
        "leaf_weights!=tensor(T, copies(5, -1.0..1.0))",
        "tree_roots!=dims(0 2)");
  }

  /** TreeEnsembleRegressor: leaves with one weight, leaves with two, numbers of float64. */
  static String regressor() {
    String rest = "; aggregate_function=SUM|AVERAGE|MIN|MAX; nodes_hitrates=-";
    String transform = "; post_transform=NONE|LOGISTIC|SOFTMAX|SOFTMAX_ZERO|PROBIT";
    String one = "; n_targets!=1..3; " + votes("target", "n_targets");
    String two = "; n_targets!=2; " + votes("target");
    return String.join(
        " || ",
        nodes("X[n f]")
            + VALUES
            + one
            + weights("target", 4)
            + "; base_values=-; base_values_as_tensor=-"
            + rest
            + transform,
        nodes("X[n f]=-2..2")
            + VALUES
            + one
            + weights("target", 4)
            + base("n_targets")
            + rest
            + "; post_transform=-",
        nodes(WHOLE)
            + VALUES
            + one
            + weights("target", 4)
            + "; base_values=-; base_values_as_tensor=-"
            + rest
            + "; post_transform=-",
        nodes("X[n f]")
            + VALUES
            + two
            + weights("target", 6)
            + base("n_targets")
            + rest
            + transform,
        nodes(DOUBLES) + two + doubles("target", 2) + rest + "; post_transform=-");
  }

  /** TreeEnsembleClassifier: the same with two classes, three, and named ones. */
  static String classifier() {
    String numbers = "; classlabels_int64s!=count(m); classlabels_strings=-; nodes_hitrates=-";
    String names = "; classlabels_strings!=words(a, b, c); classlabels_int64s=-; nodes_hitrates=-";
    String transform = "; post_transform=NONE|LOGISTIC|SOFTMAX|SOFTMAX_ZERO";
    String many = "; m=2..3; " + votes("class", "m");
    return String.join(
        " || ",
        nodes("X[n f]")
            + VALUES
            + "; m=3; "
            + votes("class", "m")
            + weights("class", 4)
            + base("m")
            + numbers
            + "; post_transform=NONE|LOGISTIC",
        nodes(WHOLE)
            + VALUES
            + many
            + weights("class", 4)
            + base("m")
            + numbers
            + "; post_transform=-",
        nodes(WHOLE)
            + VALUES
            + "; m=2; k=0..1; "
            + votes("class", "m").replace("below(m)", "k")
            + weights("class", 4)
            + "; base_values=-; base_values_as_tensor=-"
            + numbers
            + transform,
        nodes("X[n f]")
            + VALUES
            + "; m=3; "
            + votes("class")
            + weights("class", 6)
            + base("m")
            + names
            + transform,
        nodes(DOUBLES)
            + "; m=3; "
            + votes("class")
            + doubles("class", 3)
            + names
            + "; post_transform=-");
  }

  /** Two trees of one node each; version 5 withdraws these operators. */
  private static String nodes(String x) {
    String mode = "BRANCH_LEQ|BRANCH_LT|BRANCH_GT|BRANCH_GTE|BRANCH_EQ|BRANCH_NEQ";
    return String.join(
        "; ",
        "5-: -",
        x,
        "nodes_treeids!=dims(0 0 0 1 1 1)",
        "nodes_nodeids!=dims(0 1 2 0 1 2)",
        "nodes_featureids!=copies(6, below(f))",
        "nodes_modes!=words(" + mode + ", LEAF, LEAF, " + mode + ", LEAF, LEAF)",
        "nodes_truenodeids!=dims(1 0 0 1 0 0)",
        "nodes_falsenodeids!=dims(2 0 0 2 0 0)",
        "nodes_missing_value_tracks_true=copies(6, 0|1)",
        "nodes_hitrates_as_tensor=-");
  }

  /** A vote of every leaf, for any of so many. */
  private static String votes(String leaves, String count) {
    return leaves
        + "_treeids!=dims(0 0 1 1); "
        + leaves
        + "_nodeids!=dims(1 2 1 2); "
        + leaves
        + "_ids!=copies(4, below("
        + count
        + "))";
  }

  /** The first leaf of each tree votes for the first two. */
  private static String votes(String leaves) {
    return leaves
        + "_treeids!=dims(0 0 0 1 1 1); "
        + leaves
        + "_nodeids!=dims(1 1 2 1 1 2); "
        + leaves
        + "_ids!=dims(0 1 0 1 0 1)";
  }

  private static String weights(String leaves, int votes) {
    return "; "
        + leaves
        + "_weights!=copies("
        + votes
        + ", -1.0..1.0); "
        + leaves
        + "_weights_as_tensor=-";
  }

  private static String base(String count) {
    return "; base_values=copies(" + count + ", -1.0..1.0); base_values_as_tensor=-";
  }

  private static String doubles(String leaves, int count) {
    return "; nodes_values_as_tensor!=tensor(f64, copies(6, -1.0..1.0)); nodes_values=-; "
        + leaves
        + "_weights_as_tensor!=tensor(f64, copies(6, -1.0..1.0)); "
        + leaves
        + "_weights=-; base_values_as_tensor=tensor(f64, copies("
        + count
        + ", -1.0..1.0)); base_values=-";
  }
}
