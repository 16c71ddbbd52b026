package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Plan;

/**
 * The machine code of hot kernels as the C compiler makes it: register tiles multiply and add in
 * the target's best instruction and keep everything in registers, and no loop calls a function.
 */
class HotLoopsTest {
  private static final int TILE = 8;

  /** What is rounded to BF16 on targets that do. */
  private static final Set<HotModels> ROUNDED = Set.of(HotModels.GEMM, HotModels.POINTWISE);

  /**
   * An instruction that multiplies, on which registers, and how often in the inner loop at least.
   */
  private record Product(String instruction, String register, int least) {
    /**
     * Of matrix registers a few steps are a whole sum: then there is no loop in that over tiles.
     */
    List<MachineLoops.Loop> loops(MachineLoops function) {
      return register.equals("tmm") ? function.loops() : function.innermost();
    }

    /** Products in a loop, from which on it is one of a tile. */
    int tile() {
      return Math.min(TILE, least);
    }
  }

  private record Expected(Product ofFloats, Product ofBytes) {
    private static Expected of(
        String register, String ofFloats, String ofBytes, int floats, int bytes) {
      return new Expected(
          new Product(ofFloats, register, floats), new Product(ofBytes, register, bytes));
    }
  }

  private static Expected expected(String target) {
    return switch (target) {
      case "avx512vnni", "avx512bf16" -> Expected.of("zmm", "vfmadd231ps", "vpdpbusd", 16, 16);
      case "avx512amx" ->
          new Expected(new Product("vfmadd231ps", "zmm", 16), new Product("tdpbusd", "tmm", 4));
      case "avx512" -> Expected.of("zmm", "vfmadd231ps", "vpmaddwd", 16, 24);
      case "avx2" -> Expected.of("ymm", "vfmadd231ps", "vpmaddwd", 8, 8);
      default -> throw new IllegalArgumentException(target);
    };
  }

  @ParameterizedTest
  @ValueSource(strings = {"avx512amx", "avx512vnni", "avx512bf16", "avx512", "avx2"})
  void instructionsOfHotLoops(String name) {
    assumeTrue(Toolchain.unavailable().isEmpty(), () -> Toolchain.unavailable().orElse(""));
    assumeTrue(Toolchain.find("objdump").isPresent(), "objdump is not installed");
    Target target = Target.nativeTarget(name);
    Expected expected = expected(name);
    List<String> faults = new ArrayList<>();
    for (HotModels model : HotModels.values()) {
      Program program = model.program(target);
      Map<String, MachineLoops> functions = disassemble(program, target);
      long largest = 0;
      for (Plan.Call call : program.plan().runSteps()) {
        String kernel = model + " " + program.kernels().get(call.kernel()).name();
        List<MachineLoops> code = of(call.kernel(), functions);
        assertFalse(code.isEmpty(), kernel);
        for (MachineLoops function : code) {
          faults.addAll(calls(kernel, function));
          Product product = product(model, expected, target);
          faults.addAll(narrow(kernel, function, product));
          for (MachineLoops.Loop loop : product.loops(function)) {
            long products = loop.count(product.instruction, product.register);
            largest = Math.max(largest, products);
            if (product.least > 0
                && products >= product.tile()
                && function.innermost().contains(loop)) {
              faults.addAll(spills(kernel, function, loop));
            }
          }
        }
      }
      int least = product(model, expected, target).least;
      if (largest < least) {
        faults.add(
            model + ": no inner loop with " + least + " products, the largest has " + largest);
      }
    }
    assertEquals("", String.join("\n", faults));
  }

  private static Product product(HotModels model, Expected expected, Target target) {
    return switch (model.products()) {
      case BYTES -> expected.ofBytes;
      case FLOATS ->
          target.has(Target.Feature.BF16_DOT) && ROUNDED.contains(model)
              ? new Product("vdpbf16ps", "zmm", expected.ofFloats.least)
              : expected.ofFloats;
      case NONE -> new Product("none", "none", 0);
    };
  }

  /** The code of a kernel, which may be part of its entry. */
  private static List<MachineLoops> of(int kernel, Map<String, MachineLoops> functions) {
    Pattern names = Pattern.compile("(kernel|tsr_entry)%d(\\..*)?".formatted(kernel));
    return functions.values().stream()
        .filter(function -> names.matcher(function.name()).matches())
        .toList();
  }

  private static List<String> calls(String kernel, MachineLoops function) {
    return function.loops().stream()
        .flatMap(loop -> loop.body().stream())
        .filter(MachineLoops.Instruction::isCall)
        .distinct()
        .map(i -> kernel + " calls a function in a loop: " + i)
        .toList();
  }

  private static List<String> spills(String kernel, MachineLoops function, MachineLoops.Loop loop) {
    return loop.body().stream()
        .filter(i -> function.isSpill(i) || isCopy(i))
        .map(i ->
            "%s spills or copies a register in the loop at %x: %s"
                .formatted(kernel, loop.header(), i))
        .toList();
  }

  private static boolean isCopy(MachineLoops.Instruction i) {
    return i.mnemonic().matches("vmov[au]ps|vmovdq[au](8|16|32|64)?")
        && i.operands().matches("[xyz]mm\\d+,[xyz]mm\\d+");
  }

  /** Products of narrower vectors in a loop: the target's width is not used. */
  private static List<String> narrow(String kernel, MachineLoops function, Product product) {
    return function.innermost().stream()
        .flatMap(loop -> loop.body().stream())
        .filter(i ->
            i.mnemonic().equals(product.instruction) && !i.operands().contains(product.register))
        .map(i -> kernel + " multiplies in narrow registers: " + i)
        .toList();
  }

  private static Map<String, MachineLoops> disassemble(Program program, Target target) {
    List<String> text =
        Toolchain.inFolder(folder -> {
          Path library =
              NativeKernel.build(NativeKernel.source(program.kernels(), target), target, folder);
          return MicroKernelTest.output(
              List.of("objdump", "-d", "--no-show-raw-insn", "-M", "intel", library.toString()));
        });
    return MachineLoops.parse(text);
  }

  private static final List<String> TEXT =
      """
      0000000000001000 <f>:
          1000:\tpush   rbp
          1001:\tmov    rbp,rsp
          1004:\tmov    rax,QWORD PTR [rbp-0x8]
          1008:\tvxorps xmm0,xmm0,xmm0
          100c:\tvmovaps zmm1,ZMMWORD PTR [rdi+rax*4]
          1010:\tvfmadd231ps zmm0,zmm1,zmm2
          1014:\tvmovaps ZMMWORD PTR [rsp+0x40],zmm0
          1018:\tje     1020 <f+0x20>
          101a:\tvaddps zmm0,zmm0,ZMMWORD PTR [rsp+rax*1+0x40]
          1020:\tdec    rax
          1023:\tjne    100c <f+0xc>
          1025:\tcall   2000 <g>
          102a:\tdec    rcx
          102d:\tbnd jmp 1004 <f+0x4>
          1030:\tret
      """
          .lines()
          .toList();

  @Test
  void loopsAreFoundByEdgesBack() {
    MachineLoops function = Objects.requireNonNull(MachineLoops.parse(TEXT).get("f"));
    assertEquals(
        List.of(0x1004L, 0x100cL),
        function.loops().stream().map(MachineLoops.Loop::header).toList());
    MachineLoops.Loop inner = function.innermost().getFirst();
    assertEquals(1, function.innermost().size());
    assertEquals(7, inner.body().size());
    assertEquals(1, inner.count("vfmadd231ps", "zmm"));
    assertEquals(
        List.of("1014: vmovaps ZMMWORD PTR [rsp+0x40],zmm0"),
        inner.body().stream().filter(function::isSpill).map(Object::toString).toList());
    assertEquals(
        List.of("k calls a function in a loop: 1025: call 2000 <g>"), calls("k", function));
    assertTrue(isCopy(new MachineLoops.Instruction(0, "vmovaps", "zmm1,zmm2")));
    assertFalse(isCopy(new MachineLoops.Instruction(0, "vmovaps", "zmm1,ZMMWORD PTR [rax]")));
  }
}
