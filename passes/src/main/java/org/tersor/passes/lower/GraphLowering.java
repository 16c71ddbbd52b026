package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.IndexDemands;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.passes.infer.Scope;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Asks every operator for its kernel, from the outputs backwards: what only kernels' extents or
 * attributes depend on (shape arithmetic) makes no code. What cannot be lowered is reported all at
 * once.
 */
final class GraphLowering {
  private static final int REPORTED = 40;

  /** Indices that are looked at while compiling; more are at run time. */
  private static final long MOST_CHECKED_NOW = 1 << 16;

  private final OpRegistry operators;
  private final Graph graph;
  private final Scope scope;
  private final List<LoweredStep> steps = new ArrayList<>();
  private final Map<Integer, Value> byId = new HashMap<>();
  private final Map<String, Value> dimensionOf = new HashMap<>();
  private final Map<Value, Constant> constants;
  private final Set<Value> needed = new HashSet<>();
  private final List<String> faults = new ArrayList<>();
  private int nextSpare;

  private GraphLowering(OpRegistry operators, TypeInference.Inferred inferred) {
    this.operators = operators;
    this.graph = inferred.graph();
    this.scope = inferred.scope();
    this.constants = new LinkedHashMap<>(graph.constants());
    this.nextSpare = graph.maxId() + 1;
    graph.inputs().forEach(value -> byId.put(value.id(), value));
    graph.nodes().forEach(node -> node.outputs().forEach(value -> byId.put(value.id(), value)));
    List<Value> values = new ArrayList<>(graph.inputs());
    graph.nodes().forEach(node -> values.addAll(node.outputs()));
    for (Value value : values) {
      if (scope.type(value) instanceof ValueType.TensorType type && type.isRanked()) {
        type.dims().stream()
            .filter(DimExpr::isSymbol)
            .map(DimExpr::toString)
            .filter(s -> ElementSymbols.parse(s).isEmpty() && !scope.definitions().containsKey(s))
            .forEach(symbol -> dimensionOf.putIfAbsent(symbol, value));
      }
    }
  }

  /** Lowers a graph whose decomposable nodes have been expanded. */
  static LoweredModel lower(Graph graph, OpRegistry operators) {
    return new GraphLowering(operators, TypeInference.infer(graph, operators, note -> {})).lower();
  }

  private LoweredModel lower() {
    graph.outputs().forEach(this::need);
    for (Node node : graph.nodes().reversed()) {
      if (node.outputs().stream()
          .noneMatch(output -> needed.contains(output) && !constants.containsKey(output))) {
        continue;
      }
      try {
        lower(node);
      } catch (TersorException e) {
        faults.add(e.code() + ": " + e.getMessage());
      } catch (RuntimeException e) {
        faults.add(
            "TSR-0502: "
                + scope.context(node).error("TSR-0502", "cannot be lowered: " + e).getMessage());
      }
      if (!faults.isEmpty()) {
        node.inputs().forEach(this::need);
      }
    }
    if (!faults.isEmpty()) {
      List<String> texts = faults.reversed().stream().distinct().toList();
      throw new TersorException(
          "TSR-0501",
          faults.size()
              + " node(s) cannot be compiled (the interpreter backend runs them):\n  "
              + String.join("\n  ", texts.stream().limit(REPORTED).toList())
              + (texts.size() > REPORTED ? "\n  and " + (texts.size() - REPORTED) + " more" : ""));
    }
    Collections.reverse(steps);
    return new LoweredModel(graph, steps, constants, scope);
  }

  /**
   * Marks a value whose elements are read at run time; small ones that are known become constants.
   */
  private void need(Value value) {
    if (value.isPresent()
        && needed.add(value)
        && !constants.containsKey(value)
        && !graph.inputs().contains(value)) {
      Optional<Tensor> known = scope.knownAtCompileTime(value);
      known.ifPresent(tensor -> constants.put(value, Constant.of(tensor)));
    }
  }

  private void lower(Node node) {
    Operator operator = operators.get(node);
    Set<LoweredStep.Require> demands = new LinkedHashSet<>();
    OpContext context =
        scope.context(
            node,
            (size, least, fault) ->
                demands.add(
                    new LoweredStep.Require(new Plan.Check(size, least, node.label(), fault))));
    Lowering lowering = operator.lower(context);
    if (lowering instanceof Lowering.View || lowering instanceof Lowering.Compute) {
      // Operators say what they demand where they tell their types.
      var _ = operator.infer(context);
    }
    switch (lowering) {
      case Lowering.View view -> {
        steps.add(new LoweredStep.View(node.output(0), node.input(view.input())));
        need(node.input(view.input()));
        needElements(symbols(scope.type(node.output(0))));
      }
      case Lowering.Compute compute -> add(node, operator, compute.kernel());
      case Lowering.Decompose d ->
          throw context.error("TSR-0505", "the node must be expanded before lowering");
      case Lowering.Host _, Lowering.Branch _, Lowering.Iterate _ -> {
        List<Value> reads = Graph.usedValues(node);
        steps.add(new LoweredStep.Control(node, lowering, reads));
        reads.forEach(this::need);
      }
    }
    for (LoweredStep.Require demand : demands) {
      steps.add(demand);
      needElements(demand.symbols());
    }
  }

  private void add(Node node, Operator operator, Kernel kernel) {
    Map<String, Value> operands = new HashMap<>();
    for (Buf buffer : kernel.inputs()) {
      Value input = node.input(Integer.parseInt(buffer.name().substring("in".length())));
      operands.put(buffer.name(), input);
      need(input);
    }
    for (Buf buffer : kernel.outputs()) {
      Value output = node.output(Integer.parseInt(buffer.name().substring("out".length())));
      // A kernel may write an output that the node leaves out: it gets a value of its own.
      operands.put(buffer.name(), output.isPresent() ? output : new Value(nextSpare++, ""));
    }
    boolean foldable = operator.schema().tolerance() != OpSchema.Tolerance.RANDOM;
    steps.add(new KernelCall(kernel, operands, node.label(), foldable));
    needElements(KernelSymbols.of(kernel));
    // Steps are collected from the last to the first: these run before it.
    for (IndexDemands.Demand demand : IndexDemands.of(kernel)) {
      if (!holds(demand, operands)) {
        Map<String, Value> bound = new HashMap<>();
        demand
            .kernel()
            .inputs()
            .forEach(buffer -> bound.put(buffer.name(), operands.get(buffer.name())));
        bound.put(demand.kernel().outputs().getFirst().name(), new Value(nextSpare++, ""));
        // At load it would also end models that never run this node.
        KernelCall check =
            new KernelCall(demand.kernel(), bound, node.label(), false, Optional.of(demand));
        steps.add(check);
        needElements(check.symbols());
      }
    }
  }

  /** Whether indices and range are known now, and fit. */
  private boolean holds(IndexDemands.Demand demand, Map<String, Value> operands) {
    List<Tensor> indices = new ArrayList<>();
    for (Buf buffer : demand.kernel().inputs()) {
      Constant constant = constants.get(operands.get(buffer.name()));
      if (constant == null || constant.elements() > MOST_CHECKED_NOW) {
        return false;
      }
      indices.add(constant.load());
    }
    if (!demand.least().isConst()
        || !demand.most().isConst()
        || !demand.count().isConst()
        || demand.count().constValue() > MOST_CHECKED_NOW
        || !KernelSymbols.of(demand.kernel()).isEmpty()) {
      return false;
    }
    try {
      long largest =
          KernelInterpreter.run(demand.kernel(), indices, Map.of()).getFirst().getLong(0);
      return new Plan.Demand(0, demand.least(), demand.most(), demand.count())
          .violation(largest, Map.of())
          .isEmpty();
    } catch (TersorException e) {
      // Another index that it reads with is out of range. If the node runs, that is found, too.
      return false;
    }
  }

  static Set<String> symbols(ValueType type) {
    Set<String> symbols = new TreeSet<>();
    if (type instanceof ValueType.TensorType tensor && tensor.isRanked()) {
      tensor.dims().forEach(dim -> symbols.addAll(dim.symbols()));
    }
    return symbols;
  }

  /** Tensors whose elements are sizes must be there, and those whose own sizes are. */
  private void needElements(Set<String> symbols) {
    for (String symbol : symbols) {
      ElementSymbols.parse(symbol).map(element -> byId.get(element.value())).ifPresent(this::need);
      Optional.ofNullable(dimensionOf.get(symbol)).ifPresent(this::need);
      DimExpr definition = scope.definitions().get(symbol);
      if (definition != null) {
        needElements(definition.symbols());
      }
    }
  }
}
