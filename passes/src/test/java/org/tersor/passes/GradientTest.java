package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.eval.Evaluator;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Gradients against differences of the evaluated function. */
class GradientTest {
  private static final String DOMAIN = "ai.onnx.preview.training";
  private static final OpRegistry OPERATORS = OpRegistry.standard();

  /** Nodes between inputs x0, x1, ... and a value. */
  interface Function {
    Value of(GraphBuilder b, List<Value> x);
  }

  private static Graph graph(Function function, boolean derive, long[]... shapes) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17, DOMAIN, 1), 0);
    List<Value> x = new ArrayList<>();
    List<String> names = new ArrayList<>();
    for (int i = 0; i < shapes.length; i++) {
      names.add("x" + i);
      x.add(b.input("x" + i, TensorType.of(DType.F64, DimExpr.list(shapes[i]))));
    }
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("", "Identity", Map.of(), List.of(function.of(b, x)), List.of(y));
    if (!derive) {
      b.output(y);
    } else {
      List<Value> gradients = new ArrayList<>();
      for (Value each : x) {
        gradients.add(b.value("d" + each.name(), ValueType.UNKNOWN));
      }
      b.addNode(
          DOMAIN,
          "Gradient",
          Map.of("xs", new Attribute.StringsAttr(names), "y", new Attribute.StringAttr("y")),
          x,
          gradients);
      gradients.forEach(b::output);
    }
    return TypeInference.infer(b.build("test", Map.of()), OPERATORS, note -> {}).graph();
  }

  private static double sum(List<Tensor> outputs) {
    double sum = 0;
    for (int i = 0; i < outputs.getFirst().size(); i++) {
      sum += outputs.getFirst().getDouble(i);
    }
    return sum;
  }

  private static List<Tensor> run(Graph graph, List<Tensor> inputs) {
    return new Evaluator(graph, OPERATORS).run(inputs);
  }

  static void check(Function function, long[]... shapes) {
    Random random = new Random(7);
    List<Tensor> inputs = new ArrayList<>();
    for (long[] shape : shapes) {
      Tensor x = Tensor.zeros(DType.F64, shape);
      for (int i = 0; i < x.size(); i++) {
        x.setDouble(i, 0.2 + random.nextDouble() * 0.6);
      }
      inputs.add(x);
    }
    Graph plain = graph(function, false, shapes);
    List<Tensor> gradients = run(graph(function, true, shapes), inputs);
    double step = 1e-6;
    for (int i = 0; i < inputs.size(); i++) {
      Tensor x = inputs.get(i);
      assertEquals(x.size(), gradients.get(i).size());
      for (int e = 0; e < x.size(); e++) {
        double at = x.getDouble(e);
        x.setDouble(e, at + step);
        double above = sum(run(plain, inputs));
        x.setDouble(e, at - step);
        double below = sum(run(plain, inputs));
        x.setDouble(e, at);
        assertEquals((above - below) / (2 * step), gradients.get(i).getDouble(e), 1e-5);
      }
    }
  }

  private static final long[] MATRIX = {2, 3};

  private static Value node(
      GraphBuilder b, String type, Map<String, Attribute> attributes, Value... inputs) {
    return b.add("", type, attributes, inputs);
  }

  private static Attribute whole(long value) {
    return new Attribute.IntAttr(value);
  }

  @Test
  void generalProducts() {
    Map<String, Attribute> factors =
        Map.of("alpha", new Attribute.FloatAttr(1.5f), "beta", new Attribute.FloatAttr(-.5f));
    check(
        (b, x) -> node(b, "Gemm", factors, x.get(0), x.get(1), x.get(2)),
        MATRIX,
        new long[] {3, 4},
        new long[] {4});
    Map<String, Attribute> turned = Map.of("transA", whole(1), "transB", whole(1));
    // A square, so that the gradient is not the same everywhere.
    check(
        (b, x) -> {
          Value y = node(b, "Gemm", turned, x.get(0), x.get(1));
          return b.add("Mul", y, y);
        },
        new long[] {3, 2},
        new long[] {4, 3});
  }

  @Test
  void partsOfTensors() {
    check(
        (b, x) -> {
          Value y = node(b, "Concat", Map.of("axis", whole(1)), x.get(0), x.get(1), x.get(0));
          return b.add("Mul", y, y);
        },
        MATRIX,
        new long[] {2, 2});
    for (long axis = 0; axis < 3; axis++) {
      long own = axis;
      check(
          (b, x) -> {
            Value rows = b.constant(Tensor.of(new long[] {1, -1, 0, 1}, 2, 2));
            Value y = node(b, "Gather", Map.of("axis", whole(own)), x.get(0), rows);
            return b.add("Mul", y, y);
          },
          new long[] {2, 3, 2});
    }
  }

  @Test
  void movedElements() {
    check(
        (b, x) ->
            squared(
                b,
                b.add(
                    "Slice",
                    x.getFirst(),
                    b.longs(2, -1),
                    b.longs(0, -9),
                    b.longs(1, 2),
                    b.longs(-1, -2))),
        new long[] {2, 3, 4});
    check(
        (b, x) ->
            squared(
                b,
                node(
                    b,
                    "GatherElements",
                    Map.of("axis", whole(1)),
                    x.getFirst(),
                    b.constant(Tensor.of(new long[] {0, 0, -1, 1}, 2, 2)))),
        MATRIX);
    check(
        (b, x) ->
            squared(
                b,
                b.add(
                    "GatherND",
                    x.getFirst(),
                    b.constant(Tensor.of(new long[] {0, 1, 1, 0}, 4, 1)))),
        MATRIX);
    check((b, x) -> squared(b, b.add("Expand", x.getFirst(), b.longs(2, 2, 3))), new long[] {2, 1});
    check((b, x) -> squared(b, b.add("Tile", x.getFirst(), b.longs(2, 2))), MATRIX);
    check(
        (b, x) -> squared(b, node(b, "DepthToSpace", Map.of("blocksize", whole(2)), x.getFirst())),
        new long[] {1, 4, 2, 2});
    check(
        (b, x) ->
            squared(
                b,
                node(
                    b,
                    "MaxPool",
                    Map.of(
                        "kernel_shape", new Attribute.IntsAttr(List.of(2L, 2L)),
                        "pads", new Attribute.IntsAttr(List.of(1L, 0L, 0L, 1L))),
                    x.getFirst())),
        new long[] {2, 2, 3, 3});
  }

  /** The refusal says which derivatives there are. */
  @Test
  void refusalNamesWhatIsKnown() {
    TersorException refusal =
        assertThrows(
            TersorException.class,
            () -> check((b, x) -> b.add("Det", x.getFirst()), new long[] {2, 2}));
    assertEquals("TSR-0203", refusal.code());
    for (String name :
        List.of("Conv", "Gemm", "Gather", "LayerNormalization", "MaxPool", "Slice")) {
      assertTrue(String.valueOf(refusal.getMessage()).contains(name), refusal.getMessage());
    }
  }

  private static Value squared(GraphBuilder b, Value y) {
    return b.add("Mul", y, y);
  }

  @Test
  void normalizations() {
    Attribute epsilon = new Attribute.FloatAttr(.01f);
    Map<String, Attribute> axis = Map.of("axis", whole(1), "epsilon", epsilon);
    check(
        (b, x) -> squared(b, node(b, "LayerNormalization", axis, x.get(0), x.get(1), x.get(2))),
        new long[] {2, 3, 2},
        new long[] {3, 2},
        new long[] {3, 2});
    check(
        (b, x) -> {
          b.pin("", 23);
          Value y = node(b, "RMSNormalization", axis, x.get(0), x.get(1));
          b.pin("", 17);
          return squared(b, y);
        },
        new long[] {2, 3, 2},
        new long[] {3, 2});
    Map<String, Attribute> plain = Map.of("epsilon", epsilon);
    check(
        (b, x) -> squared(b, node(b, "InstanceNormalization", plain, x.get(0), x.get(1), x.get(2))),
        new long[] {2, 3, 4},
        new long[] {3},
        new long[] {3});
    long[] vector = {3};
    check(
        (b, x) -> squared(b, node(b, "BatchNormalization", plain, x.toArray(Value[]::new))),
        new long[] {2, 3, 2},
        vector,
        vector,
        vector,
        vector);
    Map<String, Attribute> training = Map.of("epsilon", epsilon, "training_mode", whole(1));
    check(
        (b, x) -> {
          Value mean = b.constant(Tensor.zeros(DType.F64, 3));
          return squared(
              b, node(b, "BatchNormalization", training, x.get(0), x.get(1), x.get(2), mean, mean));
        },
        new long[] {2, 3, 2},
        vector,
        vector);
  }

  @Test
  void convolutions() {
    check(
        (b, x) -> squared(b, node(b, "Conv", Map.of(), x.get(0), x.get(1), x.get(2))),
        new long[] {2, 2, 4, 3},
        new long[] {3, 2, 2, 2},
        new long[] {3});
    Map<String, Attribute> strided =
        Map.of(
            "strides", new Attribute.IntsAttr(List.of(2L)),
            "dilations", new Attribute.IntsAttr(List.of(2L)),
            "pads", new Attribute.IntsAttr(List.of(1L, 2L)),
            "group", whole(2));
    for (long extent : new long[] {5, 6}) {
      check(
          (b, x) -> squared(b, node(b, "Conv", strided, x.get(0), x.get(1))),
          new long[] {2, 4, extent},
          new long[] {4, 2, 2});
    }
    Map<String, Attribute> same = Map.of("auto_pad", new Attribute.StringAttr("SAME_UPPER"));
    check(
        (b, x) -> squared(b, node(b, "Conv", same, x.get(0), x.get(1))),
        new long[] {1, 2, 5},
        new long[] {2, 2, 2});
  }

  @TestFactory
  Stream<DynamicTest> elementwise() {
    return Stream.of(
            "Exp",
            "Log",
            "Sqrt",
            "Tanh",
            "Sigmoid",
            "Erf",
            "Sin",
            "Cos",
            "Tan",
            "Asin",
            "Acos",
            "Atan",
            "Sinh",
            "Cosh",
            "Asinh",
            "Atanh",
            "Softplus",
            "Softsign",
            "Elu",
            "LeakyRelu",
            "Abs",
            "Neg",
            "Reciprocal",
            "HardSwish",
            "Relu",
            "Softmax",
            "LogSoftmax",
            "Transpose")
        .map(type ->
            DynamicTest.dynamicTest(
                type,
                () ->
                    check(
                        (b, x) -> {
                          Value y = b.add(type, b.add("Sub", x.getFirst(), half(b)));
                          return b.add("Mul", y, y);
                        },
                        MATRIX)));
  }

  private static Value half(GraphBuilder b) {
    return b.constant(Tensor.of(new double[] {-0.05}));
  }

  @Test
  void broadcastOperands() {
    for (String type : new String[] {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"}) {
      check((b, x) -> b.add(type, x.get(0), x.get(1)), MATRIX, new long[] {3});
      check((b, x) -> b.add(type, x.get(0), x.get(1)), new long[] {2, 1}, new long[] {4, 1, 3});
    }
  }

  @Test
  void productsAndReductions() {
    check((b, x) -> b.add("MatMul", x.get(0), x.get(1)), MATRIX, new long[] {5, 3, 2});
    check(
        (b, x) -> {
          Value flat = b.add("Reshape", x.getFirst(), b.longs(3, 2));
          Value mean = b.add("ReduceMean", axes(-1, 0), flat);
          return b.add("Mul", mean, b.add("ReduceSum", flat, b.longs(0, 1)));
        },
        MATRIX);
  }

  @TestFactory
  Stream<DynamicTest> reductions() {
    return Stream.of(
            "Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")
        .flatMap(kind -> Stream.of(13, 18).map(opset -> reduction("Reduce" + kind, opset)));
  }

  private static DynamicTest reduction(String type, int opset) {
    return DynamicTest.dynamicTest(
        type + " " + opset,
        () -> {
          long[] shape = {2, 3, 2};
          for (long keep = 0; keep < 2; keep++) {
            Map<String, Attribute> some = axes(1, keep);
            Map<String, Attribute> all = Map.of("keepdims", whole(keep));
            boolean isInput = opset >= 18 || type.equals("ReduceSum");
            check(
                (b, x) -> {
                  b.pin("", opset);
                  Value y =
                      isInput
                          ? node(b, type, all, x.getFirst(), b.longs(1))
                          : node(b, type, some, x.getFirst());
                  Value z = node(b, type, all, x.getFirst());
                  b.pin("", 17);
                  return b.add("Mul", squared(b, y), z);
                },
                shape);
          }
        });
  }

  /** What differences do not show: equal extremes, zeros among factors, norms of nothing but 0. */
  @Test
  void reductionsAtKinks() {
    check("ReduceMax", new double[] {2, 1, 2}, new double[] {.5, 0, .5});
    check("ReduceMin", new double[] {2, 1, 3}, new double[] {0, 1, 0});
    check("ReduceProd", new double[] {2, 0, 3}, new double[] {0, 6, 0});
    check("ReduceProd", new double[] {0, 0, 3}, new double[] {0, 0, 0});
    check("ReduceL1", new double[] {-2, 0, 3}, new double[] {-1, 0, 1});
    check("ReduceL2", new double[] {0, 0, 0}, new double[] {0, 0, 0});
    check("ReduceL2", new double[] {3, 0, -4}, new double[] {.6, 0, -.8});
  }

  private static void check(String type, double[] x, double[] expected) {
    Graph graph = graph((b, in) -> b.add(type, in.getFirst()), true, new long[] {x.length});
    Tensor gradient = run(graph, List.of(Tensor.of(x, x.length))).getFirst();
    for (int i = 0; i < x.length; i++) {
      assertEquals(expected[i], gradient.getDouble(i), 1e-12, type + " " + i);
    }
  }

  private static Map<String, Attribute> axes(long axis, long keep) {
    return Map.of(
        "axes", new Attribute.IntsAttr(List.of(axis)), "keepdims", new Attribute.IntAttr(keep));
  }

  @Test
  void namesWhatHasNoDerivative() {
    TersorException missing =
        assertThrows(
            TersorException.class,
            () ->
                run(
                    graph((b, x) -> b.add("CumSum", x.getFirst(), b.longs(0)), true, MATRIX),
                    List.of(Tensor.zeros(DType.F64, MATRIX))));
    assertEquals("TSR-0203", missing.code());
    assertTrue(missing.getMessage().contains("CumSum"), missing.getMessage());
  }
}
