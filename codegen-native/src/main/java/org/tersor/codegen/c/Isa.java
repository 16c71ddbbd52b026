package org.tersor.codegen.c;

import java.util.Comparator;
import java.util.List;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.ModelProgram;

/**
 * Instruction sets that C code is generated for: what the emitter may use, and the compiler flags
 * that allow it. All but NEON are of x86-64.
 */
enum Isa {
  /** Baseline x86-64: SSE2, no FMA. */
  SCALAR(0, ""),
  AVX2(32, "-mavx -mavx2 -mfma -mf16c -mbmi -mbmi2 -mpopcnt"),
  AVX512(64, AVX2.flags + " -mavx512f -mavx512bw -mavx512dq -mavx512vl"),
  AVX512VNNI(64, AVX512.flags + " -mavx512vnni"),
  AVX512AMX(64, AVX512VNNI.flags),
  AVX512BF16(64, AVX512VNNI.flags + " -mavx512bf16"),
  /** Every AArch64 processor: NEON with multiply-adds; conversions of halves are integer code. */
  NEON(16, "");

  private final int maxBytes;
  private final String flags;

  Isa(int maxBytes, String flags) {
    this.maxBytes = maxBytes;
    this.flags = flags;
  }

  static Isa of(Target target) {
    if (target.has(Target.Feature.TILES)) {
      return AVX512AMX;
    }
    if (target.has(Target.Feature.BF16_DOT)) {
      return AVX512BF16;
    }
    if (target.has(Target.Feature.DOT4) && target.vectorBytes() == 64) {
      return AVX512VNNI;
    }
    return switch (target.vectorBytes()) {
      case 64 -> AVX512;
      case 32 -> AVX2;
      case 16 -> NEON;
      default -> SCALAR;
    };
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

  Architecture architecture() {
    return this == NEON ? Architecture.AARCH64 : Architecture.HOST;
  }

  /** Whether there are registers and the usual intrinsics of x86-64 for vectors of that size. */
  boolean registers(int bytes) {
    return this != NEON && bytes >= 16 && bytes <= maxBytes;
  }

  /** Whether vectors of that size have NEON's intrinsics. */
  boolean neon(int bytes) {
    return this == NEON && bytes == 16;
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
    return this != SCALAR && this != NEON;
  }

  boolean vnni() {
    return this == AVX512VNNI || bf16() || tiles();
  }

  /** Whether there are AMX's tile registers. Their instructions are in assembler, without flags. */
  boolean tiles() {
    return this == AVX512AMX;
  }

  boolean bf16() {
    return this == AVX512BF16;
  }
}
