package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import javax.sound.sampled.AudioFileFormat;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.cli.data.Samples;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import picocli.CommandLine;

/** {@code eval --task denoise}, the calls that it saves, and texts and pictures as samples. */
class SignalTasksTest {
  private static final int WINDOW = 16;
  private static final int SAMPLES = 400;

  @TempDir Path folder;

  private final Compiler compiler = Compiler.standard();

  private void record(String name, float[] samples) throws IOException {
    byte[] bytes = new byte[2 * samples.length];
    for (int i = 0; i < samples.length; i++) {
      int sample = Math.round(samples[i] * 32768);
      bytes[2 * i] = (byte) sample;
      bytes[2 * i + 1] = (byte) (sample >> 8);
    }
    AudioFormat format = new AudioFormat(16000, 16, 1, true, false);
    AudioSystem.write(
        new AudioInputStream(new ByteArrayInputStream(bytes), format, samples.length),
        AudioFileFormat.Type.WAVE,
        folder.resolve(name).toFile());
  }

  private JsonNode eval(Object... arguments) throws IOException {
    CommandLine line = Main.commandLine();
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    line.setOut(new PrintWriter(out));
    line.setErr(new PrintWriter(err));
    String[] words =
        java.util.Arrays.stream(arguments).map(Object::toString).toArray(String[]::new);
    assertEquals(0, line.execute(words), err::toString);
    return new ObjectMapper().readTree(out.toString());
  }

  /** Factors of one for every frequency; the state counts calls. */
  private Path keepsAll() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, WINDOW / 2 + 1));
    Value count = b.input("count", TensorType.of(DType.F32, 1));
    b.output(named(b, "factors", b.add("Exp", b.add("Mul", x, b.scalar(0)))));
    b.output(named(b, "next", b.add("Add", count, b.scalar(1))));
    Graph graph = b.build("keeps", Map.of());
    Path file = folder.resolve("keeps.onnx");
    compiler.write(
        compiler.exportable(
            compiler.prepare(graph, CompileOptions.defaults()), CompileOptions.defaults()),
        file,
        Map.of());
    return file;
  }

  private static Value named(GraphBuilder b, String name, Value value) {
    Value output = b.value(name, TensorType.unranked(DType.F32));
    b.addNode("", "", "Identity", Map.of(), List.of(value), List.of(output));
    return output;
  }

  @Test
  void whatChangesNothingLeavesTheNoise() throws IOException {
    Random random = new Random(3);
    float[] clean = new float[SAMPLES];
    float[] noisy = new float[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
      clean[i] = (float) (.5 * Math.sin(i / 7.0));
      noisy[i] = (float) (clean[i] + .1 * random.nextGaussian());
    }
    record("a_noisy.wav", noisy);
    record("a_clean.wav", clean);
    Path calls = folder.resolve("calls.npz");
    JsonNode json =
        eval(
            "eval",
            keepsAll(),
            "--task",
            "denoise",
            "--data",
            folder,
            "--state",
            "next=count",
            "--save-calls",
            calls,
            "--calls",
            10,
            "--json");
    assertEquals(1, json.path("n").asInt());
    // Spectrum and back, overlapped and added: the recording itself, four times as loud.
    assertEquals(json.path("noisy").asDouble(), json.path("value").asDouble(), 1e-3);
    double direct = Enhancement.ratio(noisy, clean, WINDOW, SAMPLES);
    assertEquals(direct, json.path("noisy").asDouble(), .5);
    Map<String, Tensor> saved = Npy.readAll(calls);
    Tensor counts = Objects.requireNonNull(saved.get("count"));
    Tensor windows = Objects.requireNonNull(saved.get("x"));
    assertArrayEquals(new long[] {10, 1}, counts.shape());
    assertArrayEquals(new long[] {10, 1, WINDOW / 2 + 1}, windows.shape());
    // 97 windows: each eighth was kept, 13 of them, and of those ten.
    for (int i = 0; i < 10; i++) {
      assertEquals(8 * (i * 13 / 10), counts.getDouble(i));
    }
    JsonNode twice =
        eval(
            "eval",
            keepsAll(),
            "--task",
            "denoise",
            "--data",
            folder,
            "--state",
            "next=count",
            "--then",
            keepsAll(),
            "--backend",
            "ort",
            "--json");
    assertEquals("ort", twice.path("backend").asText());
    assertEquals(json.path("value").asDouble(), twice.path("value").asDouble(), 1e-3);
  }

  @Test
  void theRatioDoesNotDependOnLoudness() {
    float[] clean = {1, -1, 2, -2, 3, -3, 1, -1};
    float[] made = {1.1f, -1, 2, -2.1f, 3, -3, 1, -.9f};
    float[] louder = new float[made.length];
    for (int i = 0; i < made.length; i++) {
      louder[i] = 5 * made[i] + 1;
    }
    double ratio = Enhancement.ratio(made, clean, 0, made.length);
    assertEquals(ratio, Enhancement.ratio(louder, clean, 0, made.length), 1e-4);
    assertTrue(ratio > 25 && ratio < 35, () -> "" + ratio);
  }

  @Test
  void textsBecomeTheNumbersOfTheirCharacters() throws IOException {
    Files.writeString(folder.resolve("characters.json"), "{\"a\": 3, \"b\": 5, \" \": 1}");
    Files.writeString(folder.resolve("text.txt"), "ab\n\nb zA\n");
    List<Port> inputs =
        List.of(
            new Port("ids", DType.I64, TensorType.of(DType.I64, 1, 2).dims()),
            new Port("lengths", DType.I64, TensorType.of(DType.I64, 1).dims()));
    Samples.Data data =
        Samples.calibration(folder, Optional.empty(), inputs, Map.of(), Optional.empty());
    assertEquals(2, data.count());
    Map<String, Tensor> call = data.read(1, 1);
    assertArrayEquals(new long[] {5, 1}, Objects.requireNonNull(call.get("ids")).longs());
    assertArrayEquals(new long[] {2}, Objects.requireNonNull(call.get("lengths")).longs());
    assertEquals("TSR-0906", assertThrows(TersorException.class, () -> data.read(0, 2)).code());
    Files.delete(folder.resolve("characters.json"));
    assertEquals(
        "TSR-0902",
        assertThrows(
                TersorException.class,
                () ->
                    Samples.calibration(
                        folder, Optional.empty(), inputs, Map.of(), Optional.empty()))
            .code());
  }

  /** Recordings become windows of the size of the only input; the rest of each is left. */
  @Test
  void recordingsBecomeWindows() throws IOException {
    float[] sound = new float[50];
    for (int i = 0; i < sound.length; i++) {
      sound[i] = i / 64f;
    }
    record("a.wav", sound);
    record("b.wav", new float[19]);
    Files.writeString(folder.resolve("licence.txt"), "of these recordings");
    List<Port> inputs = List.of(new Port("x", DType.F32, TensorType.of(DType.F32, 1, 20).dims()));
    Samples.Data data =
        Samples.calibration(folder, Optional.empty(), inputs, Map.of(), Optional.empty());
    assertEquals(2, data.count());
    Tensor second = Objects.requireNonNull(data.read(1, 1).get("x"));
    assertArrayEquals(new long[] {1, 20}, second.shape());
    assertEquals(20 / 64f, second.floats()[0]);
    assertEquals(39 / 64f, second.floats()[19]);
    Files.delete(folder.resolve("a.wav"));
    Tensor first = Objects.requireNonNull(data.read(0, 1).get("x"));
    assertEquals(19 / 64f, first.floats()[19], "a recording is read once for all of its windows");
    List<Port> numbers = List.of(new Port("x", DType.I64, TensorType.of(DType.I64, 1, 20).dims()));
    assertEquals(
        "TSR-0903",
        assertThrows(
                TersorException.class,
                () ->
                    Samples.calibration(
                        folder, Optional.empty(), numbers, Map.of(), Optional.empty()))
            .code());
  }

  @Test
  void recordingsShorterThanTheySayAreRefused() throws IOException {
    record("a.wav", new float[50]);
    byte[] whole = Files.readAllBytes(folder.resolve("a.wav"));
    Files.write(folder.resolve("a.wav"), java.util.Arrays.copyOf(whole, whole.length - 30));
    List<Port> inputs = List.of(new Port("x", DType.F32, TensorType.of(DType.F32, 1, 20).dims()));
    Samples.Data data =
        Samples.calibration(folder, Optional.empty(), inputs, Map.of(), Optional.empty());
    TersorException thrown = assertThrows(TersorException.class, () -> data.read(1, 1));
    assertEquals("TSR-0903", thrown.code());
    assertTrue(String.valueOf(thrown.getMessage()).contains("a.wav is shorter"), thrown.toString());
  }

  @Test
  void everyInputGetsThePictureInItsSize() throws IOException {
    java.awt.image.BufferedImage image =
        new java.awt.image.BufferedImage(8, 8, java.awt.image.BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, 0xffffff);
    javax.imageio.ImageIO.write(image, "png", folder.resolve("a.png").toFile());
    Files.writeString(folder.resolve("licence.txt"), "of these pictures");
    List<Port> inputs =
        List.of(
            new Port("large", DType.F32, TensorType.of(DType.F32, 1, 3, 8, 8).dims()),
            new Port("small", DType.F32, TensorType.of(DType.F32, 1, 1, 4, 4).dims()));
    Map<String, Tensor> call =
        Samples.calibration(folder, Optional.empty(), inputs, Map.of(), Optional.empty())
            .read(0, 1);
    Tensor large = Objects.requireNonNull(call.get("large"));
    assertArrayEquals(new long[] {1, 3, 8, 8}, large.shape());
    assertEquals(1, large.getDouble(0), 1e-6);
    assertArrayEquals(new long[] {1, 1, 4, 4}, Objects.requireNonNull(call.get("small")).shape());
  }
}
