package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * GlobalAveragePool (1, 22), GlobalMaxPool (1, 22) and GlobalLpPool (1, 2, 22): [N, C, spatial...]
 * to [N, C, 1...]. p was a float in version 1 of GlobalLpPool.
 */
final class GlobalPool extends OpBase implements Differentiable {
  enum Kind {
    AVERAGE,
    MAX,
    LP
  }

  private final Kind kind;

  GlobalPool(Kind kind) {
    super(schema(kind));
    this.kind = kind;
  }

  private static OpSchema.Builder schema(Kind kind) {
    OpSchema.Builder schema =
        switch (kind) {
          case AVERAGE ->
              OpSchema.of("", "GlobalAveragePool", 1, 22)
                  .sample("X[n c s*1-2]")
                  .tolerance(OpSchema.Tolerance.ACCUMULATION);
          case MAX ->
              OpSchema.of("", "GlobalMaxPool", 1, 22)
                  .sample("X[n c s*1-2]")
                  .tolerance(OpSchema.Tolerance.EXACT);
          case LP ->
              OpSchema.of("", "GlobalLpPool", 1, 2, 22)
                  .sample("X[n c s*1-2]; p=1|2|3")
                  .attribute("p", AttributeKind.INT)
                  .tolerance(OpSchema.Tolerance.ACCUMULATION);
        };
    return schema.input("X", "T").output("Y", "T").types("T", Types.FLOATS);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), c.in(0).shape().map(s -> pooled(c, s))));
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    return List.of(
        switch (kind) {
          case AVERAGE -> {
            List<Long> axes = LongStream.range(2, c.rank(0)).boxed().toList();
            Value share = p.share(c, p.gradient(), c.dims(0), axes, c.dtype(0));
            yield p.modern("Expand", Map.of(), share, p.add("Shape", p.inputs().getFirst()));
          }
          case MAX -> largest(c, p);
          case LP -> {
            Value y = p.outputs().getFirst();
            yield new FoldGradient(c, p, y, p.gradient()).norm(exponent(c), share -> share);
          }
        });
  }

  /** As the largest of a window as large as the input. */
  private static Value largest(OpContext c, Pullback p) {
    if (c.rank(0) == 2) {
      return p.gradient();
    }
    List<Long> window = Arrays.stream(p.extents(c)).boxed().skip(2).toList();
    return MaxPool.gradient(c, p, Map.of("kernel_shape", new Attribute.IntsAttr(window)));
  }

  static List<DimExpr> pooled(OpContext c, List<DimExpr> x) {
    if (x.size() < 2) {
      throw c.error("TSR-0303", "a pool needs X [N, C, D...]");
    }
    List<DimExpr> out = new ArrayList<>(x.subList(0, 2));
    for (int d = 2; d < x.size(); d++) {
      out.add(DimExpr.ONE);
    }
    return List.copyOf(out);
  }

  /** The exponent: an integer, in version 1 a float. */
  static double exponent(OpContext c) {
    return c.attribute("p").isPresent() && c.version() < 2
        ? c.floatAttr("p", 2)
        : c.intAttr("p", 2);
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
    int plane = y.size() == 0 ? 0 : x.size() / y.size();
    for (int i = 0; i < y.size(); i++) {
      double result = kind == Kind.MAX ? Double.NEGATIVE_INFINITY : 0;
      for (int k = 0; k < plane; k++) {
        double value = x.getDouble(i * plane + k);
        result =
            switch (kind) {
              case AVERAGE -> result + value;
              case MAX -> Math.max(result, value);
              case LP -> result + Math.pow(Math.abs(value), exponent(c));
            };
      }
      y.setDouble(
          i,
          switch (kind) {
            case AVERAGE -> result / plane;
            case MAX -> result;
            case LP -> Math.pow(result, 1 / exponent(c));
          });
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    List<DimExpr> dims = c.dims(0);
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes("o", pooled(c, dims));
    List<Axis> fold = Shapes.axes("k", dims.subList(2, dims.size()));
    List<KExpr> index = new ArrayList<>(Shapes.refs(axes.subList(0, 2)));
    index.addAll(Shapes.refs(fold));
    KExpr x = kernel.value(0, index);
    KExpr value =
        switch (kind) {
          case AVERAGE ->
              K.div(
                  K.sum(fold, x),
                  K.cast(x.scalar(), K.dim(DimExpr.product(dims.subList(2, dims.size())))));
          case MAX -> K.fold(ReduceOp.MAX, fold, x);
          case LP -> root(K.sum(fold, power(x, exponent(c))), exponent(c));
        };
    kernel.stage(kernel.out(0), axes, value);
    return kernel.build();
  }

  /** |x| to the power p. */
  static KExpr power(KExpr x, double p) {
    if (p == 1) {
      return K.unary(UnaryOp.ABS, x);
    }
    return p == 2
        ? K.mul(x, x)
        : K.binary(BinaryOp.POW, K.unary(UnaryOp.ABS, x), K.literal(x.scalar(), p));
  }

  static KExpr root(KExpr x, double p) {
    if (p == 1) {
      return x;
    }
    return p == 2
        ? K.unary(UnaryOp.SQRT, x)
        : K.binary(BinaryOp.POW, x, K.literal(x.scalar(), 1 / p));
  }
}
