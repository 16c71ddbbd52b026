import org.jspecify.annotations.NullMarked;

/** A 4-bit block format. */
@NullMarked
@SuppressWarnings("module") // the name ends in a digit because the format's does
module org.tersor.plugins.q4 {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;

  provides org.tersor.ir.format.NumberFormat with
      org.tersor.plugins.q4.Q4Format;
}
