package org.tersor.passes.graph;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * {@code org.tersor.fq_dynamic(x) -> y}: each row of the last dimension on a symmetric grid of its
 * own, chosen when the model runs: {@code s = max|row| / levels}, {@code y = round(x / s) * s}. A
 * row is what a layer multiplies with its weights, e.g. a token.
 */
public final class DynamicFakeQuant implements Operator, OperatorProvider {
  /** Name of the operator. */
  public static final String TYPE = "fq_dynamic";

  private static final float LEAST = Float.MIN_NORMAL;

  @Override
  public List<Operator> operators() {
    return List.of(this, new DynamicCodes());
  }

  /** Attributes of a node in a graph that imports a version of the standard's operators. */
  public static Map<String, Attribute> attributes(int bits, int opset) {
    return Map.of(
        "levels", new Attribute.IntAttr((1L << (bits - 1)) - 1),
        "opset", new Attribute.IntAttr(opset));
  }

  @Override
  public OpSchema schema() {
    return OpSchema.of(OpKey.TERSOR, TYPE, 1)
        .input("x", "T")
        .output("y", "T")
        .required("levels", AttributeKind.INT)
        .required("opset", AttributeKind.INT)
        .types("T", java.util.EnumSet.of(DType.F32))
        .build();
  }

  static float levels(OpContext c) {
    long levels = c.intAttr("levels", 0);
    if (levels < 1 || levels > 32767) {
      throw c.error("TSR-0304", "levels must be 1 to 32767, not " + levels);
    }
    return levels;
  }

  @Override
  public List<ValueType> infer(OpContext c) {
    levels(c);
    if (c.in(0).isRanked() && c.dims(0).isEmpty()) {
      throw c.error("TSR-0303", "x must have rows");
    }
    return List.of(c.in(0));
  }

  @Override
  public List<Tensor> eval(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Tensor.zeros(x.dtype(), x.shape());
    int columns = (int) x.shape()[x.rank() - 1];
    for (int from = 0; from < x.size(); from += columns) {
      float scale = scale(x, from, columns, levels(c));
      for (int i = from; i < from + columns; i++) {
        y.setDouble(i, (float) Math.rint((float) x.getDouble(i) / scale) * scale);
      }
    }
    return List.of(y);
  }

  /** The scale of a row that begins at an element. */
  static float scale(Tensor x, int from, int columns, float levels) {
    float largest = 0;
    for (int i = from; i < from + columns; i++) {
      largest = Math.max(largest, Math.abs((float) x.getDouble(i)));
    }
    return Math.max(largest / levels, LEAST);
  }

  @Override
  public Lowering lower(OpContext c) {
    return new Lowering.Decompose(build -> {
      Value scale = scale(build, c);
      return List.of(build.add("Mul", DynamicCodes.rounded(build, c, scale), scale));
    });
  }

  /** Scales of the rows, [..., 1]. */
  static Value scale(GraphBuilder build, OpContext c) {
    Value size = build.add("Abs", c.node().input(0));
    Value largest =
        c.intAttr("opset", 18) >= 18
            ? build.add("ReduceMax", size, build.longs(-1))
            : build.add("ReduceMax", Map.of("axes", new Attribute.IntsAttr(List.of(-1L))), size);
    return build.add(
        "Max", build.add("Div", largest, build.scalar(levels(c))), build.scalar(LEAST));
  }
}
