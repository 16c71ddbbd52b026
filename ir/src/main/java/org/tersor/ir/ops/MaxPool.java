package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * MaxPool (1, 8, 10, 11, 12, 22): the largest element of each window, and from version 8 its
 * position in X (counted over the whole tensor; storage_order 1 counts the spatial dimensions
 * column by column). Dilations and ceil_mode from version 10, 8-bit integers from 12. Of equal
 * elements the first in row-major order counts.
 */
final class MaxPool extends OpBase implements Differentiable {
  MaxPool() {
    super(
        PoolPlan.attributes(
                OpSchema.of("", "MaxPool", 1, 8, 10, 11, 12, 22)
                    .sample(
                        "X[n c s*1-2]; kernel_shape=each(s, 2..3); strides=each(s, 1..2); pads=each2(s, 0..1); -7: Indices=-; 8-: storage_order=0|1; 10-: ceil_mode=0|1; 10-: dilations=each(s, 1..2); auto_pad=- || X[n c s*1-2]; kernel_shape=each(s, 1..3); strides=each(s, 1..2); -7: Indices=-; auto_pad=SAME_UPPER|SAME_LOWER|VALID; ceil_mode=-; pads=-; dilations=-; storage_order=-"))
            .input("X", "T")
            .output("Y", "T")
            .optionalOutput("Indices", "I")
            .attribute("dilations", AttributeKind.INTS)
            .attribute("storage_order", AttributeKind.INT)
            .types("T", Types.union(Types.FLOATS, Types.set(DType.I8, DType.U8)))
            .types("I", Types.I64)
            .carries(OpSchema.Carries.FIRST)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  /** Each window's gradient goes to its largest element. */
  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    Map<String, Attribute> attributes = new TreeMap<>(c.node().attributes());
    attributes.remove("storage_order");
    return List.of(gradient(c, p, attributes));
  }

  /** The gradients of largest elements given to them, of windows that attributes tell. */
  static Value gradient(OpContext c, Pullback p, Map<String, Attribute> attributes) {
    GraphBuilder b = p.builder();
    b.pin("", MODERN);
    Value again = b.value("", ValueType.UNKNOWN);
    Value positions = b.value("", ValueType.UNKNOWN);
    b.addNode("", "MaxPool", attributes, p.inputs(), List.of(again, positions));
    b.pin("", p.opset());
    return p.back(c, positions);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    Optional<List<DimExpr>> out = c.in(0).shape().map(s -> PoolPlan.of(c).out());
    return List.of(type(c.dtype(0), out), type(DType.I64, out))
        .subList(0, Math.clamp(c.outputCount(), 1, 2));
  }

  private static boolean columnMajor(OpContext c) {
    return c.intAttr("storage_order", 0) != 0;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    PoolPlan plan = PoolPlan.of(c);
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), Window.numbers(plan.out()));
    Tensor indices = Shapes.allocate(c, DType.I64, Window.numbers(plan.out()));
    long[] spatial = Window.numbers(plan.window().input());
    plan.forEach((at, plane, window, taps, inputAt, padded) -> {
      int best = -1;
      for (int t = 0; t < taps; t++) {
        double value = x.getDouble(plane + inputAt[t]);
        if (best < 0 || value > x.getDouble(plane + inputAt[best]) || Double.isNaN(value)) {
          best = t;
          if (Double.isNaN(value)) {
            break;
          }
        }
      }
      if (best < 0) {
        y.setDouble(at, x.dtype().isFloat() ? Double.NEGATIVE_INFINITY : x.dtype().minValue());
        return;
      }
      Shapes.copy(x, plane + inputAt[best], y, at);
      long position = inputAt[best];
      if (columnMajor(c)) {
        long[] index = Shapes.unravel(position, spatial);
        position = 0;
        for (int d = spatial.length - 1; d >= 0; d--) {
          position = position * spatial[d] + index[d];
        }
      }
      indices.setLong(at, plane + position);
    });
    return List.of(y, indices).subList(0, Math.clamp(c.outputCount(), 1, 2));
  }

  @Override
  Lowering code(OpContext c) {
    PoolPlan plan = PoolPlan.of(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    KExpr x = kernel.value(0, plan.x());
    KExpr lowest = lowest(x.scalar());
    kernel.stage(
        kernel.out(0), plan.axes(), K.fold(ReduceOp.MAX, plan.fold(), plan.guarded(x, lowest)));
    if (!c.hasOutput(1)) {
      return kernel.build();
    }
    // The first position that holds the maximum, then in the order asked for.
    KExpr flat = K.index(0);
    for (int d = 0; d < plan.x().size(); d++) {
      flat = K.add(K.mul(flat, K.dim(c.dims(0).get(d))), plan.x().get(d));
    }
    KExpr none = K.literal(Scalar.I64, Long.MAX_VALUE);
    KExpr maximum = K.cast(x.scalar(), K.at(kernel.out(0), Shapes.refs(plan.axes())));
    KExpr hit = K.select(K.eq(x, maximum), K.cast(Scalar.I64, flat), none);
    List<Axis> taps = plan.fold();
    KExpr first = K.fold(ReduceOp.MIN, taps, plan.guarded(hit, none));
    kernel.stage(kernel.out(1), plan.axes(), columnMajor(c) ? transposed(plan, first) : first);
    return kernel.build();
  }

  /** The column-major position of a row-major one. */
  private static KExpr transposed(PoolPlan plan, KExpr position) {
    List<DimExpr> spatial = plan.window().input();
    KExpr rest = position;
    List<KExpr> index = new ArrayList<>();
    for (int d = spatial.size() - 1; d >= 0; d--) {
      KExpr extent = K.cast(Scalar.I64, K.dim(spatial.get(d)));
      index.addFirst(K.binary(BinaryOp.REM, rest, extent));
      rest = K.div(rest, extent);
    }
    KExpr result = rest;
    for (int d = spatial.size() - 1; d >= 0; d--) {
      result = K.add(K.mul(result, K.cast(Scalar.I64, K.dim(spatial.get(d)))), index.get(d));
    }
    return result;
  }

  static KExpr lowest(Scalar type) {
    return type.isFloat()
        ? K.literal(type, Double.NEGATIVE_INFINITY)
        : K.literal(type, Integer.MIN_VALUE);
  }
}
