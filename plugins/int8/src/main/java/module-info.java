import org.jspecify.annotations.NullMarked;

/** 8-bit integer formats. */
@NullMarked
@SuppressWarnings("module") // the name ends in a digit because the format's does
module org.tersor.plugins.int8 {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
}
