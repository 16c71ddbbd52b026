package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.StoredBias;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.KnownEval;
import org.tersor.passes.graph.Names;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Mean errors of sums inside of an operator (the gates of a recurrent cell), taken out of the
 * numbers that it adds to them. The vectors are those of the exact model, states included: what a
 * cell's own errors make of its states is not in the mean.
 */
final class StoredBiases {
  /** A coded operand and where its sums have their numbers. */
  private record Place(Operand operand, StoredBias bias, Operator operator) {
    Node node() {
      return operand.node();
    }
  }

  private final Compiler compiler;
  private final Quantizer.Options options;
  private final Graph base;
  private final Names names;
  private final List<Place> places = new ArrayList<>();

  /** Constant inputs of their nodes. */
  private final Map<Value, Tensor> fixed = new LinkedHashMap<>();

  /** Operands of a plan without such a place, by layer. */
  private final Map<String, List<String>> others = new LinkedHashMap<>();

  StoredBiases(Compiler compiler, Quantizer.Options options, Graph base, QuantPlan plan) {
    this.compiler = compiler;
    this.options = options;
    this.base = base;
    this.names = new Names(base);
    OpRegistry operators = compiler.registry().operators();
    TypeInference.Inferred inferred = TypeInference.infer(base, operators, note -> {});
    for (Operand operand : Operand.of(base, operators)) {
      if (!operand.stored() || !plan.weights().containsKey(operand.name())) {
        continue;
      }
      Node node = operand.node();
      Operator operator = operators.find(node.op()).orElseThrow();
      Optional<StoredBias> bias = bias(base, operator, inferred.scope().context(node), operand);
      if (bias.isPresent() && base.constant(operand.value()).isPresent()) {
        places.add(new Place(operand, bias.get(), operator));
        node.inputs()
            .forEach(value -> base.constant(value).ifPresent(c -> fixed.put(value, c.load())));
      } else {
        others.computeIfAbsent(names.of(node), n -> new ArrayList<>()).add(operand.name());
      }
    }
  }

  /** Where a bias is absent, or constant floats. */
  private static Optional<StoredBias> bias(
      Graph graph, Operator operator, OpContext context, Operand operand) {
    return operator
        .storedBias(context, operand.layout().input())
        .filter(bias -> {
          Value value = operand.node().input(bias.input());
          Optional<Constant> given = graph.constant(value);
          return value.isPresent()
              ? given.filter(c -> c.dtype() == DType.F32 && hasShape(c, bias)).isPresent()
              : context.dtype(operand.layout().input()) == DType.F32;
        });
  }

  private static boolean hasShape(Constant constant, StoredBias bias) {
    return Arrays.equals(
        constant.shape(), bias.shape().stream().mapToLong(Long::longValue).toArray());
  }

  /** Where a tensor of corrected numbers goes: an input of a node. */
  static Optional<Integer> input(Graph graph, Node node, Tensor bias, OpRegistry operators) {
    OpContext context = TypeInference.infer(graph, operators, note -> {}).scope().context(node);
    return operators.find(node.op()).stream()
        .flatMap(operator ->
            operator.stored(context).stream()
                .flatMap(layout -> operator.storedBias(context, layout.input()).stream()))
        .filter(place -> hasShape(Constant.of(bias), place))
        .map(StoredBias::input)
        .findFirst();
  }

  boolean isEmpty() {
    return places.isEmpty();
  }

  /** What is not corrected here, and why. */
  List<String> left(BiasCorrection.Way way) {
    Map<String, List<String>> left = new LinkedHashMap<>(others);
    if (way != BiasCorrection.Way.FAST) {
      for (Place place : places) {
        left.computeIfAbsent(names.of(place.node()), n -> new ArrayList<>())
            .add(place.operand().name());
      }
    }
    List<String> reports = new ArrayList<>();
    left.forEach((layer, operands) ->
        reports.add(
            layer
                + ": bias correction: the sums of "
                + String.join(" and ", operands)
                + " are inside of the operator"
                + (others.containsKey(layer)
                    ? ", which has no constant numbers for them"
                    : ", where the results of the coded model are not measured; fast corrects"
                        + " them")
                + ": its bias stays"));
    return reports;
  }

  /** Corrected biases by layer; what was done to each is added to the reports. */
  Map<String, Tensor> find(
      Graph coded, Iterable<Map<String, Tensor>> samples, List<String> reports) {
    Map<Place, Sums> sums = sums(coded, samples);
    Map<String, Tensor> found = new TreeMap<>();
    sums.forEach((place, sum) -> {
      String layer = names.of(place.node());
      Tensor bias = found.computeIfAbsent(layer, n -> bias(place));
      double before = 0;
      double after = 0;
      for (int row = 0; row < sum.errors.length; row++) {
        int index = place.bias().index(row);
        double old = bias.getDouble(index);
        bias.setDouble(index, old + sum.errors[row] / Math.max(1, sum.counts[row]));
        double moved = bias.getDouble(index) - old;
        before += sum.squares[row];
        after += sum.squares[row] - 2 * moved * sum.errors[row] + moved * moved * sum.counts[row];
      }
      reports.add(
          String.format(
              Locale.ROOT,
              "%s: bias correction (fast): squared error of the sums of its rows %.4g, was %.4g",
              place.operand().name(),
              after,
              before));
    });
    return found;
  }

  private Tensor bias(Place place) {
    Value value = place.node().input(place.bias().input());
    return value.isPresent()
        ? copy(base.constant(value).orElseThrow().load())
        : Tensor.zeros(
            DType.F32, place.bias().shape().stream().mapToLong(Long::longValue).toArray());
  }

  private static Tensor copy(Tensor tensor) {
    return new Tensor(DType.F32, tensor.shape(), tensor.floats().clone());
  }

  /** Exact minus coded sums, by row. */
  private static final class Sums {
    private final float[] lost;
    private final int columns;
    private final double[] errors;
    private final double[] squares;
    private final long[] counts;

    Sums(float[] exact, float[] coded, int columns) {
      this.columns = columns;
      this.lost = new float[exact.length];
      for (int i = 0; i < exact.length; i++) {
        lost[i] = exact[i] - coded[i];
      }
      this.errors = new double[exact.length / columns];
      this.squares = new double[errors.length];
      this.counts = new long[errors.length];
    }

    void add(int group, int groups, float[] vector) {
      int perGroup = errors.length / groups;
      for (int row = group * perGroup; row < (group + 1) * perGroup; row++) {
        double error = 0;
        for (int c = 0; c < columns; c++) {
          error += (double) lost[row * columns + c] * vector[c];
        }
        errors[row] += error;
        squares[row] += error * error;
        counts[row]++;
      }
    }
  }

  private Map<Place, Sums> sums(Graph coded, Iterable<Map<String, Tensor>> samples) {
    List<Value> wanted = new ArrayList<>();
    Map<Integer, Node> codedNodes = new LinkedHashMap<>();
    coded.nodes().forEach(node -> codedNodes.put(node.id(), node));
    Map<Place, Value> decoded = new LinkedHashMap<>();
    for (Place place : places) {
      Node with = Objects.requireNonNull(codedNodes.get(place.node().id()));
      decoded.put(place, with.input(place.operand().layout().input()));
      for (Value input : place.node().inputs()) {
        if (input.isPresent() && base.constant(input).isEmpty() && !wanted.contains(input)) {
          wanted.add(input);
        }
      }
    }
    Observed exact = observed(base, wanted);
    Observed weights =
        observed(
            coded,
            decoded.values().stream().filter(v -> coded.constant(v).isEmpty()).distinct().toList());
    Map<Place, Sums> sums = new LinkedHashMap<>();
    for (Map<String, Tensor> sample : samples) {
      if (sums.isEmpty()) {
        Map<Value, Tensor> values = weights.run(sample);
        decoded.forEach(
            (place, value) -> sums.put(place, sums(place, weight(coded, value, values))));
      }
      Map<Value, Tensor> values = exact.run(sample);
      sums.forEach((place, sum) ->
          place
              .operator()
              .storedVectors(
                  new KnownEval(base, place.node(), inputs(place.node(), values)),
                  place.operand().layout().input(),
                  sum::add));
    }
    return sums;
  }

  private static Tensor weight(Graph coded, Value value, Map<Value, Tensor> values) {
    return coded
        .constant(value)
        .map(Constant::load)
        .orElseGet(() -> Objects.requireNonNull(values.get(value)));
  }

  private Sums sums(Place place, Tensor decoded) {
    Tensor weight = base.constant(place.operand().value()).orElseThrow().load();
    long[] shape = place.operand().layout().encodedShape(weight.shape());
    return new Sums(
        WeightEncoding.encoded(weight, place.operand().layout()),
        WeightEncoding.encoded(decoded, place.operand().layout()),
        (int) shape[shape.length - 1]);
  }

  private List<Optional<Tensor>> inputs(Node node, Map<Value, Tensor> values) {
    return node.inputs().stream()
        .map(v -> Optional.ofNullable(values.get(v)).or(() -> Optional.ofNullable(fixed.get(v))))
        .toList();
  }

  private Observed observed(Graph graph, List<Value> values) {
    return new Observed(compiler, graph, values, options.backend(), Quantizer.quiet(options), true);
  }
}
