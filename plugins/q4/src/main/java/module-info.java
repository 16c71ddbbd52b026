import org.jspecify.annotations.NullMarked;

/** A 4-bit block format. */
@NullMarked
module org.tersor.plugins.q4 {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
}
