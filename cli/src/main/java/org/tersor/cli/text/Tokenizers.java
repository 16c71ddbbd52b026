package org.tersor.cli.text;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.spi.Tokenizer;
import org.tersor.ir.spi.TokenizerReader;
import org.tersor.passes.Registry;
import org.tersor.runtime.TersorException;

/** Finds the tokenizer that a model carries. */
public final class Tokenizers {
  private Tokenizers() {}

  /** The tokenizer in a model's metadata; a diagnostic if it has none that a reader knows. */
  public static Tokenizer of(Registry registry, Map<String, String> metadata, String model) {
    List<TokenizerReader> readers =
        registry.providers(TokenizerReader.class).stream()
            .map(Registry.Provided::provider)
            .toList();
    return readers.stream()
        .map(reader -> reader.read(metadata))
        .flatMap(Optional::stream)
        .findFirst()
        .orElseThrow(() ->
            new TersorException(
                "TSR-0908",
                model
                    + " carries no tokenizer that is known here; name a model that does: --tokenizer"
                    + " MODEL, e.g. the .gguf it was made from"));
  }
}
