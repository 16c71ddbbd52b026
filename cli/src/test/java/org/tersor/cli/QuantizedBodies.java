package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.OutputNoise;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * A model with layers inside of If, Loop and Scan. Both branches have layers of the same names and
 * share a weight of the graph around them; the loop's body has a choice of its own.
 */
abstract class QuantizedBodies {
  static final int WIDTH = 8;
  static final int TRIPS = 3;
  static final Map<String, Integer> OPSET = Map.of("", 17);
  static final String THEN = "choose.then_branch/";
  static final String ELSE = "choose.else_branch/";
  static final String LOOP = "again.body/";
  static final String INNER = "again.body/inner.then_branch/";
  static final String SCAN = "scan.body/";
  static final Set<String> LAYERS =
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

  final Compiler compiler = Compiler.standard();
  final Quantizer quantizer = new Quantizer(compiler);
  final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  final Random random = new Random(7);
  final Tensor stepWeight = normal(0.5, WIDTH, WIDTH);
  final Graph model = graph();
  final Graph base = quantizer.base(model, compile);
  final List<Map<String, Tensor>> samples =
      List.of(sample(true), sample(false), sample(true), sample(false));

  Tensor normal(double size, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (size * random.nextGaussian());
    }
    return tensor;
  }

  Map<String, Tensor> sample(boolean then) {
    Tensor condition = Tensor.zeros(DType.BOOL);
    condition.setLong(0, then ? 1 : 0);
    return Map.of("x", normal(1, 2, WIDTH), "c", condition, "seq", normal(1, 4, 2, WIDTH));
  }

  static Value node(GraphBuilder b, String name, String type, Value... inputs) {
    Value output = b.value(name + "_out", ValueType.UNKNOWN);
    b.addNode(name, "", type, Map.of(), List.of(inputs), List.of(output));
    return output;
  }

  Value layer(GraphBuilder b, String name, Value x) {
    return node(
        b, name, "MatMul", x, b.constant(name + "_w", Constant.of(normal(.4, WIDTH, WIDTH))));
  }

  static Attribute body(GraphBuilder b, String name) {
    return new Attribute.GraphAttr(b.build(name, Map.of()));
  }

  Graph graph() {
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
    Value chosen =
        Choice.of(
            b,
            "choose",
            "chosen",
            c,
            then.build("then", Map.of()),
            otherwise.build("else", Map.of()));
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

  Attribute loop() {
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
    Value inner =
        Choice.of(
            b,
            "inner",
            "inner_out",
            b.add("Less", sum, b.scalar(0)),
            then.build("then", Map.of()),
            otherwise.build("else", Map.of()));
    b.output(node(b, "stay", "Identity", on));
    b.output(inner);
    return body(b, "body");
  }

  Attribute scan() {
    GraphBuilder b = new GraphBuilder(OPSET, 600);
    Value h = b.input("h", TensorType.of(DType.F32, 2, WIDTH));
    Value slice = b.input("slice", TensorType.of(DType.F32, 2, WIDTH));
    Value sum = node(b, "plus", "Add", layer(b, "in", slice), layer(b, "rec", h));
    Value next = node(b, "squash", "Tanh", sum);
    b.output(next);
    b.output(node(b, "copy", "Identity", next));
    return body(b, "body");
  }

  Quantizer.Options options() {
    return quantizer.options("int8", new Calibrator.MinMax(), "interpreter", compile);
  }

  Tensor output(Graph graph, String backend, Map<String, Tensor> sample) {
    return compiler.link(graph, backend, compile).run(sample).values().iterator().next();
  }

  double decibels(Graph coded) {
    OutputNoise noise = new OutputNoise();
    samples.forEach(
        s -> noise.add(output(base, "interpreter", s), output(coded, "interpreter", s)));
    return noise.sqnr();
  }

  static void near(Tensor expected, Tensor actual, double step, String where) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.getDouble(i), actual.getDouble(i), step, where);
    }
  }
}
