package org.tersor.ir.graph;

import org.tersor.runtime.TersorException;

/** Characters and words of the text form, with positions for messages. */
final class TextScanner {
  private static final int MAX_EXPRESSION = 2000;

  private final String text;
  private int at;

  TextScanner(String text) {
    this.text = text;
  }

  /** Skips blanks and comments ({@code // ...}); then the next character, or 0 at the end. */
  char peek() {
    while (at < text.length()) {
      char c = text.charAt(at);
      if (text.startsWith("//", at)) {
        int end = text.indexOf('\n', at);
        at = end < 0 ? text.length() : end;
      } else if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
        at++;
      } else {
        return c;
      }
    }
    return 0;
  }

  boolean accept(String token) {
    peek();
    if (!text.startsWith(token, at)) {
      return false;
    }
    boolean word = isWord(token.charAt(token.length() - 1));
    if (word && at + token.length() < text.length() && isWord(text.charAt(at + token.length()))) {
      return false;
    }
    at += token.length();
    return true;
  }

  void expect(String token) {
    if (!accept(token)) {
      throw error("TSR-1050", "'" + token + "' is expected");
    }
  }

  private static boolean isWord(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  }

  String word() {
    peek();
    int start = at;
    while (at < text.length() && isWord(text.charAt(at))) {
      at++;
    }
    if (start == at) {
      throw error("TSR-1050", "a name is expected");
    }
    return text.substring(start, at);
  }

  /** A word, or any text in quotes. */
  String identifier() {
    return peek() == '"' ? string() : word();
  }

  /**
   * A number as it is written: digits, sign, point, exponent, {@code 0x}, {@code nan}, {@code inf}.
   */
  String number() {
    peek();
    int start = at;
    while (at < text.length()) {
      char c = text.charAt(at);
      boolean sign =
          (c == '-' || c == '+')
              && (at == start || text.charAt(at - 1) == 'E' || text.charAt(at - 1) == 'e');
      if (!isWord(c) && c != '.' && !sign) {
        break;
      }
      at++;
    }
    if (start == at) {
      throw error("TSR-1050", "a number is expected");
    }
    return text.substring(start, at);
  }

  long integer() {
    int start = position();
    String number = number();
    try {
      return Long.parseLong(number);
    } catch (NumberFormatException e) {
      throw errorAt(start, "TSR-1050", "an integer is expected, not '" + shortened(number) + "'");
    }
  }

  /** An integer of at most 31 bits that is not negative. */
  int smallInteger() {
    int start = position();
    long value = integer();
    if (value < 0 || value > Integer.MAX_VALUE) {
      throw errorAt(start, "TSR-1050", value + " is out of range");
    }
    return (int) value;
  }

  String string() {
    expect("\"");
    StringBuilder out = new StringBuilder();
    while (at < text.length()) {
      char c = text.charAt(at++);
      if (c == '"') {
        return out.toString();
      }
      if (c == '\n') {
        break;
      }
      out.append(c == '\\' ? escaped() : c);
    }
    throw error("TSR-1050", "a string does not end on its line");
  }

  private char escaped() {
    char c = at < text.length() ? text.charAt(at++) : 0;
    switch (c) {
      case '"', '\\' -> {
        return c;
      }
      case 'n' -> {
        return '\n';
      }
      case 'r' -> {
        return '\r';
      }
      case 't' -> {
        return '\t';
      }
      case 'u' -> {
        if (at + 4 <= text.length() && text.substring(at, at + 4).matches("[0-9a-fA-F]{4}")) {
          at += 4;
          return (char) Integer.parseInt(text.substring(at - 4, at), 16);
        }
      }
      default -> {}
    }
    throw error("TSR-1050", "unknown escape in a string");
  }

  /**
   * Text up to one of {@code ends} outside of parentheses, which stays unread; at most {@code
   * depth} parentheses deep.
   */
  String until(String ends, int depth) {
    peek();
    int start = at;
    int open = 0;
    while (at < text.length() && (open > 0 || ends.indexOf(text.charAt(at)) < 0)) {
      char c = text.charAt(at++);
      open += c == '(' ? 1 : c == ')' ? -1 : 0;
      // Only calls have parentheses: a product of sums would have to be multiplied out.
      boolean call = c != '(' || (at - 1 > start && isWord(text.charAt(at - 2)));
      if (open > depth || open < 0 || !call || c == '\n' || at - start > MAX_EXPRESSION) {
        throw error("TSR-1051", "an expression is too long, nested too deep or does not end");
      }
    }
    return text.substring(start, at);
  }

  int position() {
    peek();
    return at;
  }

  TersorException error(String code, String why) {
    return errorAt(at, code, why);
  }

  TersorException errorAt(int position, String code, String why) {
    int line = 1;
    int begin = 0;
    for (int i = 0; i < position && i < text.length(); i++) {
      if (text.charAt(i) == '\n') {
        line++;
        begin = i + 1;
      }
    }
    return new TersorException(code, line + ":" + (position - begin + 1) + ": " + why);
  }

  static String shortened(String text) {
    return text.length() > 60 ? text.substring(0, 60) + "..." : text;
  }
}
