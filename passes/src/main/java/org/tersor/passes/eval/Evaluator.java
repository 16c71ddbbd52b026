package org.tersor.passes.eval;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.infer.Faults;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Runs a graph by {@link org.tersor.ir.op.Operator#eval}, node by node: the reference that
 * everything else is judged against. A tensor is dropped after its last use. Thread-safe.
 */
public final class Evaluator {
  /** Sees every value of the outermost graph as it is made. */
  public interface Observer {
    void accept(Value value, Datum datum);
  }

  private final Graph graph;
  private final OpRegistry operators;
  private final Map<Constant.Mapped, Tensor> loaded = new ConcurrentHashMap<>();

  /** A body runs in every iteration of its loop. */
  private final Map<Graph, List<Step>> steps = new ConcurrentHashMap<>();

  public Evaluator(Graph graph, OpRegistry operators) {
    this.graph = graph;
    this.operators = operators;
  }

  /** As {@link #evaluate}, of a model whose outputs are tensors. */
  public List<Tensor> run(List<Tensor> inputs) {
    return evaluate(inputs, (value, datum) -> {}).stream().map(d -> d.tensor("an output")).toList();
  }

  /** Results of the graph's outputs for one datum per graph input. */
  public List<Datum> evaluate(List<? extends Datum> inputs, Observer observer) {
    return Cancellation.within(
        () -> new Frame(graph, Optional.empty(), Cancellation.current()).run(inputs, observer));
  }

  /**
   * A node of a graph.
   *
   * @param kept which of its outputs something uses
   * @param last what nothing uses after it
   */
  private record Step(Node node, Set<Value> kept, List<Value> last) {
    static List<Step> of(Graph graph) {
      List<Node> nodes = graph.nodes();
      Map<Value, Integer> lastUse = new HashMap<>();
      for (int i = 0; i < nodes.size(); i++) {
        for (Value used : Graph.usedValues(nodes.get(i))) {
          lastUse.put(used, i);
        }
      }
      graph.outputs().forEach(lastUse::remove);
      List<List<Value>> last = new ArrayList<>();
      nodes.forEach(node -> last.add(new ArrayList<>()));
      lastUse.forEach((value, i) -> last.get(i).add(value));
      List<Step> steps = new ArrayList<>();
      for (int i = 0; i < nodes.size(); i++) {
        Set<Value> kept = new HashSet<>(nodes.get(i).outputs());
        kept.removeIf(value -> !lastUse.containsKey(value) && !graph.isOutput(value));
        steps.add(new Step(nodes.get(i), kept, last.get(i)));
      }
      return steps;
    }
  }

  /** Values of one graph during one call. */
  private final class Frame {
    private final Graph frameGraph;
    private final Optional<Frame> outer;
    private final Cancellation cancellation;
    private final Map<Value, Datum> values = new HashMap<>();

    Frame(Graph frameGraph, Optional<Frame> outer, Cancellation cancellation) {
      this.frameGraph = frameGraph;
      this.outer = outer;
      this.cancellation = cancellation;
    }

    List<Datum> run(List<? extends Datum> inputs, Observer observer) {
      if (inputs.size() != frameGraph.inputs().size()) {
        throw new TersorException(
            "TSR-0701",
            "graph '"
                + frameGraph.name()
                + "' has "
                + frameGraph.inputs().size()
                + " inputs; "
                + inputs.size()
                + " were given");
      }
      for (int i = 0; i < inputs.size(); i++) {
        put(frameGraph.inputs().get(i), inputs.get(i));
      }
      for (Step step : steps.computeIfAbsent(frameGraph, Step::of)) {
        Node node = step.node();
        cancellation.check(node.op());
        List<? extends Datum> results = eval(node);
        for (int i = 0; i < node.outputs().size(); i++) {
          Value output = node.output(i);
          if (output.isPresent()) {
            if (i >= results.size()) {
              throw new TersorException(
                  "TSR-0402",
                  node.label()
                      + " gave "
                      + results.size()
                      + " results, but output "
                      + i
                      + " is used");
            }
            observer.accept(output, results.get(i));
            if (step.kept().contains(output)) {
              put(output, results.get(i));
            }
          }
        }
        step.last().forEach(this::drop);
      }
      List<Datum> results = frameGraph.outputs().stream().map(this::get).toList();
      List.copyOf(values.keySet()).forEach(this::drop);
      return results;
    }

    private void put(Value value, Datum datum) {
      cancellation.hold(datum);
      values.put(value, datum);
    }

    private void drop(Value value) {
      Datum datum = values.remove(value);
      if (datum != null) {
        cancellation.release(datum);
      }
    }

    Datum get(Value value) {
      Datum datum = values.get(value);
      if (datum != null) {
        return datum;
      }
      Optional<Constant> constant = frameGraph.constant(value);
      if (constant.isPresent()) {
        return switch (constant.get()) {
          case Constant.OfTensor held -> held.tensor();
          case Constant.Mapped mapped -> loaded.computeIfAbsent(mapped, Constant::load);
        };
      }
      return outer
          .map(o -> o.get(value))
          .orElseThrow(() ->
              new TersorException(
                  "TSR-0403",
                  "value " + value + " '" + value.name() + "' is used before it is made"));
    }

    private List<? extends Datum> eval(Node node) {
      List<Optional<Datum>> inputs = new ArrayList<>();
      for (Value input : node.inputs()) {
        inputs.add(input.isPresent() ? Optional.of(get(input)) : Optional.empty());
      }
      KnownEval context =
          new KnownEval(frameGraph, node, inputs) {
            @Override
            public List<Datum> run(Graph body, List<? extends Datum> bodyInputs) {
              return new Frame(body, Optional.of(Frame.this), cancellation)
                  .run(bodyInputs, (value, datum) -> {});
            }
          };
      try {
        return operators.get(node).eval(context);
      } catch (TersorException e) {
        throw e;
      } catch (RuntimeException e) {
        throw Faults.caused(context.error("TSR-0705", "evaluation failed: " + e), e);
      }
    }
  }
}
