package org.tersor.plugins.gguf;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import org.tersor.ir.spi.Tokenizer;

/**
 * Cuts text as SentencePiece's BPE does: blanks become U+2581, one goes before the text, and of all
 * neighbours whose joined text is a token the pair with the highest score is joined first, the
 * leftmost of equals, until none is left. What no token covers is written in the tokens of its
 * bytes.
 */
final class MergingTokenizer implements Tokenizer {
  private static final char BLANK = '\u2581';

  private final Vocabulary vocabulary;
  private final Map<String, Integer> ids = new HashMap<>();
  private final int[] byteIds = new int[256];
  private final int unknown;

  MergingTokenizer(Vocabulary vocabulary) {
    this.vocabulary = vocabulary;
    Arrays.fill(byteIds, -1);
    int spare = 0;
    for (int id = vocabulary.tokens().size() - 1; id >= 0; id--) { // the first of equals wins
      String token = vocabulary.tokens().get(id);
      switch (vocabulary.types()[id]) {
        case Vocabulary.NORMAL, Vocabulary.USER -> ids.put(token, id);
        case Vocabulary.BYTE -> {
          int at = id;
          byteValue(token).ifPresent(b -> byteIds[b] = at);
        }
        case Vocabulary.UNKNOWN -> spare = id;
        default -> {}
      }
    }
    this.unknown = spare;
  }

  /** Of a token like {@code <0x0A>}. */
  private static Optional<Integer> byteValue(String token) {
    if (token.length() != 6 || !token.startsWith("<0x") || !token.endsWith(">")) {
      return Optional.empty();
    }
    int high = Character.digit(token.charAt(3), 16);
    int low = Character.digit(token.charAt(4), 16);
    return high < 0 || low < 0 ? Optional.empty() : Optional.of(high * 16 + low);
  }

  @Override
  public int size() {
    return vocabulary.tokens().size();
  }

  @Override
  public Optional<Integer> begin() {
    return vocabulary.addsBegin() ? vocabulary.begin() : Optional.empty();
  }

  @Override
  public List<Integer> ends() {
    return vocabulary.end().map(List::of).orElse(List.of());
  }

  /** Two neighbours whose joined text is a token. */
  private record Pair(int left, int right, int length, int id, float score) {}

  @Override
  public int[] encode(String text) {
    if (text.isEmpty()) {
      return new int[0];
    }
    String spaced = (vocabulary.addsBlank() ? " " + text : text).replace(' ', BLANK);
    Pieces pieces = new Pieces(spaced);
    PriorityQueue<Pair> queue =
        new PriorityQueue<>(
            java.util.Comparator.comparingDouble((Pair p) -> -p.score())
                .thenComparingInt(Pair::left));
    for (int i = 0; i + 1 < pieces.count; i++) {
      offer(pieces, i, queue);
    }
    while (!queue.isEmpty()) {
      Pair pair = queue.remove();
      boolean stale =
          pieces.length(pair.left()) == 0
              || pieces.next[pair.left()] != pair.right()
              || pieces.length(pair.left()) + pieces.length(pair.right()) != pair.length();
      if (!stale) {
        pieces.join(pair.left());
        offer(pieces, pair.left(), queue);
        if (pieces.previous[pair.left()] >= 0) {
          offer(pieces, pieces.previous[pair.left()], queue);
        }
      }
    }
    List<Integer> result = new ArrayList<>();
    for (int i = 0; i >= 0 && i < pieces.count; i = pieces.next[i]) {
      append(pieces.text(i), result);
    }
    return result.stream().mapToInt(id -> id).toArray();
  }

  private void offer(Pieces pieces, int left, PriorityQueue<Pair> queue) {
    int right = pieces.next[left];
    if (right >= 0) {
      String joined = pieces.text(left) + pieces.text(right);
      Integer id = ids.get(joined);
      if (id != null) {
        queue.add(new Pair(left, right, joined.length(), id, vocabulary.scores()[id]));
      }
    }
  }

  private void append(String piece, List<Integer> result) {
    Integer id = ids.get(piece);
    if (id != null) {
      result.add(id);
      return;
    }
    for (byte b : piece.getBytes(StandardCharsets.UTF_8)) {
      int byteId = byteIds[b & 255];
      result.add(byteId < 0 ? unknown : byteId);
    }
  }

  @Override
  public byte[] bytes(int id, boolean first) {
    String token = vocabulary.tokens().get(id);
    return switch (vocabulary.types()[id]) {
      case Vocabulary.CONTROL -> new byte[0];
      case Vocabulary.UNKNOWN -> "\u2047".getBytes(StandardCharsets.UTF_8);
      case Vocabulary.BYTE ->
          byteValue(token)
              .map(b -> new byte[] {b.byteValue()})
              .orElseGet(() -> token.getBytes(StandardCharsets.UTF_8));
      default -> {
        String text = token.replace(BLANK, ' ');
        boolean cut = first && vocabulary.addsBlank() && text.startsWith(" ");
        yield (cut ? text.substring(1) : text).getBytes(StandardCharsets.UTF_8);
      }
    };
  }

  /** Neighbouring parts of a text, one character each at first. */
  private static final class Pieces {
    private final String text;
    private final int[] start;
    private final int[] end;
    private final int[] next;
    private final int[] previous;
    private final int count;

    Pieces(String text) {
      this.text = text;
      this.count = text.codePointCount(0, text.length());
      start = new int[count];
      end = new int[count];
      next = new int[count];
      previous = new int[count];
      int at = 0;
      for (int i = 0; i < count; i++) {
        start[i] = at;
        at += Character.charCount(text.codePointAt(at));
        end[i] = at;
        next[i] = i + 1 < count ? i + 1 : -1;
        previous[i] = i - 1;
      }
    }

    int length(int i) {
      return end[i] - start[i];
    }

    String text(int i) {
      return text.substring(start[i], end[i]);
    }

    /** Makes one of a piece and the next. */
    void join(int left) {
      int right = next[left];
      end[left] = end[right];
      next[left] = next[right];
      if (next[right] >= 0) {
        previous[next[right]] = left;
      }
      start[right] = end[right];
    }
  }
}
