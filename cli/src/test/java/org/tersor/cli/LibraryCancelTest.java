package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.LimitedExecutable;
import org.tersor.runtime.RunLimits;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Calls that would never end, ended from another thread: in C, and through artifacts. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LibraryCancelTest {
  /** What a user of the library writes; without the flag it would run for years. */
  private static final String USER =
      """
      #include "endless.h"
      #include <pthread.h>
      #include <stdlib.h>
      #include <unistd.h>

      static volatile int32_t stop;

      static void *later(void *unused) {
        (void)unused;
        usleep(50000);
        stop = 1;
        return NULL;
      }

      int main(void) {
        float x[4] = {1, 2, 3, 4}, y[4];
        const void *inputs[] = {x};
        void *outputs[] = {y};
        void *packed = malloc(endless_packed_size());
        int64_t bytes = endless_arena_size(NULL);
        void *arena = malloc(bytes);
        if (endless_prepare(packed) != ENDLESS_OK) return 2;
        pthread_t thread;
        if (pthread_create(&thread, NULL, later, NULL)) return 3;
        int result = endless_run_cancellable(inputs, outputs, NULL, packed, arena, bytes, NULL, NULL, (const int32_t *)&stop);
        pthread_join(thread, NULL);
        if (result != ENDLESS_ERROR_CANCELLED) return 4;
        /* A flag that is up ends the next call at once. */
        return endless_run_cancellable(inputs, outputs, NULL, packed, arena, bytes, NULL, NULL, (const int32_t *)&stop)
                == ENDLESS_ERROR_CANCELLED ? 0 : 5;
      }
      """;

  @TempDir static Path folder;

  @BeforeAll
  static void compile() {
    Compiler compiler = Compiler.standard();
    assumeTrue(
        compiler.registry().backend("native").unavailable().isEmpty(), "there is no C compiler");
    for (String suffix : List.of("so", "jar")) {
      compiler.artifact(
          graph(),
          suffix.equals("so") ? "native" : "jvm",
          List.of(suffix.equals("so") ? "scalar" : "jvm-plain"),
          folder.resolve("endless." + suffix),
          CompileOptions.defaults());
    }
  }

  /** A loop whose state is negated 2^62 times. */
  private static Graph graph() {
    Map<String, Integer> opset = Map.of("", 17);
    GraphBuilder b = new GraphBuilder(opset, 0);
    Value x = b.input("x", TensorType.of(DType.F32, 4));
    GraphBuilder body = new GraphBuilder(opset, 100);
    body.input("i", TensorType.of(DType.I64));
    Value go = body.input("go", TensorType.of(DType.BOOL));
    Value state = body.input("s", TensorType.of(DType.F32, 4));
    body.output(body.add("Identity", go));
    body.output(body.add("Neg", state));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "",
        "Loop",
        Map.of("body", new Attribute.GraphAttr(body.build("body", Map.of()))),
        List.of(
            b.constant(new Tensor(DType.I64, new long[0], new long[] {1L << 62})),
            b.constant(new Tensor(DType.BOOL, new long[0], new byte[] {1})),
            x),
        List.of(y));
    b.output(y);
    return b.build("endless", Map.of());
  }

  @Test
  void aProgramInCEndsACallFromAnotherThread() throws Exception {
    Files.writeString(folder.resolve("user.c"), USER);
    Path user = folder.resolve("user");
    for (List<String> command :
        List.of(
            List.of(
                "cc",
                "-Wall",
                "-Werror",
                "-pthread",
                "-o",
                user.toString(),
                "user.c",
                "./endless.so"),
            List.of(user.toString()))) {
      Process process = new ProcessBuilder(command).directory(folder.toFile()).inheritIO().start();
      boolean ended = process.waitFor(60, TimeUnit.SECONDS);
      process.destroyForcibly();
      assertTrue(ended, command + " does not end");
      assertEquals(0, process.exitValue(), command.toString());
    }
  }

  private static Executable open(String suffix) throws Exception {
    Path file = folder.resolve("endless." + suffix);
    return suffix.equals("so") ? new SoArtifact(file) : JarArtifact.open(file, 1);
  }

  private static Map<String, Tensor> x() {
    return Map.of("x", Tensor.of(new float[] {1, 2, 3, 4}, 4));
  }

  @ParameterizedTest
  @ValueSource(strings = {"so", "jar"})
  void theTimeOfAnArtifactsCallIsLimited(String suffix) throws Exception {
    RunLimits limits =
        RunLimits.standard().withTrips(Long.MAX_VALUE).withTime(Duration.ofMillis(100));
    Executable limited = new LimitedExecutable(open(suffix), limits);
    TersorException e = assertThrows(TersorException.class, () -> limited.run(x()));
    assertEquals("TSR-0712", e.code(), e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"so", "jar"})
  void anArtifactsCallIsCancelled(String suffix) throws Exception {
    Executable model = open(suffix);
    Cancellation cancellation = new Cancellation(RunLimits.standard().withTrips(Long.MAX_VALUE));
    Thread _ =
        Thread.ofPlatform()
            .daemon()
            .start(() -> {
              try {
                Thread.sleep(100);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              cancellation.cancel();
            });
    TersorException e =
        assertThrows(TersorException.class, () -> cancellation.during(() -> model.run(x())));
    assertEquals("TSR-0709", e.code(), e.getMessage());
  }

  @Test
  void theTripsOfAJarAreLimited() throws Exception {
    Executable limited = new LimitedExecutable(open("jar"), RunLimits.standard().withTrips(1000));
    TersorException e = assertThrows(TersorException.class, () -> limited.run(x()));
    assertEquals("TSR-0713", e.code(), e.getMessage());
  }
}
