package org.tersor.runtime.host;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * What strings are asked for. Everything that only moves strings is done on their numbers: {@code
 * string.number}, any numeric operator, then {@code string.take}.
 */
final class StringOps {
  /** Numbers of an operand are {@code (operand + 1) << OPERAND_SHIFT | element}; 0 is "". */
  private static final int OPERAND_SHIFT = 32;

  private StringOps() {}

  static List<HostOp> all() {
    return List.of(
        new Op("string.number", StringOps::number),
        new Op("string.take", StringOps::take),
        new Op("string.index", StringOps::index),
        new Op("string.pick", StringOps::pick),
        new Op("string.rank", StringOps::rank),
        new Op("string.equal", StringOps::equal),
        new Op("string.concat", StringOps::concat),
        new Op("string.format", StringOps::format),
        new Op("string.parse", StringOps::parse),
        new Op("string.normalize", StringOps::normalize),
        new Split());
  }

  /** A number for each string of input 0, from which {@code string.take} finds it again. */
  private static Datum number(HostCall call) {
    Tensor x = call.tensor(0);
    call.strings(0);
    long operand = call.longSetting("operand");
    Tensor out = call.allocate(DType.I64, x.shape());
    for (int i = 0; i < x.size(); i++) {
      out.longs()[i] = ((operand + 1) << OPERAND_SHIFT) | i;
    }
    return out;
  }

  /** The strings of inputs 1, 2, ... (operands 0, 1, ...) with the numbers in input 0. */
  private static Datum take(HostCall call) {
    Tensor numbers = call.tensor(0);
    Tensor out = call.allocate(DType.STRING, numbers.shape());
    for (int i = 0; i < numbers.size(); i++) {
      long number = numbers.getLong(i);
      if (number != 0) {
        String[] operand = call.strings((int) (number >> OPERAND_SHIFT));
        long index = number & ((1L << OPERAND_SHIFT) - 1);
        out.strings()[i] = operand[call.position(index, operand.length, "string")];
      }
    }
    return out;
  }

  /** Position of each string among the keys; their count where it is none of them. */
  private static Datum index(HostCall call) {
    List<String> keys = call.settings("keys");
    Map<String, Integer> positions = new HashMap<>();
    for (int k = 0; k < keys.size(); k++) {
      positions.putIfAbsent(keys.get(k), k);
    }
    String[] x = call.strings(0);
    Tensor out = call.allocate(DType.I64, call.tensor(0).shape());
    for (int i = 0; i < x.length; i++) {
      out.longs()[i] = positions.getOrDefault(x[i], keys.size());
    }
    return out;
  }

  /** The values at the positions in input 0. */
  private static Datum pick(HostCall call) {
    List<String> values = call.settings("values");
    Tensor positions = call.tensor(0);
    Tensor out = call.allocate(DType.STRING, positions.shape());
    for (int i = 0; i < positions.size(); i++) {
      out.strings()[i] = values.get(call.position(positions.getLong(i), values.size(), "position"));
    }
    return out;
  }

  /** How many different strings of the tensor come before each, by code points as UTF-8 has it. */
  private static Datum rank(HostCall call) {
    String[] x = call.strings(0);
    Set<String> sorted = new TreeSet<>(StringOps::compare);
    sorted.addAll(Arrays.asList(x));
    Map<String, Long> ranks = new HashMap<>();
    for (String text : sorted) {
      ranks.put(text, (long) ranks.size());
    }
    Tensor out = call.allocate(DType.I64, call.tensor(0).shape());
    Arrays.setAll(out.longs(), i -> ranks.getOrDefault(x[i], 0L));
    return out;
  }

  /** By code points, as bytes of UTF-8 compare; {@code String.compareTo} differs past U+FFFF. */
  static int compare(String a, String b) {
    int i = 0;
    while (i < a.length() && i < b.length()) {
      int x = a.codePointAt(i);
      int y = b.codePointAt(i);
      if (x != y) {
        return Integer.compare(x, y);
      }
      i += Character.charCount(x);
    }
    return Integer.compare(a.length(), b.length());
  }

  private static Datum equal(HostCall call) {
    String[] a = call.strings(0);
    String[] b = call.strings(1);
    long[] shape = Elements.broadcast(call, call.tensor(0).shape(), call.tensor(1).shape());
    Tensor out = call.allocate(DType.BOOL, shape);
    for (int i = 0; i < out.size(); i++) {
      String x = a[Elements.source(i, shape, call.tensor(0).shape())];
      String y = b[Elements.source(i, shape, call.tensor(1).shape())];
      out.bytes()[i] = (byte) (x.equals(y) ? 1 : 0);
    }
    return out;
  }

  private static Datum concat(HostCall call) {
    String[] a = call.strings(0);
    String[] b = call.strings(1);
    long[] shape = Elements.broadcast(call, call.tensor(0).shape(), call.tensor(1).shape());
    Tensor out = call.allocate(DType.STRING, shape);
    // In a loop, texts could double without end.
    long characters = 0;
    for (int i = 0; i < out.size(); i++) {
      String first = a[Elements.source(i, shape, call.tensor(0).shape())];
      String second = b[Elements.source(i, shape, call.tensor(1).shape())];
      characters += (long) first.length() + second.length();
      Cancellation.allocate("a text", first.length() + (long) second.length(), 2 * characters);
      out.strings()[i] = first + second;
    }
    return out;
  }

  private static Datum format(HostCall call) {
    Tensor x = call.tensor(0);
    Tensor out = call.allocate(DType.STRING, x.shape());
    for (int i = 0; i < x.size(); i++) {
      out.strings()[i] = NumberText.format(x, i);
    }
    return out;
  }

  private static Datum parse(HostCall call) {
    String[] x = call.strings(0);
    Tensor out = call.allocate(DType.of(call.setting("to")), call.tensor(0).shape());
    for (int i = 0; i < x.length; i++) {
      try {
        NumberText.parse(x[i], out, i);
      } catch (NumberFormatException _) {
        throw call.error("TSR-0302", "the text of element " + i + " is not a number");
      }
    }
    return out;
  }

  /** [C] or [1, C] to [n] or [1, n]: stop words go; one empty string remains if all do. */
  private static Datum normalize(HostCall call) {
    Tensor x = call.tensor(0);
    String[] words = call.strings(0);
    if (x.rank() == 0 || x.rank() > 2 || (x.rank() == 2 && x.shape()[0] != 1)) {
      throw call.error("TSR-0303", "strings of shape [C] or [1, C] are needed, not " + x);
    }
    UnaryOperator<String> change =
        switch (call.setting("case_change_action")) {
          case "LOWER" -> text -> text.toLowerCase(Locale.ROOT);
          case "UPPER" -> text -> text.toUpperCase(Locale.ROOT);
          default -> UnaryOperator.identity();
        };
    UnaryOperator<String> key =
        call.longSetting("is_case_sensitive") != 0
            ? UnaryOperator.identity()
            : text -> text.toLowerCase(Locale.ROOT);
    Set<String> stop = new HashSet<>();
    call.settings("stopwords").forEach(word -> stop.add(key.apply(word)));
    List<String> kept = new ArrayList<>();
    for (String word : words) {
      if (!stop.contains(key.apply(word))) {
        kept.add(change.apply(word));
      }
    }
    if (kept.isEmpty()) {
      kept.add("");
    }
    long[] shape = x.rank() == 1 ? new long[] {kept.size()} : new long[] {1, kept.size()};
    return new Tensor(DType.STRING, shape, kept.toArray(new String[0]));
  }

  /** Pieces of each string [.., most] padded with "", and their numbers [..]. */
  private static final class Split implements HostOp {
    @Override
    public String id() {
      return "string.split";
    }

    @Override
    public List<Datum> run(HostCall call) {
      String[] x = call.strings(0);
      String delimiter = call.setting("delimiter");
      long most =
          call.settings("maxsplit").isEmpty() ? Long.MAX_VALUE : call.longSetting("maxsplit");
      List<List<String>> pieces = new ArrayList<>();
      long[] shape = call.tensor(0).shape();
      Tensor counts = call.allocate(DType.I64, shape);
      int width = 0;
      for (int i = 0; i < x.length; i++) {
        List<String> split = delimiter.isEmpty() ? atSpaces(x[i], most) : at(x[i], delimiter, most);
        pieces.add(split);
        counts.longs()[i] = split.size();
        width = Math.max(width, split.size());
      }
      Tensor out = call.allocate(DType.STRING, Elements.inserted(shape, shape.length, width));
      for (int i = 0; i < x.length; i++) {
        for (int k = 0; k < pieces.get(i).size(); k++) {
          out.strings()[i * width + k] = pieces.get(i).get(k);
        }
      }
      return List.of(out, counts);
    }

    private static List<String> at(String text, String delimiter, long most) {
      List<String> pieces = new ArrayList<>();
      int start = 0;
      int end = text.indexOf(delimiter);
      while (end >= 0 && pieces.size() < most) {
        pieces.add(text.substring(start, end));
        start = end + delimiter.length();
        end = text.indexOf(delimiter, start);
      }
      pieces.add(text.substring(start));
      return pieces;
    }

    /** Runs of white space separate; what is left after the last split keeps its own. */
    private static List<String> atSpaces(String text, long most) {
      List<String> pieces = new ArrayList<>();
      int start = skip(text, 0, true);
      while (start < text.length()) {
        int end = pieces.size() < most ? skip(text, start, false) : text.length();
        pieces.add(text.substring(start, end));
        start = skip(text, end, true);
      }
      return pieces;
    }

    private static int skip(String text, int from, boolean spaces) {
      int at = from;
      while (at < text.length() && isSpace(text.codePointAt(at)) == spaces) {
        at += Character.charCount(text.codePointAt(at));
      }
      return at;
    }

    private static boolean isSpace(int c) {
      return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == 0x85;
    }
  }
}
