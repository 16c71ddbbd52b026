package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.dsl.LoopParser;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.ir.loop.LoopVerifier;
import org.tersor.runtime.Tensor;

/** Sums in matrix registers, by the loop interpreter, against the kernel interpreter. */
class MatrixTileTest {
  private static final Target TARGET = Target.nativeTarget("avx512amx");

  static Stream<Map.Entry<String, KernelTestKit>> kits() {
    return MatrixKernels.kits().entrySet().stream();
  }

  @ParameterizedTest
  @MethodSource("kits")
  void sumsAreExact(Map.Entry<String, KernelTestKit> entry) {
    KernelTestKit kit = entry.getValue();
    List<KernelTestKit> ways = MatrixKernels.inMatrices(kit, TARGET);
    assertFalse(ways.isEmpty());
    List<Tensor> expected = kit.expected();
    for (KernelTestKit way : ways) {
      LoopFunction product = way.functions(TARGET).getLast();
      String text = LoopPrinter.print(product);
      assertTrue(text.contains("tile "), text);
      assertEquals(product, LoopParser.parse(text));
      way.check(TARGET, LoopInterpreter::compile, expected);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "tile s[4, 4]; tile x[4, 3] = a[0 by 12]; tile s += u8 x * u8 x; | do not fit",
        "tile x[4, 4] = a[0 by 16]; tile x += u8 x * u8 x; | holds no sums",
        "tile s[4, 4]; tile x[4, 4] = a[0 by 16]; tile s += i32 x * u8 x; | products of u8 and i8",
        "tile s[4, 4]; tile a[0 by 4] = s; | rows of u8",
        "tile x[4, 4] = y[0 by 16]; | rows of i32",
        "tile s[4, 4]; tile z[0 by 4] = s; | not marked written",
        "tile s[4, 4]; { tile s[4, 4]; } | already in use",
        "for lanes i in 0 .. 2 { tile s[4, 4]; } | outside of lanes",
        "{ tile s[4, 4]; } tile y[0 by 4] = s; | no matrix register named s"
      })
  void mistakesAreFound(String body, String problem) {
    LoopFunction function =
        LoopParser.parse("kernel f(a: mut u8, y: mut i32, z: i32) { " + body + " }");
    String problems = LoopVerifier.verify(function).toString();
    assertTrue(problems.contains(problem), problems);
  }

  @ParameterizedTest
  @CsvSource({"64, 64, 64, true", "128, 768, 768, true", "2, 64, 64, false", "64, 64, 8, false"})
  void ruleTakesThemWhereTheyPay(long m, long n, long k, boolean pays) {
    String text =
        "kernel f(a: u8[%d, %d], w: i8[%d, %d]) -> y: i32[%d, %d] { y[i, j] for i < %d, j < %d = sum(k < %d) i32(a[i, k]) * i32(w[k, j]); }"
            .formatted(m, k, k, n, m, n, m, n, k);
    KernelTestKit kit =
        KernelTestKit.of(KernelParser.parse(text), Map.of(), Set.of("w"), new Random(1));
    String code = kit.functions(TARGET).getLast().toString();
    assertEquals(pays, code.contains("Dot[sum="), code);
  }
}
