package org.tersor.passes.equalize;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * The split of LLM.int8() (Dettmers et al., arXiv 2208.07339) with channels that are known before:
 * those of what a MatMul reads that reached a threshold in calibration get a product of their own,
 * whose node is named {@code X.outliers} and is meant to stay float; what is left is added to it.
 */
public final class SplitOutliers implements Pass {
  public static final String ID = "split-outliers";

  /** End of the names of nodes that multiply outliers. */
  public static final String SUFFIX = ".outliers";

  private final double threshold;
  private final Map<Value, double[]> largest;

  /**
   * @param largest the largest magnitude of each channel of a value
   */
  public SplitOutliers(double threshold, Map<Value, double[]> largest) {
    this.threshold = threshold;
    this.largest = largest;
  }

  /** What layers that can be split read. */
  public static List<Value> inputs(Graph graph) {
    return graph.nodes().stream()
        .filter(n -> n.op().is("MatMul") && WeightEdits.isLinear(graph, n))
        .map(n -> n.input(0))
        .distinct()
        .toList();
  }

  @Override
  public String id() {
    return ID;
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  /** Channels in order, and the values that hold them. */
  private record Parts(long[] rest, long[] outliers, Value restValue, Value outlierValue) {}

  @Override
  public Graph run(Graph graph, PassContext context) {
    GraphEdit edit = new GraphEdit(graph);
    Map<Value, Optional<Parts>> split = new LinkedHashMap<>();
    int layers = 0;
    long channels = 0;
    long found = 0;
    for (Node node : graph.nodes()) {
      double[] sizes = largest.get(node.input(0));
      if (!node.op().is("MatMul") || !WeightEdits.isLinear(graph, node) || sizes == null) {
        continue;
      }
      if (!split.containsKey(node.input(0))) {
        split.put(node.input(0), parts(edit, node.input(0), sizes));
      }
      Optional<Parts> parts = split.getOrDefault(node.input(0), Optional.empty());
      channels += sizes.length;
      if (parts.isPresent()) {
        found += parts.get().outliers().length;
        layers++;
        replace(edit, graph, node, parts.get());
      }
    }
    context
        .note()
        .accept(
            "split-outliers: "
                + layers
                + " layers have channels of "
                + threshold
                + " or more, "
                + found
                + " of "
                + channels
                + " channels of all layers");
    return layers == 0 ? graph : edit.apply();
  }

  private Optional<Parts> parts(GraphEdit edit, Value value, double[] sizes) {
    List<Long> rest = new ArrayList<>();
    List<Long> outliers = new ArrayList<>();
    for (int j = 0; j < sizes.length; j++) {
      (sizes[j] >= threshold ? outliers : rest).add((long) j);
    }
    if (outliers.isEmpty() || rest.isEmpty()) {
      return Optional.empty();
    }
    long[] restIndex = rest.stream().mapToLong(j -> j).toArray();
    long[] outlierIndex = outliers.stream().mapToLong(j -> j).toArray();
    GraphBuilder build = edit.builder();
    Map<String, Attribute> last = Map.of("axis", new Attribute.IntAttr(-1));
    Value restValue = build.add("Gather", last, value, build.longs(restIndex));
    Value outlierValue = build.add("Gather", last, value, build.longs(outlierIndex));
    edit.add(build);
    return Optional.of(new Parts(restIndex, outlierIndex, restValue, outlierValue));
  }

  private static void replace(GraphEdit edit, Graph graph, Node node, Parts parts) {
    Tensor weight = graph.constant(node.input(1)).orElseThrow().load();
    String name = node.input(1).name();
    Value rest = edit.constant(name, Constant.of(rows(weight, parts.rest())));
    Value own = edit.constant(name + SUFFIX, Constant.of(rows(weight, parts.outliers())));
    Value restResult = edit.value("", ValueType.UNKNOWN);
    Value ownResult = edit.value("", ValueType.UNKNOWN);
    Node inner =
        new Node(
            node.id(),
            node.name(),
            node.op(),
            List.of(parts.restValue(), rest),
            List.of(restResult),
            node.attributes());
    Node outer =
        new Node(
            edit.freshId(),
            node.name() + SUFFIX,
            node.op(),
            List.of(parts.outlierValue(), own),
            List.of(ownResult),
            node.attributes());
    Node sum =
        new Node(
            edit.freshId(),
            "",
            new org.tersor.ir.graph.OpKey("", "Add", graph.opset("")),
            List.of(restResult, ownResult),
            node.outputs(),
            Map.of());
    edit.replace(node, List.of(inner, outer, sum));
  }

  private static Tensor rows(Tensor weight, long[] rows) {
    int columns = (int) weight.shape()[1];
    Tensor result = Tensor.zeros(DType.F32, rows.length, columns);
    for (int r = 0; r < rows.length; r++) {
      for (int c = 0; c < columns; c++) {
        result.setDouble(r * columns + c, weight.getDouble((int) rows[r] * columns + c));
      }
    }
    return result;
  }
}
