import org.jspecify.annotations.NullMarked;

/** Kernel IR to C and CUDA. */
@NullMarked
module org.tersor.codegen.c {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;

  exports org.tersor.codegen.c;

  provides org.tersor.ir.spi.Backend with
      org.tersor.codegen.c.NativeBackend,
      org.tersor.codegen.c.CudaBackend,
      org.tersor.codegen.c.CudaEmulatedBackend;
}
