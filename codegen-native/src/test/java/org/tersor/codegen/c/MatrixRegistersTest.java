package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tersor.ir.dsl.LoopParser;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.KernelTestKit;
import org.tersor.ir.schedule.MatrixKernels;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.TersorException;

/** Sums in AMX's tile registers, on a processor that has them, against the kernel interpreter. */
class MatrixRegistersTest {
  private static final Target TARGET = Target.nativeTarget("avx512amx");

  @Test
  void sumsAreExact() {
    assumeTrue(Kernels.runsHere(TARGET.name()), "this processor or this system lacks AMX");
    Map<String, KernelTestKit> ways = new LinkedHashMap<>();
    Set<LoopFunction> functions = new LinkedHashSet<>();
    MatrixKernels.kits()
        .forEach((name, kit) -> {
          for (KernelTestKit way : MatrixKernels.inMatrices(kit, TARGET)) {
            ways.put(name + " " + ways.size(), way);
            functions.addAll(way.functions(TARGET));
          }
        });
    List<LoopFunction> list = List.copyOf(functions);
    List<NativeKernel> compiled = NativeKernel.load(list, TARGET);
    Map<LoopFunction, KernelCode> code = new LinkedHashMap<>();
    for (int i = 0; i < list.size(); i++) {
      code.put(list.get(i), Kernels.onArrays(compiled.get(i)));
    }
    List<String> faults = new ArrayList<>();
    ways.forEach((name, way) -> {
      try {
        way.check(TARGET, f -> Objects.requireNonNull(code.get(f)));
      } catch (AssertionError e) {
        faults.add(name + ": " + e.getMessage());
      }
    });
    assertEquals(List.of(), faults);
  }

  @Test
  void registersAreConfiguredAndGivenBack() {
    String text =
        emitted(
            "avx512amx",
            """
            kernel f(a: u8, b: i8, y: mut i32; n) {
              for parallel i in 0 .. n {
                tile s[12, 16];
                for k in 0 .. 2 {
                  tile x[12, 5] = a[i * 240 + k * 20 by 40];
                  {
                    tile w[5, 16] = b[k * 320 by 64];
                    tile s += u8 x * i8 w;
                  }
                  tile w[5, 16] = b[k * 320 by 64];
                  tile s += u8 x * i8 w;
                }
                tile y[i * 192 by 16] = s;
              }
            }
            """);
    List<String> order =
        List.of(
            "ldtilecfg",
            "tilezero %%tmm0",
            "tmm1",
            "tmm2",
            "tdpbusd %%tmm2, %%tmm1, %%tmm0",
            "tilestored",
            "tilerelease");
    int at = 0;
    for (String part : order) {
      at = text.indexOf(part, at);
      assertTrue(at >= 0, part + "\n" + text);
    }
    // A register that was left is taken again.
    assertTrue(!text.contains("tmm3"), text);
  }

  @Test
  void otherProcessorsHaveNone() {
    String function = "kernel f(y: mut i32) { tile s[2, 2]; tile y[0 by 2] = s; }";
    assertThrows(TersorException.class, () -> emitted("avx512vnni", function));
  }

  private static String emitted(String target, String function) {
    CUnit unit = new CUnit(Isa.of(Target.nativeTarget(target)), false);
    CEmitter.emit(unit, LoopParser.parse(function), "f", "static");
    return unit.text();
  }
}
