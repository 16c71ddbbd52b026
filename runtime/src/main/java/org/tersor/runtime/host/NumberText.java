package org.tersor.runtime.host;

import java.math.BigDecimal;
import java.util.Locale;
import java.util.regex.Pattern;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Numbers as text and back (ONNX specification, "Cast"): plain representation out; plain or
 * scientific in, and {@code INF}, {@code -INF}, {@code NaN} in any case.
 */
public final class NumberText {
  private static final Pattern INTEGER = Pattern.compile("[-+]?[0-9]{1,20}");
  private static final Pattern REAL =
      Pattern.compile("[-+]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][-+]?[0-9]+)?");

  private NumberText() {}

  /** The shortest plain text that tells element {@code at} from its neighbours in float32 or 64. */
  public static String format(Tensor x, int at) {
    DType type = x.dtype();
    if (type == DType.BOOL) {
      return x.getLong(at) != 0 ? "True" : "False";
    }
    if (type == DType.U64) {
      return Long.toUnsignedString(x.getLong(at));
    }
    if (!type.isFloat()) {
      return Long.toString(x.getLong(at));
    }
    double value = x.getDouble(at);
    if (Double.isNaN(value)) {
      return "NaN";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "INF" : "-INF";
    }
    String digits = type == DType.F64 ? Double.toString(value) : Float.toString((float) value);
    String plain =
        digits.contains("E") ? new BigDecimal(digits).stripTrailingZeros().toPlainString() : digits;
    return plain.endsWith(".0") ? plain.substring(0, plain.length() - 2) : plain;
  }

  /** The type that text is parsed into before it is cast to {@code to} as a number. */
  public static DType parsed(DType to) {
    return to == DType.F32 || to == DType.U64 ? to : to.isInteger() ? DType.I64 : DType.F64;
  }

  /**
   * Stores the number that a text says.
   *
   * @param out F32, F64, I64 or U64; a real number is truncated for the latter two
   * @throws NumberFormatException if it says none, or an integer beyond 64 bits
   */
  public static void parse(String text, Tensor out, int at) {
    String number = text.strip();
    if (out.dtype().isInteger() && INTEGER.matcher(number).matches()) {
      out.setLong(
          at,
          out.dtype() == DType.U64 && !number.startsWith("-")
              ? Long.parseUnsignedLong(number)
              : Long.parseLong(number));
      return;
    }
    if (out.dtype() == DType.F32 && REAL.matcher(number).matches()) {
      out.floats()[at] = Float.parseFloat(number);
      return;
    }
    double value =
        switch (number.toUpperCase(Locale.ROOT)) {
          case "INF", "+INF", "INFINITY", "+INFINITY" -> Double.POSITIVE_INFINITY;
          case "-INF", "-INFINITY" -> Double.NEGATIVE_INFINITY;
          case "NAN" -> Double.NaN;
          case "TRUE" -> 1;
          case "FALSE" -> 0;
          default -> {
            if (!REAL.matcher(number).matches()) {
              throw new NumberFormatException("not a number");
            }
            yield Double.parseDouble(number);
          }
        };
    out.setDouble(at, value);
  }
}
