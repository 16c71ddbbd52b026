package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.tersor.conformance.SeededRandom;
import org.tersor.conformance.diff.KernelOracle.Route;
import org.tersor.conformance.diff.NodeMaker.Known;
import org.tersor.conformance.diff.NodeMaker.Operand;
import org.tersor.conformance.diff.NodeMaker.Proposal;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Makes up small graphs from the schemas of operators. Every node is evaluated as it is added, so
 * that shapes, sizes and values stay sensible; a node that evaluation refuses is kept now and then
 * as the last one, so that wrong refusals are found.
 */
final class GraphGenerator {
  /** Opset versions that ONNX Runtime 1.29 takes. */
  private static final int LEAST_OPSET = 1;

  private static final int MOST_OPSET = 27;

  /** Share of the graphs of which a part goes into a body or a sequence. */
  private static final double STRUCTURED = .25;

  /** Share of the nodes that are kept although the reference runs them in wider types. */
  private static final double WIDENED = .25;

  /**
   * Last versions of the domains whose operators are drawn; in one order on every run, for versions
   * are drawn in it.
   */
  static final Map<String, Integer> DOMAINS =
      new TreeMap<>(Map.of("", MOST_OPSET, "com.microsoft", 1, "ai.onnx.ml", 5));

  /** Opset from which on axes may be negative. */
  private static final int FIRST_NEGATIVE_AXES = 11;

  private static final int ATTEMPTS = 60;
  private static final long MAX_ELEMENTS = 4096;
  private static final double MAX_VALUE = 1e6;

  private final OpRegistry operators;
  private final List<Operator> eligible;
  private final Map<OpSchema, List<Sample>> samples = new HashMap<>();
  private final KernelOracle oracle;

  /**
   * @param only names of operators to use; all that say enough if empty
   * @param oracle which nodes the reference can compute
   */
  GraphGenerator(OpRegistry operators, Set<String> only, KernelOracle oracle) {
    this.operators = operators;
    this.oracle = oracle;
    this.eligible =
        drawable(operators)
            .filter(o -> only.isEmpty() || only.contains(o.schema().name()))
            .toList();
    eligible.forEach(o -> samples.put(o.schema(), sample(o.schema())));
  }

  private static Stream<Operator> drawable(OpRegistry operators) {
    return operators.all().stream()
        .filter(o -> NodeMaker.covers(o.schema()))
        .filter(o -> DOMAINS.containsKey(o.schema().domain()));
  }

  /** Refuses names of which no graph can be drawn. */
  static void check(Set<String> only, OpRegistry operators) {
    Set<String> missing = new TreeSet<>(only);
    drawable(operators).forEach(o -> missing.remove(o.schema().name()));
    if (!missing.isEmpty()) {
      throw new TersorException(
          "TSR-0906",
          "graphs with "
              + String.join(", ", missing)
              + " cannot be drawn: no operator of that name has a schema that says enough;"
              + " docs/versions.md lists what is compared");
    }
  }

  private static List<Sample> sample(OpSchema schema) {
    String first = schema.inputs().isEmpty() ? "" : schema.inputs().getFirst().name() + "[d*]";
    return Sample.all(schema.sample().isEmpty() ? first : schema.sample());
  }

  /** Names of the operators that can occur. */
  List<String> names() {
    return eligible.stream().map(o -> o.schema().name()).toList();
  }

  /** Operator and types of its operands, for grouping. */
  static String signature(Node node, Map<Value, Tensor> values) {
    StringBuilder text = new StringBuilder(node.op().toString());
    for (Value input : node.inputs()) {
      Tensor tensor = values.get(input);
      text.append(' ').append(tensor == null ? "-" : tensor.dtype().text());
    }
    return text.toString();
  }

  /** The graph of a seed. */
  DrawnGraph draw(long seed) {
    SeededRandom random = new SeededRandom(seed);
    int opset =
        random.nextDouble() < .8
            ? (int) random.between(13, MOST_OPSET)
            : (int) random.between(LEAST_OPSET, MOST_OPSET);
    int size = random.nextDouble() < .35 ? 1 : (int) random.between(2, 10);
    double emptiness = random.nextDouble() < .04 ? .2 : 0;
    DrawnGraph drawn = new Drawing(random, opset, size, emptiness).graph();
    return random.nextDouble() < STRUCTURED
        ? Structures.around(drawn, operators, random.split())
        : drawn;
  }

  private final class Drawing {
    private final SeededRandom random;
    private final int opset;
    private final int size;
    private final double emptiness;
    private final Map<String, Integer> opsets;
    private final GraphBuilder builder;
    private final List<Known> pool = new ArrayList<>();
    private final Map<String, Tensor> inputs = new LinkedHashMap<>();
    private final Map<Value, Tensor> values = new LinkedHashMap<>();
    private final Set<String> widened = new HashSet<>();
    private Optional<String> refusal = Optional.empty();
    private int nodes;

    Drawing(SeededRandom random, int opset, int size, double emptiness) {
      this.random = random;
      this.opset = opset;
      this.size = size;
      this.emptiness = emptiness;
      this.opsets = opsets(opset, random);
      this.builder = new GraphBuilder(opsets, 0);
    }

    DrawnGraph graph() {
      for (int attempt = 0; attempt < ATTEMPTS && nodes < size && refusal.isEmpty(); attempt++) {
        Operator operator = eligible.get((int) random.between(0, eligible.size() - 1));
        SeededRandom own = random.split();
        try {
          propose(operator, own, pool).ifPresent(p -> add(operator, p, own));
        } catch (Draft.Contradiction e) {
          alone(operator);
        }
      }
      if (nodes == 0) {
        // Where few operators may be used, none may be in this opset.
        return new Drawing(random, (int) random.between(LEAST_OPSET, MOST_OPSET), size, 0).graph();
      }
      Graph unfinished = builder.build("", Map.of());
      List<Value> ends = new ArrayList<>();
      for (Node node : unfinished.nodes()) {
        for (Value output : node.outputs()) {
          if (unfinished.consumers(output).isEmpty()) {
            ends.add(output);
          }
        }
      }
      ends.forEach(builder::output);
      return new DrawnGraph(
          builder.build("difftest", Map.of()), inputs, values, refusal, widened, Optional.empty());
    }

    /** A node that reads nothing of what is there, where values that are there do not fit. */
    private void alone(Operator operator) {
      SeededRandom own = random.split();
      try {
        propose(operator, own, List.of()).ifPresent(p -> add(operator, p, own));
      } catch (Draft.Contradiction e) {
        // another operator then
      }
    }

    private Optional<Proposal> propose(Operator operator, SeededRandom own, List<Known> existing) {
      OpSchema schema = operator.schema();
      List<Sample> alternatives = samples.getOrDefault(schema, List.of());
      Sample sample = alternatives.get((int) own.between(0, alternatives.size() - 1));
      int limit = opsets.getOrDefault(schema.domain(), 1);
      return schema.versions().stream()
          .filter(v -> v <= limit)
          .max(Integer::compare)
          .map(version ->
              new NodeMaker(
                      schema,
                      sample,
                      version,
                      existing,
                      own,
                      emptiness,
                      opset >= FIRST_NEGATIVE_AXES)
                  .make());
    }

    private void add(Operator operator, Proposal proposal, SeededRandom own) {
      List<Optional<Tensor>> given = new ArrayList<>();
      for (Operand operand : proposal.operands()) {
        given.add(
            switch (operand) {
              case Operand.Existing(Known known) -> Optional.of(known.tensor());
              case Operand.Fresh(Tensor tensor, boolean weight) -> Optional.of(tensor);
              case Operand.Absent() -> Optional.empty();
            });
      }
      if (given.stream().anyMatch(t -> t.isPresent() && t.get().size() > MAX_ELEMENTS)) {
        return;
      }
      Optional<List<Tensor>> results = Optional.empty();
      Optional<String> fault = Optional.empty();
      Graph aloneGraph = alone(proposal, given);
      Node alone = aloneGraph.nodes().getFirst();
      try {
        results = Optional.of(eval(alone, given));
      } catch (TersorException e) {
        fault = Optional.of(e.code() + " " + e.getMessage());
      } catch (RuntimeException e) {
        fault = Optional.of("internal " + e);
      }
      if (results.isEmpty() ? own.nextDouble() > .1 : !sensible(results.get(), own)) {
        return;
      }
      Route route = route(operator, aloneGraph, given, results);
      if (route == Route.NONE || (route == Route.WIDENED && own.nextDouble() > WIDENED)) {
        return;
      }
      refusal = fault;
      if (route == Route.WIDENED) {
        widened.add("n" + nodes);
      }
      List<Value> operandValues = new ArrayList<>();
      for (Operand operand : proposal.operands()) {
        operandValues.add(
            switch (operand) {
              case Operand.Existing(Known known) -> known.value();
              case Operand.Fresh fresh -> fresh(fresh, own);
              case Operand.Absent() -> Value.NONE;
            });
      }
      List<Value> outputs = new ArrayList<>();
      for (int i = 0; i < proposal.outputs(); i++) {
        Value output = builder.value("v" + builder.nextId(), ValueType.UNKNOWN);
        outputs.add(output);
        if (results.isPresent()) {
          values.put(output, results.get().get(i));
          pool.add(new Known(output, results.get().get(i)));
        }
      }
      builder.addNode(
          "n" + nodes++,
          proposal.schema().domain(),
          proposal.schema().name(),
          proposal.attributes(),
          trimmed(operandValues),
          outputs);
    }

    private Value fresh(Operand.Fresh fresh, SeededRandom own) {
      String name = "v" + builder.nextId();
      Tensor tensor = fresh.tensor();
      Value value;
      if (own.nextDouble() < (fresh.weight() ? .75 : .1)) {
        value = builder.constant(name, Constant.of(tensor));
      } else {
        value = builder.input(name, TensorType.of(tensor.dtype(), tensor.shape()));
        inputs.put(name, tensor);
      }
      values.put(value, tensor);
      if (!fresh.weight()) {
        pool.add(new Known(value, tensor));
      }
      return value;
    }

    private Graph alone(Proposal proposal, List<Optional<Tensor>> given) {
      GraphBuilder own = new GraphBuilder(opsets, 0);
      List<Value> operandValues = new ArrayList<>();
      for (Optional<Tensor> tensor : given) {
        operandValues.add(
            tensor
                .map(t -> own.input("i" + own.nextId(), TensorType.of(t.dtype(), t.shape())))
                .orElse(Value.NONE));
      }
      List<Value> outputs = new ArrayList<>();
      for (int i = 0; i < proposal.outputs(); i++) {
        outputs.add(own.value("o" + i, ValueType.UNKNOWN));
      }
      own.addNode(
          "n",
          proposal.schema().domain(),
          proposal.schema().name(),
          proposal.attributes(),
          trimmed(operandValues),
          outputs);
      outputs.forEach(own::output);
      return own.build("alone", Map.of());
    }

    private Route route(
        Operator operator,
        Graph alone,
        List<Optional<Tensor>> given,
        Optional<List<Tensor>> results) {
      Node node = alone.nodes().getFirst();
      Map<Value, Tensor> known = new LinkedHashMap<>();
      for (int i = 0; i < node.inputs().size(); i++) {
        Value input = node.input(i);
        given.get(i).ifPresent(t -> known.put(input, t));
      }
      for (int i = 0; i < node.outputs().size() && results.isPresent(); i++) {
        known.put(node.output(i), results.get().get(i));
      }
      return oracle.route(alone, known, operator.schema().tolerance() == OpSchema.Tolerance.EXACT);
    }

    private List<Tensor> eval(Node node, List<Optional<Tensor>> given) {
      Graph graph = new GraphBuilder(opsets, 0).build("", Map.of());
      return NodeEval.results(operators, graph, node, given);
    }

    /** Small, and seldom infinite: differences of two infinities tell nothing. */
    private boolean sensible(List<Tensor> results, SeededRandom own) {
      boolean rare = own.nextDouble() < .05;
      for (Tensor result : results) {
        if (result.size() > MAX_ELEMENTS || result.rank() > 6) {
          return false;
        }
        if (result.size() == 0 && emptiness == 0 && own.nextDouble() < .8) {
          return false;
        }
        for (int i = 0; i < result.size() && result.dtype().isFloat(); i++) {
          double value = result.getDouble(i);
          if (!rare && !(Math.abs(value) < MAX_VALUE)) {
            return false;
          }
        }
      }
      return true;
    }
  }

  private static Map<String, Integer> opsets(int opset, SeededRandom random) {
    Map<String, Integer> opsets = new TreeMap<>();
    DOMAINS.forEach((domain, most) ->
        opsets.put(domain, domain.isEmpty() ? opset : (int) random.between(1, most)));
    return opsets;
  }

  private static List<Value> trimmed(List<Value> values) {
    int end = values.size();
    while (end > 0 && !values.get(end - 1).isPresent()) {
      end--;
    }
    return List.copyOf(values.subList(0, end));
  }

  OpRegistry operators() {
    return operators;
  }

  /** How often each operator occurs. */
  static Map<String, Integer> count(List<DrawnGraph> graphs) {
    Map<String, Integer> counts = new TreeMap<>();
    graphs.forEach(g -> g.operators().forEach(name -> counts.merge(name, 1, Integer::sum)));
    return counts;
  }
}
