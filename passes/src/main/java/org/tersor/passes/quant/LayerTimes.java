package org.tersor.passes.quant;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.Compiler;
import org.tersor.passes.Pipelines;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * Time of layers alone, each a model of its own, on what reaches it in one sample. A layer that an
 * integer kernel computes is timed from codes to codes: in a model its neighbours make and take
 * them.
 */
public final class LayerTimes {
  private static final double WINDOW_NANOS = 5e7;

  /** HotSpot compiles a kernel after some hundred milliseconds of running it, one after another. */
  private static final double LONG_WINDOW_NANOS = 5e8;

  /** Two windows in a row that gain less end the warm-up. */
  private static final double STEADY = .95;

  private static final int WINDOWS = 20;
  private static final int ROUNDS = 9;

  private final Compiler compiler;
  private final Graph base;
  private final Quantizer.Options options;
  private final Map<String, Tensor> sample;
  private final Names names;
  private final List<Operand> operands;
  private final Map<Value, Tensor> seen = new LinkedHashMap<>();

  /**
   * @param base the float graph
   * @param sample one call of it
   */
  public LayerTimes(
      Compiler compiler, Graph base, Quantizer.Options options, Map<String, Tensor> sample) {
    this.compiler = compiler;
    this.base = base;
    this.options = options;
    this.sample = sample;
    this.names = new Names(base);
    this.operands = Operand.of(base, compiler.registry().operators());
  }

  /** Nanoseconds of one call of each of these float layers, added up. */
  public double nanos(List<Node> layers) {
    return layers.stream().mapToDouble(layer -> nanos(base, layer, layer)).sum();
  }

  /** The same where they are coded as decided. */
  public double nanos(List<Node> layers, Quantizer.Decisions decisions) {
    double sum = 0;
    for (Node layer : layers) {
      Map<String, String> weights = new LinkedHashMap<>();
      operands.stream()
          .filter(o -> o.node().equals(layer))
          .forEach(o ->
              Optional.ofNullable(decisions.plan().weights().get(o.name()))
                  .ifPresent(format -> weights.put(o.name(), format)));
      Map<String, QuantPlan.Activation> near = new LinkedHashMap<>();
      for (Value value : List.of(layer.input(0), Selection.tail(base, layer))) {
        Optional.ofNullable(decisions.plan().activations().get(names.of(value)))
            .ifPresent(a -> near.put(names.of(value), a));
      }
      QuantPlan plan = new QuantPlan(Map.of(), near, weights);
      // Plain codes: they take the same time as chosen ones.
      Graph coded = new Quantizer(compiler).apply(base, plan, Quantizer.quiet(options));
      Graph kernels = compiler.run(Pipelines.integerKernels(), coded, Quantizer.quiet(options));
      Optional<Node> integer =
          kernels.nodes().stream()
              .filter(n -> n.id() == layer.id() && !dtype(kernels, n.input(0)).isFloat())
              .findFirst();
      Node node =
          coded.nodes().stream().filter(n -> n.id() == layer.id()).findFirst().orElseThrow();
      sum += integer.isPresent() ? codes(kernels, integer.get()) : nanos(coded, layer, node);
    }
    return sum;
  }

  /** Time of an integer kernel on any codes: it does not depend on them. */
  private double codes(Graph kernels, Node node) {
    Graph cut = LayerCut.of(kernels, node.name(), List.of(node.input(0)), node.output(0));
    Tensor codes = Tensor.zeros(dtype(kernels, node.input(0)), shape(node));
    for (int i = 0; i < codes.size(); i++) {
      codes.setLong(i, i * 37 % 101);
    }
    return time(cut, Map.of(cut.inputs().getFirst().name(), codes));
  }

  private static DType dtype(Graph graph, Value value) {
    return graph.type(value) instanceof TensorType type ? type.dtype() : DType.F32;
  }

  private long[] shape(Node layer) {
    Node exact = base.nodes().stream().filter(n -> n.id() == layer.id()).findFirst().orElseThrow();
    return value(exact.input(0)).shape();
  }

  private double nanos(Graph graph, Node layer, Node node) {
    Value tail = Selection.tail(base, layer);
    Value end = Shadows.quantizer(graph, tail).map(n -> n.output(0)).orElse(tail);
    List<Value> from =
        layer.inputs().stream()
            .filter(v -> v.isPresent() && base.constant(v).isEmpty())
            .distinct()
            .toList();
    Graph cut = LayerCut.of(graph, node.name(), from, end);
    Map<String, Tensor> call = new LinkedHashMap<>();
    for (int i = 0; i < from.size(); i++) {
      call.put(cut.inputs().get(i).name(), value(from.get(i)));
    }
    return time(cut, call);
  }

  private boolean compilesWhileRunning() {
    return compiler.registry().backend(options.backend()) instanceof Backend.OfProgram program
        && !Compiler.target(program, options.compile()).has(Target.Feature.AHEAD_OF_TIME);
  }

  private double time(Graph cut, Map<String, Tensor> call) {
    Executable executable = compiler.link(cut, options.backend(), Quantizer.quiet(options));
    Map<String, Tensor> results = executable.run(call);
    double length = compilesWhileRunning() ? LONG_WINDOW_NANOS : WINDOW_NANOS;
    double best = Double.POSITIVE_INFINITY;
    int runs = 0;
    int steady = 0;
    for (int window = 0; window < WINDOWS && steady < 2; window++) {
      double before = best;
      long start = System.nanoTime();
      runs = 0;
      do {
        long one = System.nanoTime();
        executable.run(call, results);
        best = Math.min(best, (double) (System.nanoTime() - one));
        runs++;
      } while (System.nanoTime() - start < length);
      steady = best > STEADY * before ? steady + 1 : 0;
    }
    int each = (int) Math.max(1, runs * 1e7 / length);
    double[] times = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      long start = System.nanoTime();
      for (int i = 0; i < each; i++) {
        executable.run(call, results);
      }
      times[round] = (System.nanoTime() - start) / (double) each;
    }
    Arrays.sort(times);
    return times[ROUNDS / 2];
  }

  private Tensor value(Value value) {
    Tensor known = seen.get(value);
    if (known != null) {
      return known;
    }
    Tensor found =
        Objects.requireNonNull(
            new Observed(
                    compiler,
                    base,
                    List.of(value),
                    options.backend(),
                    Quantizer.quiet(options),
                    true)
                .run(sample)
                .get(value));
    seen.put(value, found);
    return found;
  }
}
