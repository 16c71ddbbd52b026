package org.tersor.plugins.gguf;

import java.util.Map;
import java.util.Optional;
import org.tersor.ir.spi.Tokenizer;
import org.tersor.ir.spi.TokenizerReader;

/** Tokenizers that came with a GGUF file: those of kind {@code llama}. */
public final class GgufTokenizers implements TokenizerReader {
  /** For ServiceLoader. */
  public GgufTokenizers() {}

  @Override
  public Optional<Tokenizer> read(Map<String, String> metadata) {
    return Vocabulary.read(metadata).map(MergingTokenizer::new);
  }
}
