import org.jspecify.annotations.NullMarked;

/** Kernel IR to bytecode. */
@NullMarked
module org.tersor.codegen.jvm {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
  requires jdk.incubator.vector;
  requires org.objectweb.asm;
  requires org.objectweb.asm.commons;

  exports org.tersor.codegen.jvm;

  provides org.tersor.ir.spi.Backend with
      org.tersor.codegen.jvm.JvmBackend;
}
