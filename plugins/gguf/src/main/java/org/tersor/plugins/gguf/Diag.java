package org.tersor.plugins.gguf;

import org.tersor.runtime.TersorException;

/** Diagnostics of this frontend; text from a file is shortened and escaped before it is shown. */
final class Diag {
  /** The file cannot be opened or mapped. */
  static final String FILE = "TSR-0202";

  /** Damaged, cut short, or something else: counts, strings, types, offsets. */
  static final String FORMAT = "TSR-0231";

  /** A limit of this reader. */
  static final String LIMIT = "TSR-0232";

  /** An architecture, option or number format that is not known here. */
  static final String UNSUPPORTED = "TSR-0233";

  /** A key or tensor that the architecture needs is missing or of a wrong type or shape. */
  static final String MODEL = "TSR-0234";

  /** A vocabulary that no text can be cut by. */
  static final String VOCABULARY = "TSR-0235";

  private static final int SHOWN = 80;

  private Diag() {}

  static TersorException error(String code, String message) {
    return new TersorException(code, message);
  }

  /** In quotes, at most {@value #SHOWN} characters, control characters replaced. */
  static String quote(String text) {
    StringBuilder out = new StringBuilder("'");
    text.codePoints()
        .limit(SHOWN)
        .forEach(c ->
            out.appendCodePoint(
                Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE
                    ? '?'
                    : c));
    return out.append(text.length() > SHOWN ? "...'" : "'").toString();
  }
}
