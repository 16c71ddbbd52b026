package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;

/** Products of many rows of bytes with blocks of codes that stay in registers. */
class ResidentCodesTest {
  private static final Target VNNI = Target.nativeTarget("avx512vnni");

  /** A product of 64 k with a bias and a rectifier, all rows and 600 columns. */
  private static String kernel(String rows, int block, int bits, String zero) {
    return ("kernel f(x: i8[R, 64], s: f32[R, B], w: u8[64, 600], t: f32[B, 600], z: u8[B, 600], b: f32[600]) -> y: f32[R, 600] { "
            + "y[i, j] for i < R, j < 600 = max(b[j] + sum(k < 64) (f32(x[i, k]) * (s[i, k / L] / 4.0)) "
            + "* ((f32(i32(w[k, j]) & M) - Z) * t[k / L, j]), 0.0); }")
        .replace("Z", zero)
        .replace("M", Integer.toString((1 << bits) - 1))
        .replace("R", rows)
        .replace("B", Integer.toString(64 / block))
        .replace("L", Integer.toString(block));
  }

  static Stream<String> kernels() {
    List<String> kernels = new ArrayList<>();
    // Above 256 rows the totals of a column tile are those of several tasks.
    for (String rows : new String[] {"16", "33", "300"}) {
      for (int block : new int[] {16, 32}) {
        kernels.add(kernel(rows, block, 4, "8.0"));
        kernels.add(kernel(rows, block, 4, "f32(i32(z[k / L, j]) & 15)"));
        kernels.add(kernel(rows, block, 8, "128.0"));
      }
    }
    return kernels.stream();
  }

  private static KernelTestKit kit(String kernel, Map<String, Long> dims) {
    return KernelTestKit.of(KernelParser.parse(kernel), dims, Set.of("w", "t", "z"), new Random(7));
  }

  /** Whether a column tile's totals are in memory: while all rows pass a block, as they must be. */
  private static boolean isResident(KernelTestKit kit) {
    return kit.scheduled(VNNI).run().stream()
        .map(launch -> LoopPrinter.print(launch.function()))
        .anyMatch(text -> text.contains("alloc local tile") && text.contains("dot4"));
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void manyRowsPassEachBlock(String kernel) {
    KernelTestKit kit = kit(kernel, Map.of());
    assertTrue(isResident(kit), kernel);
    kit.check(VNNI, LoopInterpreter::compile, kit.expected());
  }

  /** Few rows, rows of unknown number, blocks that do not fit. */
  @ParameterizedTest
  @CsvSource({"8, 32", "M, 32", "64, 64"})
  void othersKeepTheirTotalsInRegisters(String rows, int block) {
    KernelTestKit kit =
        kit(kernel(rows, block, 4, "8.0"), rows.equals("M") ? Map.of("M", 40L) : Map.of());
    assertFalse(isResident(kit));
    kit.check(VNNI, LoopInterpreter::compile, kit.expected());
  }
}
