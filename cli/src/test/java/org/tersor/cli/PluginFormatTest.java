package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.codegen.c.NativeBackend;
import org.tersor.codegen.c.NativeKernel;
import org.tersor.codegen.jvm.HiddenKernels;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.FormatTestKit;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.ir.loop.Legalizer;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.schedule.Scheduled;
import org.tersor.ir.schedule.Scheduler;
import org.tersor.ir.schedule.Target;
import org.tersor.passes.Registry;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * The tutorial plugin as an outsider builds it: its sources compiled, put into a jar, loaded as
 * {@code --plugins} does; then a quantized matmul in its format on every backend.
 */
class PluginFormatTest {
  private static final int M = 3;
  private static final int N = 37;

  @TempDir static Path folder;
  private static Path jar;

  @BeforeAll
  static void buildJar() throws IOException {
    jar = OutsidePlugin.build(folder);
  }

  private static Registry.Provided<NumberFormat> five() {
    return Registry.withPlugins(List.of(jar)).formats().stream()
        .filter(f -> f.provider().id().equals("five"))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void theJarIsListedWithItsOrigin() {
    assertEquals(jar.toString(), five().origin());
    FormatTestKit.verify(five().provider());
    assertTrue(
        PluginsCommand.entries(Registry.withPlugins(List.of(jar))).stream()
            .anyMatch(e ->
                e.kind().equals("format")
                    && e.id().equals("five")
                    && e.origin().equals(jar.toString())));
  }

  @Test
  void twoJarsWithOneIdAreRefusedByName() throws IOException {
    Path copy = Files.copy(jar, folder.resolve("copy.jar"));
    TersorException e =
        assertThrows(TersorException.class, () -> Registry.withPlugins(List.of(jar, copy)));
    assertEquals("TSR-0101", e.code());
    assertTrue(
        String.valueOf(e.getMessage()).matches(".*five[.]jar.*copy[.]jar.*"), e.getMessage());
  }

  /** A matmul of one format: its buffers by name, the kernel, the result in double. */
  private record Case(
      Kernel kernel, Map<String, Tensor> inputs, double[] expected, double[] magnitude) {}

  private static Case matmul(NumberFormat format, int k) {
    Random random = new Random(7);
    float[] weights = new float[N * k];
    float[] x = new float[M * k];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (float) random.nextGaussian();
    }
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    FormatCodec codec = new FormatCodec(format);
    int block = codec.definition().block();
    long[] shape = {N, k};
    Map<String, Tensor> inputs = new LinkedHashMap<>(codec.encode(weights, shape, new float[0]));
    float[] decoded = codec.decode(inputs, shape);
    for (int i = 0; i < weights.length; i++) {
      assertEquals(weights[i], decoded[i], 0.3, "a weight and what is left of it");
    }
    Kernel kernel =
        KernelParser.parseFile(
                "kernel matmul(W: %s[%d, %d], x: f32[%d, %d]) -> y[m, n] = sum(k) x[m, k] * decode(W[n], k / %d, k %% %d)"
                    .formatted(format.id(), N, k, M, k, block, block),
                Map.of(format.id(), codec.definition()))
            .kernels()
            .getFirst();
    inputs.put("x", Tensor.of(x, M, k));
    double[] expected = new double[M * N];
    double[] magnitude = new double[M * N];
    for (int i = 0; i < M * N; i++) {
      for (int j = 0; j < k; j++) {
        double product = (double) x[i / N * k + j] * decoded[i % N * k + j];
        expected[i] += product;
        magnitude[i] += Math.abs(product);
      }
    }
    return new Case(kernel, inputs, expected, magnitude);
  }

  private interface Runner {
    /** Runs a launch on arrays by name. */
    void run(LoopFunction function, List<Object> buffers, int[] dims, int tasks);
  }

  private static void viaJava(KernelCode code, List<Object> buffers, int[] dims, int tasks) {
    code.run(buffers.toArray(), new int[buffers.size()], dims, 0, tasks);
  }

  private static void viaC(
      LoopFunction function, Target target, List<Object> buffers, int[] dims, int tasks) {
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> memory = new ArrayList<>();
      for (Object array : buffers) {
        MemorySegment heap = heap(array);
        memory.add(arena.allocate(Math.max(64, heap.byteSize()), 64).copyFrom(heap));
      }
      long[] values = java.util.Arrays.stream(dims).asLongStream().toArray();
      NativeKernel.load(function, target).run(memory, values, 0, tasks);
      for (int i = 0; i < memory.size(); i++) {
        MemorySegment heap = heap(buffers.get(i));
        heap.copyFrom(memory.get(i).asSlice(0, heap.byteSize()));
      }
    }
  }

  private static MemorySegment heap(Object array) {
    return switch (array) {
      case byte[] a -> MemorySegment.ofArray(a);
      case short[] a -> MemorySegment.ofArray(a);
      case int[] a -> MemorySegment.ofArray(a);
      case long[] a -> MemorySegment.ofArray(a);
      case float[] a -> MemorySegment.ofArray(a);
      case double[] a -> MemorySegment.ofArray(a);
      default -> throw new IllegalArgumentException(array.toString());
    };
  }

  /** The formats that the language must be able to say: the same bits from every backend. */
  @TestFactory
  List<DynamicTest> publishedFormatsDecodeAlike() throws IOException {
    Path text =
        Path.of(System.getProperty("tersor.root", ".."))
            .resolve("ir/src/test/resources/org/tersor/ir/dsl/formats.kern");
    List<DynamicTest> tests = new ArrayList<>();
    for (FormatDef format :
        KernelParser.parseFile(Files.readString(text), Map.of()).formats().values()) {
      Kernel kernel = format.decodeKernel(DimExpr.list(M, 512));
      Random random = new Random(3);
      Map<String, Tensor> inputs = new LinkedHashMap<>();
      for (Buf b : kernel.inputs()) {
        Tensor t =
            Tensor.zeros(
                b.element().dtype(), b.shape().stream().mapToLong(DimExpr::constValue).toArray());
        for (int i = 0; i < t.size(); i++) {
          if (t.dtype().isFloat()) {
            t.setDouble(i, random.nextGaussian());
          } else {
            t.setLong(i, random.nextInt(256));
          }
        }
        inputs.put(b.name(), t);
      }
      Case c = new Case(kernel, inputs, new double[0], new double[0]);
      float[] wanted =
          KernelInterpreter.run(kernel, List.copyOf(inputs.values()), Map.of()).getFirst().floats();
      String id = format.name();
      tests.add(
          DynamicTest.dynamicTest(
              id + " loop-interpreter",
              () ->
                  assertArrayEquals(
                      wanted,
                      scheduled(
                          c,
                          Target.jvm(32),
                          (f, b, d, t) -> viaJava(LoopInterpreter.compile(f), b, d, t)))));
      for (Target target : List.of(Target.jvm(64), Target.jvm(0))) {
        tests.add(
            DynamicTest.dynamicTest(
                id + " " + target.name(),
                () ->
                    assertArrayEquals(
                        wanted,
                        scheduled(
                            c,
                            target,
                            (f, b, d, t) -> viaJava(HiddenKernels.load(f, target), b, d, t)))));
      }
      for (Target target : List.of(Target.nativeTarget("avx2"), Target.cuda())) {
        tests.add(
            DynamicTest.dynamicTest(
                id + " native " + target.name(),
                () -> {
                  Assumptions.assumeTrue(
                      new NativeBackend().unavailable().isEmpty(), "no C compiler");
                  assertArrayEquals(
                      wanted, scheduled(c, target, (f, b, d, t) -> viaC(f, target, b, d, t)));
                }));
      }
    }
    return tests;
  }

  private static float[] scheduled(Case c, Target target, Runner runner) {
    Map<String, Object> arrays = new HashMap<>();
    c.inputs.forEach((name, tensor) -> arrays.put(name, tensor.array()));
    Buf y = c.kernel.outputs().getFirst();
    arrays.put(y.name(), new float[(int) y.elements().constValue()]);
    Set<String> weights = new java.util.HashSet<>(c.inputs.keySet());
    weights.remove("x");
    Scheduled scheduled = Scheduler.schedule(c.kernel, target, weights);
    for (Scheduled.Temporary t : scheduled.temporaries()) {
      arrays.put(t.name(), t.element().dtype().slot().newArray((int) t.elements().eval(Map.of())));
    }
    for (List<Scheduled.Launch> launches : List.of(scheduled.load(), scheduled.run())) {
      for (Scheduled.Launch launch : launches) {
        List<Object> buffers =
            launch.buffers().stream().map(b -> Objects.requireNonNull(arrays.get(b))).toList();
        int[] dims = launch.dims().stream().mapToInt(d -> (int) d.eval(Map.of())).toArray();
        LoopFunction legal = Legalizer.legalize(launch.function(), target);
        runner.run(legal, buffers, dims, (int) launch.tasks().eval(Map.of()));
      }
    }
    return (float[]) Objects.requireNonNull(arrays.get(y.name()));
  }

  private static void compare(String how, Case c, float[] got) {
    for (int i = 0; i < got.length; i++) {
      double allowed = 1e-5 * c.magnitude[i];
      assertTrue(
          Math.abs(got[i] - c.expected[i]) <= allowed,
          how + ", element " + i + ": expected " + c.expected[i] + ", got " + got[i]);
    }
  }

  @TestFactory
  List<DynamicTest> matmulOnEveryBackend() {
    List<DynamicTest> tests = new ArrayList<>();
    List<NumberFormat> formats = new ArrayList<>();
    formats.add(five().provider());
    for (Registry.Provided<NumberFormat> f : Registry.builtIn().formats()) {
      if (Set.of("q4_0", "u8_affine_channel", "s8_symmetric_tensor").contains(f.provider().id())) {
        formats.add(f.provider());
      }
    }
    assertEquals(4, formats.size(), "formats of the project are on the class path");
    for (NumberFormat format : formats) {
      // 70 is no multiple of a block.
      Case c = matmul(format, 70);
      String id = format.id();
      tests.add(
          DynamicTest.dynamicTest(
              id + " interpreter",
              () ->
                  compare(
                      id,
                      c,
                      KernelInterpreter.run(c.kernel, List.copyOf(c.inputs.values()), Map.of())
                          .getFirst()
                          .floats())));
      tests.add(
          DynamicTest.dynamicTest(
              id + " loop-interpreter",
              () ->
                  compare(
                      id,
                      c,
                      scheduled(
                          c,
                          Target.jvm(32),
                          (f, b, d, t) -> viaJava(LoopInterpreter.compile(f), b, d, t)))));
      for (Target target : List.of(Target.jvm(64), Target.jvm(32), Target.jvm(0))) {
        tests.add(
            DynamicTest.dynamicTest(
                id + " " + target.name(),
                () ->
                    compare(
                        id,
                        c,
                        scheduled(
                            c,
                            target,
                            (f, b, d, t) -> viaJava(HiddenKernels.load(f, target), b, d, t)))));
      }
      for (Target target :
          List.of(Target.nativeTarget("avx2"), Target.nativeTarget("scalar"), Target.cuda())) {
        tests.add(
            DynamicTest.dynamicTest(
                id + " native " + target.name(),
                () -> {
                  Assumptions.assumeTrue(
                      new NativeBackend().unavailable().isEmpty(), "no C compiler");
                  compare(id, c, scheduled(c, target, (f, b, d, t) -> viaC(f, target, b, d, t)));
                }));
      }
    }
    return tests;
  }
}
