package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.DynamicGrid;
import org.tersor.passes.graph.Names;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Finds out what quantization did to each layer of a model, by running it on samples. */
public final class Diagnostician {
  private static final String WEIGHTS_BACKEND = "interpreter";

  /** Calls of a body that are looked at. */
  static final int CALLS = 64;

  private final Compiler compiler;
  private final Quantizer.Quantized quantized;
  private final String backend;
  private final CompileOptions compile;
  private final Consumer<String> note;
  private final Names names;
  private final Map<Value, Tally> tallies = new LinkedHashMap<>();

  public Diagnostician(
      Compiler compiler, Quantizer.Quantized quantized, String backend, CompileOptions compile) {
    this.compiler = compiler;
    this.quantized = quantized;
    this.backend = backend;
    this.compile = compile.withNote(note -> {});
    this.note = compile.note();
    this.names = new Names(quantized.base());
  }

  /**
   * Runs each sample twice in float, once quantized. Layers in bodies of If, Loop and Scan are seen
   * on the first {@value #CALLS} calls that reach the body; where none does, they are left out. So
   * are LSTM, GRU and RNN, which a note says.
   *
   * @param errors of the executed graph, from {@link Quantizer#errors}
   */
  public Diagnosis diagnose(List<Map<String, Tensor>> samples, List<Quantizer.LayerError> errors) {
    List<Diagnosis.Layer> layers = new ArrayList<>();
    List<Diagnosis.Box> boxes = new ArrayList<>();
    add(samples, errors, layers, boxes);
    return new Diagnosis(List.copyOf(layers), outputs(samples), List.copyOf(boxes));
  }

  /** Layers and boxes of the graph, then of the bodies in it. */
  private void add(
      List<Map<String, Tensor>> samples,
      List<Quantizer.LayerError> errors,
      List<Diagnosis.Layer> layers,
      List<Diagnosis.Box> boxes) {
    List<Diagnosis.Layer> own = samples.isEmpty() ? List.of() : layers(samples, errors);
    layers.addAll(own);
    Operand.stored(quantized.base(), compiler.registry().operators(), quantized.plan())
        .forEach((name, operands) ->
            note.accept(
                "diagnosis: '"
                    + name
                    + "' is left out: the products with "
                    + String.join(" and ", operands)
                    + " are inside of the operator, so neither their noise nor its causes are"
                    + " measured; the noise of its result is"));
    boxes.addAll(boxes(own, boxes.size()));
    quantized
        .inside(compiler)
        .forEach((body, inside) ->
            new Diagnostician(compiler, inside, backend, compile.withNote(note))
                .add(
                    BodySamples.first(
                        compiler, backend, compile, quantized.base(), body, samples, CALLS),
                    errors,
                    layers,
                    boxes));
  }

  private List<Diagnosis.Layer> layers(
      List<Map<String, Tensor>> samples, List<Quantizer.LayerError> errors) {
    Graph base = quantized.base();
    Shadows shadows = Shadows.of(base, quantized.graph(), compiler.registry().operators());
    shadows
        .layers()
        .forEach((result, both) -> {
          if (Shadows.quantizer(quantized.graph(), result).isPresent()) {
            tally(base, result, both.exact());
          }
        });
    for (Shadows.Layer both : shadows.layers().values()) {
      Node layer = both.exact();
      tally(base, layer.input(0), layer);
      base.producer(layer.input(0))
          .filter(n -> n.op().is("Concat"))
          .ifPresent(n -> n.inputs().forEach(v -> tally(base, v, n)));
    }
    Set<Value> observed = new LinkedHashSet<>(tallies.keySet());
    shadows
        .shadows()
        .forEach((exact, shadow) -> {
          observed.add(exact);
          observed.add(shadow);
        });
    Observed observer = new Observed(compiler, shadows.graph(), observed, backend, compile);
    Map<Value, double[]> power = new HashMap<>();
    for (Map<String, Tensor> sample : samples) {
      Map<Value, Tensor> values = observer.run(sample);
      tallies.forEach((value, tally) -> tally.range(value(values, value)));
      shadows
          .shadows()
          .forEach((exact, shadow) ->
              add(
                  power.computeIfAbsent(exact, v -> new double[2]),
                  value(values, exact),
                  value(values, shadow)));
    }
    for (Map<String, Tensor> sample : samples) {
      Map<Value, Tensor> values = observer.run(sample);
      tallies.forEach((value, tally) -> tally.count(value(values, value)));
    }
    Map<String, Double> accumulated = new HashMap<>();
    errors.forEach(e -> accumulated.put(e.node(), e.sqnr()));
    List<Diagnosis.Layer> layers = new ArrayList<>();
    Map<Value, Tensor> decoded = decoded(shadows);
    shadows
        .layers()
        .forEach((result, layer) ->
            layers.add(
                layer(
                    layer.exact(),
                    Optional.ofNullable(tallies.get(result)),
                    value(decoded, result),
                    decibels(power.getOrDefault(result, new double[2])),
                    accumulated)));
    return layers;
  }

  private void tally(Graph base, Value value, Node reader) {
    if (!(base.type(value) instanceof TensorType type)
        || type.dtype() != DType.F32
        || !type.isRanked()
        || base.constant(value).isPresent()) {
      return;
    }
    // Channels stand where the weight's rank tells a convolution from a matrix product.
    boolean spatial =
        type.rank() > 2
            && (reader.op().is("Concat")
                || base.constant(reader.input(1))
                    .filter(w -> w.type().rank() == type.rank())
                    .isPresent());
    tallies.putIfAbsent(value, new Tally(spatial ? 1 : type.rank() - 1));
  }

  private static Tensor value(Map<Value, Tensor> values, Value value) {
    Tensor tensor = values.get(value);
    if (tensor == null) {
      throw new IllegalStateException("not observed: " + value);
    }
    return tensor;
  }

  /** Adds powers of signal and noise. */
  private static void add(double[] power, Tensor exact, Tensor actual) {
    for (int i = 0; i < exact.size(); i++) {
      double x = exact.getDouble(i);
      double e = x - actual.getDouble(i);
      power[0] += x * x;
      power[1] += e * e;
    }
  }

  private static double decibels(double[] power) {
    return 10 * Math.log10(power[0] / power[1]);
  }

  /** Weights as their codes say, by the layer's result. */
  private Map<Value, Tensor> decoded(Shadows shadows) {
    Map<Value, Value> weights = new LinkedHashMap<>();
    shadows
        .layers()
        .forEach((result, layer) ->
            Shadows.weight(quantized.graph(), layer.coded())
                .ifPresent(w -> weights.put(result, w)));
    Graph q = quantized.graph();
    Set<Value> wanted = new LinkedHashSet<>(weights.values());
    List<Node> nodes = q.nodes().stream().filter(n -> wanted.contains(n.output(0))).toList();
    Set<Value> used = new LinkedHashSet<>();
    nodes.forEach(n -> used.addAll(n.inputs()));
    Map<Value, Constant> constants = new LinkedHashMap<>(q.constants());
    constants.keySet().retainAll(used);
    Graph only =
        new Graph(
            "weights", List.of(), List.of(), nodes, constants, q.types(), q.opsets(), Map.of());
    Map<Value, Tensor> values =
        new Observed(compiler, only, wanted, WEIGHTS_BACKEND, compile).run(Map.of());
    Map<Value, Tensor> result = new HashMap<>();
    weights.forEach((layer, weight) -> result.put(layer, value(values, weight)));
    return result;
  }

  private Diagnosis.Layer layer(
      Node node,
      Optional<Tally> result,
      Tensor decoded,
      double isolated,
      Map<String, Double> accumulated) {
    Graph base = quantized.base();
    TypeInference.Inferred inferred =
        TypeInference.infer(base, compiler.registry().operators(), note -> {});
    WeightLayout layout =
        compiler
            .registry()
            .operators()
            .find(node.op())
            .flatMap(o -> o.weights(inferred.scope().context(node)))
            .orElseThrow();
    Tensor weight = base.constant(node.input(layout.input())).orElseThrow().load();
    Tally floats = new Tally(Integer.MAX_VALUE);
    floats.range(weight);
    floats.count(weight);
    Tally codes = new Tally(Integer.MAX_VALUE);
    codes.range(decoded);
    String name = names.of(node);
    String format = quantized.plan().weights().getOrDefault(name, "");
    Optional<ActivationGrid> grid =
        Optional.ofNullable(quantized.plan().activations().get(names.of(node.input(0))))
            .filter(a -> DynamicGrid.parse(a.format()).isEmpty())
            .map(a -> ActivationGrid.of(compiler.registry().format(a.format()), a));
    Optional<Diagnosis.Range> clip = grid.map(Diagnostician::range);
    Optional<Double> executed = Optional.ofNullable(accumulated.get(name));
    Tally input = tallies.getOrDefault(node.input(0), floats);
    Causes causes =
        new Causes(node, input, clip, weight, layout, compiler.registry().format(format))
            .inherited(isolated, executed);
    result.ifPresent(causes::result);
    base.constant(node.input(2))
        .map(Constant::load)
        .ifPresent(bias -> grid.ifPresent(g -> causes.bias(bias, g.scale())));
    base.producer(node.input(0))
        .filter(n -> n.op().is("Concat"))
        .ifPresent(n ->
            causes.concat(
                n.inputs().stream().filter(tallies::containsKey).map(tallies::get).toList()));
    return new Diagnosis.Layer(
        name,
        node.op().type(),
        format,
        WeightEncoding.bytes(
            compiler.registry().format(format).definition(), layout, weight.shape()),
        4L * weight.size(),
        isolated,
        executed,
        floats.bars(),
        new Diagnosis.Range(codes.bars().low(), codes.bars().high()),
        input.bars(),
        clip,
        causes.found());
  }

  private static Diagnosis.Range range(ActivationGrid grid) {
    return new Diagnosis.Range(grid.lowest(), grid.highest());
  }

  /** What the model's float outputs lose. */
  private List<Diagnosis.Sample> outputs(List<Map<String, Tensor>> samples) {
    Observed exact =
        new Observed(compiler, quantized.base(), quantized.base().outputs(), backend, compile);
    Observed coded =
        new Observed(compiler, quantized.graph(), quantized.graph().outputs(), backend, compile);
    List<Diagnosis.Sample> result = new ArrayList<>();
    for (Map<String, Tensor> sample : samples) {
      double[] power = new double[2];
      List<Tensor> actual = List.copyOf(coded.run(sample).values());
      int[] index = {0};
      exact
          .run(sample)
          .values()
          .forEach(tensor -> {
            Tensor other = actual.get(index[0]++);
            if (tensor.dtype() == DType.F32) {
              add(power, tensor, other);
            }
          });
      result.add(new Diagnosis.Sample(result.size(), decibels(power)));
    }
    return List.copyOf(result);
  }

  /**
   * @param first how many boxes there are before
   */
  private List<Diagnosis.Box> boxes(List<Diagnosis.Layer> layers, int first) {
    Map<String, Double> noise = new HashMap<>();
    layers.forEach(l -> noise.put(l.node(), l.accumulated().orElse(l.isolated())));
    Map<Value, Integer> makers = new HashMap<>();
    List<Diagnosis.Box> boxes = new ArrayList<>();
    for (Node node : quantized.base().nodes()) {
      Set<Integer> from = new TreeSet<>();
      for (Value used : Graph.usedValues(node)) {
        Integer maker = makers.get(used);
        if (maker != null) {
          from.add(maker);
        }
      }
      String name = names.of(node);
      boxes.add(
          new Diagnosis.Box(
              name, node.op().type(), List.copyOf(from), Optional.ofNullable(noise.get(name))));
      node.outputs().forEach(output -> makers.put(output, first + boxes.size() - 1));
    }
    return List.copyOf(boxes);
  }
}
