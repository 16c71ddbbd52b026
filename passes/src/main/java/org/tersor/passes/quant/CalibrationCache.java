package org.tersor.passes.quant;

import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import org.tersor.runtime.TersorException;

/**
 * What calibration saw, as a text file: it can go on later, and what was seen apart can be joined.
 * Joined histograms are those of one stream of all samples.
 *
 * @param model hash of the float graph's weights and names; files of two models are not joined
 * @param samples hash of each sample that was seen: none counts twice
 * @param values histogram of each value, by name
 * @param bodies what was seen in bodies, by path; the samples there are the calls of the body
 */
public record CalibrationCache(
    String model,
    TreeSet<String> samples,
    TreeMap<String, Histogram> values,
    TreeMap<String, CalibrationCache> bodies) {
  private static final String FIRST_LINE = "tersor calibration 1";

  /** One of a model without bodies. */
  public CalibrationCache(
      String model, TreeSet<String> samples, TreeMap<String, Histogram> values) {
    this(model, samples, values, new TreeMap<>());
  }

  /** An empty one. */
  static CalibrationCache of(String model) {
    return new CalibrationCache(model, new TreeSet<>(), new TreeMap<>(), new TreeMap<>());
  }

  /** What was seen in a body, or in the model itself, whose path is empty. */
  Optional<CalibrationCache> within(String path) {
    return path.isEmpty() ? Optional.of(this) : Optional.ofNullable(bodies.get(path));
  }

  Histogram value(String name) {
    return values.computeIfAbsent(name, n -> new Histogram());
  }

  /** Adds what another has seen; a diagnostic if some samples are in both, or models differ. */
  public void join(CalibrationCache other) {
    if (!model.equals(other.model)) {
      throw new TersorException(
          "TSR-0421",
          "calibration of another model (" + other.model + " instead of " + model + ")");
    }
    for (String sample : other.samples) {
      if (!samples.add(sample)) {
        throw new TersorException(
            "TSR-0421", "sample " + sample + " is in two calibration files: it would count twice");
      }
    }
    other.values.forEach((name, histogram) -> value(name).merge(histogram));
    other.bodies.forEach(
        (path, body) -> bodies.computeIfAbsent(path, p -> of(body.model)).join(body));
  }

  /** The text form. */
  public String text() {
    StringBuilder out = new StringBuilder(FIRST_LINE).append('\n');
    out.append("model ").append(model).append('\n');
    lines(out);
    bodies.forEach((path, body) -> {
      out.append("body ").append(QuantPlan.quote(path)).append(' ').append(body.model).append('\n');
      body.lines(out);
    });
    return out.toString();
  }

  private void lines(StringBuilder out) {
    samples.forEach(sample -> out.append("sample ").append(sample).append('\n'));
    values.forEach((name, histogram) ->
        out.append("value ")
            .append(QuantPlan.quote(name))
            .append(' ')
            .append(histogram.text())
            .append('\n'));
  }

  /** Reads the text form; a line that cannot be read is a diagnostic with its number. */
  public static CalibrationCache parse(String text) {
    String[] lines = text.split("\r?\n", -1);
    if (!lines[0].strip().equals(FIRST_LINE)) {
      throw new TersorException(
          "TSR-0421", "this is no calibration file: its first line must be '" + FIRST_LINE + "'");
    }
    String model = "";
    CalibrationCache all = of("");
    CalibrationCache at = all;
    for (int n = 1; n < lines.length; n++) {
      String line = lines[n];
      try {
        if (line.startsWith("model ")) {
          model = line.substring(6).strip();
        } else if (line.startsWith("body ")) {
          int close = QuantPlan.closing(line, 5);
          at = of(line.substring(close + 1).strip());
          all.bodies.put(QuantPlan.unquote(line.substring(6, close)), at);
        } else if (line.startsWith("sample ")) {
          at.samples.add(line.substring(7).strip());
        } else if (line.startsWith("value ")) {
          int close = QuantPlan.closing(line, 6);
          at.values.put(
              QuantPlan.unquote(line.substring(7, close)),
              Histogram.parse(line.substring(close + 1)));
        } else if (!line.isBlank()) {
          throw new IllegalArgumentException("unknown kind of line");
        }
      } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
        throw new TersorException(
            "TSR-0421",
            "line " + (n + 1) + " of the calibration file cannot be read: " + e.getMessage(),
            e);
      }
    }
    return new CalibrationCache(model, all.samples, all.values, all.bodies);
  }
}
