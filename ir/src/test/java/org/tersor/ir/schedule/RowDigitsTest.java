package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Products of one row of F32 with weights in codes, by sums of bytes. */
class RowDigitsTest {
  private static final Target VNNI = Target.nativeTarget("avx512vnni");
  private static final int COLUMNS = 150;

  /** A product of 64 k with a bias and a rectifier. */
  private static String kernel(String rows, int columns, int block, int bits, String zero) {
    return ("kernel f(x: f32[R, 64], w: u8[64, C], t: f32[B, C], z: u8[B, C], b: f32[C]) -> y: f32[R, C] { "
            + "y[i, j] for i < R, j < C = max(b[j] + sum(k < 64) (x[i, k] "
            + "* ((f32(i32(w[k, j]) & M) - Z) * t[k / L, j])), 0.0); }")
        .replace("Z", zero)
        .replace("M", Integer.toString((1 << bits) - 1))
        .replace("R", rows)
        .replace("C", Integer.toString(columns))
        .replace("B", Integer.toString(64 / block))
        .replace("L", Integer.toString(block));
  }

  private static KernelTestKit kit(String kernel, Map<String, Long> dims) {
    return KernelTestKit.of(KernelParser.parse(kernel), dims, Set.of("w", "t", "z"), new Random(7));
  }

  private static boolean sumsBytes(KernelTestKit kit, Target target) {
    return kit.scheduled(target).run().stream()
        .anyMatch(launch -> LoopPrinter.print(launch.function()).contains("dot4"));
  }

  @ParameterizedTest
  @CsvSource({
    "16, 4, 8.0",
    "32, 4, 'f32(i32(z[k / L, j]) & 15)'",
    "64, 8, 128.0",
    "32, 8, 'f32(z[k / L, j])'",
    "32, 2, 1.5"
  })
  void oneRowIsSummedInBytes(int block, int bits, String zero) {
    KernelTestKit kit = kit(kernel("1", 150, block, bits, zero), Map.of());
    assertTrue(sumsBytes(kit, VNNI));
    kit.check(VNNI, LoopInterpreter::compile, kit.expected());
  }

  /** More rows, an unknown number of rows, few columns, no sums of bytes. */
  @ParameterizedTest
  @CsvSource({"2, 150, avx512vnni", "M, 150, avx512vnni", "1, 100, avx512vnni", "1, 150, avx512"})
  void othersMakeFloatsOfTheCodes(String rows, int columns, String target) {
    KernelTestKit kit =
        kit(kernel(rows, columns, 32, 4, "8.0"), rows.equals("M") ? Map.of("M", 1L) : Map.of());
    assertFalse(sumsBytes(kit, Target.nativeTarget(target)));
    kit.check(Target.nativeTarget(target), LoopInterpreter::compile, kit.expected());
  }

  private static Tensor weights() {
    Tensor weights = Tensor.zeros(DType.U8, 64, COLUMNS);
    Random random = new Random(3);
    for (int i = 0; i < weights.size(); i++) {
      weights.setLong(i, random.nextInt(256));
    }
    return weights;
  }

  /** {@code y[j] = sum(k) x[k] * (code[k, j] - 8)}. */
  private static double[] sums(float[] row, Tensor weights) {
    String text =
        "kernel f(x: f32[64], w: u8[64, 150]) -> y: f32[150] { y[j] for j < 150 = "
            + "sum(k < 64) (x[k] * (f32(i32(w[k, j]) & 15) - 8.0)); }";
    Kernel kernel = KernelParser.parse(text);
    KernelTestKit kit =
        new KernelTestKit(
            kernel,
            Map.of(),
            Set.of("w"),
            List.of(Tensor.of(row, row.length), weights),
            Optional.empty(),
            Schedules.RULE);
    assertTrue(sumsBytes(kit, VNNI));
    float[] result = (float[]) kit.run(VNNI, LoopInterpreter::compile).getFirst();
    return IntStream.range(0, result.length).mapToDouble(i -> result[i]).toArray();
  }

  /** From the largest floats down to numbers that are not normal. */
  @ParameterizedTest
  @ValueSource(ints = {127, 60, 0, -60, -96, -126, -149})
  void roundingIsThatOfFloatsForAnyExponent(int exponent) {
    Random random = new Random(exponent);
    float[] row = new float[64];
    for (int k = 0; k < row.length; k++) {
      // Some far below the block's largest; sums stay finite.
      row[k] = Math.scalb((float) random.nextGaussian() / 4096, exponent - random.nextInt(8));
    }
    check(row);
  }

  /** Digits of 128 and more, of each place and both signs, carry into the next. */
  @ParameterizedTest
  @ValueSource(ints = {0x7fffff, 0x808080, 0x7f7f7f, 0x800000, 0xffffff, 0x80, 1, 0})
  void carriesOfDigits(int number) {
    float[] row = new float[64];
    for (int k = 0; k < row.length; k++) {
      row[k] = (k % 2 == 0 ? number : -number) / (float) (1 + k / 7);
    }
    check(row);
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void whatIsNotFiniteGivesNoNumber(float element) {
    float[] row = new float[64];
    row[40] = element;
    for (double value : sums(row, weights())) {
      assertTrue(Double.isNaN(value), () -> "is " + value);
    }
  }

  /** Sums are as near to the exact ones as sums of floats would be. */
  private static void check(float[] row) {
    Tensor weights = weights();
    double[] sums = sums(row, weights);
    for (int j = 0; j < COLUMNS; j++) {
      double exact = 0;
      double most = 0;
      for (int k = 0; k < 64; k++) {
        double product = (double) row[k] * ((weights.getLong(k * COLUMNS + j) & 15) - 8);
        exact += product;
        most += Math.abs(product);
      }
      // What is less than half of the least scale, 2^-126, is none of it.
      double bound = most * 0x1p-22 + 64 * 8 * 0x1p-127;
      assertEquals(exact, sums[j], bound, "column " + j);
    }
  }
}
