package org.tersor.ir.spi;

import java.util.List;
import java.util.Optional;

/** Cuts text into the tokens of a language model. Thread-safe. */
public interface Tokenizer {
  /** Number of ids; they run from 0. */
  int size();

  /** The token that every text begins with, if the model wants one. */
  Optional<Integer> begin();

  /** Tokens that end a text. */
  List<Integer> ends();

  /**
   * Ids of a text, without {@link #begin}. Never fails: what no token covers has one of its own.
   */
  int[] encode(String text);

  /**
   * The bytes that a token stands for: tokens may hold parts of a character of UTF-8. None for
   * control tokens.
   *
   * @param first whether nothing stands before it: a blank that {@link #encode} put there is left
   *     out
   */
  byte[] bytes(int id, boolean first);
}
