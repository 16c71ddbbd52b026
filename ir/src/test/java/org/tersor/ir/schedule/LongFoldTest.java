package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.runtime.Tensor;

/** Folds in vectors, of which long ones have several on their way. */
class LongFoldTest {
  private static final List<Target> TARGETS =
      List.of(
          Target.jvm(16),
          Target.jvm(64),
          Target.nativeTarget("avx512vnni"),
          Target.nativeTarget("avx2"),
          Target.nativeTarget("neon"));

  private static KernelTestKit kit(String fold, String extent, long length) {
    String kernel =
        "kernel f(x: f32[2, N]) -> y: f32[2] { y[i] for i < 2 = %s(k < N) x[i, k]; }"
            .formatted(fold)
            .replace("N", extent);
    return KernelTestKit.of(
        KernelParser.parse(kernel), Map.of("M", length), Set.of(), new Random(length));
  }

  /** Every length around whole groups of vectors. */
  static Stream<Arguments> folds() {
    return Stream.of(0, 1, 7, 63, 64, 65, 127, 128, 129, 191, 192, 255, 300)
        .flatMap(length ->
            Stream.of("sum", "reduce max", "reduce min")
                .filter(fold -> length > 0 || fold.equals("sum"))
                .map(fold -> Arguments.of(fold, length)));
  }

  @ParameterizedTest
  @MethodSource("folds")
  void ofAnyLength(String fold, int length) {
    for (String extent : List.of("M", Integer.toString(length))) {
      if (extent.equals("0")) {
        continue;
      }
      KernelTestKit kit = kit(fold, extent, length);
      List<Tensor> expected = kit.expected();
      TARGETS.forEach(target -> kit.check(target, LoopInterpreter::compile, expected));
    }
  }

  /** Wherever it stands: in any of the sums, in what is left, in the mask. */
  @ParameterizedTest
  @ValueSource(strings = {"reduce max", "reduce min"})
  void aNanIsNeverLost(String fold) {
    KernelTestKit random = kit(fold, "150", 150);
    for (int at = 0; at < 150; at += 7) {
      List<Tensor> inputs = new ArrayList<>(random.inputs());
      Tensor x = inputs.getFirst();
      double before = x.getDouble(at);
      x.setDouble(at, Double.NaN);
      KernelTestKit kit = random.with(inputs);
      for (Target target : TARGETS) {
        float[] y = (float[]) kit.run(target, LoopInterpreter::compile).getFirst();
        assertEquals(Float.NaN, y[0], fold + " with a NaN at " + at + " on " + target.name());
        assertEquals((float) kit.expected().getFirst().getDouble(1), y[1], target.name());
      }
      x.setDouble(at, before);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {64, 128, 1000})
  void longOnesHaveFourSums(int length) {
    KernelTestKit kit = kit("reduce max", Integer.toString(length), length);
    String text =
        kit.scheduled(Target.nativeTarget("avx512vnni")).run().stream()
            .map(launch -> LoopPrinter.print(launch.function()))
            .reduce("", String::concat);
    long sums = Pattern.compile("local acc").matcher(text).results().count();
    assertEquals(length >= 128 ? 4 : 1, sums, text);
  }
}
