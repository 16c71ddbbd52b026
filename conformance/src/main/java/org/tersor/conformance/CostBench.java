package org.tersor.conformance;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.tersor.conformance.zoo.Zoo;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.CostTable;
import org.tersor.passes.quant.LayerTimes;
import org.tersor.passes.quant.LayerWork;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.Tensor;

/** Measures a {@link CostTable}: layers as they occur in networks, in float32 and in int8. */
public final class CostBench {
  /** Of the zoo: first layers, pointwise, 3 x 3, matrices times a vector, depthwise. */
  private static final List<String> LAYERS =
      List.of(
          "conv-3x64x64-16x3x3-s2-p1",
          "conv-16x56x56-16x1x1",
          "conv-64x28x28-64x1x1",
          "conv-256x7x7-256x1x1",
          "conv-16x56x56-16x3x3-p1",
          "conv-64x14x14-64x3x3-p1",
          "matmul-64x128x128",
          "matmul-1x64x64",
          "matmul-1x512x512",
          "conv-32x56x56-32x3x3-p1-g32",
          "conv-192x14x14-192x3x3-p1-g192");

  private CostBench() {}

  /** Layers that {@link #measure} times. */
  public static int steps() {
    return LAYERS.size();
  }

  /**
   * Measures on one thread.
   *
   * @param target of the backend
   * @param step called after each layer
   */
  public static CostTable measure(
      Compiler compiler, String backend, String target, CompileOptions options, Runnable step) {
    return measure(compiler, backend, target, options, LAYERS, step);
  }

  /** As before, of other layers of the zoo. */
  public static CostTable measure(
      Compiler compiler,
      String backend,
      String target,
      CompileOptions options,
      List<String> layers,
      Runnable step) {
    CompileOptions quiet =
        options.withTarget(target).withThreads(1).withNote(note -> {}).withDims(Map.of());
    Quantizer quantizer = new Quantizer(compiler);
    Quantizer.Options how = quantizer.options("int8", new Calibrator.MinMax(), backend, quiet);
    List<CostTable.Row> rows = new ArrayList<>();
    for (String name : layers) {
      Graph base = read(quantizer.base(Zoo.build(name, Zoo.Options.DEFAULT), quiet));
      Map<String, Tensor> sample = new LinkedHashMap<>();
      RandomInputs.draw(base, Ports.inputs(base), Map.of(), 1)
          .forEach((input, drawn) -> sample.put(input, drawn.tensor()));
      Map.Entry<Node, LayerWork> work =
          LayerWork.of(base, compiler.registry().operators()).entrySet().iterator().next();
      Node layer = work.getKey();
      LayerTimes times = new LayerTimes(compiler, base, how, sample);
      rows.add(
          new CostTable.Row(
              name,
              work.getValue(),
              times.nanos(List.of(layer)),
              times.nanos(List.of(layer), quantizer.decide(base, List.of(sample), how))));
      step.run();
    }
    return new CostTable(target, processor(), rows);
  }

  /** Something reads the layer's result, or it would not be quantized. */
  private static Graph read(Graph one) {
    Value result = one.outputs().getFirst();
    Value y = new Value(one.maxId() + 1, "y");
    Value inner = new Value(result.id(), "");
    List<Node> nodes = new ArrayList<>();
    for (Node node : one.nodes()) {
      nodes.add(
          new Node(
              node.id(),
              node.name(),
              node.op(),
              node.inputs(),
              node.outputs().stream().map(v -> v.equals(result) ? inner : v).toList(),
              node.attributes()));
    }
    nodes.add(
        new Node(
            one.maxId() + 2, "", new OpKey("", "Neg", 13), List.of(inner), List.of(y), Map.of()));
    Map<Value, ValueType> types = new LinkedHashMap<>(one.types());
    types.put(inner, one.type(result));
    types.put(y, one.type(result));
    return new Graph(
        one.name(),
        one.inputs(),
        List.of(y),
        nodes,
        one.constants(),
        types,
        one.opsets(),
        one.metadata());
  }

  /** What this machine calls its processor. */
  public static String processor() {
    Path file = Path.of("/proc/cpuinfo");
    if (Files.isReadable(file)) {
      try (Stream<String> lines = Files.lines(file)) {
        Optional<String> model =
            lines
                .filter(line -> line.startsWith("model name"))
                .map(line -> line.substring(line.indexOf(':') + 1).strip())
                .findFirst();
        if (model.isPresent()) {
          return model.get();
        }
      } catch (IOException e) {
        return System.getProperty("os.arch", "unknown");
      }
    }
    return System.getProperty("os.arch", "unknown");
  }
}
