import org.jspecify.annotations.NullMarked;

/** Intermediate representations, operator definitions, kernel DSL, service interfaces. */
@NullMarked
module org.tersor.ir {
  requires static transitive org.jspecify;
  requires transitive org.tersor.runtime;
  requires org.antlr.antlr4.runtime;

  exports org.tersor.ir.dsl;
  exports org.tersor.ir.format;
  exports org.tersor.ir.graph;
  exports org.tersor.ir.kernel;
  exports org.tersor.ir.loop;
  exports org.tersor.ir.op;
  exports org.tersor.ir.schedule;
  exports org.tersor.ir.spi;

  uses org.tersor.ir.op.OperatorProvider;

  provides org.tersor.ir.op.OperatorProvider with
      org.tersor.ir.ops.ControlOperators,
      org.tersor.ir.ops.HostOperators,
      org.tersor.ir.ops.MicrosoftOperators,
      org.tersor.ir.ops.StandardOperators,
      org.tersor.ir.ops.StructuredOperators,
      org.tersor.ir.ops.MachineLearningOperators,
      org.tersor.ir.ops.SequenceModelOperators,
      org.tersor.ir.ops.SignalOperators,
      org.tersor.ir.ops.TrainingOperators,
      org.tersor.ir.ops.VisionOperators;
}
