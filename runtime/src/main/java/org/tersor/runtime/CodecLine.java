package org.tersor.runtime;

import java.util.List;

/** One line of a text that {@link CodecFields} reads: a word, then fields after tabs. */
final class CodecLine {
  private final StringBuilder text;

  CodecLine(String word) {
    this.text = new StringBuilder(word);
  }

  CodecLine text(String value) {
    text.append('\t')
        .append(
            value
                .replace("\\", "\\\\")
                .replace("\t", "\\t")
                .replace("\n", "\\n")
                .replace("\r", "\\r"));
    return this;
  }

  CodecLine number(int value) {
    text.append('\t').append(value);
    return this;
  }

  CodecLine dims(List<DimExpr> dims) {
    number(dims.size());
    dims.forEach(d -> text(d.toString()));
    return this;
  }

  void end(StringBuilder out) {
    out.append(text).append('\n');
  }

  CodecLine numbers(List<Integer> values) {
    number(values.size());
    values.forEach(this::number);
    return this;
  }

  CodecLine texts(List<String> values) {
    number(values.size());
    values.forEach(this::text);
    return this;
  }

  CodecLine flag(boolean value) {
    return number(value ? 1 : 0);
  }
}
