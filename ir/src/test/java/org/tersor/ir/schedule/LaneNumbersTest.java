package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.runtime.Tensor;

/** Products of floats with codes of four bits, whose numbers are made without a conversion. */
class LaneNumbersTest {
  private static final List<Target> TARGETS =
      List.of(
          Target.jvm(16),
          Target.jvm(64),
          Target.nativeTarget("avx512vnni"),
          Target.nativeTarget("avx2"),
          Target.nativeTarget("neon"));

  /**
   * What is taken from a code: a number that goes with the bits around it, one that does not, or a
   * panel of them. Values are small integers and halves, so that any order of sums is exact.
   */
  private static final List<String> ZEROS =
      List.of("8.0", "0.0", "-3.0", "64.0", "100.0", "7.5", "f32(i32(z[k / 32, j]) & 15)");

  private static String kernel(int rows, String zero) {
    return ("kernel f(x: f32[R, 128], w: u8[128, 70], t: f32[4, 70], z: u8[4, 70]) -> y: f32[R, 70] { "
            + "y[i, j] for i < R, j < 70 = sum(k < 128) x[i, k] "
            + "* ((f32(i32(w[k, j]) & 15) - Z) * t[k / 32, j]); }")
        .replace("Z", zero)
        .replace("R", Integer.toString(rows));
  }

  static Stream<String> kernels() {
    return ZEROS.stream().flatMap(zero -> Stream.of(1, 5, 8).map(rows -> kernel(rows, zero)));
  }

  private static KernelTestKit kit(String kernel) {
    return KernelTestKit.of(
        KernelParser.parse(kernel), Map.of(), Set.of("w", "t", "z"), new Random(3));
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void sums(String kernel) {
    KernelTestKit kit = kit(kernel);
    List<Tensor> expected = kit.expected();
    for (Target target : TARGETS) {
      kit.check(target, LoopInterpreter::compile, expected);
      String text = product(kit, target);
      assertTrue(text.contains("1191182336"), "the exponent of 2^15 in " + text);
      assertFalse(text.contains("f32x" + target.lanes(4) + "!("), "no conversion in " + text);
    }
  }

  private static String product(KernelTestKit kit, Target target) {
    return kit.scheduled(target).run().stream()
        .map(launch -> LoopPrinter.print(launch.function()))
        .reduce("", String::concat);
  }
}
