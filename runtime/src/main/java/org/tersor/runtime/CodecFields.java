package org.tersor.runtime;

import java.util.ArrayList;
import java.util.List;

/** Reads the fields of a {@link CodecLine}. */
final class CodecFields {
  private final String[] fields;
  private int at;

  CodecFields(String line) {
    this.fields = line.split("\t", -1);
  }

  String next() {
    if (at == fields.length) {
      throw new IllegalArgumentException("the line is too short");
    }
    String field = fields[at++];
    if (field.indexOf('\\') < 0) {
      return field;
    }
    StringBuilder text = new StringBuilder();
    int i = 0;
    while (i < field.length()) {
      char c = field.charAt(i++);
      if (c != '\\') {
        text.append(c);
        continue;
      }
      text.append(
          switch (i < field.length() ? field.charAt(i++) : ' ') {
            case '\\' -> '\\';
            case 't' -> '\t';
            case 'n' -> '\n';
            case 'r' -> '\r';
            default -> throw new IllegalArgumentException("unknown escape in " + field);
          });
    }
    return text.toString();
  }

  int number() {
    return Integer.parseInt(next());
  }

  List<DimExpr> dims() {
    List<DimExpr> dims = new ArrayList<>();
    for (int n = number(); n > 0; n--) {
      dims.add(DimExpr.parse(next()));
    }
    return List.copyOf(dims);
  }

  void end() {
    if (at != fields.length) {
      throw new IllegalArgumentException("the line is too long");
    }
  }

  List<Integer> numbers() {
    List<Integer> values = new ArrayList<>();
    for (int n = number(); n > 0; n--) {
      values.add(number());
    }
    return List.copyOf(values);
  }

  List<String> texts() {
    List<String> values = new ArrayList<>();
    for (int n = number(); n > 0; n--) {
      values.add(next());
    }
    return List.copyOf(values);
  }

  boolean flag() {
    return number() != 0;
  }
}
