import org.jspecify.annotations.NullMarked;

/** Integer formats of 2 to 16 bits. */
@NullMarked
@SuppressWarnings("module") // the name ends in a digit because the format's does
module org.tersor.plugins.int8 {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;

  provides org.tersor.ir.format.FormatFamily with
      org.tersor.plugins.int8.IntegerFormats;
}
