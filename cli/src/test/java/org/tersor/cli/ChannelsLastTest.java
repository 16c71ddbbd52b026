package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;

/** Networks of convolutions, whose values are stored channels last. */
class ChannelsLastTest {
  private static final Compiler COMPILER = Compiler.standard();

  /** Builds a graph with weights from one seed. */
  private static final class Net {
    private final GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    private final Random random = new Random(5);

    Value weights(long... shape) {
      float[] values = new float[Math.toIntExact(Tensor.count(shape))];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian() / 4;
      }
      return b.constant(Tensor.of(values, shape));
    }

    Value conv(Value x, long from, long to, long groups, long kernel, long stride, long pad) {
      Map<String, Attribute> attributes = new HashMap<>();
      attributes.put("group", new Attribute.IntAttr(groups));
      attributes.put("strides", new Attribute.IntsAttr(List.of(stride, stride)));
      attributes.put("pads", new Attribute.IntsAttr(List.of(pad, pad, pad, pad)));
      return b.add("Conv", attributes, x, weights(to, from / groups, kernel, kernel), weights(to));
    }

    Value pool(String type, Value x, long kernel, long stride, long pad) {
      return b.add(
          type,
          Map.of(
              "kernel_shape", new Attribute.IntsAttr(List.of(kernel, kernel)),
              "strides", new Attribute.IntsAttr(List.of(stride, stride)),
              "pads", new Attribute.IntsAttr(List.of(pad, pad, pad, pad))),
          x);
    }
  }

  /**
   * Stem, depthwise (stride 1 and 2), grouped and pointwise convolutions, a residual sum, a
   * concatenation, all kinds of pooling, a branch that leaves through a view, and an output that is
   * a convolution's own.
   */
  private static Graph network(DimExpr batch, DimExpr height) {
    Net net = new Net();
    GraphBuilder b = net.b;
    Value x =
        b.input(
            "x", TensorType.of(DType.F32, List.of(batch, DimExpr.of(3), height, DimExpr.of(13))));
    Value stem = b.add("Relu", net.conv(x, 3, 20, 1, 3, 2, 1));
    Value deep = b.add("Clip", net.conv(stem, 20, 20, 20, 3, 1, 1), b.scalar(-1), b.scalar(6));
    Value sum = b.add("Add", net.conv(deep, 20, 20, 1, 1, 1, 0), stem);
    Value grouped = net.conv(sum, 20, 36, 4, 3, 1, 1);
    Value joined = b.add("Concat", Map.of("axis", new Attribute.IntAttr(1)), grouped, sum);
    Value pooled = net.pool("MaxPool", joined, 3, 1, 1);
    Value mean = net.pool("AveragePool", pooled, 2, 1, 0);
    Value down = b.add("Sigmoid", net.conv(mean, 56, 56, 56, 5, 2, 2));
    Value map = net.conv(down, 56, 18, 1, 1, 1, 0);
    b.output(map);
    Value all = b.add("GlobalAveragePool", down);
    Value scaled = b.add("Mul", down, all);
    b.output(b.add("Flatten", scaled));
    return b.build("network", Map.of());
  }

  /**
   * Branches that a concatenation joins along an axis: convolutions of one tap and of nine (as
   * tiles), pooling of both kinds, one behind the other, and a value that others read as well.
   */
  private static Graph branches(DimExpr batch, DimExpr height, int axis, boolean viewed) {
    Net net = new Net();
    GraphBuilder b = net.b;
    Value x =
        b.input(
            "x", TensorType.of(DType.F32, List.of(batch, DimExpr.of(3), height, DimExpr.of(13))));
    Value stem = b.add("Relu", net.conv(x, 3, 32, 1, 3, 1, 1));
    Value joined =
        b.add(
            "Concat",
            Map.of("axis", new Attribute.IntAttr(axis)),
            b.add("Relu", net.conv(stem, 32, 32, 1, 1, 1, 0)),
            b.add("Relu", net.conv(stem, 32, 32, 1, 3, 1, 1)),
            net.pool("MaxPool", stem, 5, 1, 2),
            b.add("Sigmoid", net.conv(net.conv(stem, 32, 32, 32, 3, 1, 1), 32, 32, 1, 3, 1, 1)),
            net.pool("AveragePool", stem, 3, 1, 1),
            stem);
    long wide = axis == 1 ? 192 : 32;
    b.output(viewed ? b.add("Flatten", joined) : net.conv(joined, wide, 8, 1, 1, 1, 0));
    return b.build("branches", Map.of());
  }

  private static Map<String, Tensor> inputs(int batch, int height) {
    Random random = new Random(7);
    float[] x = new float[batch * 3 * height * 13];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return Map.of("x", Tensor.of(x, batch, 3, height, 13));
  }

  private static void assertSame(Graph graph, String backend, Map<String, Tensor> inputs) {
    Backends.assume(COMPILER, backend);
    Executable reference = COMPILER.executable(graph, "interpreter", CompileOptions.defaults());
    Map<String, Tensor> expected = reference.run(inputs);
    Map<String, Tensor> actual =
        COMPILER.executable(graph, backend, CompileOptions.defaults()).run(inputs);
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((name, tensor) ->
        assertArrayEquals(
            tensor.floats(), Objects.requireNonNull(actual.get(name)).floats(), 2e-5f, name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"loop-interpreter", "jvm", "native"})
  void valuesAreTheSame(String backend) {
    assertSame(network(DimExpr.of(1), DimExpr.of(17)), backend, inputs(1, 17));
    assertSame(network(DimExpr.of(2), DimExpr.of(17)), backend, inputs(2, 17));
  }

  @ParameterizedTest
  @ValueSource(strings = {"loop-interpreter", "jvm", "native", "cuda-emulated"})
  void branchesAreWrittenWhereTheyAreJoined(String backend) {
    for (int axis = 1; axis < 3; axis++) {
      assertSame(branches(DimExpr.of(2), DimExpr.of(9), axis, false), backend, inputs(2, 9));
    }
    assertSame(branches(DimExpr.of(1), DimExpr.of(9), 1, true), backend, inputs(1, 9));
    Graph symbols = branches(DimExpr.symbol("N"), DimExpr.symbol("H"), 1, false);
    assertSame(symbols, backend, inputs(2, 9));
  }

  /**
   * Sums for a concatenation have no memory of their own, unless a view sees what it gives; the
   * stem, the depthwise convolution's result and maxima of rows have.
   */
  @Test
  void branchesAreNotCopied() {
    assertEquals(3, branchBuffers(branches(DimExpr.of(1), DimExpr.of(9), 1, false)));
    assertEquals(8, branchBuffers(branches(DimExpr.of(1), DimExpr.of(9), 1, true)));
  }

  /** Buffers of the size of a branch. */
  private static long branchBuffers(Graph graph) {
    return program(graph).plan().buffers().stream()
        .filter(buffer -> buffer.storage() == Plan.Storage.ARENA)
        .filter(buffer -> buffer.elements().isConst(32 * 9 * 13))
        .count();
  }

  @ParameterizedTest
  @ValueSource(strings = {"loop-interpreter", "jvm", "native"})
  void dimensionsMayBeSymbols(String backend) {
    Graph graph = network(DimExpr.symbol("N"), DimExpr.symbol("H"));
    assertSame(graph, backend, inputs(3, 11));
  }

  /** Only the input and the outputs change their layout; nothing is packed at run time. */
  @Test
  void onlyTheBorderOfTheModelIsCopied() {
    Program program = program(network(DimExpr.of(1), DimExpr.of(17)));
    List<String> steps =
        program.plan().runSteps().stream()
            .map(step -> program.plan().kernels().get(step.kernel()))
            .toList();
    long copies = steps.stream().filter(name -> name.contains("layout")).count();
    assertEquals(2, copies, steps::toString);
    boolean packs =
        program.plan().runSteps().stream()
            .flatMap(step -> step.buffers().stream())
            .map(program.plan().buffers()::get)
            .anyMatch(buffer -> buffer.name().contains("_rows"));
    assertTrue(!packs, steps::toString);
  }

  /** Weights of a depthwise convolution are turned once, at load. */
  @Test
  void depthwiseWeightsAreTurnedAtLoad() {
    Program program = program(network(DimExpr.of(1), DimExpr.of(17)));
    Plan plan = program.plan();
    long turned =
        plan.loadSteps().stream()
            .filter(step -> plan.kernels().get(step.kernel()).contains("layout"))
            .count();
    assertEquals(2, turned);
  }

  private static Program program(Graph graph) {
    Graph prepared = COMPILER.prepare(graph, CompileOptions.defaults());
    return COMPILER
        .model(prepared, Target.nativeTarget("avx512vnni"), CompileOptions.defaults())
        .segments()
        .getFirst();
  }

  /** An activation is computed where the convolution stores its sums, whatever the batch is. */
  @Test
  void activationsJoinConvolutionsOfOneImage() {
    for (DimExpr batch : List.of(DimExpr.of(1), DimExpr.of(2), DimExpr.symbol("N"))) {
      Net net = new Net();
      Value x =
          net.b.input(
              "x",
              TensorType.of(
                  DType.F32, List.of(batch, DimExpr.of(16), DimExpr.of(8), DimExpr.of(8))));
      net.b.output(net.b.add("Relu", net.conv(x, 16, 32, 1, 1, 1, 0)));
      Program program = program(net.b.build("one", Map.of()));
      String[] kernels =
          program.plan().runSteps().stream()
              .map(step -> program.plan().kernels().get(step.kernel()).replaceAll("^k\\d+_", ""))
              .toArray(String[]::new);
      assertEquals(
          1, Arrays.stream(kernels).filter("conv_relu"::equals).count(), Arrays.toString(kernels));
    }
  }
}
