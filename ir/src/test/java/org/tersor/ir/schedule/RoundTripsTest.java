package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.runtime.Tensor;

/** Codes that stay, and codes that become numbers again. */
class RoundTripsTest {
  private static final Target JVM = Target.jvm(64);
  private static final Target VNNI = Target.nativeTarget("avx512vnni");

  private static KernelTestKit kit(String text, int zero) {
    KernelTestKit random =
        KernelTestKit.of(KernelParser.parse(text), Map.of(), Set.of("z"), new Random(5));
    List<Tensor> inputs = new ArrayList<>(random.inputs());
    if (inputs.getFirst().dtype().isFloat()) {
      inputs.set(0, numbers());
    }
    inputs.get(1).setLong(0, zero);
    return random.with(inputs);
  }

  /** Ties, what lies beside them, and what no code can hold. */
  private static Tensor numbers() {
    float[] numbers = new float[3000];
    for (int i = 0; i < numbers.length - 4; i++) {
      float tie = (i - 1500) / 4f;
      numbers[i] = i % 3 == 0 ? Math.nextUp(tie) : i % 3 == 1 ? tie : Math.nextDown(tie);
    }
    numbers[2996] = Float.POSITIVE_INFINITY;
    numbers[2997] = Float.NEGATIVE_INFINITY;
    numbers[2998] = Float.MAX_VALUE;
    numbers[2999] = -0f;
    return Tensor.of(numbers, numbers.length);
  }

  private static String code(String type, int low, int high) {
    return "T!(min(max(rint(x[i]) + f32(i32(z[0])), LOW.0), HIGH.0))"
        .replace("T", type)
        .replace("LOW", Integer.toString(low))
        .replace("HIGH", Integer.toString(high));
  }

  private static Stream<String> text(KernelTestKit kit, Target target) {
    return kit.scheduled(target).run().stream().map(launch -> LoopPrinter.print(launch.function()));
  }

  /** Zero points that are odd must not change which neighbour of a tie is taken. */
  @ParameterizedTest
  @CsvSource({
    "u8, 0, 255, 0",
    "u8, 0, 255, 128",
    "u8, 0, 255, 3",
    "u8, 0, 255, 255",
    "u8, 1, 17, 4",
    "i8, -128, 127, 0",
    "i8, -128, 127, -128",
    "i8, -128, 127, 127",
    "i8, -128, 127, -7"
  })
  void codesAreThoseOfTheDefinition(String type, int low, int high, int zero) {
    String kernel =
        "kernel f(x: f32[3000], z: %s[1]) -> y: %s[3000] { y[i] for i < 3000 = %s; }"
            .formatted(type, type, code(type, low, high));
    KernelTestKit kit = kit(kernel, zero);
    List<Tensor> expected = kit.expected();
    kit.check(JVM, LoopInterpreter::compile, expected);
    kit.check(VNNI, LoopInterpreter::compile, expected);
    assertFalse(text(kit, JVM).anyMatch(text -> text.contains("rint")), "rounds by addition");
  }

  /** Numbers of codes, less the zero point or as they are, never become codes. */
  @ParameterizedTest
  @CsvSource({
    "u8, 0, 255, 128, true", "u8, 0, 255, 3, true", "u8, 0, 255, 3, false",
    "i8, -128, 127, -128, true", "i8, -128, 127, 1, true", "i8, -128, 127, 1, false"
  })
  void numbersAreThoseOfTheCodes(String type, int low, int high, int zero, boolean centered) {
    String integer = code(type, low, high).replace("x[i]", "f32(x[i]) * 0.25");
    String kernel =
        "kernel f(x: i32[3000], z: %s[1]) -> y: f32[3000] { y[i] for i < 3000 = f32(i32(%s)%s); }"
            .formatted(type, integer, centered ? " - i32(z[0])" : "");
    KernelTestKit kit = kit(kernel, zero);
    List<Tensor> expected = kit.expected();
    for (Target target : List.of(JVM, VNNI)) {
      kit.check(target, LoopInterpreter::compile, expected);
      assertFalse(text(kit, target).anyMatch(text -> text.contains(type + "x16")), target.name());
    }
  }

  /** What may be NaN becomes a code and a number again, which is none. */
  @Test
  void whatMayBeNoNumberStaysACode() {
    String kernel =
        "kernel f(x: f32[3000], z: u8[1]) -> y: f32[3000] { y[i] for i < 3000 = f32(%s); }"
            .formatted(code("u8", 0, 255));
    KernelTestKit kit = kit(kernel, 7);
    kit.check(VNNI, LoopInterpreter::compile, kit.expected());
    assertEquals(1, text(kit, VNNI).filter(text -> text.contains("u8")).count());
  }
}
