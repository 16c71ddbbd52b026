package org.tersor.plugins.regex;

/**
 * How large a pattern's program may become: RE2 writes counted repetitions out, and nested ones
 * multiply, so a few characters can ask for gigabytes. An upper bound; what is no valid pattern may
 * give anything.
 */
final class PatternSize {
  private static final long CAP = 1L << 40;

  private final String text;
  private int at;

  PatternSize(String text) {
    this.text = text;
  }

  long estimate() {
    long total = 0;
    while (at < text.length()) {
      total = Math.min(CAP, total + sequence(0) + 1);
      at++; // a closing bracket that nothing opened
    }
    return total;
  }

  /** Parts up to the end or the bracket that closes. */
  private long sequence(int depth) {
    long total = 0;
    while (at < text.length() && text.charAt(at) != ')') {
      long item = item(depth);
      long times = 1;
      while (at < text.length() && text.charAt(at) == '{') {
        times = Math.min(CAP, times * repetitions());
      }
      total = Math.min(CAP, total + Math.min(CAP, item * times));
    }
    return total;
  }

  private long item(int depth) {
    char c = text.charAt(at++);
    switch (c) {
      case '\\' -> at += at < text.length() ? 1 : 0;
      case '[' -> {
        at += at < text.length() && text.charAt(at) == '^' ? 1 : 0;
        at += at < text.length() && text.charAt(at) == ']' ? 1 : 0;
        while (at < text.length() && text.charAt(at) != ']') {
          at += text.charAt(at) == '\\' ? 2 : 1;
        }
        at++;
      }
      case '(' -> {
        // Deeper than any stack should go: as if it were too large.
        long inside = depth < 1000 ? sequence(depth + 1) : CAP;
        at++;
        return inside + 2;
      }
      default -> {}
    }
    return 1;
  }

  /**
   * The larger number of {@code {n}}, {@code {n,}} or {@code {n,m}}; a literal brace counts once.
   */
  private long repetitions() {
    int end = text.indexOf('}', at);
    long most = 1;
    long number = 0;
    for (int i = at + 1; i < end; i++) {
      char c = text.charAt(i);
      number = c >= '0' && c <= '9' ? Math.min(CAP, number * 10 + (c - '0')) : 0;
      most = Math.max(most, number);
    }
    at = end < 0 ? at + 1 : end + 1;
    return most;
  }
}
