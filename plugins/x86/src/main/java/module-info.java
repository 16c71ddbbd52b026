import org.jspecify.annotations.NullMarked;

/** Machine code of x86-64 from the loop IR, made and run in memory. */
@NullMarked
@SuppressWarnings("module") // the name ends in a digit because the processor's does
module org.tersor.plugins.x86 {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;

  provides org.tersor.ir.spi.Backend with
      org.tersor.plugins.x86.X86Backend;
}
