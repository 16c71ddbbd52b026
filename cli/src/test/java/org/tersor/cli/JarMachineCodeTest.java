package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.machine.CarriedCode;

/** A jar with machine code: where it runs, and what happens where it cannot. */
class JarMachineCodeTest {
  private static final int ROWS = 19;

  @TempDir static Path folder;

  /** {@code relu(x * w) + c}, of dimensions [N, 19] to [N, 23]. */
  private static Path product;

  /** The columns of the elements of x that are not zero: its size depends on data. */
  private static Path found;

  @BeforeAll
  static void compile() {
    Optional<String> missing =
        Compiler.standard().registry().backends().stream()
            .filter(b -> b.provider().id().equals("native"))
            .findFirst()
            .flatMap(b -> b.provider().unavailable());
    assumeTrue(missing.isEmpty(), () -> missing.orElse(""));
    product = write(product(3), "product");
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, new long[] {3, ROWS}));
    b.output(b.add("Add", b.add("NonZero", x), b.constant(Tensor.of(new long[] {5}, 1))));
    found = write(b, "found");
  }

  private static GraphBuilder product(int factor) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, new long[] {3, ROWS}));
    Value w = b.constant(numbers(factor, ROWS, 23));
    b.output(b.add("Add", b.add("Relu", b.add("MatMul", x, w)), b.constant(numbers(7, 23))));
    return b;
  }

  /** Small whole numbers, so that sums are exact in any order. */
  private static Tensor numbers(int factor, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, i * factor % 11 - 5);
    }
    return tensor;
  }

  private static Path write(GraphBuilder graph, String name) {
    Path file = folder.resolve(name + ".jar");
    Compiler.standard()
        .artifact(
            graph.build(name, Map.of()),
            "jvm",
            List.of(),
            Optional.of("native"),
            file,
            CompileOptions.defaults());
    return file;
  }

  private static Tensor run(Path jar, int threads) throws IOException {
    return first(JarArtifact.open(jar, threads));
  }

  private static Tensor first(Executable executable) {
    return (Tensor) executable.call(Map.of("x", numbers(2, 3, ROWS))).values().iterator().next();
  }

  private static float[] expected(int factor) {
    Tensor x = numbers(2, 3, ROWS);
    Tensor w = numbers(factor, ROWS, 23);
    Tensor c = numbers(7, 23);
    float[] y = new float[3 * 23];
    for (int i = 0; i < y.length; i++) {
      double sum = 0;
      for (int k = 0; k < ROWS; k++) {
        sum += x.getDouble(i / 23 * ROWS + k) * w.getDouble(k * 23 + i % 23);
      }
      y[i] = (float) (Math.max(sum, 0) + c.getDouble(i % 23));
    }
    return y;
  }

  @Test
  void machineCodeRunsAndSaysSo() throws IOException {
    Executable executable = JarArtifact.open(product, 1);
    assertTrue(
        executable.describe().matches("(?s).*machine code: for \\w+, of \\[.*"),
        executable.describe());
    assertFalse(executable.describe().contains("variant:"), executable.describe());
    assertArrayEquals(expected(3), first(executable).floats());
    assertArrayEquals(expected(3), run(product, 2).floats());
  }

  @Test
  void aWrongShapeIsADiagnostic() throws IOException {
    Executable executable = JarArtifact.open(product, 1);
    TersorException fault =
        assertThrows(TersorException.class, () -> executable.run(Map.of("x", numbers(1, 3, 2))));
    assertTrue(fault.code().startsWith("TSR-07"), fault.code());
  }

  @Test
  void segmentsOfAScriptRunOnMachineCode() throws IOException {
    Executable executable = JarArtifact.open(found, 1);
    assertTrue(executable.describe().contains("machine code: for "), executable.describe());
    Tensor x = numbers(2, 3, ROWS);
    List<Long> rows = new ArrayList<>();
    List<Long> columns = new ArrayList<>();
    for (int i = 0; i < x.size(); i++) {
      if (x.getDouble(i) != 0) {
        rows.add(i / ROWS + 5L);
        columns.add(i % ROWS + 5L);
      }
    }
    rows.addAll(columns);
    assertArrayEquals(
        rows.stream().mapToLong(Long::longValue).toArray(), first(executable).longs());
  }

  @Test
  void librariesOfTwoModelsDoNotMeet() throws IOException {
    Path other = write(product(4), "other");
    Executable one = JarArtifact.open(product, 1);
    Executable two = JarArtifact.open(other, 1);
    assertArrayEquals(expected(4), first(two).floats());
    assertArrayEquals(expected(3), first(one).floats());
    assertFalse(Arrays.equals(expected(3), expected(4)));
  }

  @Test
  void equalInputsGiveEqualBytes() throws IOException {
    byte[] once = Files.readAllBytes(product);
    write(product(3), "product");
    assertArrayEquals(once, Files.readAllBytes(product));
  }

  @Test
  void bytecodeRunsWhereTheLibraryIsNoLibrary() throws IOException {
    Path broken = changed("machine.so", bytes -> new byte[100], "broken.jar");
    Executable executable = JarArtifact.open(broken, 1);
    assertTrue(executable.describe().contains("machine code: not used: "), executable.describe());
    assertTrue(executable.describe().contains("variant: jvm"), executable.describe());
    assertArrayEquals(expected(3), first(executable).floats());
  }

  /** A library of another processor: its functions say that nothing fits. */
  @Test
  void bytecodeRunsWhereNothingFits() throws IOException, InterruptedException {
    Path source = folder.resolve("fits.c");
    StringBuilder text = new StringBuilder();
    for (String target : List.of("avx512vnni", "avx2", "scalar")) {
      text.append("int ").append(CarriedCode.fits(target)).append("(void) { return 0; }\n");
    }
    Files.writeString(source, text);
    Path library = folder.resolve("fits.so");
    String cc = Optional.ofNullable(System.getenv("CC")).orElse("cc");
    Process process =
        new ProcessBuilder(
                cc, "-shared", "-nostdlib", "-fPIC", "-o", library.toString(), source.toString())
            .inheritIO()
            .start();
    assertEquals(0, process.waitFor());
    byte[] bytes = Files.readAllBytes(library);
    Executable executable = JarArtifact.open(changed("machine.so", old -> bytes, "foreign.jar"), 1);
    assertTrue(
        executable
            .describe()
            .contains("machine code: not used: this processor can run none of [avx512vnni, "),
        executable.describe());
    assertArrayEquals(expected(3), first(executable).floats());
  }

  @Test
  void bytecodeRunsWhenAsked() throws IOException, InterruptedException {
    String text = describe("-Dtersor.machine=off");
    assertTrue(text.contains("machine code: not used: -Dtersor.machine=off"), text);
    assertTrue(text.contains("variant: jvm"), text);
  }

  @Test
  void bytecodeRunsWhereNativeAccessIsDenied() throws IOException, InterruptedException {
    String text = describe("--illegal-native-access=deny", "--enable-native-access=java.base");
    assertTrue(text.contains("machine code: not used: "), text);
    assertTrue(text.contains("variant: jvm"), text);
  }

  /** What the class of the model says in an application started with these options. */
  private static String describe(String... options) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(options));
    // Not with -jar: the manifest of a jar that is started itself allows native access.
    command.addAll(List.of("--add-modules", "jdk.incubator.vector", "-cp", product.toString()));
    command.addAll(List.of("tersor.model.product.Product", "--describe"));
    Path log = folder.resolve("log" + List.of(options).hashCode() + ".txt");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    assertTrue(process.waitFor(120, TimeUnit.SECONDS), "time limit");
    String text = Files.readString(log);
    assertEquals(0, process.exitValue(), text);
    return text;
  }

  /** A copy of the product's jar with one entry changed. */
  private static Path changed(String suffix, UnaryOperator<byte[]> change, String name)
      throws IOException {
    Path file = folder.resolve(name);
    int count = 0;
    try (ZipFile from = new ZipFile(product.toFile());
        OutputStream out = Files.newOutputStream(file);
        ZipOutputStream to = new ZipOutputStream(out)) {
      for (ZipEntry entry : (Iterable<ZipEntry>) from.stream().map(e -> (ZipEntry) e)::iterator) {
        byte[] bytes = from.getInputStream(entry).readAllBytes();
        if (entry.getName().endsWith("/" + suffix)) {
          bytes = change.apply(bytes);
          count++;
        }
        to.putNextEntry(new ZipEntry(entry.getName()));
        to.write(bytes);
        to.closeEntry();
      }
    }
    assertEquals(1, count, suffix);
    return file;
  }

  @Test
  void resultsOnTheCommandLineAreTheSame() throws IOException, InterruptedException {
    Path input = folder.resolve("x.npy");
    Npy.write(numbers(2, 3, ROWS), input);
    Path output = folder.resolve("results");
    String said = JarKit.run(product, input, output);
    assertFalse(said.contains("restricted method"), said);
    try (var files = Files.list(output)) {
      assertArrayEquals(expected(3), Npy.read(files.findFirst().orElseThrow()).floats());
    }
  }
}
