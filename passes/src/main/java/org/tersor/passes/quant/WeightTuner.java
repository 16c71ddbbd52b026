package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.WeightLayout;
import org.tersor.ir.op.WeightVectors;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.KnownEval;
import org.tersor.passes.quant.method.LayerInputs;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.passes.quant.method.WeightProblem;
import org.tersor.runtime.Tensor;

/**
 * Runs a {@link WeightMethod} over the layers of a graph, from the inputs on: layers that read the
 * same value together, each with what reaches it when all weights before it are quantized
 * (activations stay float). Inputs stream through: nothing is kept of a sample.
 */
final class WeightTuner {
  /**
   * Multiplications that the products of one sample's vectors may take before some are left out.
   */
  private static final double WORK = 2e9;

  private final Compiler compiler;
  private final Graph base;
  private final Quantizer.Options options;
  private final WeightMethod method;
  private final Iterable<Map<String, Tensor>> samples;
  private final Map<Value, Constant> constants;
  private final Map<List<Object>, String> done = new HashMap<>();

  /**
   * What was chosen.
   *
   * @param codes buffers of the format, by name of the node
   * @param reports what was done, one sentence for each layer
   */
  record Tuned(
      Map<String, List<Tensor>> codes,
      Map<String, QuantPlan.Choice> choices,
      List<String> reports) {}

  WeightTuner(
      Compiler compiler,
      Graph base,
      Quantizer.Options options,
      WeightMethod method,
      Iterable<Map<String, Tensor>> samples) {
    this.compiler = compiler;
    this.base = base;
    this.options = options;
    this.method = method;
    this.samples = samples;
    this.constants = new LinkedHashMap<>(base.constants());
  }

  /**
   * Chooses all codes.
   *
   * @param inputScales scale of the integers that a weight is multiplied with, by node
   */
  Tuned tune(List<Operand> operands, NumberFormat format, Map<Node, Double> inputScales) {
    Map<Object, List<Operand>> stages = new LinkedHashMap<>();
    for (Operand operand : operands) {
      // The states that R meets depend on the codes of W.
      Object stage = operand.stored() ? operand.name() : factor(operand);
      stages.computeIfAbsent(stage, v -> new ArrayList<>()).add(operand);
    }
    Tuned tuned = new Tuned(new LinkedHashMap<>(), new LinkedHashMap<>(), new ArrayList<>());
    for (List<Operand> stage : stages.values()) {
      Map<Operand, List<LayerInputs>> inputs = method.needsInputs() ? observe(stage) : Map.of();
      Map<Value, Constant> replaced = new LinkedHashMap<>();
      for (Operand operand : stage) {
        choose(
            operand,
            format,
            inputScales.getOrDefault(operand.node(), 0.0),
            inputs.getOrDefault(operand, List.of()),
            tuned,
            replaced);
      }
      constants.putAll(replaced);
    }
    return tuned;
  }

  /** What the rows of a layer's weight are multiplied with. */
  private static Value factor(Operand operand) {
    return operand.node().input(operand.layout().input() == 0 ? 1 : 0);
  }

  private void choose(
      Operand operand,
      NumberFormat format,
      double inputScale,
      List<LayerInputs> inputs,
      Tuned tuned,
      Map<Value, Constant> replaced) {
    String name = operand.name();
    WeightLayout layout = operand.layout();
    Value value = operand.value();
    List<Object> key = List.of(value, format.id(), layout);
    String same = done.get(key);
    if (same != null) {
      tuned.codes().put(name, java.util.Objects.requireNonNull(tuned.codes().get(same)));
      tuned.choices().put(name, java.util.Objects.requireNonNull(tuned.choices().get(same)));
      tuned.reports().add(name + ": shares the codes of " + same);
      return;
    }
    Tensor weight = base.constant(value).orElseThrow().load();
    List<String> said = new ArrayList<>();
    WeightProblem problem =
        WeightEncoding.problem(
            format,
            weight,
            layout,
            inputScale,
            Materialize.bias(base, operand.node(), layout, weight).map(Materialize.Bias::numbers),
            inputs,
            said::add);
    WeightMethod chosen = method;
    if (method.needsInputs() && !problem.hasInputs()) {
      said.add(
          "no input of it was seen, or its rows are looked up and not multiplied: plain rounding");
      chosen = WeightMethod.parse("rtn");
    }
    WeightProblem.Coded coded = chosen.choose(problem);
    long[] shape = layout.encodedShape(weight.shape());
    WeightEncoding encoding = WeightEncoding.of(problem, coded, shape);
    tuned.codes().put(name, encoding.buffers());
    tuned
        .choices()
        .put(
            name,
            new QuantPlan.Choice(
                chosen.text(),
                WeightEncoding.checksum(format.definition(), encoding.buffers(), shape)));
    if (problem.hasInputs()) {
      double after = Arrays.stream(problem.errors(coded)).sum();
      double before =
          Arrays.stream(problem.errors(WeightMethod.parse("rtn").choose(problem))).sum();
      said.addFirst(
          String.format(
              java.util.Locale.ROOT,
              "squared error of results %.4g, with plain rounding %.4g (ratio %.3f)",
              after,
              before,
              after / before));
    }
    tuned
        .reports()
        .add(
            name
                + ": "
                + format.id()
                + " by "
                + chosen.text()
                + (said.isEmpty() ? "" : ": " + String.join("; ", said)));
    replaced.put(
        value, Constant.of(WeightEncoding.decoded(format, encoding, layout, weight.shape())));
    done.put(key, name);
  }

  /** What the rows of some operands are multiplied with, which the same values tell. */
  Map<Operand, List<LayerInputs>> observe(List<Operand> operands) {
    List<Value> values =
        operands.stream().flatMap(operand -> told(operand).stream()).distinct().toList();
    Graph prefix =
        new Graph(
            base.name(),
            base.inputs(),
            base.outputs(),
            base.nodes(),
            constants,
            base.types(),
            base.opsets(),
            base.metadata());
    Observed observed =
        new Observed(compiler, prefix, values, options.backend(), Quantizer.quiet(options), true);
    Optional<Observed> exact =
        method.needsTargets()
            ? Optional.of(
                new Observed(
                    compiler, base, values, options.backend(), Quantizer.quiet(options), true))
            : Optional.empty();
    Map<List<Object>, Collector> collectors = new LinkedHashMap<>();
    Map<Operand, Collector> of = new LinkedHashMap<>();
    for (Operand operand : operands) {
      of.put(operand, collectors.computeIfAbsent(key(operand), k -> new Collector(operand)));
    }
    for (Map<String, Tensor> sample : samples) {
      Map<Value, Tensor> reached = observed.run(sample);
      Map<Value, Tensor> reference = exact.map(e -> e.run(sample)).orElse(reached);
      collectors.values().forEach(c -> c.add(reached, reference));
    }
    Map<Operand, List<LayerInputs>> result = new LinkedHashMap<>();
    of.forEach((operand, collector) -> result.put(operand, collector.finish()));
    return result;
  }

  /** The values that tell what an operand is multiplied with. */
  private List<Value> told(Operand operand) {
    return operand.stored()
        ? operand.node().inputs().stream()
            .filter(v -> v.isPresent() && base.constant(v).isEmpty())
            .toList()
        : List.of(factor(operand));
  }

  /** Layers of one key are multiplied with the same vectors; those with targets stay apart. */
  private List<Object> key(Operand operand) {
    if (method.needsTargets() || operand.stored()) {
      return List.of(operand.name());
    }
    Node node = operand.node();
    WeightLayout layout = operand.layout();
    long[] shape = base.constant(operand.value()).orElseThrow().shape();
    List<Long> columns = layout.columns().stream().map(d -> shape[d]).toList();
    List<Object> rows =
        layout.rows().size() == 1
            ? List.of()
            : layout.rows().stream().map(d -> (Object) shape[d]).toList();
    return List.of(node.op(), node.attributes(), columns, rows);
  }

  /** Takes the vectors of one layer. */
  private final class Collector {
    private final Operand operand;
    private final Operator operator;
    private final Tensor weight;

    /** Operands as they are when these inputs are seen, and as they were. */
    private final Map<Value, Tensor> known = new HashMap<>();

    private final Map<Value, Tensor> given = new HashMap<>();
    private final float[] rows;
    private final int columns;
    private final List<LayerInputs> inputs = new ArrayList<>();
    private int stride = 1;

    Collector(Operand operand) {
      this.operand = operand;
      this.operator = compiler.registry().operators().find(operand.node().op()).orElseThrow();
      this.weight = base.constant(operand.value()).orElseThrow().load();
      if (operand.stored()) {
        for (Value value : operand.node().inputs()) {
          Optional.ofNullable(constants.get(value)).ifPresent(c -> known.put(value, c.load()));
          base.constant(value).ifPresent(c -> given.put(value, c.load()));
        }
      }
      WeightLayout layout = operand.layout();
      this.rows = WeightEncoding.encoded(weight, layout);
      long[] shape = layout.encodedShape(weight.shape());
      this.columns = (int) shape[shape.length - 1];
    }

    void add(Map<Value, Tensor> reached, Map<Value, Tensor> reference) {
      List<float[]> targets = new ArrayList<>();
      int[] seen = new int[2];
      visit(reached, known, (group, groups, vector) -> seen[0]++);
      stride = (int) Math.max(1, Math.ceil(seen[0] * (double) columns * columns / WORK));
      int offset = stride / 2;
      seen[0] = 0;
      if (method.needsTargets()) {
        visit(
            reference,
            given,
            (group, groups, vector) -> {
              if (seen[0]++ % stride == offset) {
                targets.add(results(group, groups, vector));
              }
            });
      }
      int[] at = new int[2];
      visit(
          reached,
          known,
          (group, groups, vector) -> {
            if (at[0]++ % stride != offset) {
              return;
            }
            while (inputs.size() < groups) {
              int perGroup = rows.length / columns / groups;
              inputs.add(new LayerInputs(columns, method.needsTargets() ? perGroup : 0));
            }
            inputs
                .get(group)
                .add(vector, method.needsTargets() ? targets.get(at[1]++) : new float[0]);
          });
    }

    private void visit(Map<Value, Tensor> values, Map<Value, Tensor> fixed, WeightVectors vectors) {
      Node node = operand.node();
      if (operand.stored()) {
        List<Optional<Tensor>> inputs =
            node.inputs().stream()
                .map(v ->
                    Optional.ofNullable(values.get(v)).or(() -> Optional.ofNullable(fixed.get(v))))
                .toList();
        operator.storedVectors(
            new KnownEval(base, node, inputs), operand.layout().input(), vectors);
      } else {
        Optional<Tensor> x = Optional.ofNullable(values.get(factor(operand)));
        operator.weightVectors(new KnownEval(base, node, List.of(x, Optional.of(weight))), vectors);
      }
    }

    private float[] results(int group, int groups, float[] vector) {
      int perGroup = rows.length / columns / groups;
      float[] y = new float[perGroup];
      for (int r = 0; r < perGroup; r++) {
        int from = (group * perGroup + r) * columns;
        double sum = 0;
        for (int c = 0; c < columns; c++) {
          sum += (double) rows[from + c] * vector[c];
        }
        y[r] = (float) sum;
      }
      return y;
    }

    List<LayerInputs> finish() {
      inputs.forEach(LayerInputs::seal);
      return inputs;
    }
  }
}
