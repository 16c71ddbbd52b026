package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.MixedSearch;
import org.tersor.passes.quant.Quantizer;

/** The page of a quantization: its block of data, and what a browser makes of it. */
class HtmlReportTest {
  /** A name that would end the script, start a tag, or break a text if it were not escaped. */
  private static final String EVIL = "</script><!--<script>alert(1)</script>\"'\\ \u2028 &amp;";

  @TempDir Path folder;

  private static Diagnosis.Layer layer(String name, double isolated, Optional<Double> accumulated) {
    List<Long> counts = IntStream.range(0, 64).mapToObj(i -> (long) i * i).toList();
    return new Diagnosis.Layer(
        name,
        "Conv",
        "s8",
        1000,
        4000,
        isolated,
        accumulated,
        new Diagnosis.Bars(-1, 1, counts),
        new Diagnosis.Range(-.9, .9),
        new Diagnosis.Bars(0, 5, counts),
        Optional.of(new Diagnosis.Range(0, 4)),
        List.of(new Diagnosis.Cause("clipped", 2, "words <b>of " + name)));
  }

  private Path page(List<Diagnosis.Layer> layers) throws IOException {
    Path file = folder.resolve("report.html");
    List<Diagnosis.Box> boxes =
        List.of(
            new Diagnosis.Box(EVIL, "Conv", List.of(), Optional.of(12.5)),
            new Diagnosis.Box("act", "Relu", List.of(0), Optional.empty()),
            new Diagnosis.Box("second", "Conv", List.of(0, 1), Optional.of(30.0)));
    HtmlReport.write(
        file,
        EVIL + ".onnx",
        "abc",
        Map.of("samples", EVIL),
        new Diagnosis(layers, List.of(new Diagnosis.Sample(0, 33)), boxes),
        List.of(
            new Quantizer.Layer(EVIL, "Conv", Optional.of("s8"), Optional.of("QLinearConv"), "")),
        layers.isEmpty() ? Optional.empty() : Optional.of(front()));
    return file;
  }

  private static HtmlReport.Front front() {
    MixedSearch.Option small = new MixedSearch.Option("s4", 500, 0, .2, 12, .2);
    MixedSearch.Option large = new MixedSearch.Option(EVIL, 1000, 0, .001, 40, .001);
    return new HtmlReport.Front(
        "KL",
        List.of(new MixedSearch.Item(List.of(EVIL), "", 3, List.of(small, large))),
        List.of(
            new MixedSearch.Point("s4", 500, 0, .2, .21, .21, 12, List.of(0)),
            new MixedSearch.Point("mixed", 800, 0, .01, .02, .02, 30, List.of(1)),
            new MixedSearch.Point("chosen", 1000, 0, .001, .001, .001, 40, List.of(1))));
  }

  private static List<Diagnosis.Layer> layers() {
    return List.of(
        layer(EVIL, 12.5, Optional.of(11.0)),
        layer("exact", Double.POSITIVE_INFINITY, Optional.empty()),
        layer("nothing", Double.NaN, Optional.of(-3.0)));
  }

  @Test
  void theBlockOfDataHoldsEveryNumber() throws IOException {
    String text = Files.readString(page(layers()));
    Matcher block = Pattern.compile("id=\"data\">(.*?)</script>", Pattern.DOTALL).matcher(text);
    assertTrue(block.find());
    assertFalse(block.group(1).contains("<"));
    JsonNode data = new ObjectMapper().readTree(block.group(1));
    assertEquals(EVIL, data.path("layers").path(0).path("node").asText());
    assertEquals(EVIL, data.path("facts").path(0).path(1).asText());
    assertEquals(11, data.path("layers").path(0).path("accumulated").asDouble());
    assertEquals(1000, data.path("layers").path(1).path("isolated").asDouble());
    assertTrue(data.path("layers").path(1).path("accumulated").isNull());
    assertTrue(data.path("layers").path(2).path("isolated").isNull());
    assertEquals(64, data.path("layers").path(0).path("weights").path("counts").size());
    assertEquals(1, data.path("boxes").path(2).path("from").path(1).asInt());
    assertEquals(.02, data.path("front").path("points").path(1).path("cost").asDouble());
    assertEquals(EVIL, data.path("front").path("items").path(0).path("chosen").asText());
  }

  @Test
  void nothingIsLoadedFromElsewhere() throws IOException {
    String text = Files.readString(page(layers()));
    assertFalse(Pattern.compile("(src|href)\\s*=").matcher(text).find());
    assertTrue(text.contains("default-src 'none'"));
  }

  /** Every chart is drawn, in a real browser, without an error of the script. */
  @Test
  void aBrowserDrawsIt() throws IOException, InterruptedException {
    Path file = page(layers());
    String dom = dom(file);
    assertTrue(dom.contains("data-state=\"ready\""), state(dom));
    // Bars of noise: two where a layer has both figures.
    assertEquals(3 + 2, count(chart(dom, "signal to noise of each layer"), "<rect"));
    assertEquals(3, count(chart(dom, "the graph, coloured by noise"), "<rect"));
    assertEquals(3, count(chart(dom, "the graph, coloured by noise"), "<path"));
    assertEquals(1, count(chart(dom, "bytes against noise"), "<circle"));
    assertEquals(3, count(chart(dom, "size of whole plans against error"), "<circle"));
    assertTrue(dom.contains("words &lt;b&gt;of"), "text stays text");
  }

  @Test
  void aBrowserDrawsAnEmptyOne() throws IOException, InterruptedException {
    String dom = dom(page(List.of()));
    assertTrue(dom.contains("data-state=\"ready\""), state(dom));
    assertTrue(dom.contains("Nothing stands out"));
  }

  private static String state(String dom) {
    Matcher state = Pattern.compile("data-state=\"[^\"]*\"").matcher(dom);
    return state.find() ? state.group() : dom;
  }

  private static String chart(String dom, String label) {
    int start = dom.indexOf("aria-label=\"" + label);
    assertTrue(start >= 0, label);
    return dom.substring(start, dom.indexOf("</svg>", start));
  }

  private static int count(String text, String part) {
    return (text.length() - text.replace(part, "").length()) / part.length();
  }

  /** The page's elements after its script has run. */
  private String dom(Path page) throws IOException, InterruptedException {
    Optional<String> browser =
        Stream.of("chromium", "chromium-browser", "google-chrome")
            .flatMap(name ->
                Stream.of(System.getenv("PATH").split(":", -1))
                    .map(p -> Path.of(p, name))
                    .filter(Files::isExecutable)
                    .map(Path::toString))
            .findFirst();
    Assumptions.assumeTrue(browser.isPresent(), "no Chromium on this machine");
    Path out = folder.resolve("dom.html");
    Process process =
        new ProcessBuilder(
                Stream.of(
                        browser.orElseThrow(),
                        "--headless",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--no-first-run",
                        "--disable-background-networking",
                        "--disable-component-update",
                        "--disable-sync",
                        "--user-data-dir=" + folder.resolve("profile"),
                        "--dump-dom",
                        page.toUri().toString())
                    .collect(Collectors.toList()))
            .redirectOutput(out.toFile())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    boolean done = process.waitFor(120, TimeUnit.SECONDS);
    process.destroyForcibly();
    assertTrue(done, "Chromium did not end within two minutes");
    return Files.readString(out, StandardCharsets.UTF_8);
  }
}
