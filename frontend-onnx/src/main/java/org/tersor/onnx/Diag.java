package org.tersor.onnx;

import org.tersor.runtime.TersorException;

/**
 * Diagnostics of import and export. Text from a file is shortened and escaped before it is shown.
 */
final class Diag {
  /** The file cannot be opened, mapped or written. */
  static final String FILE = "TSR-0202";

  /**
   * Not the protocol buffer that it should be: random or missing bytes, bad UTF-8, nested too deep.
   */
  static final String FORMAT = "TSR-0203";

  /** A limit of this importer. */
  static final String LIMIT = "TSR-0204";

  /** ir_version, opset_import, metadata. */
  static final String HEADER = "TSR-0205";

  /** Type, shape or data of a tensor. */
  static final String TENSOR = "TSR-0206";

  static final String EXTERNAL = "TSR-0207";

  static final String SPARSE = "TSR-0208";

  /** Names, duplicate or missing definitions, cycles. */
  static final String GRAPH = "TSR-0209";

  /** A node or one of its attributes. */
  static final String NODE = "TSR-0210";

  static final String TYPE = "TSR-0211";

  /** Model-local functions. */
  static final String FUNCTION = "TSR-0212";

  static final String EXPORT = "TSR-0220";

  private static final int SHOWN = 120;

  private Diag() {}

  static TersorException error(String code, String message) {
    return new TersorException(code, message);
  }

  static TersorException error(String code, String message, Throwable cause) {
    return new TersorException(code, message + reason(cause), cause);
  }

  private static String reason(Throwable cause) {
    String text = cause.getMessage();
    return " (" + cause.getClass().getSimpleName() + (text == null ? "" : ": " + clean(text)) + ")";
  }

  /** In quotes, at most {@value #SHOWN} characters, control characters replaced. */
  static String quote(String text) {
    return "'" + clean(text) + "'";
  }

  private static String clean(String text) {
    StringBuilder out = new StringBuilder();
    text.codePoints()
        .limit(SHOWN)
        .forEach(c ->
            out.appendCodePoint(
                Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE
                    ? '?'
                    : c));
    return text.length() > SHOWN ? out + "..." : out.toString();
  }
}
