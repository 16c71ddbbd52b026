package org.tersor.passes.quant;

import java.util.Locale;
import org.tersor.runtime.TersorException;

/**
 * How factors between channels of a value are chosen, before weights are coded: the value is
 * divided by them and the layers that read it are multiplied, so the float graph computes the same.
 */
public sealed interface ChannelFactors {
  /** The text form, as {@link #parse} reads it. */
  String text();

  /** Whether it looks at activations. */
  default boolean needsInputs() {
    return true;
  }

  /** No factors. */
  record None() implements ChannelFactors {
    @Override
    public String text() {
      return "none";
    }

    @Override
    public boolean needsInputs() {
      return false;
    }
  }

  /**
   * AWQ (Lin et al., 2023): channels that carry much get larger weights, whose rounding hurts less:
   * {@code mean|x|^r}, r of 20 steps that which errs least with the weights coded.
   */
  record ActivationAware() implements ChannelFactors {
    @Override
    public String text() {
      return "awq";
    }
  }

  /**
   * SmoothQuant (Xiao et al., 2022): {@code max|x|^alpha / max|w|^(1 - alpha)}, so that activations
   * have no large channels.
   *
   * @param alpha from 0 to 1; negative: searched for each value, 0.3 to 0.9, by the error that
   *     coded weights and a uniform noise of activations of 8 bits make
   */
  record Smooth(double alpha) implements ChannelFactors {
    @Override
    public String text() {
      return "smooth:" + (alpha < 0 ? "search" : alpha);
    }
  }

  /**
   * Cross-layer equalization (Nagel et al., 2019): {@code sqrt(largest weight of the channel's
   * maker / largest weight of its readers)}, so that both ranges become equal; repeated until
   * nothing changes. Needs no data.
   *
   * @param absorbs whether high biases then move to the next layer ({@link Absorption}), for which
   *     samples are looked at
   */
  record CrossLayer(boolean absorbs) implements ChannelFactors {
    @Override
    public String text() {
      return absorbs ? "cle:absorb" : "cle";
    }

    @Override
    public boolean needsInputs() {
      return absorbs;
    }
  }

  /**
   * {@code none}, {@code awq}, {@code smooth} (0.5), {@code smooth:0.85}, {@code smooth:search},
   * {@code cle}, {@code cle:absorb}.
   */
  static ChannelFactors parse(String text) {
    String lower = text.strip().toLowerCase(Locale.ROOT);
    return switch (lower) {
      case "none" -> new None();
      case "awq" -> new ActivationAware();
      case "cle" -> new CrossLayer(false);
      case "cle:absorb" -> new CrossLayer(true);
      case "smooth" -> new Smooth(0.5);
      case "smooth:search" -> new Smooth(-1);
      default -> smooth(lower, text);
    };
  }

  private static ChannelFactors smooth(String lower, String text) {
    if (lower.startsWith("smooth:")) {
      try {
        double alpha = Double.parseDouble(lower.substring("smooth:".length()));
        if (alpha >= 0 && alpha <= 1) {
          return new Smooth(alpha);
        }
      } catch (NumberFormatException e) {
        throw bad(text);
      }
    }
    throw bad(text);
  }

  private static TersorException bad(String text) {
    return new TersorException(
        "TSR-0422",
        "unknown equalization '"
            + text
            + "'; there are none, awq, smooth, smooth:ALPHA (0 to 1), smooth:search, cle and cle:absorb");
  }
}
