package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.KernelTestKit;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.KernelCode;

/**
 * Random kernels as C, in one library per target, against the kernel interpreter. {@code
 * -Dtersor.test.seeds=FROM,COUNT} runs others.
 */
class RandomKernelTest {

  @ParameterizedTest
  @ValueSource(strings = {"avx512amx", "avx512vnni", "avx512", "avx2", "scalar"})
  void randomKernels(String name) {
    assumeTrue(Kernels.runsHere(name), "this processor lacks " + name);
    Target target = Target.nativeTarget(name);
    String[] seeds = System.getProperty("tersor.test.seeds", "2000,40").split(",", -1);
    long from = Long.parseLong(seeds[0]);
    Map<Long, KernelTestKit> kits = new LinkedHashMap<>();
    Set<LoopFunction> functions = new LinkedHashSet<>();
    for (long seed = from; seed < from + Long.parseLong(seeds[1]); seed++) {
      KernelTestKit kit = KernelTestKit.random(seed);
      kits.put(seed, kit);
      functions.addAll(kit.functions(target));
    }
    List<LoopFunction> list = List.copyOf(functions);
    List<NativeKernel> compiled = NativeKernel.load(list, target);
    Map<LoopFunction, KernelCode> code = new LinkedHashMap<>();
    for (int i = 0; i < list.size(); i++) {
      code.put(list.get(i), Kernels.onArrays(compiled.get(i)));
    }
    kits.forEach((seed, kit) -> {
      try {
        kit.check(target, f -> Objects.requireNonNull(code.get(f)));
      } catch (AssertionError e) {
        throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
      }
    });
  }
}
