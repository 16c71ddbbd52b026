package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.LongStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Means and variances of batch norms measured anew, as after training on coded weights or pruning:
 * averages over all samples and places, of each norm with those before it measured already. They
 * are inputs of the model that is run, so it is compiled once.
 */
public final class NormStatistics {
  private static final int AXES_ARE_AN_INPUT = 18;

  /**
   * A channel whose variance falls below this part of what it was keeps its statistics: samples
   * that do not move it say nothing of it, and a norm by what little they do would blow up noise.
   */
  private static final double STILL = 1e-3;

  private final Graph graph;
  private final List<Norm> norms = new ArrayList<>();
  private final List<String> reports = new ArrayList<>();

  /**
   * A norm, where its statistics enter the model that is run, and where what was seen leaves it.
   */
  private record Norm(Node node, long channels, String mean, String variance) {
    String shift() {
      return mean + "_shift";
    }

    String square() {
      return mean + "_square";
    }
  }

  /**
   * The model with other statistics.
   *
   * @param reports one sentence for each norm
   */
  public record Measured(Graph graph, List<String> reports) {}

  private NormStatistics(Graph graph) {
    this.graph = graph;
  }

  /** Measures all norms of the outermost graph whose statistics are constants. */
  public static Measured measure(
      Compiler compiler,
      Graph model,
      Iterable<Map<String, Tensor>> samples,
      String backend,
      CompileOptions compile) {
    CompileOptions quiet = compile.withNote(note -> {});
    Graph typed = compiler.run(List.of(new TypeInference()), model, quiet);
    NormStatistics work = new NormStatistics(typed);
    Executable probe = compiler.executable(work.probed(), backend, quiet);
    Map<String, Tensor> known = work.known();
    for (Norm norm : work.norms) {
      work.measure(norm, probe, samples, known);
    }
    return new Measured(work.with(model, known), List.copyOf(work.reports));
  }

  /** The model with statistics as inputs and what norms see as outputs. */
  private Graph probed() {
    GraphEdit edit = new GraphEdit(graph);
    List<Value> inputs = new ArrayList<>(graph.inputs());
    List<Value> outputs = new ArrayList<>();
    String prefix = ProbeNames.prefix(graph, "_norm_");
    for (Node node : graph.nodes()) {
      if (!node.op().is("BatchNormalization")) {
        continue;
      }
      Optional<Tensor> mean = graph.constant(node.input(3)).map(Constant::load);
      Optional<Tensor> variance = graph.constant(node.input(4)).map(Constant::load);
      if (mean.isEmpty()
          || variance.isEmpty()
          || !(graph.type(node.input(0)) instanceof TensorType x && x.isRanked() && x.rank() >= 2)
          || x.dtype() != DType.F32
          || (node.attributes().get("spatial") instanceof Attribute.IntAttr s && s.value() == 0)) {
        reports.add(node.label() + " keeps its statistics: they are no float32 constants");
        continue;
      }
      Norm norm =
          new Norm(
              node,
              mean.get().size(),
              prefix + "mean_" + node.id(),
              prefix + "variance_" + node.id());
      norms.add(norm);
      ValueType type = TensorType.of(DType.F32, norm.channels());
      Value m = edit.value(norm.mean(), type);
      Value v = edit.value(norm.variance(), type);
      inputs.addAll(List.of(m, v));
      List<Value> changed = new ArrayList<>(node.inputs());
      changed.set(3, m);
      changed.set(4, v);
      edit.replace(node, List.of(node.withInputs(changed)));
      watch(edit, norm, node.input(0), m, x.rank(), outputs);
    }
    Graph edited = edit.apply();
    outputs.addAll(edited.outputs());
    return new Graph(
        edited.name(),
        inputs,
        outputs,
        edited.nodes(),
        edited.constants(),
        edited.types(),
        edited.opsets(),
        Map.of());
  }

  /** Differences from the known mean, so that squares lose nothing where it is large. */
  private void watch(
      GraphEdit edit, Norm norm, Value x, Value mean, int rank, List<Value> outputs) {
    long[] column = new long[rank];
    java.util.Arrays.fill(column, 1);
    column[1] = norm.channels();
    Value shape = edit.constant("", Constant.of(Tensor.of(column, rank)));
    Value centre = add(edit, "Reshape", Map.of(), "", mean, shape);
    Value d = add(edit, "Sub", Map.of(), "", x, centre);
    Value squared = add(edit, "Mul", Map.of(), "", d, d);
    outputs.add(average(edit, d, rank, norm.shift()));
    outputs.add(average(edit, squared, rank, norm.square()));
  }

  private Value average(GraphEdit edit, Value x, int rank, String name) {
    long[] axes = LongStream.range(0, rank).filter(axis -> axis != 1).toArray();
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    attributes.put("keepdims", new Attribute.IntAttr(0));
    if (graph.opset("") >= AXES_ARE_AN_INPUT) {
      Value given = edit.constant("", Constant.of(Tensor.of(axes, axes.length)));
      return add(edit, "ReduceMean", attributes, name, x, given);
    }
    attributes.put("axes", new Attribute.IntsAttr(LongStream.of(axes).boxed().toList()));
    return add(edit, "ReduceMean", attributes, name, x);
  }

  private Value add(
      GraphEdit edit,
      String type,
      Map<String, Attribute> attributes,
      String name,
      Value... inputs) {
    Value output = edit.value(name, ValueType.UNKNOWN);
    edit.add(
        new Node(
            edit.freshId(),
            "",
            new OpKey("", type, graph.opset("")),
            List.of(inputs),
            List.of(output),
            attributes));
    return output;
  }

  private Map<String, Tensor> known() {
    Map<String, Tensor> known = new LinkedHashMap<>();
    for (Norm norm : norms) {
      known.put(norm.mean(), graph.constant(norm.node().input(3)).orElseThrow().load());
      known.put(norm.variance(), graph.constant(norm.node().input(4)).orElseThrow().load());
    }
    return known;
  }

  private void measure(
      Norm norm,
      Executable probe,
      Iterable<Map<String, Tensor>> samples,
      Map<String, Tensor> known) {
    int channels = Math.toIntExact(norm.channels());
    double[] shift = new double[channels];
    double[] square = new double[channels];
    int count = 0;
    for (Map<String, Tensor> sample : samples) {
      Map<String, Tensor> call = new LinkedHashMap<>(sample);
      call.putAll(known);
      Map<String, Tensor> seen = probe.run(call);
      Tensor s = Objects.requireNonNull(seen.get(norm.shift()));
      Tensor q = Objects.requireNonNull(seen.get(norm.square()));
      for (int c = 0; c < channels; c++) {
        shift[c] += s.getDouble(c);
        square[c] += q.getDouble(c);
      }
      count++;
    }
    Tensor before = Objects.requireNonNull(known.get(norm.mean()));
    Tensor spread = Objects.requireNonNull(known.get(norm.variance()));
    Tensor mean = Tensor.zeros(DType.F32, channels);
    Tensor variance = Tensor.zeros(DType.F32, channels);
    if (count == 0) {
      throw new TersorException("TSR-0433", "there are no samples to measure norms on");
    }
    int still = 0;
    double moved = 0;
    double widest = 0;
    double narrowest = Double.POSITIVE_INFINITY;
    for (int c = 0; c < channels; c++) {
      double by = shift[c] / count;
      double now = Math.max(0, square[c] / count - by * by);
      double was = spread.getDouble(c);
      if (now < was * STILL) {
        mean.floats()[c] = before.floats()[c];
        variance.floats()[c] = spread.floats()[c];
        still++;
        continue;
      }
      mean.floats()[c] = (float) (before.getDouble(c) + by);
      variance.floats()[c] = (float) now;
      moved = Math.max(moved, Math.abs(by) / Math.sqrt(Math.max(was, 1e-12)));
      widest = Math.max(widest, now / Math.max(was, 1e-12));
      narrowest = Math.min(narrowest, now / Math.max(was, 1e-12));
    }
    known.put(norm.mean(), mean);
    known.put(norm.variance(), variance);
    reports.add(
        String.format(
            Locale.ROOT,
            "%s: means move by at most %.3f deviations, variances become %.3f to %.3f of what they"
                + " were, on %d samples%s",
            norm.node().label(),
            moved,
            Math.min(narrowest, widest),
            widest,
            count,
            still == 0
                ? ""
                : "; "
                    + still
                    + " of "
                    + channels
                    + " channels keep theirs: the samples do not move them"));
  }

  private Graph with(Graph model, Map<String, Tensor> known) {
    Map<Integer, Norm> byId = new LinkedHashMap<>();
    norms.forEach(norm -> byId.put(norm.node().id(), norm));
    GraphEdit edit = new GraphEdit(model);
    for (Node node : model.nodes()) {
      Optional<Norm> norm = Optional.ofNullable(byId.get(node.id()));
      if (norm.isPresent()) {
        List<Value> inputs = new ArrayList<>(node.inputs());
        inputs.set(3, statistic(edit, known, norm.get().mean()));
        inputs.set(4, statistic(edit, known, norm.get().variance()));
        edit.replace(node, List.of(node.withInputs(inputs)));
      }
    }
    return edit.isEmpty() ? model : edit.apply();
  }

  private static Value statistic(GraphEdit edit, Map<String, Tensor> known, String name) {
    return edit.constant("", Constant.of(Objects.requireNonNull(known.get(name))));
  }
}
