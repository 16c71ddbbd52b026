import org.jspecify.annotations.NullMarked;

/** Graph passes, quantization, search, lowering. */
@NullMarked
module org.tersor.passes {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
  requires ojalgo;

  exports org.tersor.passes.eval;
  exports org.tersor.passes.infer;

  provides org.tersor.ir.spi.Backend with
      org.tersor.passes.eval.InterpreterBackend;

  uses org.tersor.ir.spi.Backend;
  uses org.tersor.ir.spi.Frontend;
  uses org.tersor.ir.op.OperatorProvider;
}
