package org.tersor.cli.data;

import java.util.Arrays;
import java.util.Locale;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * From pixels 0..255 to what a model wants: value = (pixel * scale - mean) / std, per channel.
 *
 * @param mean one value, or one per channel
 * @param std one value, or one per channel
 * @param channelsFirst whether images are [channels, height, width] (else [height, width,
 *     channels])
 * @param bgr whether blue comes first
 */
public record Preprocess(
    double scale, double[] mean, double[] std, boolean channelsFirst, boolean bgr) {
  /** Pixels divided by 255. */
  public static final Preprocess UNIT =
      new Preprocess(1 / 255.0, new double[] {0}, new double[] {1}, true, false);

  /** Pixels as they are. */
  public static final Preprocess RAW =
      new Preprocess(1, new double[] {0}, new double[] {1}, true, false);

  /** What is usual for MNIST: divided by 255, mean .1307, deviation .3081. */
  public static final Preprocess MNIST =
      new Preprocess(1 / 255.0, new double[] {.1307}, new double[] {.3081}, true, false);

  /**
   * Parses {@code raw}, or {@code mean=A,std=B,layout=nchw|nhwc,order=rgb|bgr,scale=S}; values per
   * channel are separated by colons. With {@code raw} in front, pixels are not divided by 255
   * first.
   */
  public static Preprocess parse(String text) {
    Preprocess result = UNIT;
    for (String part : text.split(",", -1)) {
      int equals = part.indexOf('=');
      String key = (equals < 0 ? part : part.substring(0, equals)).strip().toLowerCase(Locale.ROOT);
      String value = equals < 0 ? "" : part.substring(equals + 1).strip();
      result =
          switch (key) {
            case "raw" ->
                new Preprocess(1, result.mean, result.std, result.channelsFirst, result.bgr);
            case "scale" ->
                new Preprocess(
                    numbers(value, text)[0],
                    result.mean,
                    result.std,
                    result.channelsFirst,
                    result.bgr);
            case "mean" ->
                new Preprocess(
                    result.scale,
                    numbers(value, text),
                    result.std,
                    result.channelsFirst,
                    result.bgr);
            case "std" ->
                new Preprocess(
                    result.scale,
                    result.mean,
                    numbers(value, text),
                    result.channelsFirst,
                    result.bgr);
            case "layout" ->
                new Preprocess(
                    result.scale,
                    result.mean,
                    result.std,
                    oneOf(value, "nchw", "nhwc", text),
                    result.bgr);
            case "order" ->
                new Preprocess(
                    result.scale,
                    result.mean,
                    result.std,
                    result.channelsFirst,
                    oneOf(value, "bgr", "rgb", text));
            default -> throw fault(text, "'" + key + "' is unknown");
          };
    }
    return result;
  }

  private static boolean oneOf(String value, String yes, String no, String text) {
    if (!value.equalsIgnoreCase(yes) && !value.equalsIgnoreCase(no)) {
      throw fault(text, "'" + value + "' must be " + yes + " or " + no);
    }
    return value.equalsIgnoreCase(yes);
  }

  private static double[] numbers(String value, String text) {
    try {
      return Arrays.stream(value.split(":", -1)).mapToDouble(Double::parseDouble).toArray();
    } catch (NumberFormatException e) {
      throw fault(text, "'" + value + "' is no number");
    }
  }

  private static TersorException fault(String text, String why) {
    return new TersorException(
        "TSR-0904",
        "--preprocess "
            + text
            + ": "
            + why
            + "; write raw, or mean=A[:B:C],std=A[:B:C],layout=nchw|nhwc,order=rgb|bgr,scale=S");
  }

  /**
   * Converts images.
   *
   * @param pixels 0..255, [count, height, width, channels], channels in the order red, green, blue
   * @param dtype of the result: floats get the formula's value, integers it rounded
   * @return [count, channels, height, width] or [count, height, width, channels]
   */
  public Tensor apply(byte[] pixels, int count, int height, int width, int channels, DType dtype) {
    long[] shape =
        channelsFirst
            ? new long[] {count, channels, height, width}
            : new long[] {count, height, width, channels};
    Tensor tensor = Tensor.zeros(dtype, shape);
    int plane = height * width;
    for (int n = 0; n < count; n++) {
      for (int c = 0; c < channels; c++) {
        int source = bgr && channels == 3 ? 2 - c : c;
        double m = mean[Math.min(c, mean.length - 1)];
        double s = std[Math.min(c, std.length - 1)];
        for (int i = 0; i < plane; i++) {
          double value = ((pixels[(n * plane + i) * channels + source] & 0xFF) * scale - m) / s;
          int at = channelsFirst ? (n * channels + c) * plane + i : (n * plane + i) * channels + c;
          if (dtype == DType.F32) {
            tensor.floats()[at] = (float) value;
          } else {
            tensor.setDouble(at, dtype.isFloat() ? value : Math.rint(value));
          }
        }
      }
    }
    return tensor;
  }
}
