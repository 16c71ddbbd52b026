package org.tersor.conformance.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * Values at full shapes with tails, of code that HotSpot has compiled: cold code at small shapes
 * runs in the interpreter and shows none of the optimiser's faults.
 */
class HotKernelsTest {
  /** Runs until the compiled form is reached; not asserted, only given time for. */
  private static final long NANOS = 1_500_000_000L;

  static List<KernelCase> cases() {
    return KernelCases.all(KernelCases.vectorPanel());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void coldAndHotValues(KernelCase row) {
    Executable executable =
        Compiler.standard().executable(row.graph(), "jvm", CompileOptions.defaults());
    Map<String, Tensor> outputs = executable.run(row.inputs());
    Object array = outputs.values().iterator().next().array();
    assertEquals(Optional.empty(), KernelBench.difference(row, array), "cold");
    long end = System.nanoTime() + NANOS;
    for (int runs = 0; runs < 50 || System.nanoTime() < end; runs++) {
      executable.run(row.inputs(), outputs);
    }
    assertEquals(Optional.empty(), KernelBench.difference(row, array), "hot");
    if (row.jvm().isPresent()) {
      float[] hand = new float[row.expected().length];
      row.jvm().get().run(row.operands(), hand, row.sizes());
      assertEquals(Optional.empty(), KernelBench.difference(row, hand), "by hand");
    }
  }
}
