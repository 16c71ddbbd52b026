package org.tersor.codegen.c;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** What the processor of this machine can do. */
final class Cpu {
  private Cpu() {}

  /** Names of /proc/cpuinfo for each level, as the compiler may use all of them. */
  private static List<String> needs(Isa isa) {
    return switch (isa) {
      case SCALAR -> List.of();
      case AVX2 -> List.of("avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "popcnt");
      case AVX512 -> with(needs(Isa.AVX2), "avx512f", "avx512bw", "avx512dq", "avx512vl");
      case AVX512VNNI -> with(needs(Isa.AVX512), "avx512_vnni");
      case AVX512AMX -> with(needs(Isa.AVX512VNNI), "amx_tile", "amx_int8");
      case AVX512BF16 -> with(needs(Isa.AVX512VNNI), "avx512_bf16");
      case NEON -> List.of("asimd");
    };
  }

  private static List<String> with(List<String> smaller, String... more) {
    return Stream.concat(smaller.stream(), Stream.of(more)).toList();
  }

  /** Whether code of that level runs here; without /proc/cpuinfo only the baseline does. */
  static boolean supports(Isa isa) {
    return flags().containsAll(needs(isa)) && (!isa.tiles() || TilePermission.granted());
  }

  private static Set<String> flags() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"), StandardCharsets.UTF_8)) {
        if (line.startsWith("flags")) {
          return Set.of(line.substring(line.indexOf(':') + 1).trim().split("\\s+"));
        }
      }
    } catch (IOException e) {
      return Set.of();
    }
    return Set.of();
  }
}
