package org.tersor.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.tersor.cli.Outcome.tersor;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.ArtifactInterface;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Artifacts of other versions are refused with what to do about it. */
class ArtifactInterfaceTest {
  @TempDir static Path folder;

  private static Path artifact(String backend, String suffix) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    b.output(b.add("Relu", b.input("x", TensorType.of(DType.F32, 3))));
    Path file = folder.resolve("m." + suffix);
    List<String> targets = List.of(backend.equals("jvm") ? "jvm-plain" : "scalar");
    Compiler.standard()
        .artifact(b.build("m", Map.of()), backend, targets, file, CompileOptions.defaults());
    return file;
  }

  /** A jar with another number, or with none as those of the first versions. */
  private static Path changed(String number) throws IOException {
    Path other = folder.resolve("other.jar");
    try (JarFile jar = new JarFile(artifact("jvm", "jar").toFile())) {
      Manifest manifest = new Manifest(jar.getManifest());
      assertEquals(
          Integer.toString(ArtifactInterface.JAR.number()),
          manifest.getMainAttributes().getValue(ArtifactInterface.NAME));
      manifest
          .getMainAttributes()
          .remove(new java.util.jar.Attributes.Name(ArtifactInterface.NAME));
      if (!number.isEmpty()) {
        manifest.getMainAttributes().putValue(ArtifactInterface.NAME, number);
      }
      try (OutputStream file = Files.newOutputStream(other);
          JarOutputStream out = new JarOutputStream(file, manifest)) {
        for (JarEntry entry : jar.stream().toList()) {
          if (!entry.getName().equals(JarFile.MANIFEST_NAME)) {
            out.putNextEntry(new JarEntry(entry.getName()));
            jar.getInputStream(entry).transferTo(out);
            out.closeEntry();
          }
        }
      }
    }
    return other;
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "1", "99", "two"})
  void aJarOfAnotherVersionIsRefused(String number) throws IOException {
    Path other = changed(number);
    Outcome outcome = tersor("run", other);
    assertEquals(Exit.USAGE, outcome.exit(), outcome.err());
    assertTrue(outcome.err().contains("error[TSR-0910]"), outcome.err());
    assertTrue(outcome.err().contains("Compile the model again"), outcome.err());
    assertTrue(outcome.err().contains(number.isEmpty() ? "without a number" : number));
  }

  @Test
  void aJarOfThisVersionOpens() throws IOException {
    Path same = changed(Integer.toString(ArtifactInterface.JAR.number()));
    Tensor x = Tensor.of(new float[] {-1, 0, 2}, 3);
    assertArrayEquals(
        new float[] {0, 0, 2},
        JarArtifact.open(same, 1).run(Map.of("x", x)).values().iterator().next().floats());
  }

  @Test
  void aLibraryOfAnotherVersionIsRefused() throws IOException {
    assumeTrue(
        Compiler.standard().registry().backend("native").unavailable().isEmpty(), "no C compiler");
    Path library = artifact("native", "so");
    String mark = "\"interface\":";
    String bytes = new String(Files.readAllBytes(library), ISO_8859_1);
    String own = mark + ArtifactInterface.LIBRARY.number();
    assertTrue(bytes.contains(own), "the description has the number");
    Path older = folder.resolve("older.so");
    Files.write(older, bytes.replace(own, mark + 1).getBytes(ISO_8859_1));
    Path first = folder.resolve("first.so");
    Files.write(first, bytes.replace(mark, "\"nterfaces\":").getBytes(ISO_8859_1));
    for (Path file : List.of(older, first)) {
      TersorException fault =
          assertThrows(TersorException.class, () -> new SoArtifact(file), file.toString());
      assertEquals("TSR-0910", fault.code());
    }
  }
}
