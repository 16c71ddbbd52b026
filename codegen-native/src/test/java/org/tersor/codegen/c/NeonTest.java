package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.LoopInterpreterBackend;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Code for AArch64, made by a cross compiler and run by qemu: the kernels that models are made of,
 * bit for bit as the loop IR is defined, and close to what operators are.
 */
class NeonTest {
  private static final String QEMU = "qemu-aarch64";
  private static final Target NEON = Target.nativeTarget("neon");

  @TempDir Path folder;

  /** All outputs of a library for all inputs, computed by one thread and by tasks in two parts. */
  private static String user(List<Executable.Port> inputs, List<Executable.Port> outputs) {
    StringBuilder text =
        new StringBuilder(
            """
            #include "model.h"
            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            static void split(void *context, int64_t tasks, int32_t workers, model_task task, void *data) {
              for (int64_t i = 0; i < tasks; i += 2) task(data, i, i + 2 < tasks ? i + 2 : tasks, (int32_t)(i / 2 % workers));
            }
            static void *take(size_t n) {
              void *p = malloc(n);
              if (fread(p, 1, n, stdin) != n) exit(1);
              return p;
            }
            int main(void) {
            """);
    text.append("  const int64_t d[] = {0};\n  const void *in[] = {");
    inputs.forEach(port -> text.append("take(").append(bytes(port)).append("), "));
    text.append("};\n  const size_t n[] = {");
    outputs.forEach(port -> text.append(bytes(port)).append(", "));
    text.append("};\n  enum { N = %d };\n".formatted(outputs.size()));
    return text
        + """
          void *out[N], *again[N], *packed = malloc(model_packed_size());
          for (int i = 0; i < N; i++) { out[i] = malloc(n[i]); again[i] = malloc(n[i]); }
          int64_t bytes = model_arena_size(d), more = bytes + 2 * model_worker_size(d);
          void *arena = malloc(more);
          if (model_prepare(packed) != MODEL_OK) return 2;
          if (model_run(in, out, d, packed, arena, bytes, NULL, NULL) != MODEL_OK) return 3;
          if (model_run(in, again, d, packed, arena, more, split, NULL) != MODEL_OK) return 4;
          for (int i = 0; i < N; i++) {
            if (memcmp(out[i], again[i], n[i])) return 5;
            if (fwrite(out[i], 1, n[i], stdout) != n[i]) return 6;
          }
          return 0;
        }
        """;
  }

  private static long elements(Executable.Port port) {
    return port.shape().stream().mapToLong(d -> d.constValue()).reduce(1, (a, b) -> a * b);
  }

  private static long bytes(Executable.Port port) {
    return elements(port) * port.dtype().memoryBytes();
  }

  private static List<String> command(String compiler, Path library) {
    return List.of(compiler, "-O1", "-o", "user", "user.c", library.toString(), "-Wl,-rpath,.");
  }

  private List<byte[]> run(
      List<Executable.Port> inputs, List<Executable.Port> outputs, Map<String, Tensor> values)
      throws IOException, InterruptedException {
    Files.writeString(folder.resolve("user.c"), user(inputs, outputs));
    Toolchain.run(folder, command(Architecture.AARCH64.cc().getFirst(), Path.of("model.so")));
    try (OutputStream out = Files.newOutputStream(folder.resolve("in"))) {
      for (Executable.Port port : inputs) {
        Tensor tensor = Objects.requireNonNull(values.get(port.name()));
        out.write(Kernels.heap(tensor.array()).toArray(ValueLayout.JAVA_BYTE));
      }
    }
    Process process =
        new ProcessBuilder(QEMU, "-L", "/usr/aarch64-linux-gnu", "./user")
            .directory(folder.toFile())
            .redirectInput(folder.resolve("in").toFile())
            .redirectOutput(folder.resolve("out").toFile())
            .redirectError(folder.resolve("err").toFile())
            .start();
    assertEquals(
        0,
        process.waitFor(),
        () -> {
          try {
            return Files.readString(folder.resolve("err"));
          } catch (IOException e) {
            return e.toString();
          }
        });
    List<byte[]> results = new ArrayList<>();
    try (InputStream in = Files.newInputStream(folder.resolve("out"))) {
      for (Executable.Port port : outputs) {
        results.add(in.readNBytes(Math.toIntExact(bytes(port))));
      }
    }
    return results;
  }

  private static void assumeTools() {
    assumeTrue(
        Architecture.AARCH64.unavailable().isEmpty(),
        () -> Architecture.AARCH64.unavailable().orElse(""));
    assumeTrue(Toolchain.find(QEMU).isPresent(), QEMU + " is not installed");
  }

  @Test
  void kernelsComputeWhatTheirLoopsSay() throws Exception {
    assumeTools();
    Compiler compiler = Compiler.standard();
    CompileOptions options = CompileOptions.defaults();
    Graph graph = compiler.prepare(HotModels.together(), options);
    ModelProgram model = compiler.model(graph, NEON, options);
    Path library = folder.resolve("model.so");
    new NativeBackend()
        .write(List.of(model), library, new Backend.Options(1, Map.of("prefix", "model")));
    Map<String, Tensor> inputs = HotModels.inputs(graph);
    Executable loops =
        new LoopInterpreterBackend().load(model.single("a test"), Backend.Options.threads(1));
    List<byte[]> actual = run(loops.inputs(), loops.outputs(), inputs);
    assertVectors(library);
    Map<String, Tensor> byLoops = loops.run(inputs);
    Map<String, Tensor> byOperators = compiler.link(graph, "interpreter", options).run(inputs);
    for (int i = 0; i < actual.size(); i++) {
      Executable.Port port = loops.outputs().get(i);
      String name = port.name();
      Tensor expected = Objects.requireNonNull(byLoops.get(port.name()));
      Tensor got = Tensor.zeros(expected.dtype(), expected.shape());
      Kernels.heap(got.array()).copyFrom(MemorySegment.ofArray(actual.get(i)));
      assertEquals("", Kernels.difference(expected.array(), got.array()), name);
      Tensor operators = Objects.requireNonNull(byOperators.get(port.name()));
      // Blocks of bytes round activations, which their operator does as well, in another order.
      double tolerance = expected.dtype().isFloat() ? 1e-3 : 1;
      for (int e = 0; e < got.size(); e++) {
        double wanted = expected.dtype().isFloat() ? operators.getDouble(e) : operators.getLong(e);
        double value = expected.dtype().isFloat() ? got.getDouble(e) : got.getLong(e);
        double scale = expected.dtype().isFloat() ? Math.max(1, Math.abs(wanted)) : 1;
        assertTrue(
            Math.abs(value - wanted) <= tolerance * scale,
            name + " element " + e + ": " + value + " instead of " + wanted);
      }
    }
  }

  /** Products of floats and of bytes are vector instructions. */
  private static void assertVectors(Path library) throws IOException {
    String objdump = "aarch64-linux-gnu-objdump";
    assumeTrue(Toolchain.find(objdump).isPresent(), objdump + " is not installed");
    List<String> code = MicroKernelTest.output(List.of(objdump, "-d", library.toString()));
    for (String products : List.of("fmla\\s+v\\d+\\.4s.*", "mul\\s+v\\d+\\.8h.*")) {
      assertTrue(code.stream().anyMatch(line -> line.matches(".*\\b" + products)), products);
    }
  }

  @Test
  void oneLibraryIsForOneKindOfProcessor() {
    List<ModelProgram> both =
        List.of(
            ModelProgram.of(Programs.program("m", NEON)),
            ModelProgram.of(Programs.program("m", Target.nativeTarget("avx2"))));
    TersorException refused =
        assertThrows(
            TersorException.class,
            () ->
                new NativeBackend()
                    .write(both, folder.resolve("m.so"), Backend.Options.threads(1)));
    assertEquals("TSR-0603", refused.code());
    assertTrue(Objects.requireNonNull(refused.getMessage()).contains("neon"));
  }

  @Test
  void equalProgramsGiveEqualLibraries() throws Exception {
    assumeTrue(
        Architecture.AARCH64.unavailable().isEmpty(),
        () -> Architecture.AARCH64.unavailable().orElse(""));
    List<byte[]> written = new ArrayList<>();
    for (String name : List.of("a.so", "b.so")) {
      Path file = folder.resolve(name);
      List<ModelProgram> model = List.of(ModelProgram.of(Programs.program("m", NEON)));
      new NativeBackend().write(model, file, Backend.Options.threads(1));
      written.add(Files.readAllBytes(file));
    }
    assertArrayEquals(written.getFirst(), written.getLast());
  }
}
