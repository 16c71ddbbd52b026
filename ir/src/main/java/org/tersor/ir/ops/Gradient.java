package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.GraphCopy;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Gradient (ai.onnx.preview.training 1): the derivatives of the sum of tensor y by tensors xs of
 * the graph that the node is in, where the node's inputs take the place of xs and then zs. The part
 * of the graph from there to y is computed again on the inputs, and backwards with the {@link
 * Differentiable} of each operator.
 */
final class Gradient extends OpBase {
  Gradient() {
    super(
        OpSchema.of(Optimizer.DOMAIN, "Gradient", 1)
            .variadic("Inputs", "*")
            .variadicOutput("Outputs", "*")
            .required("xs", AttributeKind.STRINGS)
            .required("y", AttributeKind.STRING)
            .attribute("zs", AttributeKind.STRINGS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static List<String> names(OpContext c) {
    List<String> names = new ArrayList<>(c.stringsAttr("xs").orElseThrow());
    names.addAll(c.stringsAttr("zs").orElse(List.of()));
    if (names.size() != c.inputCount()) {
      throw c.error(
          "TSR-0301", c.inputCount() + " inputs for " + names.size() + " names in xs and zs");
    }
    return names;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    names(c);
    List<ValueType> types = new ArrayList<>();
    for (int i = 0; i < c.stringsAttr("xs").orElseThrow().size(); i++) {
      types.add(c.in(i));
    }
    return types.subList(0, Math.min(types.size(), Math.max(1, c.outputCount())));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    GraphBuilder builder = new GraphBuilder(c.graph().opsets(), c.graph().maxId() + 1);
    List<Value> inputs = new ArrayList<>();
    List<org.tersor.runtime.Datum> given = new ArrayList<>();
    for (int i = 0; i < c.inputCount(); i++) {
      inputs.add(builder.input("in" + i, c.inputType(i)));
      given.add(c.datum(i));
    }
    List<Value> results = new Backwards(c, builder, inputs).run();
    results.forEach(builder::output);
    List<Tensor> tensors = new ArrayList<>();
    c.run(builder.build("gradient", Map.of()), given)
        .forEach(result -> tensors.add(result.tensor("a gradient")));
    return tensors;
  }

  @Override
  Lowering code(OpContext c) {
    return new Lowering.Decompose(
        builder -> new Backwards(c, builder, c.node().inputs().subList(0, c.inputCount())).run());
  }

  /** One derivation. */
  private static final class Backwards {
    private final OpContext c;
    private final Graph graph;
    private final GraphBuilder builder;
    private final OpRegistry operators = OpRegistry.standard();
    private final Map<Value, Value> starts = new LinkedHashMap<>();
    private final List<Value> xs = new ArrayList<>();
    private final Set<Value> varying = new LinkedHashSet<>();
    private final Map<Value, Value> gradients = new HashMap<>();
    private final GraphCopy copy;

    Backwards(OpContext c, GraphBuilder builder, List<Value> inputs) {
      this.c = c;
      this.graph = c.graph();
      this.builder = builder;
      this.copy = new GraphCopy(builder);
      Map<String, Value> named = new HashMap<>();
      graph.inputs().forEach(v -> named.put(v.name(), v));
      graph.constants().keySet().forEach(v -> named.put(v.name(), v));
      for (Node node : graph.nodes()) {
        node.outputs().forEach(v -> named.put(v.name(), v));
      }
      List<String> names = names(c);
      int count = c.stringsAttr("xs").orElseThrow().size();
      for (int i = 0; i < names.size(); i++) {
        Value start = find(named, names.get(i));
        starts.put(start, inputs.get(i));
        copy.replace(start, inputs.get(i));
        if (i < count) {
          xs.add(start);
          varying.add(start);
        }
      }
      target = find(named, c.stringAttr("y", ""));
    }

    private final Value target;

    private Value find(Map<String, Value> named, String name) {
      return Optional.ofNullable(named.get(name))
          .orElseThrow(() -> c.error("TSR-0203", "the graph has no tensor '" + name + "'"));
    }

    List<Value> run() {
      List<Node> forward = forward();
      for (Node node : forward) {
        copy.node(node);
        if (node.inputs().stream().anyMatch(varying::contains)) {
          varying.addAll(node.outputs());
        }
      }
      gradients.put(target, filled(target, 1));
      for (Node node : forward.reversed()) {
        if (node.outputs().stream().anyMatch(gradients::containsKey)
            && node.inputs().stream().anyMatch(varying::contains)) {
          backward(node);
        }
      }
      return xs.stream()
          .map(x -> Optional.ofNullable(gradients.get(x)).orElseGet(() -> filled(x, 0)))
          .toList();
    }

    /** Nodes from the starts (or constants) to the target, in order. */
    private List<Node> forward() {
      Set<Value> needed = new LinkedHashSet<>(List.of(target));
      List<Node> nodes = new ArrayList<>();
      for (Node node : graph.nodes().reversed()) {
        boolean wanted =
            node.outputs().stream().anyMatch(v -> needed.contains(v) && !starts.containsKey(v));
        if (wanted) {
          nodes.addFirst(node);
          needed.addAll(Graph.usedValues(node));
        }
      }
      for (Value value : needed) {
        if (starts.containsKey(value)) {
          continue;
        }
        graph
            .constant(value)
            .ifPresent(constant -> copy.replace(value, builder.constant(value.name(), constant)));
        if (graph.inputs().contains(value)) {
          throw c.error(
              "TSR-0203",
              "'" + target.name() + "' needs '" + value.name() + "', which is not in xs or zs");
        }
      }
      return nodes;
    }

    private Value filled(Value like, double value) {
      TensorType type = graph.type(like).tensor();
      if (!type.isStatic()) {
        throw c.error("TSR-0203", "the shape of '" + like.name() + "' must be known: " + type);
      }
      Tensor tensor = Shapes.allocate(c, type.dtype(), type.staticShape());
      for (int i = 0; i < tensor.size(); i++) {
        tensor.setDouble(i, value);
      }
      return builder.constant("", Constant.of(tensor));
    }

    private String differentiable() {
      return operators.all().stream()
          .filter(o -> o instanceof Differentiable && !(o instanceof Elementwise))
          .filter(o -> o.schema().domain().isEmpty())
          .map(o -> o.schema().name())
          .sorted()
          .collect(Collectors.joining(", "));
    }

    private void backward(Node node) {
      OpContext context = new NodeContext(graph, node);
      if (!(operators.get(node) instanceof Differentiable operator)
          || gradients.keySet().stream().anyMatch(v -> node.outputs().indexOf(v) > 0)) {
        throw context.error(
            "TSR-0203",
            "its derivative is not known; known are those of elementwise operators and of "
                + differentiable());
      }
      Value gradient =
          Optional.ofNullable(gradients.get(node.output(0)))
              .orElseGet(() -> filled(node.output(0), 0));
      List<Value> parts =
          operator.gradients(
              context,
              new Differentiable.Pullback(
                  builder,
                  graph.opset(""),
                  node.inputs().stream().map(copy::of).toList(),
                  node.outputs().stream().map(copy::of).toList(),
                  gradient));
      for (int i = 0; i < parts.size(); i++) {
        Value input = node.input(i);
        if (parts.get(i).isPresent() && varying.contains(input)) {
          gradients.merge(input, parts.get(i), (a, b) -> builder.add("Sum", a, b));
        }
      }
    }
  }

  /** A node of the graph whose derivative is taken. */
  private static final class NodeContext extends OpContext {
    NodeContext(Graph graph, Node node) {
      super(graph, node);
    }

    @Override
    public Optional<List<DimExpr>> symbolic(int index) {
      return constant(index)
          .filter(t -> t.rank() <= 1 && t.dtype().isInteger())
          .map(t -> DimExpr.list(Shapes.longs(t)));
    }
  }
}
