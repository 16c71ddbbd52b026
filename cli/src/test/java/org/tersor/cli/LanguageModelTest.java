package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.cli.text.TextProtocol;
import org.tersor.cli.text.Tokenizers;
import org.tersor.ir.spi.Tokenizer;
import org.tersor.passes.Compiler;

/** Language model commands on a small trained model and real text; windows on a few stories. */
class LanguageModelTest {
  private static final Path DATA = Path.of(System.getProperty("tersor.testdata", "../../shared"));
  private static final Path MODEL = DATA.resolve("models/gguf-stories260K/stories260K.gguf");
  private static final Path TEXTS = DATA.resolve("data/tinystories");
  private static final String KEEP = " keep=^(output|token_embd)$";

  @TempDir Path folder = Path.of("");

  @BeforeEach
  void data() {
    Assumptions.assumeTrue(Files.exists(MODEL) && Files.isDirectory(TEXTS), "no " + MODEL);
  }

  private static JsonNode tersor(Object... arguments) throws IOException {
    Outcome outcome = Outcome.tersor(arguments);
    assertEquals(0, outcome.exit(), outcome.err());
    return outcome.json();
  }

  private static JsonNode perplexity(Path model, String backend, String protocol, Object... more)
      throws IOException {
    Object[] all =
        new Object[] {
          "eval",
          model,
          "--task",
          "perplexity",
          "--data",
          TEXTS,
          "--json",
          "--backend",
          backend,
          "--protocol",
          protocol
        };
    Object[] joined = Arrays.copyOf(all, all.length + more.length);
    System.arraycopy(more, 0, joined, all.length, more.length);
    return tersor(joined);
  }

  /** The number of tokens that another implementation of the same protocol counts. */
  @Test
  void theProtocolTakesTheTokensItShould() throws IOException {
    Map<String, String> metadata = Compiler.standard().read(MODEL, Map.of()).metadata();
    Tokenizer tokenizer = Tokenizers.of(Compiler.standard().registry(), metadata, "model");
    int predicted = 0;
    for (int[] ids : TextProtocol.DEFAULT.tokens(TEXTS, tokenizer)) {
      assertEquals(1, ids[0]);
      assertTrue(ids.length <= 512);
      predicted += ids.length - 1;
    }
    assertEquals(20_424, predicted);
    int calibration = 0;
    for (int[] ids : TextProtocol.CALIBRATION.tokens(TEXTS, tokenizer)) {
      calibration += ids.length;
    }
    assertEquals(53_627, calibration);
  }

  /** Evaluation, generated code and ONNX Runtime on the exported file say the same. */
  @Test
  void backendsAgree() throws IOException {
    String few = "count=2,context=48";
    double expected = perplexity(MODEL, "interpreter", few).path("value").asDouble();
    assertEquals(expected, perplexity(MODEL, "jvm", few).path("value").asDouble(), 1e-5);
    Path exported = folder.resolve("stories.onnx");
    tersor("compile", MODEL, "-o", exported, "--json");
    JsonNode foreign = perplexity(exported, "ort", few, "--reference", MODEL);
    assertEquals(expected, foreign.path("value").asDouble(), 1e-4);
    assertEquals(94, foreign.path("tokens").asInt());
    assertEquals(1, foreign.path("top1Agreement").asDouble());
    assertTrue(foreign.path("largestChangeOfLogP").asDouble() < 5e-4, foreign::toString);
  }

  private static JsonNode quantized(String recipe) throws IOException {
    return perplexity(
        MODEL,
        "jvm",
        "count=4",
        "--reference",
        MODEL,
        "--calibration",
        "count=6",
        "--recipe",
        recipe + KEEP);
  }

  /** Two-sided: an error that is too small is a weight that stayed float. */
  @Test
  void quantizationCostsWhatItShould() throws IOException {
    double eight = quantized("weights=s8_symmetric_channel_restricted").path("kl").asDouble();
    assertTrue(eight > 0.0001 && eight < 0.001, "W8 " + eight);
    JsonNode tokens = quantized("weights=s8_symmetric_channel_restricted dynamic=8");
    double both = tokens.path("kl").asDouble();
    assertTrue(both > 1.5 * eight && both < 0.003, "W8A8 per token " + both);
    double blocks = quantized("weights=q4_0").path("kl").asDouble();
    assertTrue(blocks > 0.06 && blocks < 0.14, "Q4_0 " + blocks);
  }

  /** Rotations and scales leave ln p; what they are for improves. */
  @Test
  void equalizationKeepsTheFunctionAndHelps() throws IOException {
    for (String how :
        new String[] {
          "equalize=rotate:seed=3",
          "equalize=smooth:alpha=0.85,products=true",
          "equalize=outliers:threshold=6"
        }) {
      double change = quantized(how).path("largestChangeOfLogP").asDouble();
      assertTrue(change > 0 && change < 5e-4, how + " changes ln p by " + change);
    }
    String four = " weights=s8_symmetric_channel_restricted dynamic=4";
    double plain = quantized(four.strip()).path("kl").asDouble();
    double rotated = quantized("equalize=rotate:seed=3" + four).path("kl").asDouble();
    assertTrue(rotated < 0.9 * plain, rotated + " of " + plain);
  }

  /** From the file and from its export, which carries the tokenizer; draws follow the seed. */
  @Test
  void generatesText() throws IOException {
    JsonNode greedy = generate(MODEL, "--tokens", 16);
    String text = greedy.path("text").asText();
    assertTrue(text.startsWith("Once upon a time, there was a little"), text);
    assertEquals(16, greedy.path("tokens").size());
    Path exported = folder.resolve("stories.onnx");
    tersor("compile", MODEL, "-o", exported, "--json");
    assertEquals(text, generate(exported, "--tokens", 16).path("text").asText());
    Object[] drawn = {"--tokens", 16, "--temperature", 1.2, "--seed", 5};
    String one = generate(MODEL, drawn).path("text").asText();
    assertEquals(one, generate(MODEL, drawn).path("text").asText());
    drawn[5] = 6;
    assertNotEquals(one, generate(MODEL, drawn).path("text").asText());
  }

  private static JsonNode generate(Path model, Object... more) throws IOException {
    Object[] all = {"generate", model, "--prompt", "Once upon a time", "--json"};
    Object[] joined = Arrays.copyOf(all, all.length + more.length);
    System.arraycopy(more, 0, joined, all.length, more.length);
    return tersor(joined);
  }
}
