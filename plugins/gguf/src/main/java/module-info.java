import org.jspecify.annotations.NullMarked;

/** Language models in GGUF files, with their tokenizers. */
@NullMarked
module org.tersor.plugins.gguf {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;

  uses org.tersor.ir.format.NumberFormat;

  provides org.tersor.ir.format.NumberFormat with
      org.tersor.plugins.gguf.Q8Format;
  provides org.tersor.ir.spi.Frontend with
      org.tersor.plugins.gguf.GgufFrontend;
  provides org.tersor.ir.spi.TokenizerReader with
      org.tersor.plugins.gguf.GgufTokenizers;
}
