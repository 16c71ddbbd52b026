package org.tersor.cli;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;

/** Jars of models with operations that a plugin computes run in a Java that has nothing else. */
class HostPackJarTest {
  private static final int WIDTH = 3;

  /** The pixels of {@link #picturesAreDecoded}: {@code opj_compress -n 1 -mct 0 -b 4,4}. */
  private static final String JPEG_2000 =
      "/0//UQAvAAAAAAADAAAAAQAAAAAAAAAAAAAAAwAAAAEAAAAAAAAAAAADBwEBBwEBBwEB/1IADAAAAAEAAAAA"
          + "AAH/XAAEQED/kAAKAAAAAAAjAAH/k8+0EAh4lGPPtBAIeF0Zz7QQCHh4Bf/Z";

  @TempDir Path folder;

  @Test
  void expressionsAreMatched() throws IOException {
    Path jar =
        compile(
            "matched",
            "RegexFullMatch",
            Map.of("pattern", new Attribute.StringAttr("[a-z]+(\\.[a-z]+)*")),
            DType.STRING);
    Tensor x = Tensor.zeros(DType.STRING, 3);
    System.arraycopy(new String[] {"abc.d", "abc.", "ABC"}, 0, x.strings(), 0, 3);

    Tensor y = Objects.requireNonNull(JarArtifact.open(jar, 1).run(Map.of("x", x)).get("y"));

    assertArrayEquals(new byte[] {1, 0, 0}, y.bytes());
    assertEquals(List.of("META-INF/licenses/re2j.txt"), licenses(jar));
  }

  @Test
  void picturesAreDecoded() throws IOException, InterruptedException {
    Path jar = compile("decoded", "ImageDecoder", Map.of(), DType.U8);
    byte[] pixels = {1, 2, 3, 40, 50, 60, (byte) 200, (byte) 210, (byte) 220};
    byte[] head = ("P6 " + WIDTH + " 1 255\n").getBytes(US_ASCII);
    byte[] map = Arrays.copyOf(head, head.length + pixels.length);
    System.arraycopy(pixels, 0, map, head.length, pixels.length);

    assertArrayEquals(pixels, decoded(jar, map));
    assertArrayEquals(pixels, decoded(jar, Base64.getDecoder().decode(JPEG_2000)));
    assertEquals(List.of("META-INF/licenses/twelvemonkeys.txt"), licenses(jar));
  }

  private byte[] decoded(Path jar, byte[] file) throws IOException, InterruptedException {
    Path input = folder.resolve("x.npy");
    Npy.write(new Tensor(DType.U8, new long[] {file.length}, file), input);
    Path output = folder.resolve("out" + file.length);
    JarKit.run(jar, input, output);
    Tensor y = Npy.read(output.resolve("0-y.npy"));
    assertArrayEquals(new long[] {1, WIDTH, 3}, y.shape());
    return y.bytes();
  }

  private Path compile(
      String name, String operator, Map<String, Attribute> attributes, DType type) {
    GraphBuilder b = new GraphBuilder(Map.of("", 20), 0);
    Value x = b.input("x", TensorType.of(type, List.of(DimExpr.symbol("n"))));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("", operator, attributes, List.of(x), List.of(y));
    b.output(y);
    Path jar = folder.resolve(name + ".jar");
    Compiler.standard()
        .artifact(b.build(name, Map.of()), "jvm", List.of(), jar, CompileOptions.defaults());
    return jar;
  }

  private static List<String> licenses(Path jar) throws IOException {
    try (ZipFile zip = new ZipFile(jar.toFile())) {
      return zip.stream()
          .map(entry -> entry.getName())
          .filter(name -> name.startsWith("META-INF/licenses/"))
          .toList();
    }
  }
}
