import org.jspecify.annotations.NullMarked;

/** Tutorial: a number format of your own. */
@NullMarked
module org.tersor.plugins.example {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;

  provides org.tersor.ir.format.NumberFormat with
      org.tersor.plugins.example.FiveBitFormat;
}
