package org.tersor.codegen.c;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.tersor.runtime.machine.SharedObject;

/**
 * Compiles C files side by side and links them; libraries of equal text are kept in the user's
 * cache.
 */
final class NativeBuild {
  /** A C file (or, with suffix .S, assembly) and the flags beyond the common ones. */
  record Source(String text, List<String> flags) {}

  private NativeBuild() {}

  /**
   * Compiles into objects in {@code folder} and links them to {@code library} there. Other files
   * that sources refer to must be there.
   */
  static Path build(
      Path folder, Architecture architecture, Map<String, Source> sources, String library)
      throws IOException {
    List<String> objects = new ArrayList<>();
    List<Future<?>> running = new ArrayList<>();
    try (ExecutorService pool =
        Executors.newFixedThreadPool(
            Math.max(1, Math.min(sources.size(), Runtime.getRuntime().availableProcessors())))) {
      for (Map.Entry<String, Source> source : sources.entrySet()) {
        Files.writeString(
            folder.resolve(source.getKey()), source.getValue().text(), StandardCharsets.UTF_8);
        if (source.getKey().endsWith(".h")) {
          continue;
        }
        String object = source.getKey() + ".o";
        objects.add(object);
        running.add(
            pool.submit(() ->
                Toolchain.run(
                    folder,
                    architecture.command(
                        source.getValue().flags(), "-c", source.getKey(), "-o", object))));
      }
      for (Future<?> each : running) {
        each.get();
      }
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Faults.toolchain("interrupted while compiling");
    }
    List<String> link = new ArrayList<>(architecture.cc());
    link.addAll(
        List.of(
            "-shared",
            "-nostdlib",
            "-Wl,--build-id=none",
            "-Wl,-z,noexecstack",
            "-Wl,-Bsymbolic",
            "-s",
            "-o",
            library));
    link.addAll(objects);
    Toolchain.run(folder, link);
    return folder.resolve(library);
  }

  /** Loads the library of these sources, from the cache if it is there. */
  static SharedObject load(Map<String, Source> sources, BuildCache cache) {
    Optional<Path> cached = cache.file(Toolchain.identity(), sources, ".so");
    if (cached.filter(Files::isRegularFile).isPresent()) {
      return new SharedObject(cached.get());
    }
    Map<String, Source> faster = PrecompiledHeader.with(sources, cache);
    return Toolchain.inFolder(folder -> {
      Path built = build(folder, Architecture.HOST, faster, "library.so");
      cached.ifPresent(file -> BuildCache.keep(built, file));
      return new SharedObject(cached.filter(Files::isRegularFile).orElse(built));
    });
  }
}
