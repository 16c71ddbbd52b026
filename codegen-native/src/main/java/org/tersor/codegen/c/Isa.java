package org.tersor.codegen.c;

import java.util.Comparator;
import java.util.List;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.ModelProgram;

/**
 * Instruction sets of x86-64 that C code is generated for: what the emitter may use, and the
 * compiler flags that allow it.
 */
enum Isa {
  /** Baseline x86-64: SSE2, no FMA. */
  SCALAR(0, ""),
  AVX2(32, "-mavx -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt"),
  AVX512(64, AVX2.flags + " -mavx512f -mavx512bw -mavx512dq -mavx512vl"),
  AVX512VNNI(64, AVX512.flags + " -mavx512vnni");

  private final int maxBytes;
  private final String flags;

  Isa(int maxBytes, String flags) {
    this.maxBytes = maxBytes;
    this.flags = flags;
  }

  static Isa of(Target target) {
    if (target.has(Target.Feature.DOT4) && target.vectorBytes() == 64) {
      return AVX512VNNI;
    }
    return target.vectorBytes() == 64 ? AVX512 : target.vectorBytes() == 32 ? AVX2 : SCALAR;
  }

  /** Models for several sets, that of the largest first. */
  static List<ModelProgram> best(List<ModelProgram> models) {
    return models.stream()
        .sorted(Comparator.comparing((ModelProgram m) -> of(m.target())).reversed())
        .toList();
  }

  /** The numbers that {@code cpu.c} knows them by. */
  static String constants() {
    StringBuilder text = new StringBuilder();
    int level = 0;
    for (Isa isa : values()) {
      text.append("#define LEVEL_%s %d\n".formatted(isa.name(), level++));
    }
    return text.toString();
  }

  /** Compiler flags beyond the baseline. */
  List<String> flags() {
    return flags.isEmpty() ? List.of() : List.of(flags.split(" ", -1));
  }

  /** Whether there are registers and the usual instructions for vectors of that size. */
  boolean registers(int bytes) {
    return bytes >= 16 && bytes <= maxBytes;
  }

  /** Bytes of the widest register; 0 without vectors. */
  int widest() {
    return maxBytes;
  }

  /** Whether bool vectors are bit masks in mask registers; else they are vectors of 0 and -1. */
  boolean bitMasks() {
    return maxBytes == 64;
  }

  boolean fma() {
    return this != SCALAR;
  }

  boolean f16c() {
    return this != SCALAR;
  }

  boolean vnni() {
    return this == AVX512VNNI;
  }
}
