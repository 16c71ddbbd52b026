package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;
import picocli.CommandLine;

/** {@code compile --target neon}: a whole model in a library for AArch64, run by qemu. */
class NeonLibraryTest {
  private static final int IMAGES = 3;

  private static final String USER =
      """
      #include "digits.h"
      #include <stdio.h>
      #include <stdlib.h>
      int main(void) {
        static float x[3 * 784], y[3 * 10];
        const void *in[] = {x};
        void *out[] = {y};
        int64_t n = 3, bytes = digits_arena_size(&n);
        void *packed = malloc(digits_packed_size()), *arena = malloc(bytes);
        if (fread(x, 4, 3 * 784, stdin) != 3 * 784 || digits_prepare(packed) != DIGITS_OK) return 1;
        if (digits_run(in, out, &n, packed, arena, bytes, NULL, NULL) != DIGITS_OK) return 2;
        return fwrite(y, 4, 30, stdout) == 30 ? 0 : 3;
      }
      """;

  @TempDir Path folder;

  private static boolean isInstalled(String command) {
    return Stream.of(System.getenv().getOrDefault("PATH", "").split(":", -1))
        .anyMatch(at -> Files.isExecutable(Path.of(at, command)));
  }

  private void run(Path input, Path output, String... command)
      throws IOException, InterruptedException {
    Path log = folder.resolve("log");
    Process process =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectInput(input.toFile())
            .redirectOutput(output.toFile())
            .redirectError(log.toFile())
            .start();
    assertEquals(0, process.waitFor(), Files.readString(log, StandardCharsets.UTF_8));
  }

  @Test
  void theDigitsModelOnAnotherProcessor() throws Exception {
    String compiler = "aarch64-linux-gnu-gcc";
    assumeTrue(isInstalled(compiler), compiler + " is not installed");
    assumeTrue(isInstalled("qemu-aarch64"), "qemu-aarch64 is not installed");
    Path model = folder.resolve("digits.onnx");
    try (InputStream in = NeonLibraryTest.class.getResourceAsStream("demo/digits.onnx")) {
      Files.copy(Objects.requireNonNull(in), model);
    }
    CommandLine line = Main.commandLine();
    StringWriter err = new StringWriter();
    line.setOut(new PrintWriter(new StringWriter()));
    line.setErr(new PrintWriter(err));
    String library = folder.resolve("digits.so").toString();
    String[] compile = {"compile", model.toString(), "-o", library, "--target", "neon"};
    String[] prefixed =
        Stream.concat(Stream.of(compile), Stream.of("--set", "prefix=digits"))
            .toArray(String[]::new);
    assertEquals(Exit.OK, line.execute(prefixed), err.toString());

    Files.writeString(folder.resolve("user.c"), USER);
    Path none = Files.createFile(folder.resolve("none"));
    run(
        none,
        folder.resolve("text"),
        compiler,
        "-o",
        "user",
        "user.c",
        "digits.so",
        "-Wl,-rpath,.");
    Random random = new Random(3);
    float[] x = new float[IMAGES * 784];
    for (int i = 0; i < x.length; i++) {
      x[i] = random.nextFloat();
    }
    ByteBuffer bytes = ByteBuffer.allocate(4 * x.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(x);
    Path images = Files.write(folder.resolve("x"), bytes.array());
    Path results = folder.resolve("y");
    run(images, results, "qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", "./user");

    Compiler tersor = Compiler.standard();
    float[] expected =
        Objects.requireNonNull(
                tersor
                    .executable(
                        tersor.read(model, Map.of()), "interpreter", CompileOptions.defaults())
                    .run(Map.of("image", Tensor.of(x, IMAGES, 1, 28, 28)))
                    .get("logits"))
            .floats();
    FloatBuffer actual =
        ByteBuffer.wrap(Files.readAllBytes(results)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual.get(i), 1e-4 * Math.max(1, Math.abs(expected[i])));
    }
  }

  @Test
  void otherTargetsAreNamedWhereOneIsUnknown() throws IOException {
    Path model = folder.resolve("digits.onnx");
    try (InputStream in = NeonLibraryTest.class.getResourceAsStream("demo/digits.onnx")) {
      Files.copy(Objects.requireNonNull(in), model);
    }
    CommandLine line = Main.commandLine();
    StringWriter err = new StringWriter();
    line.setErr(new PrintWriter(err));
    String library = folder.resolve("digits.so").toString();
    int code = line.execute("compile", model.toString(), "-o", library, "--target", "sve");
    assertEquals(Exit.ENVIRONMENT, code);
    for (String part : List.of("TSR-0603", "neon", "avx2")) {
      assertTrue(err.toString().contains(part), err.toString());
    }
  }
}
