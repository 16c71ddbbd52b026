package org.tersor.ir.schedule;

import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.loop.LoopInterpreter;

/**
 * Random kernels, and those that once went wrong, on every target by the loop interpreter against
 * the kernel interpreter. {@code -Dtersor.test.seeds=FROM,COUNT} runs others.
 */
class RandomKernelTest {

  static Stream<Target> targets() {
    return Stream.of(
        Target.jvm(64),
        Target.jvm(32),
        Target.jvm(16),
        Target.jvm(0),
        Target.nativeTarget("avx512amx"),
        Target.nativeTarget("avx512vnni"),
        Target.nativeTarget("avx512"),
        Target.nativeTarget("avx2"),
        Target.nativeTarget("scalar"),
        Target.cuda());
  }

  @ParameterizedTest
  @MethodSource("targets")
  void randomKernels(Target target) {
    String[] seeds = System.getProperty("tersor.test.seeds", "0,100").split(",", -1);
    long from = Long.parseLong(seeds[0]);
    for (long seed = from; seed < from + Long.parseLong(seeds[1]); seed++) {
      try {
        KernelTestKit.random(seed).check(target, LoopInterpreter::compile);
      } catch (AssertionError e) {
        throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
      }
    }
  }

  private static void check(Target target, String kernel, Map<String, Long> dims) {
    KernelTestKit.of(KernelParser.parse(kernel), dims, Set.of(), new Random(7))
        .check(target, LoopInterpreter::compile);
  }

  /** The inner condition reads, too, and must not do so outside of the outer one. */
  @ParameterizedTest
  @MethodSource("targets")
  void conditionUnderACondition(Target target) {
    check(
        target,
        "kernel f(idx: i32[5], x: f32[9]) -> y: f32[40] { y[i] for i < 40 = select(i < 5, "
            + "select(idx[i] >= 0_i32 & idx[i] < 9_i32, x[index(idx[i])], 1.0), 2.0); }",
        Map.of());
  }

  /** An index that is chosen, from data under a guard: the form of a scatter with reduction. */
  @ParameterizedTest
  @MethodSource("targets")
  void chosenIndex(Target target) {
    check(
        target,
        "kernel f(idx: i64[2, 7], u: f32[2, 7]) -> y: f32[40, 7] { y[i, j] for i < 40, j < 7 = "
            + "sum(k < 7) select(select(i < 2, max(min(index(idx[i, k]), 6), 0), 0 - 1) == j, "
            + "u[i, k], 0.0); }",
        Map.of());
  }

  /** A read that does not depend on the loop leaves it, but a loop without turns reads nothing. */
  @ParameterizedTest
  @MethodSource("targets")
  void nothingIsReadForNoTurns(Target target) {
    String kernel =
        "kernel f(x: f32[K], s: f32[N]) -> y: f32[N] { y[i] for i < N = s[i] + (sum(k < K) "
            + "x[0] * x[k]); }";
    check(target, kernel, Map.of("N", 5L, "K", 0L));
    check(target, kernel, Map.of("N", 5L, "K", 20L));
    String column =
        "kernel f(x: f32[M, N]) -> y: f32[M, N] { y[i, j] for i < M, j < N = x[i, 0] + x[i, j]; }";
    check(target, column, Map.of("M", 3L, "N", 0L));
    check(target, column, Map.of("M", 3L, "N", 19L));
  }

  /** Index arithmetic runs outside of the guard that keeps a zero divisor away. */
  @ParameterizedTest
  @MethodSource("targets")
  void divisorOfZero(Target target) {
    String kernel =
        "kernel f(x: f32[8]) -> y: f32[8] { y[i] for i < 8 = select(0 < dim(N), "
            + "x[max(min(i / dim(N), 7), 0)], x[i]); }";
    check(target, kernel, Map.of("N", 0L));
    check(target, kernel, Map.of("N", 3L));
  }

  /** Axes of a fold inside of an index stay apart: the index may use each of them. */
  @ParameterizedTest
  @MethodSource("targets")
  void foldOfIndices(Target target) {
    check(
        target,
        "kernel f(x: f32[5, 2, 3]) -> y: i64[5] { y[i] for i < 5 = "
            + "i64(sum(a < 2, b < 3) select(x[i, a, b] > 0.0, a, b + 7)); }",
        Map.of());
  }
}
