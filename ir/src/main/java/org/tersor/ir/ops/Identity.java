package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;

/** Identity, of a tensor or (from version 14 and 16 on) of a sequence or an optional. */
final class Identity extends OpBase implements Differentiable {
  /** What strings and other than tensors need in compiled code. */
  static final String HOST_OP = "value.same";

  Identity() {
    super(
        OpSchema.of("", "Identity", 1, 13, 14, 16, 19, 21, 23, 24, 25)
            .input("input", "T | seq(T) | optional(T) | optional(seq(T))")
            .output("output", "T | seq(T) | optional(T) | optional(seq(T))")
            .types("T", Types.ALL)
            .attribute("consumed_inputs", AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  @Override
  List<ValueType> types(OpContext c) {
    return List.of(c.inputType(0));
  }

  @Override
  List<Datum> values(EvalContext c) {
    return List.of(c.datum(0));
  }

  @Override
  Lowering strings(OpContext c) {
    return code(c);
  }

  @Override
  Lowering code(OpContext c) {
    return c.inputType(0) instanceof ValueType.TensorType t && t.dtype() != DType.STRING
        ? new Lowering.View(0)
        : new Lowering.Host(HOST_OP, Map.of());
  }

  @Override
  public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
    return c.symbolic(0);
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    return List.of(p.gradient());
  }
}
