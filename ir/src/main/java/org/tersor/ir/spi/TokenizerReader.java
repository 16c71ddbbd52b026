package org.tersor.ir.spi;

import java.util.Map;
import java.util.Optional;

/**
 * Finds a tokenizer in a model's metadata ({@link org.tersor.ir.graph.Graph#metadata}); found by
 * ServiceLoader. Metadata survive export, so a model that was written by Tersor keeps its
 * tokenizer.
 */
public interface TokenizerReader {
  /**
   * The tokenizer, if the metadata hold one of this reader's kind; a diagnostic if it is broken.
   */
  Optional<Tokenizer> read(Map<String, String> metadata);
}
