package org.tersor.codegen.jvm;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.schedule.KernelTestKit;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.TersorException;

/**
 * Random kernels as bytecode against the kernel interpreter. {@code -Dtersor.test.seeds=FROM,COUNT}
 * runs others.
 */
class RandomKernelTest {
  private static final String TOO_LARGE = "TSR-0601";
  private static final int MOST_REFUSED = 2;

  @ParameterizedTest
  @ValueSource(ints = {64, 32, 16, 0})
  void randomKernels(int vectorBytes) {
    Target target = Target.jvm(vectorBytes);
    String[] seeds = System.getProperty("tersor.test.seeds", "1000,60").split(",", -1);
    long from = Long.parseLong(seeds[0]);
    int refused = 0;
    for (long seed = from; seed < from + Long.parseLong(seeds[1]); seed++) {
      try {
        KernelTestKit.random(seed).check(target, f -> HiddenKernels.load(f, target));
      } catch (AssertionError e) {
        // A kernel that fits no method is refused by a diagnostic, which is no wrong result.
        if (!(e.getCause() instanceof TersorException refusal
            && refusal.code().equals(TOO_LARGE))) {
          throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
        }
        refused++;
      }
    }
    assertTrue(refused <= MOST_REFUSED, refused + " kernels are refused as too large");
  }
}
