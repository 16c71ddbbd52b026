package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.Tensor;

/** Schedules that a table may choose compute what the kernel says, every one of them. */
class ScheduleChoiceTest {
  private static final String TARGETS = "org.tersor.ir.schedule.SchedulerTest#targets";

  private static final String INSIDE =
      "h + r - 1 >= 0 & h + r - 1 < 9 & v + s - 1 >= 0 & v + s - 1 < 13";

  /**
   * Sums of several blocks, in tasks of several blocks of rows, positions of a batch or short runs.
   */
  private static final Map<String, String> LONG_SUMS =
      Map.of(
          "product of many rows",
          "kernel f(a: f32[300, 131], w: f32[131, 33], c: f32[33]) -> y: f32[300, 33] { "
              + "y[i, j] for i < 300, j < 33 = (sum(k < 131) a[i, k] * w[k, j]) + c[j]; }",
          "convolution of many channels",
          "kernel f(x: f32[2, 8, 7, 40], w: f32[3, 3, 40, 70]) -> y: f32[2, 6, 5, 70] { "
              + "y[b, h, v, o] for b < 2, h < 6, v < 5, o < 70 = sum(r < 3, s < 3, c < 40) "
              + "x[b, h + r, v + s, c] * w[r, s, c, o]; }",
          "short runs",
          "kernel f(x: f32[2, 8, 7, 9], w: f32[3, 3, 9, 35]) -> y: f32[2, 6, 5, 35] { "
              + "y[b, h, v, o] for b < 2, h < 6, v < 5, o < 35 = sum(r < 3, s < 3, c < 9) "
              + "x[b, h + r, v + s, c] * w[r, s, c, o]; }",
          "product of many bytes",
          "kernel f(a: u8[60, 301], w: i8[301, 70], z: u8[1]) -> y: i32[60, 70] { "
              + "y[i, j] for i < 60, j < 70 = sum(k < 301) (i32(a[i, k]) - i32(z[0])) * i32(w[k, j]); }");

  private static final Map<String, String> KERNELS = kernels();

  private static Map<String, String> kernels() {
    Map<String, String> kernels = new LinkedHashMap<>();
    kernels.put(
        "product",
        "kernel f(a: f32[19, 70], w: f32[70, 70], c: f32[70]) -> y: f32[19, 70] { "
            + "y[i, j] for i < 19, j < 70 = max((sum(k < 70) a[i, k] * w[k, j]) + c[j], 0.0); }");
    kernels.put(
        "product of any rows",
        "kernel f(a: f32[M, 20], w: f32[20, 70]) -> y: f32[M, 70] { "
            + "y[i, j] for i < M, j < 70 = sum(k < 20) a[i, k] * w[k, j]; }");
    kernels.put(
        "convolution 1x1",
        "kernel f(x: f32[2, 33, 24], w: f32[24, 40], r: f32[2, 33, 40]) -> y: f32[2, 33, 40] { "
            + "y[b, i, j] for b < 2, i < 33, j < 40 = (sum(k < 24) x[b, i, k] * w[k, j]) + r[b, i, j]; }");
    kernels.put(
        "convolution 3x3",
        "kernel f(x: f32[9, 13, 2], w: f32[3, 3, 2, 40]) -> y: f32[9, 13, 40] { "
            + "y[h, v, o] for h < 9, v < 13, o < 40 = sum(r < 3, s < 3, c < 2) select("
            + INSIDE
            + ", x[h + r - 1, v + s - 1, c], 0.0) * w[r, s, c, o]; }");
    kernels.put(
        "depthwise",
        "kernel f(x: f32[9, 13, 36], w: f32[3, 3, 36]) -> y: f32[9, 13, 36] { "
            + "y[h, v, c] for h < 9, v < 13, c < 36 = max(sum(r < 3, s < 3) select("
            + INSIDE
            + ", x[h + r - 1, v + s - 1, c], 0.0) * w[r, s, c], 0.0); }");
    kernels.put(
        "product of bytes",
        "kernel f(a: u8[30, 37], w: i8[37, 70], z: u8[1]) -> y: i32[30, 70] { "
            + "y[i, j] for i < 30, j < 70 = sum(k < 37) (i32(a[i, k]) - i32(z[0])) * i32(w[k, j]); }");
    kernels.put(
        "depthwise of bytes",
        "kernel f(x: u8[9, 13, 36], w: i8[3, 3, 36], z: u8[1]) -> y: i32[9, 13, 36] { "
            + "y[h, v, c] for h < 9, v < 13, c < 36 = sum(r < 3, s < 3) select("
            + INSIDE
            + ", i32(x[h + r - 1, v + s - 1, c]) - i32(z[0]), 0_i32) * i32(w[r, s, c]); }");
    kernels.putAll(LONG_SUMS);
    return kernels;
  }

  private static KernelTestKit kit(String kernel) {
    return KernelTestKit.of(
        KernelParser.parse(kernel), Map.of("M", 17L), Set.of("w", "z"), new Random(5));
  }

  private static Optional<ScheduleChoice> choice(KernelTestKit kit, Target target) {
    return kit.scheduled(target).run().stream()
        .flatMap(launch -> launch.choice().stream())
        .findFirst();
  }

  /** How many options the kernel has; each is checked, and none is another under a second name. */
  private static int options(KernelTestKit kit, Target target) {
    Optional<ScheduleChoice> choice = choice(kit, target);
    List<Tensor> expected = kit.expected();
    kit.check(target, LoopInterpreter::compile, expected);
    if (choice.isEmpty()) {
      return 1;
    }
    List<String> options = choice.get().options();
    for (int i = 1; i < options.size(); i++) {
      KernelTestKit other = kit.with(Schedules.option(i));
      ScheduleChoice taken = choice(other, target).orElseThrow();
      assertEquals(options.get(i), taken.taken());
      assertEquals(choice.get().shape(), taken.shape());
      assertFalse(kit.functions(target).equals(other.functions(target)), taken.toString());
      other.check(target, LoopInterpreter::compile, expected);
    }
    return options.size();
  }

  @ParameterizedTest
  @MethodSource(TARGETS)
  void everyOptionComputesTheSame(Target target) {
    List<String> one = new ArrayList<>();
    KERNELS.forEach((name, text) -> {
      if (options(kit(text), target) == 1) {
        one.add(name);
      }
    });
    if (target.vectorBytes() == 64) {
      assertEquals(List.of(), one, target.name());
    }
  }

  @ParameterizedTest
  @MethodSource(TARGETS)
  void everyOptionOfRandomKernels(Target target) {
    int several = 0;
    for (long seed = 20_000; seed < 20_006; seed++) {
      try {
        several += options(KernelTestKit.random(seed), target) > 1 ? 1 : 0;
      } catch (AssertionError e) {
        throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
      }
    }
    assertTrue(several > 0 || target.kind() == Target.Kind.CUDA, target.name());
  }

  @ParameterizedTest
  @MethodSource(TARGETS)
  void blocksOfStepsOutside(Target target) {
    LONG_SUMS.forEach((name, text) -> {
      boolean has =
          choice(kit(text), target).stream()
              .flatMap(choice -> choice.options().stream())
              .anyMatch(option -> option.endsWith("blocks outside"));
      boolean inFloat = !name.contains("bytes") || !target.sumsBytes();
      boolean wanted = target.kind() != Target.Kind.CUDA && target.vectorBytes() >= 32 && inFloat;
      assertTrue(has || !wanted, name + " on " + target.name());
      assertTrue(inFloat || !has, name + " on " + target.name());
    });
  }

  /** Rows in several blocks, in both orders of the blocks. */
  @ParameterizedTest
  @ValueSource(ints = {16, 64})
  void ordersOfBlocks(int vectorBytes) {
    KernelTestKit kit =
        kit(
            "kernel f(a: f32[20, 3000], w: f32[3000, 33]) -> y: f32[20, 33] { "
                + "y[i, j] for i < 20, j < 33 = sum(k < 3000) a[i, k] * w[k, j]; }");
    Target target = Target.jvm(vectorBytes);
    assertTrue(
        choice(kit, target).orElseThrow().options().stream()
            .anyMatch(option -> option.endsWith("rows outside")),
        "one block");
    assertTrue(options(kit, target) > 1);
  }

  private static final String BY = ", j < 520 = sum(k < 1200) ";

  /**
   * Weights of 8 bits that no near cache holds stay codes in memory where tiles sum block by block;
   * with zero points for each column their differences take 16 bits.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "I8 kernel f(a: u8[28, 1200], w: i8[1200, 520]) -> y: i32[28, 520] { y[i, j] for i < 28"
            + BY
            + "i32(a[i, k]) * i32(w[k, j]); }",
        "I16 kernel f(a: u8[28, 1200], w: u8[1200, 520], z: u8[520]) -> y: i32[28, 520] { "
            + "y[i, j] for i < 28"
            + BY
            + "i32(a[i, k]) * (i32(w[k, j]) - i32(z[j])); }",
        "I8 kernel f(x: u8[5, 5, 40], w: i8[3, 3, 40, 736]) -> y: i32[5, 5, 736] { "
            + "y[h, v, o] for h < 5, v < 5, o < 736 = sum(r < 3, s < 3, c < 40) select("
            + "h + r - 1 >= 0 & h + r - 1 < 5 & v + s - 1 >= 0 & v + s - 1 < 5"
            + ", i32(x[h + r - 1, v + s - 1, c]), 0_i32) * i32(w[r, s, c, o]); }"
      })
  void farWeightsStayCodes(String kernel) {
    Scalar kept = Scalar.valueOf(kernel.substring(0, kernel.indexOf(' ')));
    KernelTestKit kit = kit(kernel.substring(kernel.indexOf(' ') + 1));
    List<Tensor> expected = kit.expected();
    for (Target target : List.of(Target.jvm(32), Target.jvm(64))) {
      List<String> options = choice(kit, target).orElseThrow().options();
      int option =
          IntStream.range(0, options.size())
              .filter(i -> options.get(i).endsWith("blocks outside"))
              .findFirst()
              .orElseThrow();
      KernelTestKit blocks = kit.with(Schedules.option(option));
      assertTrue(
          blocks.scheduled(target).run().stream()
              .flatMap(launch -> launch.function().buffers().stream())
              .anyMatch(b -> b.name().endsWith("_columns") && b.element() == kept),
          options.get(option) + " on " + target.name());
      blocks.check(target, LoopInterpreter::compile, expected);
    }
  }

  @Test
  void whatIsNoOptionIsRefused() {
    KernelTestKit kit = kit(KERNELS.values().iterator().next());
    Target target = Target.jvm(64);
    ScheduleChoice rule = choice(kit, target).orElseThrow();
    ScheduleChoice refused =
        choice(kit.with((name, shape, options) -> Optional.of("99x999")), target).orElseThrow();
    assertEquals(Optional.of("99x999"), refused.refused());
    assertEquals(rule.taken(), refused.taken());
    assertEquals(rule.rule(), rule.taken());
    assertEquals("product float weights 19 by 70 over 70 of 1", rule.shape());
  }
}
