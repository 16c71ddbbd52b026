package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.runtime.Tensor;

/** Rows of which an element takes more than a load, under many columns and under few. */
class ComputedRowsTest {
  private static final List<Target> TARGETS =
      List.of(Target.jvm(32), Target.jvm(64), Target.nativeTarget("avx512vnni"));

  @ParameterizedTest
  @CsvSource({
    "300, a[b; i; k] * s[i], 1",
    "300, a[b; i; k] - s[k], 1",
    "300, f32(c[i; k]) * s[i / 3], 1",
    "300, a[b; i; k], 0",
    "300, f32(c[i; k]), 0",
    "200, a[b; i; k] * s[i], 0",
  })
  void areComputedOnce(int columns, String row, int expected) {
    KernelTestKit kit =
        KernelTestKit.of(
            KernelParser.parse(
                ("kernel f(a: f32[2, M, 9], c: i8[M, 9], s: f32[20], w: f32[9, N]) -> y: f32[2, M, N] { "
                        + "y[b, i, j] for b < 2, i < M, j < N = sum(k < 9) (ROW) * w[k, j]; }")
                    .replace("ROW", row.replace(';', ','))
                    .replace("N", Integer.toString(columns))),
            Map.of("M", 7L),
            Set.of("w"),
            new Random(3));
    List<Tensor> values = kit.expected();
    for (Target target : TARGETS) {
      long stages =
          kit.scheduled(target).temporaries().stream()
              .filter(buffer -> buffer.name().endsWith("_computed"))
              .count();
      assertEquals(expected, stages, row + " on " + target.name());
      kit.check(target, LoopInterpreter::compile, values);
    }
  }
}
