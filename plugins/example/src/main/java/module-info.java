import org.jspecify.annotations.NullMarked;

/** Tutorial: a number format and a pass of your own. */
@NullMarked
module org.tersor.plugins.example {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;

  provides org.tersor.ir.format.NumberFormat with
      org.tersor.plugins.example.FiveBitFormat;
  provides org.tersor.ir.spi.PluginPass with
      org.tersor.plugins.example.TanhGelu;
}
