package org.tersor.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.MixedSearch;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.WholeFile;

/**
 * A page about a quantization: one file that needs no network. Its numbers stand in one block of
 * JSON; a script in the page draws them.
 */
final class HtmlReport {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What stands for an error of zero, which JSON has no infinity for. */
  private static final double EXACT = 1000;

  /**
   * What a search tried.
   *
   * @param unit of the costs
   * @param points combinations that were run; the last is the chosen one
   */
  record Front(String unit, List<MixedSearch.Item> items, List<MixedSearch.Point> points) {}

  private HtmlReport() {}

  /**
   * @param facts shown at the top, in order
   */
  static void write(
      Path file,
      String model,
      String plan,
      Map<String, String> facts,
      Diagnosis diagnosis,
      List<Quantizer.Layer> decisions,
      Optional<Front> front)
      throws IOException {
    ObjectNode data = JSON.createObjectNode();
    data.put("model", model);
    data.put("plan", plan);
    ArrayNode pairs = data.putArray("facts");
    facts.forEach((name, value) -> pairs.addArray().add(name).add(value));
    ArrayNode layers = data.putArray("layers");
    diagnosis.layers().forEach(layer -> layer(layers.addObject(), layer));
    ArrayNode samples = data.putArray("samples");
    for (Diagnosis.Sample sample : diagnosis.samples()) {
      noise(samples.addObject().put("index", sample.index()), "sqnr", Optional.of(sample.sqnr()));
    }
    ArrayNode boxes = data.putArray("boxes");
    for (Diagnosis.Box box : diagnosis.boxes()) {
      ObjectNode node = boxes.addObject().put("name", box.name()).put("operator", box.operator());
      noise(node, "sqnr", box.sqnr());
      ArrayNode from = node.putArray("from");
      box.from().forEach(from::add);
    }
    ArrayNode made = data.putArray("decisions");
    for (Quantizer.Layer layer : decisions) {
      made.addObject()
          .put("name", layer.node())
          .put("operator", layer.operator())
          .put("weights", layer.format().orElse("float"))
          .put("computes", layer.kernel().orElse("float"))
          .put("why", layer.why());
    }
    front.ifPresent(f -> front(data.putObject("front"), f));
    String page = page(JSON.writeValueAsString(data));
    WholeFile.write(file, temporary -> Files.writeString(temporary, page));
  }

  private static void front(ObjectNode node, Front front) {
    node.put("unit", front.unit());
    ArrayNode points = node.putArray("points");
    for (MixedSearch.Point point : front.points()) {
      points
          .addObject()
          .put("name", point.name())
          .put("bytes", point.bytes())
          .put("cost", point.cost())
          .put("predicted", point.predicted());
    }
    ArrayNode items = node.putArray("items");
    for (int i = 0; i < front.items().size(); i++) {
      MixedSearch.Item item = front.items().get(i);
      ObjectNode row = items.addObject().put("layers", String.join(", ", item.layers()));
      row.put("tie", item.tie()).put("trace", item.trace());
      row.put("chosen", item.options().get(front.points().getLast().chosen().get(i)).format());
      ArrayNode options = row.putArray("options");
      for (MixedSearch.Option option : item.options()) {
        ObjectNode o = options.addObject().put("format", option.format());
        o.put("bytes", option.bytes()).put("kl", option.kl());
        noise(o, "sqnr", Optional.of(option.sqnr()));
      }
    }
  }

  private static String page(String json) throws IOException {
    try (InputStream in =
        Objects.requireNonNull(HtmlReport.class.getResourceAsStream("report.html"))) {
      String template = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      // Names come from the model: none may end the block of data or begin a comment in it.
      return template.replace("/*DATA*/", json.replace("<", "\\u003c"));
    }
  }

  private static void layer(ObjectNode node, Diagnosis.Layer layer) {
    node.put("node", layer.node())
        .put("operator", layer.operator())
        .put("format", layer.format())
        .put("bytes", layer.bytes())
        .put("floatBytes", layer.floatBytes());
    noise(node, "isolated", Optional.of(layer.isolated()));
    noise(node, "accumulated", layer.accumulated());
    bars(node.putObject("weights"), layer.weights());
    range(node, "weightClip", Optional.of(layer.weightClip()));
    bars(node.putObject("input"), layer.input());
    range(node, "inputClip", layer.inputClip());
    ArrayNode causes = node.putArray("causes");
    for (Diagnosis.Cause cause : layer.causes()) {
      causes
          .addObject()
          .put("kind", cause.kind())
          .put("severity", cause.severity())
          .put("words", cause.words());
    }
  }

  /** A number of decibels; null where there is none. */
  private static void noise(ObjectNode node, String name, Optional<Double> decibels) {
    if (decibels.isEmpty() || decibels.get().isNaN()) {
      node.putNull(name);
    } else {
      node.put(name, Math.clamp(decibels.get(), -EXACT, EXACT));
    }
  }

  private static void bars(ObjectNode node, Diagnosis.Bars bars) {
    boolean empty = bars.low() > bars.high();
    node.put("low", empty ? 0 : bars.low()).put("high", empty ? 0 : bars.high());
    ArrayNode counts = node.putArray("counts");
    bars.counts().forEach(counts::add);
  }

  private static void range(ObjectNode node, String name, Optional<Diagnosis.Range> range) {
    if (range.isPresent()) {
      node.putObject(name).put("low", range.get().low()).put("high", range.get().high());
    } else {
      node.putNull(name);
    }
  }
}
