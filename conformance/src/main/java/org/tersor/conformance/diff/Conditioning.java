package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.tersor.conformance.SeededRandom;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OpSchema.Tolerance;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * How much two correct implementations may differ on a graph. The graph is evaluated a few times
 * with the result of every operator that rounds moved by a few units in the last place; what the
 * outputs move by is what they may differ by. A graph whose integers, texts or shapes change that
 * way (a tie before a Cast, two candidates of an ArgMax) has no answer to compare: other inputs
 * must be drawn.
 */
final class Conditioning {
  private static final int RANDOM_RUNS = 4;

  /** Moves measured with a few random signs miss the worst case by about this factor. */
  private static final double SAFETY = 4;

  private final Graph graph;
  private final OpRegistry operators;

  Conditioning(Graph graph, OpRegistry operators) {
    this.graph = graph;
    this.operators = operators;
  }

  /**
   * Allowed differences.
   *
   * @param exact results without moves
   * @param tolerance of each element of a float tensor
   */
  record Allowed(Map<Value, Tensor> exact, Map<Value, double[]> tolerance) {}

  /**
   * What was found.
   *
   * @param allowed empty if tiny moves change more than tiny amounts
   * @param decides the operator whose result they change
   */
  record Verdict(Optional<Allowed> allowed, String decides) {}

  /** Where moves come from: parts of the largest allowed one, with their signs. */
  private interface Moves {
    /** A part of at least a half, or two moves would cancel. */
    double large();

    /** Any part. */
    double any();

    /** Those of an operator with so many before it on the longest way from an input. */
    default Moves at(int depth) {
      return this;
    }

    static Moves random(SeededRandom random) {
      return new Moves() {
        @Override
        public double large() {
          double part = random.uniform(.5, 1);
          return random.nextDouble() < .5 ? -part : part;
        }

        @Override
        public double any() {
          return random.uniform(-1, 1);
        }
      };
    }

    static Moves all(double part) {
      return new Fixed(part, false);
    }

    /** An operator's against those of its operands. */
    static Moves inTurn(double part) {
      return new Fixed(part, true);
    }
  }

  private record Fixed(double part, boolean turns) implements Moves {
    @Override
    public double large() {
      return part;
    }

    @Override
    public double any() {
      return part;
    }

    @Override
    public Moves at(int depth) {
      return turns && depth % 2 != 0 ? Moves.all(-part) : this;
    }
  }

  /** Rounding unit of a type, relative to a number. */
  private static double unit(DType type) {
    return switch (type) {
      case F64 -> 0x1p-53;
      case F32 -> 0x1p-24;
      case F16 -> 0x1p-11;
      case BF16 -> 0x1p-8;
      default -> 0x1p-3;
    };
  }

  /** Evaluates with and without moves. */
  Verdict verdict(Map<Value, Tensor> given, SeededRandom random) {
    Map<Value, Tensor> exact = run(given, Optional.empty());
    Map<Value, double[]> spread = new HashMap<>();
    List<Moves> runs = new ArrayList<>();
    for (int run = 0; run < RANDOM_RUNS; run++) {
      runs.add(Moves.random(random.split()));
    }
    // Random moves of an operator and of its operand may cancel in every run. These do not where
    // the function rises, and those in turn do not where it falls.
    for (double part : new double[] {.75, -.75}) {
      runs.add(Moves.all(part));
      runs.add(Moves.inTurn(part));
    }
    for (Moves run : runs) {
      Map<Value, Tensor> moved = run(given, Optional.of(run));
      for (Map.Entry<Value, Tensor> entry : exact.entrySet()) {
        Tensor other = moved.get(entry.getKey());
        if (other == null || !widen(spread, entry.getKey(), entry.getValue(), other)) {
          return new Verdict(
              Optional.empty(), graph.producer(entry.getKey()).map(n -> n.op().type()).orElse(""));
        }
      }
    }
    Map<Value, double[]> tolerance = new LinkedHashMap<>();
    spread.forEach((value, moves) -> {
      Tensor tensor = exact.get(value);
      double[] allowed = new double[moves.length];
      for (int i = 0; i < moves.length && tensor != null; i++) {
        double own = Math.abs(tensor.getDouble(i)) * unit(tensor.dtype());
        allowed[i] = moves[i] == 0 ? 0 : SAFETY * moves[i] + 2 * own;
      }
      tolerance.put(value, allowed);
    });
    return new Verdict(Optional.of(new Allowed(exact, tolerance)), "");
  }

  /** All values. */
  Map<Value, Tensor> values(Map<Value, Tensor> given) {
    return run(given, Optional.empty());
  }

  private static boolean widen(
      Map<Value, double[]> spread, Value value, Tensor exact, Tensor moved) {
    if (!Arrays.equals(exact.shape(), moved.shape())) {
      return false;
    }
    if (!exact.dtype().isFloat()) {
      return exact.equals(moved);
    }
    double largest = largest(exact);
    double[] moves = spread.computeIfAbsent(value, v -> new double[exact.size()]);
    for (int i = 0; i < moves.length; i++) {
      double a = exact.getDouble(i);
      double b = moved.getDouble(i);
      // A move beyond any rounding: a branch was taken elsewhere, or the graph is chaotic.
      if (Double.isFinite(a) != Double.isFinite(b)
          || (Double.isFinite(a) && Math.abs(a - b) > largest * Math.sqrt(unit(exact.dtype())))) {
        return false;
      }
      if (Double.isFinite(a)) {
        moves[i] = Math.max(moves[i], Math.abs(a - b));
      }
    }
    return true;
  }

  private static double largest(Tensor tensor) {
    double largest = 1e-3;
    for (int i = 0; i < tensor.size(); i++) {
      double value = Math.abs(tensor.getDouble(i));
      largest = Double.isFinite(value) ? Math.max(largest, value) : largest;
    }
    return largest;
  }

  private Map<Value, Tensor> run(Map<Value, Tensor> given, Optional<Moves> moves) {
    Map<Value, Tensor> values = new LinkedHashMap<>();
    graph.inputs().forEach(input -> values.put(input, held(given, input)));
    for (Map.Entry<Value, Constant> constant : graph.constants().entrySet()) {
      values.put(constant.getKey(), constant.getValue().load());
    }
    Map<Value, Integer> depths = new HashMap<>();
    for (Node node : graph.nodes()) {
      int depth =
          1
              + Graph.usedValues(node).stream()
                  .mapToInt(used -> depths.getOrDefault(used, 0))
                  .max()
                  .orElse(0);
      node.outputs().forEach(output -> depths.put(output, depth));
      Optional<Moves> here = moves.map(all -> all.at(depth));
      Operator operator = operators.get(node);
      Tolerance tolerance = operator.schema().tolerance();
      List<Optional<Tensor>> inputs = new ArrayList<>();
      for (Value input : node.inputs()) {
        inputs.add(Optional.ofNullable(values.get(input)));
      }
      List<Tensor> results = eval(node, inputs);
      if (here.isPresent() && tolerance != Tolerance.EXACT) {
        Moves own = here.get();
        if (results.stream().anyMatch(t -> !t.dtype().isFloat())) {
          // What it rounds inside decides about integers.
          results =
              eval(node, each(inputs, t -> isWide(t) ? moved(t, Tolerance.ROUNDING, 0, own) : t));
        } else if (tolerance == Tolerance.ACCUMULATION) {
          // A sum in another order is the exact one of terms that differ in their last places.
          results = eval(node, each(inputs, t -> isWide(t) ? nudged(t, own) : t));
        }
      }
      double floor = Approximations.scale(node, inputs);
      for (int i = 0; i < node.outputs().size(); i++) {
        Tensor result = results.get(i);
        values.put(
            node.output(i),
            here.isPresent() ? moved(result, tolerance, floor, here.get()) : result);
      }
    }
    return values;
  }

  private static List<Optional<Tensor>> each(
      List<Optional<Tensor>> inputs, UnaryOperator<Tensor> change) {
    return inputs.stream().map(input -> input.map(change)).toList();
  }

  /**
   * Each element by a few units in its own last place; more where a sum may be long, as its partial
   * sums are larger than its terms by about the root of their number.
   */
  private static Tensor nudged(Tensor tensor, Moves moves) {
    Tensor moved = Tensor.zeros(tensor.dtype(), tensor.shape());
    double units = Math.max(2, Math.sqrt(tensor.size()));
    for (int i = 0; i < tensor.size(); i++) {
      double by = units * unit(tensor.dtype()) * moves.any();
      moved.setDouble(i, tensor.getDouble(i) * (1 + by));
    }
    return moved;
  }

  /** Inside of an operator nobody rounds to fewer than 24 bits. */
  private static boolean isWide(Tensor tensor) {
    return tensor.dtype() == DType.F32 || tensor.dtype() == DType.F64;
  }

  private static Tensor held(Map<Value, Tensor> given, Value input) {
    Tensor tensor = given.get(input);
    if (tensor == null) {
      throw new IllegalArgumentException("no value of " + input);
    }
    return tensor;
  }

  private List<Tensor> eval(Node node, List<Optional<Tensor>> inputs) {
    return NodeEval.results(operators, graph, node, inputs);
  }

  /**
   * @param floor errors are at least relative to this
   */
  private static Tensor moved(Tensor tensor, Tolerance tolerance, double floor, Moves moves) {
    if (tolerance == Tolerance.EXACT || !tensor.dtype().isFloat()) {
      return tensor;
    }
    double largest = Math.max(floor, largest(tensor));
    double unit = unit(tensor.dtype());
    boolean sums = tolerance == Tolerance.ACCUMULATION;
    Tensor moved = Tensor.zeros(tensor.dtype(), tensor.shape());
    for (int i = 0; i < tensor.size(); i++) {
      double value = tensor.getDouble(i);
      double by = unit * (4 * Math.abs(value) + (sums ? 4 : 1) * largest);
      moved.setDouble(i, value + by * moves.large());
    }
    return moved;
  }
}
