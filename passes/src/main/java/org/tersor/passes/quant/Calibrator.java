package org.tersor.passes.quant;

import java.util.Locale;
import org.tersor.runtime.TersorException;

/** How the range of an activation follows from what calibration saw. */
public sealed interface Calibrator {
  /** A range before it is extended to contain zero. */
  record Range(double min, double max) {}

  /** What a number becomes when it is coded in a range. */
  interface Codes {
    /** How many codes there are. */
    int count();

    /** Whether ranges are taken as far to one side of zero as to the other. */
    boolean symmetric();

    /** The value of the code that is nearest to a number. */
    java.util.function.DoubleUnaryOperator over(Range range);
  }

  Range range(Histogram seen, Codes codes);

  /** Text form, read by {@link #parse}. */
  String text();

  /** Smallest to largest number. */
  record MinMax() implements Calibrator {
    @Override
    public Range range(Histogram seen, Codes codes) {
      return new Range(seen.min(), seen.max());
    }

    @Override
    public String text() {
      return "minmax";
    }
  }

  /** Smallest to largest number of each sample, averaged: later samples count 1 percent each. */
  record MovingAverage() implements Calibrator {
    @Override
    public Range range(Histogram seen, Codes codes) {
      return new Range(seen.averageMin(), seen.averageMax());
    }

    @Override
    public String text() {
      return "average";
    }
  }

  /**
   * Leaves out (100 - percent) / 2 percent of the numbers at either end, or of the magnitudes all
   * that where ranges are symmetric.
   */
  record Percentile(double percent) implements Calibrator {
    @Override
    public Range range(Histogram seen, Codes codes) {
      if (codes.symmetric()) {
        double size = seen.magnitudes().quantile(percent / 100);
        return new Range(-size, size);
      }
      double cut = (100 - percent) / 200;
      return new Range(seen.quantile(cut), seen.quantile(1 - cut));
    }

    @Override
    public String text() {
      return "percentile:" + percent;
    }
  }

  /** Of the whole range shrunk by 1.00, 0.99, ... 0.01 the one with the least squared error. */
  record MeanSquare() implements Calibrator {
    private static final int STEPS = 100;

    @Override
    public Range range(Histogram seen, Codes codes) {
      Range best = new Range(seen.min(), seen.max());
      double least = Double.POSITIVE_INFINITY;
      for (int step = STEPS; step > 0; step--) {
        double shrink = step / (double) STEPS;
        Range tried = new Range(seen.min() * shrink, seen.max() * shrink);
        double error = seen.squaredError(codes.over(tried));
        if (error < least) {
          least = error;
          best = tried;
        }
      }
      return best;
    }

    @Override
    public String text() {
      return "mse";
    }
  }

  /**
   * The threshold of magnitudes at which the coded distribution is nearest to the clipped one by
   * Kullback-Leibler divergence. At most {@code cap} percent of the numbers may be clipped: most of
   * a ReLU's results are one number, which a coarse threshold spreads and a small one does not, so
   * without a cap the smallest threshold wins.
   */
  record Entropy(double cap) implements Calibrator {
    @Override
    public Range range(Histogram seen, Codes codes) {
      double threshold = EntropyThreshold.find(seen.magnitudes(), codes.count() / 2, cap / 100);
      double low = Math.max(seen.min(), -threshold);
      double high = Math.min(seen.max(), threshold);
      return new Range(low, high);
    }

    @Override
    public String text() {
      return "entropy:" + cap;
    }
  }

  /**
   * {@code minmax}, {@code average}, {@code percentile} (99.99) or {@code percentile:99.9}, {@code
   * mse}, {@code entropy} (at most 0.1 percent clipped) or {@code entropy:PERCENT}.
   */
  static Calibrator parse(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    int colon = lower.indexOf(':');
    String name = colon < 0 ? lower : lower.substring(0, colon);
    boolean given = colon >= 0;
    double number = Double.NaN;
    if (given) {
      try {
        number = Double.parseDouble(lower.substring(colon + 1));
      } catch (NumberFormatException e) {
        throw bad(text);
      }
    }
    return switch (name) {
      case "minmax", "min-max" -> without(given, text, new MinMax());
      case "average", "moving-average" -> without(given, text, new MovingAverage());
      case "mse" -> without(given, text, new MeanSquare());
      case "percentile" -> new Percentile(within(given ? number : 99.99, 50, 100, text));
      case "entropy" -> new Entropy(within(given ? number : 0.1, 0, 100, text));
      default -> throw bad(text);
    };
  }

  private static Calibrator without(boolean given, String text, Calibrator calibrator) {
    if (given) {
      throw bad(text);
    }
    return calibrator;
  }

  private static double within(double value, double above, double largest, String text) {
    if (value > above && value <= largest) {
      return value;
    }
    throw bad(text);
  }

  private static TersorException bad(String text) {
    return new TersorException(
        "TSR-0410",
        "unknown calibrator '"
            + text
            + "'; there are minmax, average, percentile and percentile:P with P above 50 up to 100,"
            + " mse, entropy and entropy:P, which clips at most P percent");
  }
}
