package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.CalibrationCache;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.Diagnostician;
import org.tersor.passes.quant.Keep;
import org.tersor.passes.quant.OutputNoise;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.RepairGoal;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Layers inside of If, Loop and Scan are quantized as those outside are: by what reaches them
 * there. Both branches have layers of the same names and share a weight of the graph around them;
 * the loop's body has a choice of its own.
 */
class QuantizedBodiesTest {
  private static final int WIDTH = 8;
  private static final int TRIPS = 3;
  private static final Map<String, Integer> OPSET = Map.of("", 17);
  private static final String THEN = "choose.then_branch/";
  private static final String ELSE = "choose.else_branch/";
  private static final String LOOP = "again.body/";
  private static final String INNER = "again.body/inner.then_branch/";
  private static final String SCAN = "scan.body/";
  private static final Set<String> LAYERS =
      Set.of(
          THEN + "one",
          THEN + "two",
          ELSE + "one",
          ELSE + "two",
          LOOP + "step",
          INNER + "deep",
          SCAN + "in",
          SCAN + "rec",
          "head");

  @TempDir Path folder;

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Random random = new Random(7);
  private final Tensor stepWeight = normal(0.5, WIDTH, WIDTH);
  private final Graph model = graph();
  private final Graph base = quantizer.base(model, compile);
  private final List<Map<String, Tensor>> samples =
      List.of(sample(true), sample(false), sample(true), sample(false));

  private Tensor normal(double size, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (size * random.nextGaussian());
    }
    return tensor;
  }

  private Map<String, Tensor> sample(boolean then) {
    Tensor condition = Tensor.zeros(DType.BOOL);
    condition.setLong(0, then ? 1 : 0);
    return Map.of("x", normal(1, 2, WIDTH), "c", condition, "seq", normal(1, 4, 2, WIDTH));
  }

  private static Value node(GraphBuilder b, String name, String type, Value... inputs) {
    Value output = b.value(name + "_out", ValueType.UNKNOWN);
    b.addNode(name, "", type, Map.of(), List.of(inputs), List.of(output));
    return output;
  }

  private Value layer(GraphBuilder b, String name, Value x) {
    return node(
        b, name, "MatMul", x, b.constant(name + "_w", Constant.of(normal(.4, WIDTH, WIDTH))));
  }

  private static Attribute body(GraphBuilder b, String name) {
    return new Attribute.GraphAttr(b.build(name, Map.of()));
  }

  private Graph graph() {
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", TensorType.of(DType.F32, 2, WIDTH));
    Value c = b.input("c", TensorType.of(DType.BOOL));
    Value sequence = b.input("seq", TensorType.of(DType.F32, 4, 2, WIDTH));
    Value shared = b.constant("shared", Constant.of(normal(.4, WIDTH, WIDTH)));
    GraphBuilder then = new GraphBuilder(OPSET, 100);
    then.output(
        node(then, "two", "MatMul", node(then, "relu", "Relu", layer(then, "one", x)), shared));
    GraphBuilder otherwise = new GraphBuilder(OPSET, 200);
    Value tanh = node(otherwise, "tanh", "Tanh", layer(otherwise, "one", x));
    otherwise.output(node(otherwise, "two", "MatMul", tanh, shared));
    Value chosen = b.value("chosen", ValueType.UNKNOWN);
    b.addNode(
        "choose",
        "",
        "If",
        Map.of("then_branch", body(then, "then"), "else_branch", body(otherwise, "else")),
        List.of(c),
        List.of(chosen));
    Value looped = b.value("looped", ValueType.UNKNOWN);
    b.addNode(
        "again",
        "",
        "Loop",
        Map.of("body", loop()),
        List.of(b.constant(Tensor.of(new long[] {TRIPS})), Value.NONE, chosen),
        List.of(looped));
    Value last = b.value("last", ValueType.UNKNOWN);
    Value all = b.value("all", ValueType.UNKNOWN);
    b.addNode(
        "scan",
        "",
        "Scan",
        Map.of("body", scan(), "num_scan_inputs", new Attribute.IntAttr(1)),
        List.of(looped, sequence),
        List.of(last, all));
    b.output(
        node(b, "head", "MatMul", all, b.constant("head_w", Constant.of(normal(.4, WIDTH, 4)))));
    return b.build("bodies", Map.of());
  }

  private Attribute loop() {
    GraphBuilder b = new GraphBuilder(OPSET, 300);
    b.input("i", TensorType.of(DType.I64));
    Value on = b.input("on", TensorType.of(DType.BOOL));
    Value state = b.input("state", TensorType.of(DType.F32, 2, WIDTH));
    Value weight = b.constant("step_w", Constant.of(stepWeight));
    Value next = node(b, "squash", "Tanh", node(b, "step", "MatMul", state, weight));
    GraphBuilder then = new GraphBuilder(OPSET, 400);
    then.output(layer(then, "deep", next));
    GraphBuilder otherwise = new GraphBuilder(OPSET, 500);
    otherwise.output(node(otherwise, "minus", "Neg", next));
    Value sum = b.add("ReduceSum", Map.of("keepdims", new Attribute.IntAttr(0)), next);
    Value inner = b.value("inner_out", ValueType.UNKNOWN);
    b.addNode(
        "inner",
        "",
        "If",
        Map.of("then_branch", body(then, "then"), "else_branch", body(otherwise, "else")),
        List.of(b.add("Less", sum, b.scalar(0))),
        List.of(inner));
    b.output(node(b, "stay", "Identity", on));
    b.output(inner);
    return body(b, "body");
  }

  private Attribute scan() {
    GraphBuilder b = new GraphBuilder(OPSET, 600);
    Value h = b.input("h", TensorType.of(DType.F32, 2, WIDTH));
    Value slice = b.input("slice", TensorType.of(DType.F32, 2, WIDTH));
    Value sum = node(b, "plus", "Add", layer(b, "in", slice), layer(b, "rec", h));
    Value next = node(b, "squash", "Tanh", sum);
    b.output(next);
    b.output(node(b, "copy", "Identity", next));
    return body(b, "body");
  }

  private Quantizer.Options options() {
    return quantizer.options("int8", new Calibrator.MinMax(), "interpreter", compile);
  }

  private Tensor output(Graph graph, String backend, Map<String, Tensor> sample) {
    return compiler.link(graph, backend, compile).run(sample).values().iterator().next();
  }

  private double decibels(Graph coded) {
    OutputNoise noise = new OutputNoise();
    samples.forEach(
        s -> noise.add(output(base, "interpreter", s), output(coded, "interpreter", s)));
    return noise.sqnr();
  }

  @Test
  void everyLayerHasANameOfItsOwnAndComputesWithIntegers() {
    Quantizer.Quantized quantized = quantizer.quantize(model, samples, options());
    assertEquals(LAYERS, quantized.plan().weights().keySet());
    List<Quantizer.Layer> layers = quantizer.layers(quantized, compile);
    // What a branch ends with leaves it as floats, as at the end of a model.
    Set<String> ends = Set.of(THEN + "two", ELSE + "two", INNER + "deep", "head");
    for (Quantizer.Layer layer : layers) {
      assertEquals(ends.contains(layer.node()), layer.kernel().isEmpty(), layer::toString);
      assertEquals(
          ends.contains(layer.node()) ? "its result leaves the model as floats" : "", layer.why());
    }
    assertTrue(decibels(quantized.graph()) > 20, () -> "" + decibels(quantized.graph()));
    Set<String> measured =
        quantizer.errors(quantized, samples, options()).stream()
            .map(Quantizer.LayerError::node)
            .collect(Collectors.toSet());
    assertEquals(LAYERS, measured);
  }

  /** What a loop carries is calibrated over all iterations, not over the first alone. */
  @Test
  void aLoopIsCalibratedInEveryIteration() {
    Quantizer.Decisions decisions = quantizer.decide(base, samples, options());
    QuantPlan.Activation seen =
        Objects.requireNonNull(decisions.plan().activations().get(LOOP + "state"));
    double low = 0;
    double high = 0;
    double first = 0;
    for (Map<String, Tensor> sample : samples) {
      Tensor state = part(sample, "chosen", Map.of());
      for (int trip = 0; trip < TRIPS; trip++) {
        for (int i = 0; i < state.size(); i++) {
          low = Math.min(low, state.getDouble(i));
          high = Math.max(high, state.getDouble(i));
          first = trip == 0 ? Math.max(first, Math.abs(state.getDouble(i))) : first;
        }
        state = part(sample, "looped", Map.of("again", trip + 1L));
      }
    }
    double scale = Objects.requireNonNull(seen.parameters().get("scale"));
    assertEquals((high - low) / 255, scale, 1e-5 * scale, first + " in the first iteration");
  }

  /** A value of the float model, with other trip counts of loops. */
  private Tensor part(Map<String, Tensor> sample, String value, Map<String, Long> trips) {
    List<Node> nodes = new ArrayList<>();
    Map<Value, Constant> constants = new java.util.LinkedHashMap<>(base.constants());
    Value found = Value.NONE;
    for (Node node : base.nodes()) {
      Long count = trips.get(node.name());
      if (count != null) {
        constants.put(node.input(0), Constant.of(Tensor.of(new long[] {count})));
      }
      nodes.add(node);
      for (Value output : node.outputs()) {
        found = output.name().equals(value) ? output : found;
      }
    }
    Graph cut =
        new Graph(
            "part",
            base.inputs(),
            List.of(found),
            nodes,
            constants,
            base.types(),
            base.opsets(),
            Map.of());
    return output(cut, "interpreter", sample);
  }

  @Test
  void integersGiveWhatTheQuantizersSayOnEveryBackendAndInOnnxRuntime() throws IOException {
    Quantizer.Quantized quantized = quantizer.quantize(model, samples, options());
    Path file = folder.resolve("bodies.onnx");
    compiler.write(compiler.exportable(quantized.graph(), compile), file, Map.of());
    Graph again = compiler.prepare(compiler.read(file, Map.of()), compile);
    try (Reference reference = new OrtWorker();
        Reference.Session session = reference.open(file, Reference.Options.DEFAULT)) {
      for (Map<String, Tensor> sample : samples) {
        Tensor codes = output(quantized.graph(), "interpreter", sample);
        double largest = 0;
        for (int i = 0; i < codes.size(); i++) {
          largest = Math.max(largest, Math.abs(codes.getDouble(i)));
        }
        // A code that lies between two may round to the other one: a step somewhere on the way.
        double step = 2 * largest / 255;
        near(codes, output(quantized.graph(), "jvm", sample), step, "jvm");
        near(codes, output(again, "jvm", sample), step, "read again");
        near(codes, (Tensor) session.run(sample).values().iterator().next(), step, "ONNX Runtime");
      }
    }
  }

  /** Codes of 4 bits need another opset, in bodies as outside. */
  @Test
  void weightsOfFourBitsAreExported() throws IOException {
    Quantizer.Options four =
        new Quantizer.Options(
            "s4_symmetric_channel_restricted",
            Optional.empty(),
            new Calibrator.MinMax(),
            "interpreter",
            compile);
    Quantizer.Quantized quantized = quantizer.quantize(model, List.of(), four);
    assertEquals(LAYERS, quantized.plan().weights().keySet());
    Path file = folder.resolve("four.onnx");
    compiler.write(compiler.exportable(quantized.graph(), compile), file, Map.of());
    // With its graph optimizations the results are 0.003 apart: they may compute such products
    // with rounded activations, which is another function.
    Reference.Options exact = new Reference.Options(Reference.Optimization.NONE, 1);
    try (Reference reference = new OrtWorker();
        Reference.Session session = reference.open(file, exact)) {
      for (Map<String, Tensor> sample : samples) {
        near(
            output(quantized.graph(), "interpreter", sample),
            (Tensor) session.run(sample).values().iterator().next(),
            1e-5,
            "ONNX Runtime");
      }
    }
  }

  private static void near(Tensor expected, Tensor actual, double step, String where) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.getDouble(i), actual.getDouble(i), step, where);
    }
  }

  /** The codes are those of the plan in the file, each once, in the bodies where they are used. */
  @Test
  void aPlanIsReplayedAndItsCodesArriveUnchanged() {
    Quantizer.Decisions decisions =
        quantizer.decide(
            base, samples, options().with(WeightMethod.parse("gptq"), new ChannelFactors.None()));
    assertEquals(LAYERS, decisions.plan().choices().keySet());
    QuantPlan read = QuantPlan.parse(decisions.plan().text());
    assertEquals(decisions.plan(), read);
    Quantizer.Decisions kept =
        new Quantizer.Decisions(read, decisions.codes(), Map.of(), List.of());
    Graph coded = quantizer.apply(quantizer.base(model, compile), kept, compile);
    Path file = folder.resolve("gptq.onnx");
    compiler.write(compiler.exportable(coded, compile), file, Map.of());
    Map<String, Integer> planned = new TreeMap<>();
    decisions
        .plan()
        .choices()
        .values()
        .forEach(choice -> planned.merge(choice.sha256(), 1, Integer::sum));
    Map<String, Integer> found = new TreeMap<>();
    codes(compiler.read(file, Map.of()), found);
    assertEquals(planned, found);
    TersorException missing =
        assertThrows(TersorException.class, () -> quantizer.apply(base, read, compile));
    assertEquals("TSR-0420", missing.code());
    assertTrue(String.valueOf(missing.getMessage()).contains("/"), missing::getMessage);
  }

  private static void codes(Graph graph, Map<String, Integer> found) {
    for (Node node : graph.nodes()) {
      Graph.bodies(node).forEach(body -> codes(body, found));
      if (node.op().is("DequantizeLinear")
          && graph.constant(node.input(0)).filter(c -> c.dtype() == DType.I8).isPresent()) {
        found.merge(QuantizationMethodsTest.checksum(graph, node), 1, Integer::sum);
      }
    }
  }

  @Test
  void aMethodThatLooksAtInputsSeesThoseOfTheBody() {
    Quantizer.Options four =
        quantizer
            .options(
                "s4_symmetric_channel_restricted", new Calibrator.MinMax(), "interpreter", compile)
            .with(WeightMethod.parse("gptq"), new ChannelFactors.None());
    Quantizer.Decisions decisions = quantizer.decide(base, samples, four);
    for (String layer : LAYERS) {
      List<String> told =
          decisions.reports().stream().filter(r -> r.startsWith(layer + ": s4")).toList();
      assertEquals(1, told.size(), layer);
      assertTrue(told.getFirst().contains("squared error of results"), told::toString);
    }
  }

  /** A branch that no sample takes has no ranges: its weights are coded, nothing is invented. */
  @Test
  void aBranchThatNoSampleTakesKeepsFloatActivations() {
    List<Map<String, Tensor>> one = samples.stream().filter(s -> isThen(s)).toList();
    Quantizer.Decisions decisions = quantizer.decide(base, one, options());
    assertEquals(LAYERS, decisions.plan().weights().keySet());
    Set<String> activations = decisions.plan().activations().keySet();
    assertTrue(activations.stream().anyMatch(n -> n.startsWith(THEN)), activations::toString);
    assertFalse(activations.stream().anyMatch(n -> n.startsWith(ELSE)), activations::toString);
    assertEquals(
        1,
        decisions.reports().stream()
            .filter(r -> r.startsWith(ELSE) && r.contains("no calibration sample reaches it"))
            .count(),
        decisions.reports()::toString);
  }

  private static boolean isThen(Map<String, Tensor> sample) {
    return Objects.requireNonNull(sample.get("c")).getLong(0) != 0;
  }

  @Test
  void dynamicGridsAndKeptLayersReachIntoBodies() {
    Quantizer.Options dynamic =
        new Quantizer.Options(
                options().weights(),
                Optional.of("dynamic_u8_tensor"),
                new Calibrator.MinMax(),
                "interpreter",
                compile)
            .keeping(Keep.parse(List.of("name:" + INNER + "deep", "^scan")));
    Quantizer.Quantized quantized = quantizer.quantize(model, List.of(), dynamic);
    Set<String> left = new TreeSet<>(LAYERS);
    left.removeAll(Set.of(INNER + "deep", SCAN + "in", SCAN + "rec"));
    assertEquals(left, quantized.plan().weights().keySet());
    assertTrue(decibels(quantized.graph()) > 20, () -> "" + decibels(quantized.graph()));
  }

  @Test
  void biasesAndFactorsOfBodiesAreInThePlan() {
    Quantizer.Decisions decisions =
        quantizer.decide(
            base,
            samples,
            options().with(WeightMethod.parse("rtn"), ChannelFactors.parse("smooth:0.5")));
    Graph equal = quantizer.equalized(base, decisions);
    for (Map<String, Tensor> sample : samples) {
      near(
          output(base, "interpreter", sample),
          output(equal, "interpreter", sample),
          1e-5,
          "factors leave the float model as it is");
    }
    Quantizer.Decisions corrected =
        quantizer.corrected(base, decisions, samples, "fast", options());
    assertTrue(
        corrected.reports().stream().anyMatch(r -> r.startsWith(THEN) && r.contains("bias")),
        corrected.reports()::toString);
  }

  /** What was seen in bodies is kept apart, and joined as one stream would have seen it. */
  @Test
  void shardsOfCalibrationJoinInBodiesToo() {
    List<CalibrationCache> seen = new ArrayList<>();
    Quantizer.Decisions whole =
        quantizer.decide(base, samples, options(), Optional.empty(), seen::add);
    quantizer.decide(base, samples.subList(0, 2), options(), Optional.empty(), seen::add);
    CalibrationCache half = CalibrationCache.parse(seen.get(1).text());
    assertEquals(seen.get(1).text(), half.text());
    Quantizer.Decisions resumed =
        quantizer.decide(base, samples.subList(2, 4), options(), Optional.of(half), seen::add);
    assertEquals(whole.plan().text(), resumed.plan().text());
    assertEquals(seen.get(0).text(), seen.get(2).text());
    Quantizer.Decisions without =
        quantizer.decide(base, List.of(), options(), Optional.of(seen.get(2)), c -> {});
    assertEquals(whole.plan().activations(), without.plan().activations());
  }

  /** Codes in bodies cost the model's outputs like others: repair takes the worst of them away. */
  @Test
  void aRepairSwitchesQuantizersInBodies() {
    Quantizer.Decisions whole = quantizer.decide(base, samples, options());
    Set<String> all = whole.plan().activations().keySet();
    double before = decibels(quantizer.apply(base, whole, compile));
    int[] measured = {0};
    Quantizer.Decisions repaired =
        quantizer.repaired(
            base,
            whole,
            samples,
            RepairGoal.parse("sqnr=" + (before + 1.5)),
            options(),
            () -> measured[0]++);
    Set<String> left = new TreeSet<>(all);
    left.removeAll(repaired.plan().activations().keySet());
    assertTrue(left.stream().anyMatch(name -> name.contains("/")), left::toString);
    assertTrue(left.size() < all.size(), left::toString);
    double after = decibels(quantizer.apply(base, repaired, compile));
    assertTrue(after >= before + 1.4, () -> before + " dB, then " + after);
    String last = repaired.reports().getLast();
    assertTrue(last.contains(left.size() + " of " + measured[0] + " activations"), last);
    for (String body : List.of(THEN, ELSE, LOOP, INNER, SCAN)) {
      assertTrue(all.stream().anyMatch(name -> name.startsWith(body)), body);
    }
    assertTrue(measured[0] > 5, measured[0] + " are measured");
  }

  /** A report judges layers in bodies by calls that reach them, and draws them. */
  @Test
  void aReportSeesLayersInBodies() {
    Quantizer.Quantized quantized = quantizer.quantize(model, samples, options());
    List<Quantizer.LayerError> errors = quantizer.errors(quantized, samples, options());
    Diagnosis diagnosis =
        new Diagnostician(compiler, quantized, "interpreter", compile).diagnose(samples, errors);
    assertEquals(
        LAYERS, diagnosis.layers().stream().map(Diagnosis.Layer::node).collect(Collectors.toSet()));
    for (Diagnosis.Layer layer : diagnosis.layers()) {
      assertTrue(layer.isolated() > 20 && layer.isolated() < 80, layer::toString);
      assertTrue(layer.accumulated().isPresent(), layer::node);
    }
    List<Diagnosis.Box> boxes = diagnosis.boxes();
    for (int i = 0; i < boxes.size(); i++) {
      for (int from : boxes.get(i).from()) {
        assertTrue(from < i, boxes.get(i)::toString);
        assertEquals(path(boxes.get(from).name()), path(boxes.get(i).name()));
      }
    }
    assertEquals(samples.size(), diagnosis.samples().size());
  }

  /** A branch that the given dimensions contradict: ONNX Runtime takes the file all the same. */
  @Test
  void aBranchThatNoCallCanTakeIsExported() throws IOException {
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.of(2), DimExpr.symbol("n"))));
    Value c = b.input("c", TensorType.of(DType.BOOL));
    GraphBuilder then = new GraphBuilder(OPSET, 100);
    then.output(node(then, "relu", "Relu", layer(then, "one", x)));
    GraphBuilder otherwise = new GraphBuilder(OPSET, 200);
    Value narrow = otherwise.constant("narrow", Constant.of(normal(.4, WIDTH - 3, WIDTH)));
    otherwise.output(node(otherwise, "one", "MatMul", x, narrow));
    Value chosen = b.value("chosen", ValueType.UNKNOWN);
    b.addNode(
        "choose",
        "",
        "If",
        Map.of("then_branch", body(then, "then"), "else_branch", body(otherwise, "else")),
        List.of(c),
        List.of(chosen));
    b.output(chosen);
    CompileOptions bound = compile.withDims(Map.of("n", (long) WIDTH));
    Quantizer.Quantized quantized =
        quantizer.quantize(
            b.build("contradiction", Map.of()),
            samples,
            quantizer.options("int8", new Calibrator.MinMax(), "interpreter", bound));
    assertEquals(Set.of(THEN + "one"), quantized.plan().weights().keySet());
    Path file = folder.resolve("contradiction.onnx");
    compiler.write(compiler.exportable(quantized.graph(), bound), file, Map.of());
    Graph read = compiler.read(file, Map.of());
    assertEquals(
        TensorType.of(DType.F32, List.of(DimExpr.symbol("x_0"), DimExpr.symbol("x_1"))),
        read.type(read.inputs().getFirst()));
    Map<String, Tensor> sample = new TreeMap<>(samples.getFirst());
    sample.remove("seq");
    try (Reference reference = new OrtWorker();
        Reference.Session session = reference.open(file, Reference.Options.DEFAULT)) {
      near(
          output(quantized.graph(), "interpreter", sample),
          (Tensor) session.run(sample).values().iterator().next(),
          1e-5,
          "ONNX Runtime");
    }
  }

  private static String path(String name) {
    return name.substring(0, name.lastIndexOf('/') + 1);
  }
}
