package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.spi.Backend;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class NativeBackendTest {
  private static final String X = "x\"*/ evil";
  private final NativeBackend backend = new NativeBackend();

  @BeforeEach
  void needsCompiler() {
    assumeTrue(backend.unavailable().isEmpty(), () -> backend.unavailable().orElse(""));
  }

  private Executable load(int threads) {
    return backend.load(
        Programs.program("m", backend.targets().getFirst()),
        new Backend.Options(threads, Map.of("cache", "off")));
  }

  @Test
  void isFound() {
    assertEquals(
        1,
        ServiceLoader.load(Backend.class).stream()
            .filter(p -> p.type() == NativeBackend.class)
            .count());
    assertEquals("scalar", backend.targets().getLast().name());
  }

  @Test
  void runsAtAnySizeInAnyThread() {
    for (int threads : new int[] {1, 3}) {
      Executable executable = load(threads);
      for (int n : new int[] {1, 5, 1000, 0, 3}) {
        assertArrayEquals(
            Programs.expected(n),
            Objects.requireNonNull(executable.run(Map.of(X, Programs.input(n))).get("y")).floats());
      }
      IntStream.range(0, 64)
          .parallel()
          .forEach(i ->
              assertArrayEquals(
                  Programs.expected(i % 7),
                  Objects.requireNonNull(executable.run(Map.of(X, Programs.input(i % 7))).get("y"))
                      .floats()));
    }
  }

  /** Steps are spread over functions. */
  @Test
  void runsManySteps() {
    for (int threads : new int[] {1, 3}) {
      Executable chain =
          backend.load(
              Programs.chain(301, backend.targets().getFirst()),
              new Backend.Options(threads, Map.of("cache", "off")));
      for (int n : new int[] {0, 1, 40}) {
        float[] x = new float[n];
        float[] expected = new float[n];
        for (int i = 0; i < n; i++) {
          x[i] = i;
          expected[i] = i - 150.5f;
        }
        assertArrayEquals(
            expected,
            Objects.requireNonNull(chain.run(Map.of("x", Tensor.of(x, n))).get("y")).floats());
      }
    }
  }

  @Test
  void writesIntoTheCallersTensor() {
    Tensor y = Tensor.of(new float[2 * Programs.K], 2, Programs.K);
    assertSame(y, load(1).run(Map.of(X, Programs.input(2)), Map.of("y", y)).get("y"));
    assertArrayEquals(Programs.expected(2), y.floats());
  }

  @Test
  void wrongArgumentsAreDiagnostics() {
    Executable executable = load(1);
    assertEquals(
        "TSR-0701", assertThrows(TersorException.class, () -> executable.run(Map.of())).code());
    assertEquals(
        "TSR-0702",
        assertThrows(
                TersorException.class,
                () -> executable.run(Map.of("z", Programs.input(1), X, Programs.input(1))))
            .code());
    assertEquals(
        "TSR-0703",
        assertThrows(
                TersorException.class,
                () -> executable.run(Map.of(X, Tensor.of(new int[Programs.K], 1, Programs.K))))
            .code());
    assertEquals(
        "TSR-0704",
        assertThrows(
                TersorException.class,
                () -> executable.run(Map.of(X, Tensor.of(new float[3], 1, 3))))
            .code());
    Map<String, Tensor> bad = Map.of("y", Tensor.of(new float[1], 1));
    assertEquals(
        "TSR-0704",
        assertThrows(TersorException.class, () -> executable.run(Map.of(X, Programs.input(1)), bad))
            .code());
  }

  @Test
  void theCachedLibraryGivesTheSame(@TempDir Path cache) throws IOException {
    Backend.Options cached = new Backend.Options(1, Map.of("cache", cache.toString()));
    backend.load(Programs.program("m", backend.targets().getFirst()), cached);
    Path kept = only(cache, ".so");
    FileTime written = Files.getLastModifiedTime(kept);
    Executable again = backend.load(Programs.program("m", backend.targets().getFirst()), cached);
    assertArrayEquals(
        Programs.expected(4),
        Objects.requireNonNull(again.run(Map.of(X, Programs.input(4))).get("y")).floats());
    assertEquals(List.of("y"), again.outputs().stream().map(Executable.Port::name).toList());
    assertEquals(written, Files.getLastModifiedTime(kept));
    // Another library of the same target finds the compiled header of the first one.
    if (!backend.targets().getFirst().name().equals("scalar")
        && !Toolchain.identity().contains("clang")) {
      Path header = only(cache, ".gch");
      FileTime compiled = Files.getLastModifiedTime(header);
      Files.delete(kept);
      backend.load(Programs.program("m", backend.targets().getFirst()), cached);
      assertEquals(compiled, Files.getLastModifiedTime(header));
      assertEquals(kept, only(cache, ".so"));
    }
  }

  private static Path only(Path folder, String suffix) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.toString().endsWith(suffix))
          .reduce((_, _) -> fail("one file " + suffix))
          .orElseThrow();
    }
  }
}
