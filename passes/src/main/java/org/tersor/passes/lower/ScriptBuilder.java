package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.eval.Ports;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Script;

/**
 * Cuts a model into segments of kernels and what is between them: bodies, operations of the host,
 * and places where sizes become known. This holds what all blocks of the script share; {@link
 * BlockBuilder} makes each.
 */
public final class ScriptBuilder {
  private final OpRegistry operators;
  private final UnaryOperator<Graph> prepareBody;
  private final List<Script.Register> registers = new ArrayList<>();
  private final Map<Constant, Integer> constants = new LinkedHashMap<>();
  private final List<Segment> segments = new ArrayList<>();
  private int nextId;

  private ScriptBuilder(OpRegistry operators, UnaryOperator<Graph> prepareBody, int nextId) {
    this.operators = operators;
    this.prepareBody = prepareBody;
    this.nextId = nextId;
  }

  /**
   * A line of kernels.
   *
   * @param symbols that the caller of the segment binds
   */
  public record Segment(LoweredGraph lowered, Set<String> symbols) {}

  /**
   * A model cut up.
   *
   * @param script how segments are run; empty if there is just one, with the model's own inputs and
   *     outputs
   * @param constants of the script itself
   */
  public record Cut(Optional<Script> script, List<Segment> segments, List<Constant> constants) {}

  /**
   * @param graph one whose decomposable nodes have been expanded
   * @param prepareBody makes the same of a body whose captured values have become inputs
   */
  public static Cut cut(Graph graph, OpRegistry operators, UnaryOperator<Graph> prepareBody) {
    if (graph.outputs().stream().anyMatch(o -> graph.type(o).equals(ValueType.UNKNOWN))) {
      // It comes from what cannot be lowered, and lowering names all of that at once.
      GraphLowering.lower(graph, operators);
    }
    List<Executable.Port> inputs = Ports.inputs(graph);
    List<Executable.Port> outputs = Ports.outputs(graph);
    LoweredModel model = GraphLowering.lower(graph, operators);
    ScriptBuilder builder = new ScriptBuilder(operators, prepareBody, graph.maxId() + 1);
    BlockBuilder main = new BlockBuilder(builder, model, Map.of());
    if (main.isStraight()) {
      LoweredGraph straight = model.straight();
      return new Cut(Optional.empty(), List.of(new Segment(straight, Set.of())), List.of());
    }
    Script.Block block = main.build(graph.inputs());
    Script script =
        new Script(
            graph.name(),
            inputs,
            outputs,
            List.copyOf(builder.registers),
            List.copyOf(builder.constants.values()),
            block);
    return new Cut(
        Optional.of(script),
        List.copyOf(builder.segments),
        List.copyOf(builder.constants.keySet()));
  }

  OpRegistry operators() {
    return operators;
  }

  /** A new register. */
  int register(Value value, ValueType type) {
    boolean shaped = type instanceof TensorType tensor && tensor.isRanked();
    registers.add(
        new Script.Register(
            value.name().isEmpty() ? value.toString() : value.name(),
            shaped ? type.tensor().dims() : List.of()));
    return registers.size() - 1;
  }

  /** The register that holds a constant. */
  int constant(Constant constant, Value value) {
    return constants.computeIfAbsent(constant, c -> register(value, constant.type()));
  }

  /** Number of a new segment. */
  int segment(Segment segment) {
    segments.add(segment);
    return segments.size() - 1;
  }

  /**
   * A body as a graph of its own whose every node has a kernel.
   *
   * @param captured types of what comes in after the body's own inputs
   * @param known captured values that are constants
   */
  Graph prepared(Graph body, Map<Value, ValueType> captured, Map<Value, Constant> known) {
    CloseBody closed = new CloseBody(body, captured, known, nextId);
    nextId = closed.nextId();
    Graph prepared = prepareBody.apply(closed.graph());
    nextId = Math.max(nextId, prepared.maxId() + 1);
    return prepared;
  }
}
