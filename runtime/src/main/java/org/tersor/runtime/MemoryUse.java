package org.tersor.runtime;

import java.util.Locale;

/**
 * What a loaded model holds between calls, in bytes.
 *
 * @param weights constants as the model has them
 * @param kept of these, those that calls read in that form
 * @param packed constants as kernels want them, made when the model was loaded; wider than the
 *     codes of a quantized weight where kernels compute in another type
 */
public record MemoryUse(long weights, long kept, long packed) {
  /** Lines of a description; the factor is what is held divided by the weights. */
  public String text() {
    return "weights: "
        + human(weights)
        + "\npacked: "
        + human(packed)
        + "\nheld: "
        + human(kept + packed)
        + (weights == 0
            ? ""
            : String.format(
                Locale.ROOT, ", %.2f times the weights", (kept + packed) / (double) weights))
        + "\n";
  }

  /** For people. */
  static String human(long bytes) {
    if (bytes < 1024) {
      return bytes + " B";
    }
    double size = bytes;
    String[] units = {"B", "KiB", "MiB", "GiB"};
    int unit = 0;
    while (size >= 1024 && unit < units.length - 1) {
      size /= 1024;
      unit++;
    }
    return String.format(Locale.ROOT, "%.1f %s", size, units[unit]);
  }
}
