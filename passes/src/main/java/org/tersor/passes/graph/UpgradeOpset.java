package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/**
 * Raises the standard domain of a graph: below opset 13 to 17, because QuantizeLinear and
 * DequantizeLinear take a scale per channel from 13 on only; before export to what its weights need
 * ({@link LowerDecode}). Nodes whose meaning or form changed in between are rewritten by {@link
 * OpsetRules}; what has no rule is refused, not guessed.
 */
public final class UpgradeOpset implements Pass {
  /** The version that graphs are raised to. */
  public static final int TARGET = 17;

  /** From this version on a graph stays as it is. */
  public static final int SUFFICIENT = 13;

  private final boolean export;

  private UpgradeOpset(boolean export) {
    this.export = export;
  }

  /** For graphs that get scales per channel. */
  public static UpgradeOpset forChannels() {
    return new UpgradeOpset(false);
  }

  /** For graphs that are written with the decoded weights that they hold. */
  public static UpgradeOpset forExport() {
    return new UpgradeOpset(true);
  }

  @Override
  public String id() {
    return "upgrade-opset";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    int from = graph.opset("");
    int needed = export ? neededForExport(graph, context) : SUFFICIENT;
    if (from >= needed) {
      return graph;
    }
    int target = Math.max(TARGET, needed);
    Graph raised = raised(graph, target, context);
    context.note().accept("upgrade-opset: opset " + from + " raised to " + target);
    return raised;
  }

  private static int neededForExport(Graph graph, PassContext context) {
    int needed = LowerDecode.opsetForExport(graph, context);
    for (Bodies.Body body : Bodies.of(graph)) {
      needed = Math.max(needed, neededForExport(body.closed(), context));
    }
    return needed;
  }

  private static Graph raised(Graph given, int target, PassContext context) {
    Graph graph =
        given.opset("") < SUFFICIENT
            ? given // nodes with bodies are refused below
            : Bodies.map(given, body -> raised(body, target, context));
    Map<String, Integer> opsets = new LinkedHashMap<>(graph.opsets());
    opsets.put("", target);
    GraphBuilder builder = new GraphBuilder(opsets, graph.maxId() + 1);
    OpsetRules rules = new OpsetRules(graph, context.operators(), builder, target);
    List<Node> nodes = new ArrayList<>();
    for (Node node : graph.nodes()) {
      nodes.addAll(rules.upgrade(node));
    }
    Map<Value, Constant> constants = new LinkedHashMap<>(graph.constants());
    constants.putAll(sorted(builder.constants()));
    Map<Value, ValueType> types = new LinkedHashMap<>(graph.types());
    types.putAll(sorted(builder.types()));
    return new Graph(
        graph.name(),
        graph.inputs(),
        graph.outputs(),
        nodes,
        constants,
        types,
        opsets,
        graph.metadata());
  }

  /** By id: the builder's maps have no order that lasts from run to run. */
  private static <T> Map<Value, T> sorted(Map<Value, T> map) {
    Map<Value, T> result = new LinkedHashMap<>();
    map.keySet().stream()
        .sorted(java.util.Comparator.comparingInt(Value::id))
        .forEach(value -> {
          T found = map.get(value);
          if (found != null) {
            result.put(value, found);
          }
        });
    return result;
  }
}
