package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * {@code org.tersor.codes_dynamic(x) -> codes, scale}: what {@link DynamicFakeQuant} rounds to, not
 * multiplied: codes of a byte, and for each row the scale of them, [..., 1].
 */
public final class DynamicCodes implements Operator {
  /** Name of the operator. */
  public static final String TYPE = "codes_dynamic";

  @Override
  public OpSchema schema() {
    return OpSchema.of(OpKey.TERSOR, TYPE, 1)
        .input("x", "T")
        .output("codes", "Q")
        .output("scale", "T")
        .required("levels", AttributeKind.INT)
        .required("opset", AttributeKind.INT)
        .types("T", java.util.EnumSet.of(DType.F32))
        .types("Q", java.util.EnumSet.of(DType.I8))
        .build();
  }

  @Override
  public List<ValueType> infer(OpContext c) {
    if (DynamicFakeQuant.levels(c) > Byte.MAX_VALUE) {
      throw c.error("TSR-0304", "a byte holds codes of up to 127 levels");
    }
    Optional<List<DimExpr>> scales = Optional.empty();
    if (c.in(0).isRanked()) {
      if (c.dims(0).isEmpty()) {
        throw c.error("TSR-0303", "x must have rows");
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      dims.set(dims.size() - 1, DimExpr.ONE);
      scales = Optional.of(List.copyOf(dims));
    }
    return List.of(c.in(0).withDtype(DType.I8), new TensorType(DType.F32, scales));
  }

  @Override
  public List<Tensor> eval(EvalContext c) {
    Tensor x = c.input(0);
    long[] rows = x.shape().clone();
    rows[rows.length - 1] = 1;
    Tensor codes = Tensor.zeros(DType.I8, x.shape());
    Tensor scales = Tensor.zeros(DType.F32, rows);
    int columns = (int) x.shape()[x.rank() - 1];
    for (int row = 0; row < scales.size(); row++) {
      float scale = DynamicFakeQuant.scale(x, row * columns, columns, DynamicFakeQuant.levels(c));
      scales.setDouble(row, scale);
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        codes.setLong(i, (long) Math.rint((float) x.getDouble(i) / scale));
      }
    }
    return List.of(codes, scales);
  }

  @Override
  public Lowering lower(OpContext c) {
    return new Lowering.Decompose(build -> {
      Value scale = DynamicFakeQuant.scale(build, c);
      return List.of(
          build.add(
              "Cast",
              Map.of("to", new Attribute.IntAttr(OnnxTypes.code(DType.I8))),
              rounded(build, c, scale)),
          scale);
    });
  }

  /** Codes as floats. */
  static Value rounded(GraphBuilder build, OpContext c, Value scale) {
    return build.add("Round", build.add("Div", c.node().input(0), scale));
  }
}
