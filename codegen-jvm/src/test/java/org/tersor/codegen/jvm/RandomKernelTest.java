package org.tersor.codegen.jvm;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
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
        KernelTestKit.random(seed).check(target, f -> HiddenKernels.load(f, target));
      } catch (AssertionError e) {
        throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
      }
    }
  }
}
