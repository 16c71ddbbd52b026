package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;

class ArtifactTest {
  @TempDir Path folder;

  private static final String USER =
      """
      #include "tiny.h"
      #include <stdio.h>
      #include <stdlib.h>

      static void split(void *context, int64_t tasks, int32_t workers, tiny_net_task task, void *data) {
        ++*(int *)context;
        for (int64_t i = 0; i < tasks; i += 2) task(data, i, i + 2 < tasks ? i + 2 : tasks, (int32_t)(i / 2 % workers));
      }

      static volatile int32_t stop;

      static void interrupted(void *context, int64_t tasks, int32_t workers, tiny_net_task task, void *data) {
        (void)context; (void)workers;
        stop = 1;
        task(data, 0, tasks, 0);
      }

      int main(int argc, char **argv) {
        int64_t n = 5, bad = -1, huge = INT64_MAX / 64;
        static float x[5 * 37], y[5 * 37], z[5 * 37];
        if (fread(x, 4, 5 * 37, stdin) != 5 * 37) return 1;
        const void *inputs[] = {x};
        void *outputs[] = {y}, *again[] = {z};
        void *packed = malloc(tiny_net_packed_size());
        int64_t bytes = tiny_net_arena_size(&n), more = bytes + 2 * tiny_net_worker_size(&n);
        void *arena = malloc(more);
        if (tiny_net_run(inputs, outputs, &n, packed, arena, bytes, NULL, NULL) != TINY_NET_ERROR_PACKED) return 2;
        if (tiny_net_prepare(packed) != TINY_NET_OK || tiny_net_prepare(NULL) != TINY_NET_ERROR_NULL) return 3;
        if (tiny_net_run(inputs, outputs, &n, packed, arena, bytes - 1, NULL, NULL) != TINY_NET_ERROR_ARENA) return 4;
        if (tiny_net_arena_size(&bad) != TINY_NET_ERROR_DIMS || tiny_net_arena_size(&huge) != TINY_NET_ERROR_DIMS) return 5;
        if (tiny_net_run(inputs, outputs, NULL, packed, arena, bytes, NULL, NULL) != TINY_NET_ERROR_NULL) return 6;
        if (tiny_net_run(inputs, outputs, &n, packed, arena, bytes, NULL, NULL) != TINY_NET_OK) return 7;
        int calls = 0;
        if (tiny_net_run(inputs, again, &n, packed, arena, more, split, &calls) != TINY_NET_OK || calls != 1) return 8;
        for (int i = 0; i < 5 * 37; i++) if (y[i] != z[i]) return 9;
        for (int i = 0; i < 5 * 37; i++) z[i] = 77;
        const int32_t *flag = (const int32_t *)&stop;
        if (tiny_net_run_cancellable(inputs, again, &n, packed, arena, more, interrupted, NULL, flag) != TINY_NET_ERROR_CANCELLED) return 12;
        for (int i = 0; i < 5 * 37; i++) if (z[i] != 77) return 13;
        stop = 0;
        if (tiny_net_run_cancellable(inputs, again, &n, packed, arena, more, NULL, NULL, flag) != TINY_NET_OK) return 14;
        for (int i = 0; i < 5 * 37; i++) if (y[i] != z[i]) return 15;
        char text[2000];
        if (tiny_net_describe(text, sizeof text) >= (int)sizeof text) return 10;
        fprintf(stderr, "%d %s", tiny_net_level(), text);
        return fwrite(y, 4, 5 * 37, stdout) == 5 * 37 ? 0 : 11;
      }
      """;

  /** Callers that share a pool of three threads, in C11 and in C++. */
  private static final String THREADED =
      """
      #include "tiny.h"
      #include "tiny_threads.h"
      #include <string.h>

      static float x[5 * 37];
      static void *packed;
      static tiny_net_threads *pool;

      static void *calls(void *result) {
        int64_t n = 5, bytes = tiny_net_arena_size(&n) + 2 * tiny_net_worker_size(&n);
        void *arena = tiny_net_memory(bytes), *inputs[] = {x}, *outputs[] = {result};
        for (int i = 0; i < 300; i++) {
          memset(result, 0, sizeof x);
          if (tiny_net_run((const void *const *)inputs, outputs, &n, packed, arena, (size_t)bytes, tiny_net_threads_for, pool)) return NULL;
        }
        free(arena);
        return result;
      }

      int main(void) {
        static float y[5 * 37], z[2][5 * 37];
        int64_t n = 5, bytes = tiny_net_arena_size(&n);
        for (int i = 0; i < 5 * 37; i++) x[i] = (float)(i % 7) - 3;
        packed = tiny_net_memory(tiny_net_packed_size());
        void *arena = malloc((size_t)bytes), *inputs[] = {x}, *outputs[] = {y};
        if (tiny_net_prepare(packed)) return 1;
        if (tiny_net_run((const void *const *)inputs, outputs, &n, packed, arena, (size_t)bytes, NULL, NULL)) return 2;
        for (int threads = 0; threads < 5; threads++) {
          pool = tiny_net_threads_start(threads);
          if (!pool || pool->count != (threads < 2 ? 0 : threads - 1)) return 3;
          pthread_t second;
          void *done;
          if (pthread_create(&second, NULL, calls, z[1])) return 4;
          if (!calls(z[0]) || pthread_join(second, &done) || !done) return 5;
          if (memcmp(y, z[0], sizeof y) || memcmp(y, z[1], sizeof y)) return 6;
          tiny_net_threads_stop(pool);
        }
        char *large = (char *)tiny_net_memory(5 << 20);
        memset(large, 1, 5 << 20);
        if (((uintptr_t)large & 0xfffff) || !tiny_net_memory(1)) return 7;
        free(large);
        return 0;
      }
      """;

  @ParameterizedTest
  @ValueSource(strings = {"c", "cpp"})
  void theHeaderWithThreadsSharesThemAmongCallers(String language) throws Exception {
    assumeTrue(Toolchain.unavailable().isEmpty(), () -> Toolchain.unavailable().orElse(""));
    List<String> command = new ArrayList<>(Toolchain.cc());
    if (language.equals("cpp")) {
      assumeTrue(Toolchain.find("g++").isPresent(), "no g++");
      command = new ArrayList<>(List.of("g++"));
    }
    Path library = write(List.of("scalar", "avx2", "avx512vnni"), "tiny.so");
    String source = "user." + language;
    Files.writeString(folder.resolve(source), THREADED);
    if (language.equals("c")) {
      command.addAll(List.of("-std=c11", "-D_DEFAULT_SOURCE"));
    }
    command.addAll(
        List.of(
            "-Wall", "-Wextra", "-Werror", "-pthread", "-o", "user", source, library.toString()));
    Toolchain.run(folder, command);
    assertEquals(0, new ProcessBuilder(folder.resolve("user").toString()).start().waitFor());
  }

  private Path write(List<String> targets, String name) {
    return write(targets, name, Backend.Options.threads(1));
  }

  private Path write(List<String> targets, String name, Backend.Options options) {
    List<ModelProgram> programs =
        targets.stream()
            .map(t -> ModelProgram.of(Programs.program("Tiny Net!", Target.nativeTarget(t))))
            .toList();
    Path file = folder.resolve(name);
    new NativeBackend().write(programs, file, options);
    return file;
  }

  @Test
  void theHeaderThatIsKeptChangesNoByte(@TempDir Path cache) throws Exception {
    assumeTrue(Toolchain.unavailable().isEmpty(), () -> Toolchain.unavailable().orElse(""));
    List<String> targets = List.of("avx2", "avx512vnni");
    List<byte[]> libraries = new ArrayList<>();
    for (String setting : List.of("off", cache.toString())) {
      Path file = write(targets, "m.so", new Backend.Options(1, Map.of("cache", setting)));
      libraries.add(Files.readAllBytes(file));
    }
    assertArrayEquals(libraries.getFirst(), libraries.getLast());
    if (!Toolchain.identity().contains("clang")) {
      try (Stream<Path> kept = Files.list(cache)) {
        assertEquals(2, kept.filter(file -> file.toString().endsWith(".gch")).count());
      }
    }
  }

  @Test
  void aProgramInCUsesTheLibrary() throws Exception {
    assumeTrue(Toolchain.unavailable().isEmpty(), () -> Toolchain.unavailable().orElse(""));
    Path library = write(List.of("scalar", "avx2", "avx512vnni"), "tiny.so");
    Files.writeString(folder.resolve("user.c"), USER);
    List<String> command = new ArrayList<>(Toolchain.cc());
    command.addAll(List.of("-Wall", "-Werror", "-o", "user", "user.c", library.toString()));
    Toolchain.run(folder, command);
    ByteBuffer x = ByteBuffer.allocate(5 * Programs.K * 4).order(ByteOrder.LITTLE_ENDIAN);
    x.asFloatBuffer().put(Programs.input(5).floats());
    Files.write(folder.resolve("x"), x.array());
    Process process =
        new ProcessBuilder(folder.resolve("user").toString())
            .redirectInput(folder.resolve("x").toFile())
            .redirectOutput(folder.resolve("y").toFile())
            .redirectError(folder.resolve("text").toFile())
            .start();
    assertEquals(0, process.waitFor());
    float[] y = new float[5 * Programs.K];
    ByteBuffer.wrap(Files.readAllBytes(folder.resolve("y")))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(y);
    assertArrayEquals(Programs.expected(5), y);
    String text = Files.readString(folder.resolve("text"), StandardCharsets.UTF_8);
    List<String> known = List.of("avx512vnni", "avx2", "scalar");
    String best =
        new NativeBackend()
            .targets().stream().map(Target::name).filter(known::contains).findFirst().orElseThrow();
    assertEquals(Integer.toString(known.indexOf(best)), text.substring(0, 1));
    assertTrue(text.contains("\"inputs\":[{\"name\":\"x\\\"*/ evil\",\"type\":\"f32\""), text);
    assertFalse(Files.readString(folder.resolve("tiny.h")).contains("\"*/ evil"));
    assertEquals(List.of(), MicroKernelTest.output(List.of("nm", "-D", "-u", library.toString())));
  }

  @Test
  void equalInputsGiveEqualBytes() throws Exception {
    assumeTrue(Toolchain.unavailable().isEmpty(), () -> Toolchain.unavailable().orElse(""));
    assertArrayEquals(
        Files.readAllBytes(write(List.of("avx2"), "a.so")),
        Files.readAllBytes(write(List.of("avx2"), "b.so")));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(
          List.of("a.h", "a.so", "a_threads.h", "b.h", "b.so", "b_threads.h"),
          files.map(f -> f.getFileName().toString()).sorted().toList());
    }
  }

  @Test
  void namesOfModelsBecomeIdentifiers() {
    assertEquals("m3d_net", Artifact.identifier("3D Net \u00e9"));
    assertEquals("model", Artifact.identifier("../"));
  }
}
