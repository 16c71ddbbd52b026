package org.tersor.plugins.x86;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.schedule.Target;

/** What the processor of this machine can do. */
final class Cpu {
  private static final List<String> AVX512 =
      List.of("fma", "f16c", "bmi2", "popcnt", "avx512f", "avx512bw", "avx512dq", "avx512vl");

  private Cpu() {}

  /** Whether code for a target runs here. */
  static boolean supports(Target target) {
    Set<String> flags = flags();
    return flags.containsAll(AVX512)
        && (!target.has(Target.Feature.DOT4) || flags.contains("avx512_vnni"))
        && (!target.has(Target.Feature.BF16_DOT) || flags.contains("avx512_bf16"));
  }

  /** Why no code runs here; empty if it does. */
  static Optional<String> unavailable() {
    String arch = System.getProperty("os.arch", "");
    boolean linux = System.getProperty("os.name", "").equals("Linux");
    if (!linux || !(arch.equals("amd64") || arch.equals("x86_64"))) {
      return Optional.of(
          "the x86 backend makes code for Linux on x86-64, and this is "
              + System.getProperty("os.name", "")
              + " on "
              + arch
              + "; use --backend native or jvm");
    }
    Set<String> flags = flags();
    List<String> missing = AVX512.stream().filter(need -> !flags.contains(need)).toList();
    return missing.isEmpty()
        ? Optional.empty()
        : Optional.of(
            "the x86 backend makes code with AVX-512, and this processor shows no "
                + String.join(", ", missing)
                + "; use --backend native or jvm");
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
