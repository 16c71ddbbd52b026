package org.tersor.ir.ops;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.Tensor;

/**
 * Decision trees as tables, whatever attributes they came from. A leaf leads to itself, so a walk
 * of {@code depth} steps from a root ends in its leaf.
 *
 * @param feature column that a node looks at
 * @param mode comparison of the element with the split
 * @param split right side of the comparison
 * @param yes next node where it holds; a leaf: itself
 * @param no next node where it does not
 * @param missing whether NaN takes the way of yes
 * @param leaf row of {@code weights} of a leaf, -1 for an inner node
 * @param roots first node of each tree
 * @param members all sets of members, one after the other; set of a node: from {@code memberStart},
 *     {@code memberCount} numbers
 * @param weights per leaf and target the weight
 * @param present per leaf and target whether it has one
 */
record TreeEnsemble(
    int[] feature,
    Mode[] mode,
    double[] split,
    int[] yes,
    int[] no,
    boolean[] missing,
    int[] leaf,
    int[] roots,
    double[] members,
    int[] memberStart,
    int[] memberCount,
    double[][] weights,
    boolean[][] present,
    int depth) {
  private static final int MAX_WEIGHTS = 1 << 28;

  /** Comparisons, in the order that TreeEnsemble-5 numbers them after LEAF. */
  enum Mode {
    LEAF(0),
    BRANCH_LEQ(1),
    BRANCH_LT(2),
    BRANCH_GTE(3),
    BRANCH_GT(4),
    BRANCH_EQ(5),
    BRANCH_NEQ(6),
    BRANCH_MEMBER(7);

    private final int code;

    Mode(int code) {
      this.code = code;
    }

    int code() {
      return code;
    }
  }

  /** Collects nodes; positions are given by the caller and need not be in order. */
  private static final class Builder {
    private final OpContext c;
    private final int targets;
    private final List<double[]> weights = new ArrayList<>();
    private final List<boolean[]> present = new ArrayList<>();
    private final int[] feature;
    private final Mode[] mode;
    private final double[] split;
    private final int[] yes;
    private final int[] no;
    private final boolean[] missing;
    private final int[] leaf;
    private final int[] memberStart;
    private final int[] memberCount;
    private double[] members = new double[0];

    Builder(OpContext c, int nodes, int targets) {
      this.c = c;
      this.targets = targets;
      feature = new int[nodes];
      mode = new Mode[nodes];
      split = new double[nodes];
      yes = new int[nodes];
      no = new int[nodes];
      missing = new boolean[nodes];
      leaf = new int[nodes];
      memberStart = new int[nodes];
      memberCount = new int[nodes];
    }

    void branch(int node, Mode how, long column, double value, int then, int otherwise, long nan) {
      if (column < 0 || column > Integer.MAX_VALUE) {
        throw c.error("TSR-0304", "node " + node + " looks at column " + column);
      }
      mode[node] = how;
      feature[node] = (int) column;
      split[node] = value;
      yes[node] = then;
      no[node] = otherwise;
      missing[node] = nan != 0;
      leaf[node] = -1;
    }

    void leaf(int node) {
      mode[node] = Mode.LEAF;
      yes[node] = node;
      no[node] = node;
      leaf[node] = weights.size();
      if ((long) (weights.size() + 1) * targets > MAX_WEIGHTS) {
        throw c.error("TSR-0304", "the trees have too many leaves for " + targets + " targets");
      }
      weights.add(new double[targets]);
      present.add(new boolean[targets]);
    }

    void weight(int row, long target, double value) {
      if (target < 0 || target >= targets) {
        throw c.error("TSR-0304", "a leaf is for target " + target + " of " + targets);
      }
      weights.get(row)[(int) target] += value;
      present.get(row)[(int) target] = true;
    }

    TreeEnsemble build(int[] roots) {
      return new TreeEnsemble(
          feature,
          mode,
          split,
          yes,
          no,
          missing,
          leaf,
          roots,
          members,
          memberStart,
          memberCount,
          weights.toArray(new double[0][]),
          present.toArray(new boolean[0][]),
          depth(roots));
    }

    /**
     * Whether there is a way from a root to every node: nodes that only lead to each other have
     * none.
     */
    boolean allReached(Collection<Integer> roots) {
      boolean[] reached = new boolean[mode.length];
      Deque<Integer> open = new ArrayDeque<>(roots);
      int count = 0;
      while (!open.isEmpty()) {
        int node = open.pop();
        if (!reached[node]) {
          reached[node] = true;
          count++;
          if (mode[node] != Mode.LEAF) {
            open.push(yes[node]);
            open.push(no[node]);
          }
        }
      }
      return count == mode.length;
    }

    /** Longest way from a root; one that never ends is no tree. */
    private int depth(int[] roots) {
      Set<Integer> level = new LinkedHashSet<>();
      for (int root : roots) {
        level.add(root);
      }
      for (int depth = 0; depth <= mode.length; depth++) {
        Set<Integer> next = new LinkedHashSet<>();
        for (int node : level) {
          if (mode[node] != Mode.LEAF) {
            next.add(yes[node]);
            next.add(no[node]);
          }
        }
        if (next.isEmpty()) {
          return depth;
        }
        level = next;
      }
      throw c.error("TSR-0304", "a tree never ends: its nodes lead back to themselves");
    }
  }

  /**
   * From the attributes of the first versions.
   *
   * @param leaves prefix of the leaves' attributes: "target" or "class"
   */
  static TreeEnsemble ofNodes(OpContext c, String leaves, int targets) {
    long[] ids = ints(c, "nodes_nodeids");
    long[] trees = same(c, "nodes_treeids", ids.length);
    long[] features = same(c, "nodes_featureids", ids.length);
    long[] yes = same(c, "nodes_truenodeids", ids.length);
    long[] no = same(c, "nodes_falsenodeids", ids.length);
    long[] nan =
        c.has("nodes_missing_value_tracks_true")
            ? same(c, "nodes_missing_value_tracks_true", ids.length)
            : new long[ids.length];
    List<String> modes = c.stringsAttr("nodes_modes").orElse(List.of());
    double[] values = doubles(c, "nodes_values");
    if (modes.size() != ids.length || values.length != ids.length) {
      throw c.error("TSR-0304", "nodes_modes and nodes_values must have a number for each node");
    }
    Map<Key, Integer> places = new HashMap<>();
    Map<Long, Integer> roots = new LinkedHashMap<>();
    for (int i = 0; i < ids.length; i++) {
      if (places.put(new Key(trees[i], ids[i]), i) != null) {
        throw c.error("TSR-0304", "node " + ids[i] + " of tree " + trees[i] + " is there twice");
      }
      roots.putIfAbsent(trees[i], -1);
    }
    Builder builder = new Builder(c, ids.length, targets);
    for (int i = 0; i < ids.length; i++) {
      Mode mode = mode(c, modes.get(i));
      if (mode == Mode.LEAF) {
        builder.leaf(i);
      } else {
        int then = place(c, places, trees[i], yes[i]);
        int otherwise = place(c, places, trees[i], no[i]);
        builder.branch(i, mode, features[i], values[i], then, otherwise, nan[i]);
      }
    }
    boolean[] child = new boolean[ids.length];
    for (int i = 0; i < ids.length; i++) {
      if (builder.mode[i] != Mode.LEAF) {
        child[builder.yes[i]] = true;
        child[builder.no[i]] = true;
      }
    }
    for (int i = 0; i < ids.length; i++) {
      if (!child[i] && roots.put(trees[i], i) != -1) {
        throw c.error("TSR-0304", "tree " + trees[i] + " has more than one root");
      }
    }
    if (roots.containsValue(-1) || !builder.allReached(roots.values())) {
      throw c.error("TSR-0304", "a tree has no root: its nodes lead back to themselves");
    }
    long[] leafIds = ints(c, leaves + "_nodeids");
    long[] leafTrees = same(c, leaves + "_treeids", leafIds.length);
    long[] leafTargets = same(c, leaves + "_ids", leafIds.length);
    double[] weights = doubles(c, leaves + "_weights");
    if (weights.length != leafIds.length) {
      throw c.error("TSR-0304", "every leaf must have a weight");
    }
    for (int i = 0; i < leafIds.length; i++) {
      int node = place(c, places, leafTrees[i], leafIds[i]);
      if (builder.mode[node] == Mode.LEAF) {
        builder.weight(builder.leaf[node], leafTargets[i], weights[i]);
      }
    }
    return builder.build(roots.values().stream().mapToInt(Integer::intValue).toArray());
  }

  private record Key(long tree, long node) {}

  private static int place(OpContext c, Map<Key, Integer> places, long tree, long node) {
    Integer place = places.get(new Key(tree, node));
    if (place == null) {
      throw c.error("TSR-0304", "tree " + tree + " has no node " + node);
    }
    return place;
  }

  private static Mode mode(OpContext c, String name) {
    for (Mode mode : Mode.values()) {
      if (mode.name().equals(name)) {
        return mode;
      }
    }
    throw c.error("TSR-0304", "there is no comparison '" + name + "'");
  }

  /** From the attributes of TreeEnsemble-5: leaves are numbered apart from the nodes. */
  static TreeEnsemble ofTables(OpContext c, int targets) {
    long[] features = ints(c, "nodes_featureids");
    int inner = features.length;
    long[] yes = same(c, "nodes_truenodeids", inner);
    long[] no = same(c, "nodes_falsenodeids", inner);
    long[] yesLeaf = same(c, "nodes_trueleafs", inner);
    long[] noLeaf = same(c, "nodes_falseleafs", inner);
    long[] nan =
        c.has("nodes_missing_value_tracks_true")
            ? same(c, "nodes_missing_value_tracks_true", inner)
            : new long[inner];
    Tensor modes = c.tensorAttr("nodes_modes").orElseThrow();
    Tensor splits = c.tensorAttr("nodes_splits").orElseThrow();
    long[] leafTargets = ints(c, "leaf_targetids");
    Tensor weights = c.tensorAttr("leaf_weights").orElseThrow();
    if (modes.size() != inner || splits.size() != inner || weights.size() != leafTargets.length) {
      throw c.error("TSR-0304", "the tables of nodes or leaves have different lengths");
    }
    Builder builder = new Builder(c, inner + leafTargets.length, targets);
    Mode[] all = Mode.values();
    for (int i = 0; i < inner; i++) {
      long mode = modes.getLong(i);
      if (mode < 0 || mode > 6) {
        throw c.error("TSR-0304", "there is no comparison of number " + mode);
      }
      builder.branch(
          i,
          all[(int) mode + 1],
          features[i],
          splits.getDouble(i),
          next(c, yes[i], yesLeaf[i], inner, leafTargets.length),
          next(c, no[i], noLeaf[i], inner, leafTargets.length),
          nan[i]);
    }
    for (int i = 0; i < leafTargets.length; i++) {
      builder.leaf(inner + i);
      builder.weight(i, leafTargets[i], weights.getDouble(i));
    }
    members(c, builder, inner);
    long[] roots = ints(c, "tree_roots");
    int[] first = new int[roots.length];
    for (int i = 0; i < roots.length; i++) {
      // A tree that is a leaf alone: both ways of its root are the same leaf.
      int root = next(c, roots[i], 0, inner, leafTargets.length);
      boolean alone = builder.yes[root] == builder.no[root];
      first[i] = alone ? builder.yes[root] : root;
    }
    return builder.build(first);
  }

  private static int next(OpContext c, long node, long isLeaf, int inner, int leaves) {
    if (node < 0 || node >= (isLeaf != 0 ? leaves : inner)) {
      throw c.error("TSR-0304", "there is no " + (isLeaf != 0 ? "leaf " : "node ") + node);
    }
    return (int) node + (isLeaf != 0 ? inner : 0);
  }

  private static void members(OpContext c, Builder builder, int inner) {
    Optional<Tensor> values = c.tensorAttr("membership_values");
    builder.members = values.map(Reals::of).orElse(new double[0]);
    int at = 0;
    for (int i = 0; i < inner; i++) {
      if (builder.mode[i] != Mode.BRANCH_MEMBER) {
        continue;
      }
      builder.memberStart[i] = at;
      while (at < builder.members.length && !Double.isNaN(builder.members[at])) {
        at++;
      }
      builder.memberCount[i] = at - builder.memberStart[i];
      if (at >= builder.members.length && builder.memberCount[i] == 0) {
        throw c.error("TSR-0304", "membership_values has no set for node " + i);
      }
      at++;
    }
  }

  private static long[] ints(OpContext c, String name) {
    return c.intsAttr(name).orElse(new long[0]);
  }

  private static long[] same(OpContext c, String name, int count) {
    long[] values = ints(c, name);
    if (values.length != count) {
      throw c.error("TSR-0304", name + " must have " + count + " numbers, not " + values.length);
    }
    return values;
  }

  /** Numbers of a float attribute, or of the tensor that takes its place for doubles. */
  static double[] doubles(OpContext c, String name) {
    Optional<Tensor> tensor = c.tensorAttr(name + "_as_tensor");
    if (tensor.isPresent()) {
      return Reals.of(tensor.get());
    }
    return c.floatsAttr(name).orElse(List.of()).stream().mapToDouble(Float::doubleValue).toArray();
  }

  /** The leaf of tree {@code tree} for a row that starts at {@code row}. */
  int walk(int tree, Tensor x, int row) {
    int node = roots[tree];
    while (mode[node] != Mode.LEAF) {
      double value = x.getDouble(row + feature[node]);
      boolean holds = Double.isNaN(value) ? missing[node] : holds(node, value);
      node = holds ? yes[node] : no[node];
    }
    return leaf[node];
  }

  private boolean holds(int node, double value) {
    return switch (mode[node]) {
      case LEAF -> true;
      case BRANCH_LEQ -> value <= split[node];
      case BRANCH_LT -> value < split[node];
      case BRANCH_GTE -> value >= split[node];
      case BRANCH_GT -> value > split[node];
      case BRANCH_EQ -> value == split[node];
      case BRANCH_NEQ -> value != split[node];
      case BRANCH_MEMBER -> {
        boolean found = false;
        for (int i = 0; i < memberCount[node]; i++) {
          found |= members[memberStart[node] + i] == value;
        }
        yield found;
      }
    };
  }

  /** The same trees with other leaves. */
  TreeEnsemble with(double[][] newWeights, boolean[][] newPresent) {
    return new TreeEnsemble(
        feature,
        mode,
        split,
        yes,
        no,
        missing,
        leaf,
        roots,
        members,
        memberStart,
        memberCount,
        newWeights,
        newPresent,
        depth);
  }

  /** Number of columns that a row needs. */
  int features() {
    int last = -1;
    for (int column : feature) {
      last = Math.max(last, column);
    }
    return last + 1;
  }
}
