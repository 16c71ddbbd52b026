package org.tersor.runtime;

import java.util.Locale;

/** Recursive descent over the text form of {@link DimExpr}. */
final class DimParser {
  private final String text;
  private int at;

  DimParser(String text) {
    this.text = text;
  }

  DimExpr parse() {
    DimExpr value = sum();
    skipBlanks();
    if (at != text.length()) {
      throw error("unexpected '" + text.charAt(at) + "'");
    }
    return value;
  }

  private DimExpr sum() {
    DimExpr value = accept('-') ? product().times(-1) : product();
    while (true) {
      if (accept('+')) {
        value = value.plus(product());
      } else if (accept('-')) {
        value = value.minus(product());
      } else {
        return value;
      }
    }
  }

  private DimExpr product() {
    DimExpr value = atom();
    while (accept('*')) {
      value = value.times(atom());
    }
    return value;
  }

  private DimExpr atom() {
    skipBlanks();
    if (accept('(')) {
      DimExpr value = sum();
      expect(')');
      return value;
    }
    int start = at;
    while (at < text.length()
        && (Character.isLetterOrDigit(text.charAt(at)) || text.charAt(at) == '_')) {
      at++;
    }
    if (start == at) {
      throw error("a number or a name is expected");
    }
    String word = text.substring(start, at);
    if (Character.isDigit(word.charAt(0))) {
      try {
        return DimExpr.of(Long.parseLong(word));
      } catch (NumberFormatException e) {
        throw error("number out of range: " + word);
      }
    }
    if (!accept('(')) {
      return DimExpr.symbol(word);
    }
    DimExpr left = sum();
    expect(',');
    DimExpr right = sum();
    expect(')');
    return switch (word.toLowerCase(Locale.ROOT)) {
      case "floordiv" -> left.floorDiv(right);
      case "ceildiv" -> left.ceilDiv(right);
      case "mod" -> left.mod(right);
      case "min" -> left.min(right);
      case "max" -> left.max(right);
      default -> throw error("unknown function " + word);
    };
  }

  private boolean accept(char c) {
    skipBlanks();
    if (at < text.length() && text.charAt(at) == c) {
      at++;
      return true;
    }
    return false;
  }

  private void expect(char c) {
    if (!accept(c)) {
      throw error("'" + c + "' is expected");
    }
  }

  private void skipBlanks() {
    while (at < text.length() && text.charAt(at) == ' ') {
      at++;
    }
  }

  private IllegalArgumentException error(String why) {
    return new IllegalArgumentException(
        "dimension '" + text + "', column " + (at + 1) + ": " + why);
  }
}
