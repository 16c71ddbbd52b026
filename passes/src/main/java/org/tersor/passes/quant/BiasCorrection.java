package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Takes the mean error of each channel of a coded layer out of its bias (Nagel et al., 2019).
 * Rounding of weights times inputs whose mean is not zero shifts the results; the shift is
 * measured.
 */
final class BiasCorrection {
  /** Which mean. */
  enum Way {
    /** Of each layer alone, on exact inputs: one pass over the samples. */
    FAST,
    /** Of each layer in the coded model, those before it corrected: a pass for each layer. */
    FULL;

    static Way parse(String text) {
      for (Way way : values()) {
        if (way.name().equalsIgnoreCase(text)) {
          return way;
        }
      }
      throw new TersorException("TSR-0422", "bias correction is fast or full, not '" + text + "'");
    }
  }

  /** Where a layer adds a number to each channel: an input of a node. */
  private record Place(Node node, int input, Optional<Tensor> bias, int channels, int axis) {}

  private final Compiler compiler;
  private final Quantizer.Options options;
  private final Graph base;
  private final Quantizer.Decisions decisions;
  private final Iterable<Map<String, Tensor>> samples;
  private final Names names;
  private final List<String> reports = new ArrayList<>();
  private final Map<String, Node> layers = new LinkedHashMap<>();
  private final Map<String, Place> places = new LinkedHashMap<>();
  private final StoredBiases stored;

  /**
   * @param base with the factors of the decisions
   */
  BiasCorrection(
      Compiler compiler,
      Quantizer.Options options,
      Graph base,
      Quantizer.Decisions decisions,
      Iterable<Map<String, Tensor>> samples) {
    this.compiler = compiler;
    this.options = options;
    this.base = base;
    this.decisions = decisions;
    this.samples = samples;
    this.names = new Names(base);
    for (Node node : base.nodes()) {
      String name = names.of(node);
      if (!decisions.plan().weights().containsKey(name)) {
        continue;
      }
      Optional<Place> place = place(base, node);
      if (place.isPresent()) {
        layers.put(name, node);
        places.put(name, place.get());
      } else {
        reports.add(name + ": bias correction: it has no bias of one number for each channel");
      }
    }
    this.stored = new StoredBiases(compiler, options, base, decisions.plan());
  }

  List<String> reports() {
    return reports;
  }

  private static Optional<Place> place(Graph graph, Node node) {
    if (!node.op().domain().isEmpty()
        || !(graph.type(node.output(0)) instanceof TensorType type)
        || !type.isRanked()) {
      return Optional.empty();
    }
    return switch (node.op().type()) {
      case "Conv", "ConvTranspose" -> input(graph, node, type, 1);
      case "Gemm" ->
          node.attributes().get("beta") instanceof Attribute.FloatAttr beta && beta.value() != 1
              ? Optional.empty()
              : input(graph, node, type, 1);
      case "MatMul" -> {
        List<Node> users = graph.consumers(node.output(0));
        if (users.size() != 1
            || graph.isOutput(node.output(0))
            || !users.getFirst().op().is("Add")) {
          yield Optional.empty();
        }
        Node add = users.getFirst();
        int side = add.input(0).equals(node.output(0)) ? 1 : 0;
        yield graph
            .constant(add.input(side))
            .filter(c -> isVector(c, type, type.rank() - 1))
            .map(c ->
                new Place(add, side, Optional.of(c.load()), (int) c.elements(), type.rank() - 1));
      }
      default -> Optional.empty();
    };
  }

  private static Optional<Place> input(Graph graph, Node node, TensorType type, int axis) {
    if (type.rank() <= axis || !type.dims().get(axis).isConst()) {
      return Optional.empty();
    }
    int channels = (int) type.dims().get(axis).constValue();
    if (!node.input(2).isPresent()) {
      return Optional.of(new Place(node, 2, Optional.empty(), channels, axis));
    }
    return graph
        .constant(node.input(2))
        .filter(c -> isVector(c, type, axis))
        .map(c -> new Place(node, 2, Optional.of(c.load()), channels, axis));
  }

  private static boolean isVector(Constant constant, TensorType type, int axis) {
    return constant.dtype() == DType.F32
        && constant.shape().length == 1
        && type.dims().get(axis).isConst(constant.elements());
  }

  /** Whether {@link #apply} can give a layer a bias. */
  static boolean takes(Graph graph, Node node) {
    return place(graph, node).isPresent();
  }

  /** Biases that {@link #apply} can replace, by name of the layer. */
  static Map<String, Tensor> biases(Graph graph) {
    Names names = new Names(graph);
    Map<String, Tensor> biases = new TreeMap<>();
    for (Node node : graph.nodes()) {
      place(graph, node).flatMap(Place::bias).ifPresent(bias -> biases.put(names.of(node), bias));
    }
    return biases;
  }

  /** The graph with other biases. */
  static Graph apply(Graph base, Map<String, Tensor> biases, OpRegistry operators) {
    if (biases.isEmpty()) {
      return base;
    }
    Names names = new Names(base);
    GraphEdit edit = new GraphEdit(base);
    for (Node node : base.nodes()) {
      Tensor bias = biases.get(names.of(node));
      if (bias == null) {
        continue;
      }
      Place place =
          place(base, node)
              .filter(p -> p.channels() == bias.size())
              .or(() ->
                  StoredBiases.input(base, node, bias, operators)
                      .map(i -> new Place(node, i, Optional.empty(), bias.size(), 0)))
              .orElseThrow(() ->
                  new TersorException(
                      "TSR-0420",
                      "the bias kept for '"
                          + names.of(node)
                          + "' does not fit: the plan was made for another model"));
      List<Value> inputs = new ArrayList<>(place.node().inputs());
      while (inputs.size() <= place.input()) {
        inputs.add(Value.NONE);
      }
      String name = inputs.get(place.input()).name();
      inputs.set(place.input(), edit.constant(name, Constant.of(bias)));
      edit.replace(place.node(), List.of(place.node().withInputs(inputs)));
    }
    return edit.apply();
  }

  /** Corrected biases by name of the layer; empty if they do not help, which a report says. */
  Map<String, Tensor> find(Way way) {
    Map<String, Tensor> found = new TreeMap<>();
    reports.addAll(stored.left(way));
    switch (way) {
      case FAST -> {
        Errors errors = alone();
        places.forEach((name, place) -> correct(name, place, errors, way, found));
      }
      case FULL ->
          places.forEach((name, place) -> correct(name, place, within(name, found), way, found));
    }
    double before = noise(Map.of());
    double after = found.isEmpty() ? before : noise(found);
    if (way == Way.FAST && !stored.isEmpty()) {
      Map<String, Tensor> all = new TreeMap<>(found);
      all.putAll(stored.find(coded(Map.of()), samples, reports));
      double with = noise(all);
      if (with <= after) {
        found.putAll(all);
        after = with;
      } else {
        reports.add(
            String.format(
                java.util.Locale.ROOT,
                "bias correction: with those inside of operators the model's outputs would err more"
                    + " on the samples (noise by signal %.4g instead of %.4g): these biases stay",
                with,
                after));
      }
    }
    if (!(after <= before)) {
      reports.add(
          String.format(
              java.util.Locale.ROOT,
              "bias correction: the model's outputs would err more on the samples (noise by signal"
                  + " %.4g instead of %.4g): all biases stay",
              after,
              before));
      return Map.of();
    }
    reports.add(
        String.format(
            java.util.Locale.ROOT,
            "bias correction: noise by signal of the model's outputs %.4g, was %.4g",
            after,
            before));
    return found;
  }

  private void correct(
      String name, Place place, Errors errors, Way way, Map<String, Tensor> found) {
    Optional<double[]> mean = errors.mean(name);
    if (mean.isEmpty()) {
      return;
    }
    Tensor bias = Tensor.zeros(DType.F32, place.channels());
    double before = 0;
    double after = 0;
    for (int c = 0; c < bias.size(); c++) {
      double old = place.bias().isPresent() ? place.bias().get().getDouble(c) : 0;
      bias.setDouble(c, old + mean.get()[c]);
      double moved = bias.getDouble(c) - old;
      before += errors.squares(name, c, 0);
      after += errors.squares(name, c, moved);
    }
    boolean better = after <= before;
    reports.add(
        String.format(
            java.util.Locale.ROOT,
            "%s: bias correction (%s): squared error of results %.4g, was %.4g%s",
            name,
            way.name().toLowerCase(java.util.Locale.ROOT),
            after,
            before,
            better ? "" : ": the old bias stays"));
    if (better) {
      found.put(name, bias);
    }
  }

  /** Sums of exact minus coded results, of each channel of each layer. */
  private final class Errors {
    private final Map<String, double[]> sums = new LinkedHashMap<>();
    private final Map<String, double[]> squares = new LinkedHashMap<>();
    private final Map<String, long[]> counts = new LinkedHashMap<>();

    void add(String name, Tensor exact, Tensor coded) {
      Place place = Objects.requireNonNull(places.get(name));
      int channels = place.channels();
      double[] sum = sums.computeIfAbsent(name, n -> new double[channels]);
      double[] square = squares.computeIfAbsent(name, n -> new double[channels]);
      long[] count = counts.computeIfAbsent(name, n -> new long[1]);
      int inner = 1;
      for (int d = place.axis() + 1; d < exact.rank(); d++) {
        inner *= (int) exact.shape()[d];
      }
      for (int i = 0; i < exact.size(); i++) {
        int c = i / inner % channels;
        double e = exact.getDouble(i) - coded.getDouble(i);
        sum[c] += e;
        square[c] += e * e;
      }
      count[0] += exact.size() / channels;
    }

    Optional<double[]> mean(String name) {
      double[] sum = sums.get(name);
      long[] count = counts.get(name);
      return sum == null || count == null || count[0] == 0
          ? Optional.empty()
          : Optional.of(Arrays.stream(sum).map(s -> s / count[0]).toArray());
    }

    /** Squared error of a channel if its results are moved by a number. */
    double squares(String name, int channel, double moved) {
      double sum = Objects.requireNonNull(sums.get(name))[channel];
      double square = Objects.requireNonNull(squares.get(name))[channel];
      long count = Objects.requireNonNull(counts.get(name))[0];
      return square - 2 * moved * sum + moved * moved * count;
    }
  }

  /** Each layer with coded weights beside itself, on the same exact input. */
  private Errors alone() {
    Graph coded = coded(Map.of());
    Map<Integer, Node> codedNodes = new LinkedHashMap<>();
    coded.nodes().forEach(n -> codedNodes.put(n.id(), n));
    List<Node> nodes = new ArrayList<>(base.nodes());
    coded.nodes().stream()
        .filter(n -> n.inputs().stream().allMatch(v -> coded.constant(v).isPresent()))
        .filter(n -> base.nodes().stream().noneMatch(b -> b.id() == n.id()))
        .forEach(n -> nodes.add(0, n));
    Map<Value, Constant> constants = new LinkedHashMap<>(coded.constants());
    constants.putAll(base.constants());
    var types = new LinkedHashMap<>(coded.types());
    types.putAll(base.types());
    int[] id = {Math.max(base.maxId(), coded.maxId())};
    Map<String, Value> shadows = new LinkedHashMap<>();
    layers.forEach((name, node) -> {
      Node with = Objects.requireNonNull(codedNodes.get(node.id()));
      List<Value> inputs = new ArrayList<>(node.inputs());
      Optional<Value> weight = Shadows.weight(coded, with);
      if (weight.isEmpty()) {
        return;
      }
      inputs.set(with.inputs().indexOf(weight.get()), weight.get());
      Value shadow = new Value(++id[0], "");
      types.put(shadow, base.type(node.output(0)));
      nodes.add(new Node(++id[0], "", node.op(), inputs, List.of(shadow), node.attributes()));
      shadows.put(name, shadow);
    });
    Graph both =
        new Graph(
            base.name(),
            base.inputs(),
            base.outputs(),
            nodes,
            constants,
            types,
            coded.opsets(),
            base.metadata());
    List<Value> wanted = new ArrayList<>(shadows.values());
    layers.values().forEach(n -> wanted.add(n.output(0)));
    Observed observed = observed(both, wanted);
    Errors errors = new Errors();
    for (Map<String, Tensor> sample : samples) {
      Map<Value, Tensor> values = observed.run(sample);
      shadows.forEach((name, shadow) ->
          errors.add(
              name,
              value(values, Objects.requireNonNull(layers.get(name)).output(0)),
              value(values, shadow)));
    }
    return errors;
  }

  /** One layer in the coded model. */
  private Errors within(String name, Map<String, Tensor> biases) {
    Value result = Objects.requireNonNull(layers.get(name)).output(0);
    Observed exact = observed(base, List.of(result));
    Observed coded = observed(coded(biases), List.of(result));
    Errors errors = new Errors();
    for (Map<String, Tensor> sample : samples) {
      errors.add(name, value(exact.run(sample), result), value(coded.run(sample), result));
    }
    return errors;
  }

  private static Tensor value(Map<Value, Tensor> values, Value value) {
    return Objects.requireNonNull(values.get(value));
  }

  private Observed observed(Graph graph, List<Value> values) {
    return new Observed(compiler, graph, values, options.backend(), Quantizer.quiet(options), true);
  }

  private Graph withBiases(Map<String, Tensor> biases) {
    return apply(base, biases, compiler.registry().operators());
  }

  private Graph coded(Map<String, Tensor> biases) {
    return new Quantizer(compiler).apply(withBiases(biases), decisions, Quantizer.quiet(options));
  }

  /** Power of the error of all outputs by their power, over the samples. */
  private double noise(Map<String, Tensor> biases) {
    return OutputNoise.of(compiler, options, base, coded(biases), samples);
  }
}
