package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
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

/** Products of codes in sums of 16 bits, on targets that have no instruction for bytes. */
class CodedShortsTest {
  private static final List<Target> TARGETS =
      List.of(Target.jvm(16), Target.jvm(32), Target.jvm(64));

  /** A product of 128 k, with scales of so many, and with what is taken from a code. */
  private static String kernel(int rows, int block, int bits, String zero) {
    int mask = (1 << bits) - 1;
    return ("kernel f(x: i8[R, 128], s: f32[R, B], w: u8[128, 70], t: f32[B, 70], z: u8[B, 70]) -> y: f32[R, 70] { "
            + "y[i, j] for i < R, j < 70 = sum(k < 128) (f32(x[i, k]) * s[i, k / L]) "
            + "* ((f32(i32(w[k, j]) & M) - Z) * t[k / L, j]); }")
        .replace("Z", zero)
        .replace("M", Integer.toString(mask))
        .replace("R", Integer.toString(rows))
        .replace("B", Integer.toString(128 / block))
        .replace("L", Integer.toString(block));
  }

  static Stream<String> kernels() {
    List<String> kernels = new ArrayList<>();
    for (int rows : new int[] {1, 3, 8, 20}) {
      for (int block : new int[] {16, 32, 64, 128}) {
        kernels.add(kernel(rows, block, 4, "8.0"));
        kernels.add(kernel(rows, block, 4, "f32(i32(z[k / L, j]) & 15)"));
      }
      // Half a block may leave the range in which its sum can begin with what the zero point takes.
      kernels.add(kernel(rows, 32, 4, "1.0"));
      kernels.add(kernel(rows, 32, 4, "0.0"));
      kernels.add(kernel(rows, 32, 2, "1.0"));
    }
    return kernels.stream();
  }

  private static KernelTestKit kit(String kernel) {
    return KernelTestKit.of(
        KernelParser.parse(kernel), Map.of(), Set.of("w", "t", "z"), new Random(7));
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void sumsOfAnyBlocks(String kernel) {
    KernelTestKit kit = kit(kernel);
    List<Tensor> expected = kit.expected();
    for (Target target : TARGETS) {
      assertTrue(sumsShorts(kit, target), target.name());
      kit.check(target, LoopInterpreter::compile, expected);
    }
  }

  /** The largest products of one sign, all of them: 16 bits must hold their sum. */
  @ParameterizedTest
  @MethodSource("kernels")
  void sumsOfExtremes(String kernel) {
    KernelTestKit random = kit(kernel);
    for (int[] codes : new int[][] {{-128, -1}, {127, -1}, {-128, 0}, {127, 0}}) {
      List<Tensor> inputs = new ArrayList<>(random.inputs());
      inputs.set(0, filled(inputs.get(0), codes[0]));
      inputs.set(2, filled(inputs.get(2), codes[1]));
      KernelTestKit kit = random.with(inputs);
      List<Tensor> expected = kit.expected();
      TARGETS.forEach(target -> kit.check(target, LoopInterpreter::compile, expected));
    }
  }

  private static boolean sumsShorts(KernelTestKit kit, Target target) {
    return kit.scheduled(target).run().stream()
        .map(launch -> LoopPrinter.print(launch.function()))
        .anyMatch(text -> text.contains("bits(i16x" + target.lanes(2) + ","));
  }

  private static Tensor filled(Tensor like, int value) {
    Tensor filled = Tensor.zeros(like.dtype(), like.shape());
    for (int i = 0; i < filled.size(); i++) {
      filled.setLong(i, value);
    }
    return filled;
  }
}
