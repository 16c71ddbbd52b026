package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Operators whose operands have sizes that an input tells, compiled and compared with evaluation.
 */
class DataSizesTest {
  private static final Compiler COMPILER = Compiler.standard();

  private static Tensor numbers(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, Math.sin(i + 1));
    }
    return tensor;
  }

  private static Value input(GraphBuilder b, String name, Tensor like) {
    return b.input(name, TensorType.of(like.dtype(), like.shape()));
  }

  private static void agrees(Graph graph, Map<String, Tensor> data) {
    Tensor expected = run(graph, "interpreter", data);
    Tensor actual = run(graph, "jvm", data);
    assertEquals(expected.toString(), actual.toString());
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.getDouble(i), actual.getDouble(i), 1e-5);
    }
  }

  private static Tensor run(Graph graph, String backend, Map<String, Tensor> data) {
    return COMPILER
        .executable(graph, backend, CompileOptions.defaults())
        .run(data)
        .values()
        .iterator()
        .next();
  }

  /** The weight tells the channels that the data's shape does not. */
  @Test
  void convTransposeOfUnknownChannels() {
    Tensor x = numbers(2, 2, 2, 3);
    Tensor sizes = Tensor.of(new long[] {2, 2, 4, 2}, 4);
    GraphBuilder b = new GraphBuilder(Map.of("", 22), 0);
    Value resized = b.add("Resize", input(b, "x", x), Value.NONE, Value.NONE, input(b, "s", sizes));
    b.output(
        b.add(
            "ConvTranspose",
            Map.of("dilations", new Attribute.IntsAttr(java.util.List.of(1L, 2L))),
            resized,
            b.constant("w", Constant.of(numbers(2, 6, 3, 2)))));
    agrees(b.build("g", Map.of()), Map.of("x", x, "s", sizes));
  }

  /** An extent of 0 stays 0, whether data ask for 0 or for 1. */
  @ParameterizedTest
  @ValueSource(longs = {0, 1})
  void expandOfNothing(long extent) {
    Tensor x = numbers(3, 0, 1);
    Tensor shape = Tensor.of(new long[] {1, extent, 2}, 3);
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value expanded = b.add("Expand", input(b, "x", x), input(b, "shape", shape));
    b.output(b.add("Abs", expanded));
    Map<String, Tensor> data = Map.of("x", x, "shape", shape);
    assertEquals(List.of(3L, 0L, 2L), dims(run(b.build("g", Map.of()), "jvm", data)));
    agrees(b.build("g", Map.of()), data);
    Map<String, Tensor> more = Map.of("x", x, "shape", Tensor.of(new long[] {1, 2, 2}, 3));
    for (String backend : new String[] {"interpreter", "jvm"}) {
      assertThrows(TersorException.class, () -> run(b.build("g", Map.of()), backend, more));
    }
  }

  /** A number of data may be negative where an extent may not: ranges and quotients of it. */
  @ParameterizedTest
  @ValueSource(longs = {-7, -3, -1, 0, 1, 7})
  void rangesOfNegativeNumbers(long limit) {
    Map<String, Tensor> data = Map.of("n", Tensor.of(new long[] {limit}));
    for (long start : new long[] {0, -3, 2}) {
      GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
      Value n = b.input("n", TensorType.of(DType.I64));
      Value half = b.add("Div", n, b.constant(Tensor.of(new long[] {2})));
      Value one = b.constant(Tensor.of(new long[] {1}));
      Value first = b.constant(Tensor.of(new long[] {start}));
      Value plain = b.add("Range", first, n, one);
      Value halves = b.add("Range", b.constant(Tensor.of(new long[] {-4})), half, one);
      b.output(b.add("Concat", Map.of("axis", new Attribute.IntAttr(0)), plain, halves));
      agrees(b.build("g", Map.of()), data);
    }
  }

  private static List<Long> dims(Tensor tensor) {
    return Arrays.stream(tensor.shape()).boxed().toList();
  }

  /** Whether numbers are complex is not known before. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void transformOfUnknownParts(long parts) {
    Tensor shape = Tensor.of(new long[] {2, 5, parts}, 3);
    Tensor x = numbers(2, 5, parts);
    GraphBuilder b = new GraphBuilder(Map.of("", 20), 0);
    Value reshaped = b.add("Reshape", input(b, "x", x), input(b, "shape", shape));
    b.output(b.add("DFT", reshaped));
    Graph graph = b.build("g", Map.of());
    Map<String, Tensor> data = Map.of("x", x, "shape", shape);
    if (parts < 3) {
      agrees(graph, data);
    } else {
      for (String backend : new String[] {"interpreter", "jvm"}) {
        assertThrows(TersorException.class, () -> run(graph, backend, data));
      }
    }
  }

  /** Sums of exponentials of sums of exponentials are loops, or a method would be too large. */
  @Test
  void foldsOfFunctionsInOneKernel() {
    Tensor x = Tensor.zeros(DType.F64, 11, 2);
    for (int i = 0; i < x.size(); i++) {
      x.setDouble(i, Math.cos(i));
    }
    GraphBuilder b = new GraphBuilder(Map.of("", 16), 0);
    b.output(b.add("Shrink", b.add("ReduceLogSumExp", input(b, "x", x))));
    agrees(b.build("g", Map.of()), Map.of("x", x));
  }
}
