package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Tensor;

/**
 * Softmax, LogSoftmax, Hardmax (1, 11, 13). From version 13 along one axis, the last unless told;
 * before over all dimensions from axis (1 unless told) on, taken together.
 */
final class Softmax extends OpBase implements Differentiable {
  enum Kind {
    SOFTMAX("Softmax"),
    LOG_SOFTMAX("LogSoftmax"),
    HARDMAX("Hardmax");

    private final String operator;

    Kind(String operator) {
      this.operator = operator;
    }
  }

  private final Kind kind;

  Softmax(Kind kind) {
    super(
        OpSchema.of("", kind.operator, 1, 11, 13)
            .sample("input[d*1-4]; axis=axis(input)")
            .input("input", "T")
            .output("output", "T")
            .attribute("axis", AttributeKind.INT)
            .types("T", Types.FLOATS)
            .tolerance(
                kind == Kind.HARDMAX ? OpSchema.Tolerance.EXACT : OpSchema.Tolerance.ACCUMULATION));
    this.kind = kind;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (c.in(0).isRanked()) {
      range(c, c.rank(0), c.version());
    }
    return List.of(c.in(0));
  }

  /** First and end of the dimensions that are normalised together. */
  static int[] range(OpContext c, int rank, int version) {
    if (version >= 13) {
      int axis = rank == 0 ? 0 : c.axis(c.intAttr("axis", -1), rank);
      return new int[] {axis, Math.min(axis + 1, rank)};
    }
    long axis = c.intAttr("axis", 1);
    // The end of the dimensions is allowed here: then each element is alone.
    return new int[] {axis == rank ? rank : rank == 0 ? 0 : c.axis(axis, rank), rank};
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), x.shape());
    int[] range = range(c, x.rank(), c.version());
    int inner = 1;
    for (int d = range[1]; d < x.rank(); d++) {
      inner *= (int) x.shape()[d];
    }
    int n = 1;
    for (int d = range[0]; d < range[1]; d++) {
      n *= (int) x.shape()[d];
    }
    int groups = n == 0 ? 0 : x.size() / n;
    for (int g = 0; g < groups; g++) {
      int first = g / inner * n * inner + g % inner;
      int best = first;
      for (int i = 0; i < n; i++) {
        best = x.getDouble(first + i * inner) > x.getDouble(best) ? first + i * inner : best;
      }
      double max = x.getDouble(best);
      double sum = 0;
      for (int i = 0; i < n; i++) {
        sum += Math.exp(x.getDouble(first + i * inner) - max);
      }
      for (int i = 0; i < n; i++) {
        int at = first + i * inner;
        double shifted = x.getDouble(at) - max;
        y.setDouble(
            at,
            switch (kind) {
              case SOFTMAX -> Math.exp(shifted) / sum;
              case LOG_SOFTMAX -> shifted - Math.log(sum);
              case HARDMAX -> at == best ? 1 : 0;
            });
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    int[] range = range(c, c.rank(0), c.version());
    Reduction r = Reduction.over(kernel, axes, range[0], range[1]);
    KExpr x = kernel.value(0, Shapes.refs(axes));
    KExpr max = r.reduce("largest", ReduceOp.MAX, x);
    KExpr value =
        switch (kind) {
          case SOFTMAX -> share(kernel, r, axes, K.sub(x, max));
          case LOG_SOFTMAX -> {
            KExpr sum = r.sum("total", power(K.sub(x, max)));
            yield K.sub(K.sub(x, max), K.unary(UnaryOp.LOG, sum));
          }
          case HARDMAX -> {
            KExpr at = K.index(0);
            for (Axis axis : r.folded()) {
              at = K.add(K.mul(at, K.dim(axis.extent())), K.axis(axis));
            }
            KExpr place = K.cast(Scalar.I32, at);
            KExpr first =
                r.reduce(
                    "first", ReduceOp.MIN, K.select(K.eq(x, max), place, K.i32(Integer.MAX_VALUE)));
            yield K.select(
                K.eq(place, first), K.literal(x.scalar(), 1.0), K.literal(x.scalar(), 0.0));
          }
        };
    kernel.stage(kernel.out(0), axes, value);
    return kernel.build();
  }

  /**
   * exp(x) for a share of a sum of at least 1: 0 instead of a subnormal number. No sum shows the
   * difference, and processors that compute subnormal numbers by microcode take a hundred times as
   * long for each.
   */
  static KExpr power(KExpr x) {
    // Whole numbers next above the logarithms of the least normal numbers, 2^-126 and 2^-1022.
    Optional<Integer> least =
        switch (x.scalar()) {
          case F32 -> Optional.of(-87);
          case F64 -> Optional.of(-708);
          default -> Optional.empty();
        };
    return least
        .map(value -> {
          KExpr limit = K.literal(x.scalar(), value);
          return K.select(
              K.lt(x, limit), K.literal(x.scalar(), 0.0), K.unary(UnaryOp.EXP, K.max(x, limit)));
        })
        .orElseGet(() -> K.unary(UnaryOp.EXP, x));
  }

  /** exp(x) / sum exp(x), the exponentials being kept in between. */
  static KExpr share(KernelBuilder kernel, Reduction r, List<Axis> axes, KExpr x) {
    Buf exps = kernel.temp("exps", x.scalar(), axes.stream().map(Axis::extent).toList());
    kernel.stage(exps, axes, power(x));
    KExpr e = K.at(exps, Shapes.refs(axes));
    return K.div(e, r.sum("total", e));
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    int[] range = range(c, c.rank(0), c.version());
    List<Long> axes = new ArrayList<>();
    for (long d = range[0]; d < range[1]; d++) {
      axes.add(d);
    }
    Value y = p.outputs().getFirst();
    Value g = p.gradient();
    return switch (kind) {
      case SOFTMAX -> {
        Value mean = p.sum(p.add("Mul", g, y), axes);
        yield List.of(p.add("Mul", p.add("Sub", g, mean), y));
      }
      case LOG_SOFTMAX -> List.of(p.add("Sub", g, p.add("Mul", p.add("Exp", y), p.sum(g, axes))));
      case HARDMAX -> List.of(Value.NONE);
    };
  }
}
