package org.tersor.passes.quant;

import java.util.Optional;
import org.tersor.runtime.TersorException;

/**
 * How near a coded model's outputs shall be to the float model's, whatever activations it takes.
 *
 * @param decibels signal to noise of the worst output
 * @param format what activations take whose codes are too few; empty: they stay float
 */
public record RepairGoal(double decibels, Optional<String> format) {
  /** Reads {@code sqnr=DB} or {@code sqnr=DB,as=FORMAT}. */
  public static RepairGoal parse(String text) {
    Optional<Double> decibels = Optional.empty();
    Optional<String> format = Optional.empty();
    for (String part : text.split(",", -1)) {
      try {
        if (part.startsWith("sqnr=") && decibels.isEmpty()) {
          decibels = Optional.of(Double.parseDouble(part.substring(5))).filter(Double::isFinite);
        } else if (part.startsWith("as=") && part.length() > 3 && format.isEmpty()) {
          format = Optional.of(part.substring(3));
        } else {
          throw wrong(text);
        }
      } catch (NumberFormatException e) {
        throw wrong(text);
      }
    }
    return new RepairGoal(decibels.orElseThrow(() -> wrong(text)), format);
  }

  private static TersorException wrong(String text) {
    return new TersorException(
        "TSR-0906",
        "a repair is sqnr=DB, the signal to noise of the worst output, or sqnr=DB,as=FORMAT for"
            + " activations of that format instead of floats; not '"
            + text
            + "'");
  }
}
