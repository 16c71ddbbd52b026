package org.tersor.cli;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tersor.runtime.TersorException;

/** What {@code tersor search} may spend. */
sealed interface Budget {
  /** Bytes of all constants. */
  record Size(double bytes) implements Budget {}

  /** Nanoseconds of the layers that can be coded. */
  record Latency(double nanos) implements Budget {}

  /**
   * What the model may lose.
   *
   * @param fraction of the samples that the float model has right, or of its perplexity
   */
  record Drop(double fraction) implements Budget {}

  Pattern TEXT = Pattern.compile("(size|latency|drop)=([0-9]*\\.?[0-9]+)(x|B|KB|MB|ms|us|pt|%)");

  /**
   * Reads {@code size=0.3x}, {@code size=200KB}, {@code latency=0.5x}, {@code latency=2ms}, {@code
   * drop=0.5pt} or {@code drop=1%}.
   *
   * @param floatBytes what {@code x} of a size counts
   * @param floatNanos what {@code x} of a time counts; asked for a time only
   */
  static Budget parse(
      String text, double floatBytes, java.util.function.DoubleSupplier floatNanos) {
    Matcher found = TEXT.matcher(text.strip());
    if (!found.matches()) {
      throw wrong(text);
    }
    double value = Double.parseDouble(found.group(2));
    String unit = found.group(3);
    return switch (found.group(1).toLowerCase(Locale.ROOT)) {
      case "size" ->
          new Size(
              value
                  * switch (unit) {
                    case "x" -> floatBytes;
                    case "B" -> 1;
                    case "KB" -> 1e3;
                    case "MB" -> 1e6;
                    default -> throw wrong(text);
                  });
      case "latency" ->
          new Latency(
              value
                  * switch (unit) {
                    case "x" -> floatNanos.getAsDouble();
                    case "ms" -> 1e6;
                    case "us" -> 1e3;
                    default -> throw wrong(text);
                  });
      default -> {
        if (!unit.equals("pt") && !unit.equals("%")) {
          throw wrong(text);
        }
        yield new Drop(value / 100);
      }
    };
  }

  private static TersorException wrong(String text) {
    return new TersorException(
        "TSR-0906",
        "a budget is size=0.3x (of the float weights; or B, KB, MB), latency=0.5x (of the float"
            + " layers; or ms, us) or drop=0.5pt (points of accuracy; % of perplexity), not '"
            + text
            + "'");
  }
}
