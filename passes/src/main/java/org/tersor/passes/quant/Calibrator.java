package org.tersor.passes.quant;

import java.util.Locale;
import org.tersor.runtime.TersorException;

/** How the range of an activation follows from what calibration saw. */
public sealed interface Calibrator {
  /** A range before it is extended to contain zero. */
  record Range(double min, double max) {}

  Range range(Histogram seen);

  /** Text form, read by {@link #parse}. */
  String text();

  /** Smallest to largest number. */
  record MinMax() implements Calibrator {
    @Override
    public Range range(Histogram seen) {
      return new Range(seen.min(), seen.max());
    }

    @Override
    public String text() {
      return "minmax";
    }
  }

  /** Leaves out (100 - percent) / 2 percent of the numbers at either end. */
  record Percentile(double percent) implements Calibrator {
    @Override
    public Range range(Histogram seen) {
      double cut = (100 - percent) / 200;
      return new Range(seen.quantile(cut), seen.quantile(1 - cut));
    }

    @Override
    public String text() {
      return "percentile:" + percent;
    }
  }

  /** {@code minmax}, {@code percentile} (99.99) or {@code percentile:99.9}. */
  static Calibrator parse(String text) {
    String name = text.toLowerCase(Locale.ROOT);
    if (name.equals("minmax") || name.equals("min-max")) {
      return new MinMax();
    }
    if (name.equals("percentile")) {
      return new Percentile(99.99);
    }
    if (name.startsWith("percentile:")) {
      try {
        double percent = Double.parseDouble(name.substring("percentile:".length()));
        if (percent > 50 && percent <= 100) {
          return new Percentile(percent);
        }
      } catch (NumberFormatException e) {
        throw bad(text);
      }
    }
    throw bad(text);
  }

  private static TersorException bad(String text) {
    return new TersorException(
        "TSR-0410",
        "unknown calibrator '"
            + text
            + "'; there are minmax, percentile and percentile:P with P above 50 up to 100");
  }
}
