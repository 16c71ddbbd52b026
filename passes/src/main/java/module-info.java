import org.jspecify.annotations.NullMarked;

/** Graph passes, quantization, search, lowering. */
@NullMarked
module org.tersor.passes {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
  requires ojalgo;
}
