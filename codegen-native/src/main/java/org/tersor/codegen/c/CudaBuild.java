package org.tersor.codegen.c;

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
import java.util.stream.Stream;
import org.tersor.ir.loop.LoopFunction;

/**
 * Kernels to machine code of a GPU by nvcc, in several files side by side; images of equal text are
 * kept in the user's cache.
 */
final class CudaBuild {
  /** Kernels in one file. */
  static final int KERNELS_PER_FILE = 8;

  private CudaBuild() {}

  /**
   * The file of nvcc: the one named, else below the folder that CUDA_HOME names, on the path, or
   * where its installer puts it.
   */
  static Optional<Path> nvcc(Optional<String> named) {
    if (named.isPresent()) {
      return Toolchain.find(named.get());
    }
    String home = System.getenv("CUDA_HOME");
    return Stream.of(
            home == null || home.isBlank() ? "nvcc" : Path.of(home, "bin", "nvcc").toString(),
            "nvcc",
            "/usr/local/cuda/bin/nvcc")
        .flatMap(command -> Toolchain.find(command).stream())
        .findFirst();
  }

  /** An image for each run of {@link #KERNELS_PER_FILE} functions, in order. */
  static List<byte[]> images(
      Path nvcc, String architecture, List<LoopFunction> functions, BuildCache cache) {
    List<String> command = new ArrayList<>(List.of(nvcc.toString()));
    command.addAll(CudaSource.flags());
    command.addAll(List.of("-arch=" + architecture, "-cubin"));
    String compiler =
        cache.folder().isEmpty()
            ? ""
            : command + "\n" + Toolchain.version(List.of(nvcc.toString()));
    List<Future<byte[]>> running = new ArrayList<>();
    try (ExecutorService pool =
        Executors.newFixedThreadPool(Math.max(1, Runtime.getRuntime().availableProcessors()))) {
      for (int first = 0; first < functions.size(); first += KERNELS_PER_FILE) {
        String text =
            CudaSource.text(functions, first, Math.min(functions.size(), first + KERNELS_PER_FILE));
        running.add(pool.submit(() -> image(command, compiler, text, cache)));
      }
      List<byte[]> images = new ArrayList<>();
      for (Future<byte[]> each : running) {
        images.add(each.get());
      }
      return images;
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Faults.toolchain("interrupted while compiling");
    }
  }

  private static byte[] image(
      List<String> command, String compiler, String text, BuildCache cache) {
    Map<String, NativeBuild.Source> source =
        Map.of("kernels.cu", new NativeBuild.Source(text, List.of()));
    Optional<Path> cached = cache.file(compiler, source, ".cubin");
    return Toolchain.inFolder(folder -> {
      if (cached.filter(Files::isRegularFile).isPresent()) {
        return Files.readAllBytes(cached.get());
      }
      Files.writeString(folder.resolve("kernels.cu"), text, StandardCharsets.UTF_8);
      List<String> all = new ArrayList<>(command);
      all.addAll(List.of("-o", "kernels.cubin", "kernels.cu"));
      Toolchain.run(folder, all);
      Path built = folder.resolve("kernels.cubin");
      cached.ifPresent(file -> BuildCache.keep(built, file));
      return Files.readAllBytes(built);
    });
  }
}
