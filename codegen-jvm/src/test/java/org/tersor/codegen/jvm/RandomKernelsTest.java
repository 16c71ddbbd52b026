package org.tersor.codegen.jvm;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.RandomFunctions;

class RandomKernelsTest {
  @Test
  void splitFunctionsToo() {
    for (int seed = 1000; seed < 1030; seed++) {
      LoopFunction function = new RandomFunctions(seed).function();
      Random random = new Random(seed);
      Differential.check(
          400,
          function,
          Differential.randomArrays(function, RandomFunctions.ELEMENTS, random),
          1,
          5);
    }
  }

  /** More with -Dtersor.random.kernels=N; the seed of a failure is in its message. */
  @Test
  void compiledFunctionsDoWhatTheInterpreterDoes() {
    int count = Integer.getInteger("tersor.random.kernels", 100);
    int first = Integer.getInteger("tersor.random.first", 0);
    for (int seed = first; seed < first + count; seed++) {
      try {
        Differential.check(
            new RandomFunctions(seed).function(), RandomFunctions.ELEMENTS, new Random(seed), 5);
      } catch (AssertionError e) {
        throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
      }
    }
  }
}
