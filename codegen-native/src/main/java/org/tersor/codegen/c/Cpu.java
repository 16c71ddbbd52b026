package org.tersor.codegen.c;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** What the processor of this machine can do. */
final class Cpu {
  private Cpu() {}

  /** Names of /proc/cpuinfo for each level, as the compiler may use all of them. */
  private static List<String> needs(Isa isa) {
    return switch (isa) {
      case SCALAR -> List.of();
      case AVX2 -> List.of("avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "popcnt");
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

  /**
   * What keeps this process from a level whose own instructions the processor has, as a sentence;
   * empty if nothing does. Virtual machines may hide single features.
   */
  static Optional<String> limit() {
    return limit(flags(), TilePermission::granted);
  }

  static Optional<String> limit(Set<String> flags, BooleanSupplier tiles) {
    for (Isa isa : List.of(Isa.AVX2, Isa.AVX512, Isa.AVX512VNNI, Isa.AVX512AMX)) {
      List<String> needs = needs(isa);
      List<String> missing = needs.stream().filter(need -> !flags.contains(need)).toList();
      String own = own(isa);
      if (flags.contains(own) && !missing.isEmpty()) {
        return Optional.of(
            "this processor has "
                + own
                + " but shows no "
                + String.join(", ", missing)
                + " (a virtual machine may hide it), so code for "
                + isa.name().toLowerCase(Locale.ROOT)
                + " cannot run here");
      }
      if (isa.tiles() && missing.isEmpty() && !tiles.getAsBoolean()) {
        return Optional.of(
            "this processor has "
                + own
                + " but the system does not let this process use the tile registers"
                + " (arch_prctl ARCH_REQ_XCOMP_PERM), so code for "
                + isa.name().toLowerCase(Locale.ROOT)
                + " cannot run here");
      }
    }
    return Optional.empty();
  }

  /** The feature that a level is named after. */
  private static String own(Isa isa) {
    return switch (isa) {
      case AVX512 -> "avx512f";
      case AVX512VNNI -> "avx512_vnni";
      case AVX512AMX -> "amx_int8";
      default -> isa.name().toLowerCase(Locale.ROOT);
    };
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
