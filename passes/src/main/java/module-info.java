import org.jspecify.annotations.NullMarked;

/** Graph passes, quantization, search, lowering. */
@NullMarked
module org.tersor.passes {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
  requires ojalgo;

  exports org.tersor.passes;
  exports org.tersor.passes.equalize;
  exports org.tersor.passes.eval;
  exports org.tersor.passes.graph;
  exports org.tersor.passes.infer;
  exports org.tersor.passes.lower;
  exports org.tersor.passes.quant;
  exports org.tersor.passes.quant.method;

  provides org.tersor.ir.spi.Backend with
      org.tersor.passes.eval.InterpreterBackend,
      org.tersor.passes.eval.LoopInterpreterBackend;
  provides org.tersor.ir.op.OperatorProvider with
      org.tersor.passes.equalize.HadamardOperator,
      org.tersor.passes.graph.DynamicFakeQuant,
      org.tersor.passes.graph.FakeQuant;

  uses org.tersor.ir.format.FormatFamily;
  uses org.tersor.ir.format.NumberFormat;
  uses org.tersor.ir.spi.Backend;
  uses org.tersor.ir.spi.Frontend;
  uses org.tersor.ir.spi.PluginPass;
  uses org.tersor.ir.spi.TokenizerReader;
  uses org.tersor.ir.op.OperatorProvider;
  uses org.tersor.runtime.host.HostPack;
}
