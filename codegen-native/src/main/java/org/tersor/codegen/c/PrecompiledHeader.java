package org.tersor.codegen.c;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.runtime.TersorException;

/**
 * The vector header of the C compiler, compiled once and kept: reading it takes longer than
 * compiling most kernels. Sources stay as they are; they only find that it is included already.
 */
final class PrecompiledHeader {
  private static final String INCLUDE = "#include <immintrin.h>\n";

  private PrecompiledHeader() {}

  /** The sources with flags by which they find the header, where that is possible. */
  static Map<String, NativeBuild.Source> with(
      Map<String, NativeBuild.Source> sources, BuildCache cache) {
    Map<String, NativeBuild.Source> faster = new LinkedHashMap<>();
    sources.forEach((name, source) -> {
      List<String> flags = new ArrayList<>(source.flags());
      flags.addAll(flags(source, cache));
      faster.put(name, new NativeBuild.Source(source.text(), flags));
    });
    return faster;
  }

  private static List<String> flags(NativeBuild.Source source, BuildCache cache) {
    // clang looks for such headers in another way.
    if (!source.text().contains(INCLUDE) || Toolchain.identity().contains("clang")) {
      return List.of();
    }
    NativeBuild.Source header =
        new NativeBuild.Source(
            "#include <stdint.h>\n#include <stddef.h>\n" + INCLUDE, source.flags());
    Optional<Path> file = cache.file(Toolchain.identity(), Map.of("header", header), ".h");
    return file.filter(at -> isThere(at, header))
        .map(at -> List.of("-include", at.toString()))
        .orElse(List.of());
  }

  private static boolean isThere(Path file, NativeBuild.Source header) {
    Path compiled = file.resolveSibling(file.getFileName() + ".gch");
    if (Files.isRegularFile(compiled)) {
      return true;
    }
    try {
      make(file, compiled, header);
    } catch (TersorException e) {
      // Only the speed of compiling depends on it; what is really wrong shows there.
      return false;
    }
    return Files.isRegularFile(compiled);
  }

  private static void make(Path file, Path compiled, NativeBuild.Source header) {
    Path _ =
        Toolchain.inFolder(folder -> {
          Files.writeString(folder.resolve("header.h"), header.text());
          Toolchain.run(
              folder,
              Toolchain.command(header.flags(), "-x", "c-header", "header.h", "-o", "header.gch"));
          BuildCache.keep(folder.resolve("header.h"), file);
          BuildCache.keep(folder.resolve("header.gch"), compiled);
          return compiled;
        });
  }
}
