import org.jspecify.annotations.NullMarked;

/** 8-bit integer formats. */
@NullMarked
module org.tersor.plugins.int8 {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
}
