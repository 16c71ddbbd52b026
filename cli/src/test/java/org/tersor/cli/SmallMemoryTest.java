package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute.IntAttr;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** {@code --memory small}: weights that are codes in the model are codes in memory. */
class SmallMemoryTest {
  private static final Pattern HELD = Pattern.compile("held: .*, ([0-9.]+) times the weights");

  /** More rows than wait for memory, so that numbers made once at load would be faster. */
  private static final int ROWS = 40;

  private static final int K = 128;
  private static final int N = 96;

  private final Compiler compiler = Compiler.standard();

  private static Tensor codes(DType type, long... shape) {
    Random random = new Random(7);
    Tensor tensor = Tensor.zeros(type, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setLong(i, random.nextLong(type.minValue(), type.maxValue() + 1));
    }
    return tensor;
  }

  private static Tensor numbers(long... shape) {
    Random random = new Random(8);
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, random.nextDouble(.01, 1));
    }
    return tensor;
  }

  private static Value weight(GraphBuilder b, String name, Tensor tensor) {
    return b.constant(name, Constant.of(tensor));
  }

  /** Integers times integers, of a weight with or without zero points. */
  private static Graph integers(DType type, boolean zeros) {
    GraphBuilder b = new GraphBuilder(Map.of("", 21), 0);
    Value x = b.input("x", TensorType.of(DType.U8, new long[] {ROWS, K}));
    Value w = weight(b, "w", codes(type, K, N));
    Value zero = weight(b, "zero", Tensor.zeros(DType.U8));
    b.output(
        zeros
            ? b.add("MatMulInteger", x, w, zero, weight(b, "zeros", codes(type, N)))
            : b.add("MatMulInteger", x, w));
    return b.build("integers", Map.of());
  }

  /** Numbers times a weight in codes, one scale for each column. */
  private static Graph weightOnly() {
    GraphBuilder b = new GraphBuilder(Map.of("", 21), 0);
    Value x = b.input("x", TensorType.of(DType.F32, new long[] {ROWS, K}));
    Value w = weight(b, "w", codes(DType.I8, K, N));
    b.output(b.add("MatMul", x, b.add("DequantizeLinear", w, weight(b, "scales", numbers(N)))));
    return b.build("weights", Map.of());
  }

  /** A convolution of windows and one of points, whose weights alone are codes. */
  private static Graph convolutions() {
    GraphBuilder b = new GraphBuilder(Map.of("", 21), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 40, 13, 11));
    b.output(b.add("Conv", convolution(b, x, "w", 48, 40, 3), decoded(b, "v", 64, 48, 1)));
    return b.build("convolutions", Map.of());
  }

  private static Value convolution(
      GraphBuilder b, Value x, String name, int outputs, int inputs, int side) {
    return b.add("Relu", b.add("Conv", x, decoded(b, name, outputs, inputs, side)));
  }

  private static Value decoded(GraphBuilder b, String name, int outputs, int inputs, int side) {
    Value codes = weight(b, name, codes(DType.I8, outputs, inputs, side, side));
    Value scales = weight(b, name + "_scales", numbers(outputs));
    return b.add("DequantizeLinear", Map.of("axis", new IntAttr(0)), codes, scales);
  }

  private Executable compile(Graph graph, String backend, String memory) {
    Backends.assume(compiler, backend);
    return compiler.executable(
        compiler.prepare(graph, CompileOptions.defaults()),
        backend,
        CompileOptions.defaults().withSetting(Compiler.MEMORY, memory));
  }

  private static double factor(Executable executable) {
    Matcher held = HELD.matcher(executable.describe());
    assertTrue(held.find(), executable.describe());
    return Double.parseDouble(held.group(1));
  }

  /** Factors: what is held with {@code fast} and with {@code small}, divided by the weights. */
  static Stream<Arguments> integerModels() {
    return Stream.of(
        Arguments.of(DType.I8, false, 4.0, 1.0),
        Arguments.of(DType.U8, false, 4.0, 1.0),
        Arguments.of(DType.U8, true, 4.0, 2.0));
  }

  @ParameterizedTest
  @MethodSource("integerModels")
  void codesAreNotWidened(DType type, boolean zeros, double fast, double small) {
    Graph graph = integers(type, zeros);
    Executable wide = compile(graph, "jvm", "fast");
    Executable narrow = compile(graph, "jvm", "small");
    assertEquals(fast, factor(wide), .1);
    assertEquals(small, factor(narrow), .1);
    Map<String, Tensor> x = Map.of("x", codes(DType.U8, ROWS, K));
    assertEquals(wide.run(x), narrow.run(x));
    assertEquals(compile(graph, "interpreter", "small").run(x), narrow.run(x));
  }

  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void codesAreDecodedInEveryCall(String backend) {
    Executable wide = compile(weightOnly(), backend, "fast");
    Executable narrow = compile(weightOnly(), backend, "small");
    // Scales are weights, too, of four bytes each; a library's memory has decoded weights beside.
    assertTrue(factor(wide) >= (4.0 * K * N + 4 * N) / (K * N + 4 * N) - .1);
    assertEquals(1, factor(narrow), .1);
    Map<String, Tensor> x = Map.of("x", numbers(ROWS, K));
    Tensor expected = wide.run(x).values().iterator().next();
    Tensor actual = narrow.run(x).values().iterator().next();
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.getDouble(i), actual.getDouble(i), 1e-5 * K * 128);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void weightsOfConvolutionsStayCodes(String backend) {
    Executable wide = compile(convolutions(), backend, "fast");
    Executable narrow = compile(convolutions(), backend, "small");
    assertTrue(factor(wide) > 2.5, wide.describe());
    assertEquals(1, factor(narrow), .1, narrow.describe());
    Map<String, Tensor> x = Map.of("x", numbers(1, 40, 13, 11));
    Tensor expected = wide.run(x).values().iterator().next();
    Tensor actual = narrow.run(x).values().iterator().next();
    double largest = 0;
    for (int i = 0; i < expected.size(); i++) {
      largest = Math.max(largest, Math.abs(expected.getDouble(i)));
    }
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.getDouble(i), actual.getDouble(i), 1e-5 * largest);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"tiny", ""})
  void otherWordsAreRefused(String word) {
    TersorException refused =
        assertThrows(TersorException.class, () -> compile(weightOnly(), "jvm", word));
    assertEquals("TSR-0608", refused.code());
    assertTrue(
        List.of("fast", "small").stream().allMatch(String.valueOf(refused.getMessage())::contains),
        refused.getMessage());
  }
}
