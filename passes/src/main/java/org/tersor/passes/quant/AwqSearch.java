package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.graph.ChannelScales;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * Scales of AWQ (Lin et al., arXiv 2306.00978): channel j of what layers read is multiplied by less
 * the larger it is, {@code s_j = mean|x_j|^r}, with r of twenty candidates from 0 that gives the
 * smallest squared error of the block's result when only the layers' weights are coded. The block
 * ends at the next layer behind them, or at the layers themselves where none is near.
 */
final class AwqSearch {
  private static final int CANDIDATES = 20;
  private static final double FLOOR = 1e-4;
  private static final String INPUT = "_awq_input";
  private static final String WEIGHT = "_awq_weight_";

  private final Equalization.Context context;
  private final Graph base;
  private final NumberFormat format;

  AwqSearch(Equalization.Context context, Graph base, NumberFormat format) {
    this.context = context;
    this.base = base;
    this.format = format;
  }

  /**
   * The scales of each group, by the value that its layers read.
   *
   * @param few samples that errors are measured on
   */
  Map<Value, double[]> search(int few) {
    List<ChannelScales> groups =
        context.places(base).stream()
            .filter(g -> g.repeat() == 1)
            .filter(g -> g.readers().stream().allMatch(n -> n.op().is("MatMul")))
            .toList();
    List<Value> values = groups.stream().map(ChannelScales::value).toList();
    ChannelRanges ranges =
        ChannelRanges.measure(
            context.compiler(),
            base,
            values,
            context.samples(),
            context.backend(),
            context.options());
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (Map<String, Tensor> sample : context.samples()) {
      if (samples.size() < few) {
        samples.add(sample);
      }
    }
    Observed observed =
        new Observed(
            context.compiler(),
            base,
            values,
            context.backend(),
            context.options().withNote(note -> {}));
    List<Map<Value, Tensor>> inputs = samples.stream().map(observed::run).toList();
    Map<Value, double[]> scales = new LinkedHashMap<>();
    for (ChannelScales group : groups) {
      double[] mean = ranges.mean().get(group.value());
      if (mean != null) {
        scales.put(group.value(), best(group, mean, samples, inputs));
      }
    }
    return scales;
  }

  private double[] best(
      ChannelScales group,
      double[] mean,
      List<Map<String, Tensor>> samples,
      List<Map<Value, Tensor>> inputs) {
    List<Value> ends = ends(group);
    Executable block = block(group, ends);
    List<Tensor> exact =
        group.readers().stream().map(n -> base.constant(n.input(1)).orElseThrow().load()).toList();
    List<List<Tensor>> wanted = run(block, group, exact, samples, inputs);
    double[] best = new double[0];
    double least = Double.POSITIVE_INFINITY;
    double plain = 0;
    double exponent = 0;
    for (int c = 0; c < CANDIDATES; c++) {
      double r = c / (double) CANDIDATES;
      double[] scales = scales(mean, r);
      List<Tensor> coded = exact.stream().map(w -> coded(w, scales)).toList();
      double error = error(wanted, run(block, group, coded, samples, inputs));
      plain = c == 0 ? error : plain;
      if (error < least) {
        least = error;
        best = scales;
        exponent = r;
      }
    }
    context
        .options()
        .note()
        .accept(
            String.format(
                Locale.ROOT,
                "awq: %s: exponent %.2f, squared error of the block %.4g of %.4g without scales",
                group.readers().getFirst().label(),
                exponent,
                least,
                plain));
    return best;
  }

  private static double[] scales(double[] mean, double r) {
    return FactorSearch.centred(mean, x -> Math.max(Math.pow(x, r), FLOOR));
  }

  /** The weight [in, out] as codes of the scaled weight stand for it. */
  private Tensor coded(Tensor weight, double[] scales) {
    int in = (int) weight.shape()[0];
    int out = (int) weight.shape()[1];
    float[] rows = new float[in * out];
    for (int n = 0; n < out; n++) {
      for (int k = 0; k < in; k++) {
        rows[n * in + k] = (float) (weight.getDouble(k * out + n) * scales[k]);
      }
    }
    FormatCodec codec = new FormatCodec(format);
    long[] shape = {out, in};
    float[] decoded = codec.decode(codec.encode(rows, shape, new float[0]), shape);
    Tensor result = Tensor.zeros(weight.dtype(), weight.shape());
    for (int n = 0; n < out; n++) {
      for (int k = 0; k < in; k++) {
        result.setDouble(k * out + n, decoded[n * in + k] / scales[k]);
      }
    }
    return result;
  }

  private static double error(List<List<Tensor>> wanted, List<List<Tensor>> got) {
    double sum = 0;
    long count = 0;
    for (int s = 0; s < wanted.size(); s++) {
      for (int o = 0; o < wanted.get(s).size(); o++) {
        Tensor a = wanted.get(s).get(o);
        Tensor b = got.get(s).get(o);
        for (int i = 0; i < a.size(); i++) {
          double e = a.getDouble(i) - b.getDouble(i);
          sum += e * e;
        }
        count += a.size();
      }
    }
    return sum / Math.max(1, count);
  }

  private static List<List<Tensor>> run(
      Executable block,
      ChannelScales group,
      List<Tensor> weights,
      List<Map<String, Tensor>> samples,
      List<Map<Value, Tensor>> inputs) {
    List<List<Tensor>> results = new ArrayList<>();
    for (int s = 0; s < samples.size(); s++) {
      Map<String, Tensor> given = new LinkedHashMap<>();
      for (Executable.Port port : block.inputs()) {
        Tensor sample = samples.get(s).get(port.name());
        if (sample != null) {
          given.put(port.name(), sample);
        }
      }
      given.put(INPUT, Objects.requireNonNull(inputs.get(s).get(group.value())));
      for (int w = 0; w < weights.size(); w++) {
        given.put(WEIGHT + w, weights.get(w));
      }
      results.add(List.copyOf(block.run(given).values()));
    }
    return results;
  }

  /** Where the error is measured: behind the next layer that all of the group lead to. */
  private List<Value> ends(ChannelScales group) {
    List<Value> own = group.readers().stream().map(n -> n.output(0)).toList();
    if (!group.ofGains()) {
      return own;
    }
    Set<Value> reached = new HashSet<>(own);
    for (Node node : base.nodes()) {
      if (node.inputs().stream().noneMatch(reached::contains)) {
        continue;
      }
      boolean layer = node.op().is("MatMul") && base.constant(node.input(1)).isPresent();
      if (layer) {
        return List.of(node.output(0));
      }
      reached.addAll(node.outputs());
    }
    return own;
  }

  /** The part of the graph from the group's value to the ends; the group's weights are inputs. */
  private Executable block(ChannelScales group, List<Value> ends) {
    Map<Value, Value> instead = new LinkedHashMap<>();
    instead.put(group.value(), new Value(group.value().id(), INPUT));
    int w = 0;
    for (Node reader : group.readers()) {
      instead.put(reader.input(1), new Value(reader.input(1).id(), WEIGHT + w++));
    }
    Set<Value> needed = new HashSet<>(ends);
    List<Node> nodes = new ArrayList<>();
    for (int n = base.nodes().size() - 1; n >= 0; n--) {
      Node node = base.nodes().get(n);
      boolean used =
          node.outputs().stream().anyMatch(needed::contains)
              && !node.outputs().contains(group.value());
      if (used) {
        nodes.addFirst(node);
        needed.addAll(Graph.usedValues(node));
      }
    }
    List<Value> inputs = new ArrayList<>(base.inputs().stream().filter(needed::contains).toList());
    inputs.addAll(instead.values());
    Map<Value, Constant> constants = new LinkedHashMap<>(base.constants());
    constants.keySet().retainAll(needed);
    constants.keySet().removeAll(instead.keySet());
    List<Value> outputs = new ArrayList<>();
    for (Value end : ends) {
      outputs.add(new Value(end.id(), "_awq_result_" + end.id()));
    }
    Map<Value, org.tersor.ir.graph.ValueType> types = new LinkedHashMap<>(base.types());
    group
        .readers()
        .forEach(n ->
            types.put(
                n.input(1),
                TensorType.of(
                    base.constant(n.input(1)).orElseThrow().dtype(),
                    base.constant(n.input(1)).orElseThrow().shape())));
    Graph part =
        new Graph("block", inputs, outputs, nodes, constants, types, base.opsets(), Map.of());
    return context.compiler().link(part, context.backend(), context.options().withNote(note -> {}));
  }
}
