package org.tersor.codegen.jvm;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.KernelTestKit;
import org.tersor.ir.schedule.Target;

/**
 * Random kernels as bytecode against the kernel interpreter. {@code -Dtersor.test.seeds=FROM,COUNT}
 * runs others.
 */
class RandomKernelTest {
  @ParameterizedTest
  @ValueSource(ints = {64, 32, 16, 0})
  void randomKernels(int vectorBytes) {
    Target target = Target.jvm(vectorBytes);
    String[] seeds = System.getProperty("tersor.test.seeds", "1000,60").split(",", -1);
    long from = Long.parseLong(seeds[0]);
    for (long seed = from; seed < from + Long.parseLong(seeds[1]); seed++) {
      try {
        KernelTestKit kit = KernelTestKit.random(seed);
        kit.check(target, f -> HiddenKernels.load(f, target));
        for (LoopFunction function : kit.functions(target)) {
          int largest =
              new JvmEmitter(target)
                  .emitWithSizes(function, HiddenKernels.CLASS_NAME)
                  .largestMethod();
          assertTrue(
              largest <= JvmEmitter.METHOD_LIMIT,
              "HotSpot does not compile a method of " + largest + " bytes");
        }
      } catch (AssertionError e) {
        throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
      }
    }
  }
}
