package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.GraphCopy;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.Operator;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.infer.TypeInference;

/**
 * Moves whatever depends on a choice into both of its bodies where these make values of different
 * ranks: in each of them the rank is known, and kernels need it. Exporters write such choices for
 * what drops a dimension only if it is 1.
 */
public final class SinkIntoBranches implements Pass {
  /** Choices that are moved; each doubles what comes after it. */
  private static final int MAX_CHOICES = 8;

  /** Nodes that may be doubled in all. */
  private static final int MAX_NODES = 4000;

  @Override
  public String id() {
    return "sink-into-branches";
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Graph current = graph;
    int moved = 0;
    for (int choice = 0; choice < MAX_CHOICES; choice++) {
      TypeInference.Inferred inferred =
          TypeInference.infer(current, context.operators(), note -> {});
      Optional<Choice> found = find(inferred, context);
      if (found.isEmpty() || moved + found.get().dependents.size() > MAX_NODES) {
        return inferred.graph();
      }
      moved += found.get().dependents.size();
      current = found.get().sink(inferred.graph());
    }
    return TypeInference.infer(current, context.operators(), note -> {}).graph();
  }

  private static Optional<Choice> find(TypeInference.Inferred inferred, PassContext context) {
    Graph graph = inferred.graph();
    for (Node node : graph.nodes()) {
      Optional<Operator> operator = context.operators().find(node.op());
      boolean unranked =
          node.outputs().stream()
              .anyMatch(o -> graph.type(o) instanceof TensorType type && !type.isRanked());
      if (Graph.bodies(node).size() != 2 || operator.isEmpty() || !unranked) {
        continue;
      }
      if (operator.get().lower(inferred.scope().context(node)) instanceof Lowering.Branch branch
          && ranked(branch.then())
          && ranked(branch.otherwise())) {
        Choice choice = new Choice(node, branch, dependents(graph, node));
        if (!choice.dependents.isEmpty()) {
          return Optional.of(choice);
        }
      }
    }
    return Optional.empty();
  }

  private static boolean ranked(Graph body) {
    return body.outputs().stream()
        .map(body::type)
        .noneMatch(type ->
            type instanceof ValueType.UnknownType
                || (type instanceof TensorType tensor && !tensor.isRanked()));
  }

  private static List<Node> dependents(Graph graph, Node choice) {
    Set<Value> reached = new HashSet<>(choice.outputs());
    reached.remove(Value.NONE);
    List<Node> dependents = new ArrayList<>();
    for (Node node : graph.nodes()) {
      if (node.id() != choice.id() && Graph.usedValues(node).stream().anyMatch(reached::contains)) {
        dependents.add(node);
        reached.addAll(node.outputs());
        reached.remove(Value.NONE);
      }
    }
    return dependents;
  }

  private record Choice(Node node, Lowering.Branch branch, List<Node> dependents) {

    Graph sink(Graph graph) {
      Set<Value> made = new HashSet<>(node.outputs());
      dependents.forEach(d -> made.addAll(d.outputs()));
      List<Value> outputs = graph.outputs().stream().distinct().filter(made::contains).toList();
      GraphBuilder first = new GraphBuilder(graph.opsets(), graph.maxId() + 1);
      Graph then = body(first, branch.then(), outputs);
      GraphBuilder second = new GraphBuilder(graph.opsets(), first.nextId());
      Graph otherwise = body(second, branch.otherwise(), outputs);
      Map<String, Attribute> attributes = new HashMap<>(node.attributes());
      attributes.replaceAll((name, attribute) ->
          attribute instanceof Attribute.GraphAttr(Graph body)
              ? new Attribute.GraphAttr(body.equals(branch.then()) ? then : otherwise)
              : attribute);
      GraphEdit edit = new GraphEdit(graph);
      dependents.forEach(edit::remove);
      edit.replace(
          node,
          List.of(
              new Node(
                  second.nextId(), node.name(), node.op(), node.inputs(), outputs, attributes)));
      outputs.forEach(output -> edit.setType(output, ValueType.UNKNOWN));
      return edit.apply();
    }

    private Graph body(GraphBuilder builder, Graph body, List<Value> outputs) {
      GraphCopy copy = new GraphCopy(builder);
      body.constants()
          .forEach(
              (value, constant) -> copy.replace(value, builder.constant(value.name(), constant)));
      body.nodes().forEach(copy::node);
      for (int i = 0; i < node.outputs().size(); i++) {
        copy.replace(node.output(i), copy.of(body.outputs().get(i)));
      }
      dependents.forEach(copy::node);
      outputs.forEach(output -> builder.output(copy.of(output)));
      return builder.build(body.name(), Map.of());
    }
  }
}
