package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * Which level of instructions a processor gets, and what it is told when that is less than it has.
 */
class CpuTest {
  private static final Set<String> VNNI =
      Set.of(
          "avx",
          "avx2",
          "fma",
          "f16c",
          "bmi1",
          "bmi2",
          "popcnt",
          "avx512f",
          "avx512bw",
          "avx512dq",
          "avx512vl",
          "avx512_vnni");

  private static Set<String> but(String... hidden) {
    Set<String> left = new HashSet<>(VNNI);
    List.of(hidden).forEach(left::remove);
    return left;
  }

  @Test
  void nothingIsSaidWhereNothingIsMissing() {
    assertEquals(Optional.empty(), Cpu.limit(VNNI, () -> false));
    assertEquals(Optional.empty(), Cpu.limit(Set.of(), () -> false), "baseline");
    assertEquals(Optional.empty(), Cpu.limit(but("avx512_vnni"), () -> false), "no VNNI");
    assertEquals(Optional.empty(), Cpu.limit(Set.of("avx", "popcnt"), () -> false), "before AVX2");
  }

  @Test
  void aHiddenFeatureIsNamed() {
    assertEquals(
        "this processor has avx2 but shows no f16c, bmi2 (a virtual machine may hide it), so code"
            + " for avx2 cannot run here",
        Cpu.limit(but("f16c", "bmi2"), () -> false).orElseThrow());
    assertTrue(Cpu.limit(but("avx512vl"), () -> false).orElseThrow().contains("shows no avx512vl"));
  }

  @Test
  void refusedTileRegistersAreNamed() {
    Set<String> amx = new HashSet<>(VNNI);
    amx.addAll(List.of("amx_tile", "amx_int8"));
    assertEquals(Optional.empty(), Cpu.limit(amx, () -> true));
    String why = Cpu.limit(amx, () -> false).orElseThrow();
    assertTrue(why.contains("amx_int8") && why.contains("ARCH_REQ_XCOMP_PERM"), why);
  }
}
