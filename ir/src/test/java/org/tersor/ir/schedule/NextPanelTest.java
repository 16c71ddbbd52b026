package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Array;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.dsl.LoopParser;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.runtime.KernelCode;

/** Every line of every panel but the first is asked for while the panel before it is read. */
class NextPanelTest {
  private static final int LINE = 64;

  private static final Map<String, String> KERNELS = kernels();

  private static Map<String, String> kernels() {
    Map<String, String> kernels = new LinkedHashMap<>();
    for (int rows : List.of(1, 3, 40, 150)) {
      kernels.put(
          "product of " + rows,
          "kernel f(a: f32[%1$d, 200], w: f32[200, 300]) -> y: f32[%1$d, 300] { ".formatted(rows)
              + "y[i, j] for i < %d, j < 300 = sum(k < 200) a[i, k] * w[k, j]; }".formatted(rows));
    }
    kernels.put(
        "rows of any number",
        "kernel f(a: f32[M, 200], w: f32[200, 300]) -> y: f32[M, 300] { "
            + "y[i, j] for i < M, j < 300 = sum(k < 200) a[i, k] * w[k, j]; }");
    kernels.put(
        "blocks of steps",
        "kernel f(a: f32[47, 1280], w: f32[1280, 520]) -> y: f32[47, 520] { "
            + "y[i, j] for i < 47, j < 520 = sum(k < 1280) a[i, k] * w[k, j]; }");
    kernels.put(
        "bytes",
        "kernel f(a: u8[20, 400], w: i8[400, 300]) -> y: i32[20, 300] { "
            + "y[i, j] for i < 20, j < 300 = sum(k < 400) i32(a[i, k]) * i32(w[k, j]); }");
    kernels.put(
        "convolution",
        "kernel f(x: f32[9, 9, 40], w: f32[3, 3, 40, 100]) -> y: f32[7, 7, 100] { "
            + "y[h, v, o] for h < 7, v < 7, o < 100 = sum(r < 3, s < 3, c < 40) "
            + "x[h + r, v + s, c] * w[r, s, c, o]; }");
    return kernels;
  }

  static Stream<Arguments> cases() {
    return KERNELS.keySet().stream()
        .flatMap(kernel ->
            Stream.of("avx512vnni", "avx2", "neon").map(target -> Arguments.of(kernel, target)));
  }

  private static KernelTestKit named(String name) {
    return kit(Objects.requireNonNull(KERNELS.get(name)));
  }

  private static KernelTestKit kit(String kernel) {
    return KernelTestKit.of(
        KernelParser.parse(kernel), Map.of("M", 50L), Set.of("w"), new Random(5));
  }

  /** The function with a store in place of each prefetch, into a buffer before all others. */
  private static LoopFunction marking(String text) {
    String stores = text.replaceAll("prefetch \\w+\\[(.*)];", "marks[$1] = 1.0;");
    return LoopParser.parse(stores.replaceFirst("\\(", "(marks: mut f32, "));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void everyLineIsFetchedBefore(String kernel, String name) {
    KernelTestKit kit = named(kernel);
    Target target = Target.nativeTarget(name);
    int panels = panels(kit, target);
    int[] checked = {0};
    kit.run(
        target,
        function -> {
          String text = LoopPrinter.print(function);
          KernelCode plain = LoopInterpreter.compile(function);
          if (!text.contains("prefetch ")) {
            return plain;
          }
          checked[0]++;
          int weights = weights(function);
          KernelCode marks = LoopInterpreter.compile(marking(text));
          return (arrays, offsets, dims, from, to) -> {
            plain.run(arrays, offsets, dims, from, to);
            float[] marked = mark(marks, arrays, weights, dims, from, to);
            int all = Array.getLength(Objects.requireNonNull(arrays[weights]));
            int line = LINE / function.buffers().get(weights).element().bytes();
            assertEquals(
                Set.of(), missing(marked, all / panels, all, line), "lines of " + all / line);
          };
        });
    assertEquals(1, checked[0], kernel + " on " + name);
  }

  /** Panels that are read once are one stream: nothing is asked for long before it is read. */
  @ParameterizedTest
  @ValueSource(strings = {"product of 1", "product of 3"})
  void aLoneTileFetchesALittleAhead(String kernel) {
    KernelTestKit kit = named(kernel);
    Target target = Target.nativeTarget("avx512vnni");
    int panels = panels(kit, target);
    int[] checked = {0};
    kit.run(
        target,
        function -> {
          String text = LoopPrinter.print(function);
          KernelCode plain = LoopInterpreter.compile(function);
          if (!text.contains("prefetch ")) {
            return plain;
          }
          checked[0]++;
          int weights = weights(function);
          KernelCode marks = LoopInterpreter.compile(marking(text));
          return (arrays, offsets, dims, from, to) -> {
            plain.run(arrays, offsets, dims, from, to);
            float[] marked = mark(marks, arrays, weights, dims, 0, 1);
            int panel = Array.getLength(Objects.requireNonNull(arrays[weights])) / panels;
            int ahead = 4096 / Float.BYTES;
            assertTrue(missing(marked, ahead, ahead + panel, LINE / Float.BYTES).isEmpty());
            assertFalse(anyMark(marked, 0, ahead));
            assertFalse(anyMark(marked, ahead + panel, marked.length - ahead - panel));
          };
        });
    assertEquals(1, checked[0], kernel);
  }

  /** Number of panels that the kernel's columns make. */
  private static int panels(KernelTestKit kit, Target target) {
    String taken =
        kit.scheduled(target).run().stream()
            .flatMap(launch -> launch.choice().stream())
            .findFirst()
            .orElseThrow()
            .taken();
    int width = Integer.parseInt(taken.replaceFirst("\\d+x(\\d+).*", "$1"));
    long columns = kit.kernel().outputs().getFirst().shape().getLast().constValue();
    int panels = (int) Math.ceilDiv(columns, width);
    assertTrue(panels > 1, taken);
    // Panels of narrow tiles stay near.
    boolean blocks = kit.kernel().toString().contains("1280") && target.vectorBytes() == 64;
    assertEquals(blocks, taken.endsWith("blocks outside"), taken);
    return panels;
  }

  /** Index of the buffer that is fetched from. */
  private static int weights(LoopFunction function) {
    String name = LoopPrinter.print(function).replaceFirst("(?s).*?prefetch (\\w+)\\[.*", "$1");
    List<String> names = function.buffers().stream().map(LoopFunction.BufferParam::name).toList();
    return names.indexOf(name);
  }

  /** Not 0 where something is fetched. */
  private static float[] mark(
      KernelCode marks, Object[] arrays, int weights, int[] dims, int from, int to) {
    Object[] withMarks = new Object[arrays.length + 1];
    System.arraycopy(arrays, 0, withMarks, 1, arrays.length);
    float[] marked = new float[3 * Array.getLength(Objects.requireNonNull(arrays[weights]))];
    withMarks[0] = marked;
    marks.run(withMarks, new int[withMarks.length], dims, from, to);
    return marked;
  }

  private static Set<Integer> missing(float[] marked, int from, int to, int line) {
    Set<Integer> missing = new TreeSet<>();
    for (int at = from; at < to; at += line) {
      if (!anyMark(marked, at, line)) {
        missing.add(at);
      }
    }
    return missing;
  }

  private static boolean anyMark(float[] marked, int from, int length) {
    for (int i = from; i < from + length; i++) {
      if (marked[i] != 0) {
        return true;
      }
    }
    return false;
  }

  @ParameterizedTest
  @ValueSource(ints = {64, 0})
  void theJvmHasNoSuchInstruction(int vectorBytes) {
    KernelTestKit kit = named("product of 40");
    assertFalse(kit.functions(Target.jvm(vectorBytes)).toString().contains("Prefetch"));
  }

  @Test
  void fewWeightsStayWhereTheyAre() {
    KernelTestKit kit =
        kit(
            "kernel f(a: f32[40, 64], w: f32[64, 64]) -> y: f32[40, 64] { "
                + "y[i, j] for i < 40, j < 64 = sum(k < 64) a[i, k] * w[k, j]; }");
    assertFalse(kit.functions(Target.nativeTarget("avx512vnni")).toString().contains("Prefetch"));
  }
}
