package org.tersor.ir.ops;

import java.util.List;
import java.util.Set;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * RandomUniform, RandomNormal and their Like forms (1, 22), Bernoulli (15, 22) and Multinomial (7,
 * 22), from the streams of {@link RandomBits}; element i takes number i.
 */
final class RandomOperators {
  private RandomOperators() {}

  static List<OpBase> all() {
    return List.of(
        new Noise("RandomUniform", false, false),
        new Noise("RandomUniformLike", false, true),
        new Noise("RandomNormal", true, false),
        new Noise("RandomNormalLike", true, true),
        new Bernoulli(),
        new Multinomial());
  }

  private static OpSchema.Builder random(OpSchema.Builder schema) {
    return schema
        .attribute("dtype", AttributeKind.INT)
        .attribute("seed", AttributeKind.FLOAT)
        .tolerance(OpSchema.Tolerance.RANDOM);
  }

  private static DType dtype(OpContext c, DType otherwise, Set<DType> allowed) {
    DType type = c.has("dtype") ? OnnxTypes.of(c, c.intAttr("dtype", 0)) : otherwise;
    if (!allowed.contains(type)) {
      throw c.error("TSR-0302", "the result cannot be of type " + type.text());
    }
    return type;
  }

  /** The row-major position of a point, I64. */
  private static KExpr position(List<Axis> axes) {
    KExpr position = K.literal(Scalar.I64, 0L);
    for (Axis axis : axes) {
      position =
          K.add(
              K.mul(position, K.cast(Scalar.I64, K.dim(axis.extent()))),
              K.cast(Scalar.I64, K.axis(axis)));
    }
    return position;
  }

  private static KExpr number(double value) {
    return K.literal(Scalar.F64, value);
  }

  /** Uniform from low to high, or normal with a mean and a standard deviation. */
  static final class Noise extends OpBase {
    private final boolean normal;
    private final boolean like;

    Noise(String name, boolean normal, boolean like) {
      super(schema(name, normal, like));
      this.normal = normal;
      this.like = like;
    }

    private static OpSchema.Builder schema(String name, boolean normal, boolean like) {
      OpSchema.Builder schema =
          random(OpSchema.of("", name, 1, 22))
              .output("output", "T2")
              .types("T2", Types.FLOATS)
              .attribute(normal ? "mean" : "low", AttributeKind.FLOAT)
              .attribute(normal ? "scale" : "high", AttributeKind.FLOAT);
      return like
          ? schema.input("input", "T1").types("T1", Types.ALL)
          : schema.required("shape", AttributeKind.INTS);
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      if (like) {
        return List.of(c.in(0).withDtype(dtype(c, c.dtype(0), Types.FLOATS)));
      }
      long[] shape = c.intsAttr("shape").orElseThrow();
      for (long extent : shape) {
        if (extent < 0 || extent > Integer.MAX_VALUE) {
          throw c.error("TSR-0304", "the shape has an extent of " + extent);
        }
      }
      return List.of(TensorType.of(dtype(c, DType.F32, Types.FLOATS), DimExpr.list(shape)));
    }

    /** Mean or lower end. */
    private double start(OpContext c) {
      return c.floatAttr(normal ? "mean" : "low", 0);
    }

    /** Standard deviation or width. */
    private double range(OpContext c) {
      return normal
          ? c.floatAttr("scale", 1)
          : (double) c.floatAttr("high", 1) - c.floatAttr("low", 0);
    }

    @Override
    List<Tensor> values(EvalContext c) {
      TensorType type = outType(c, 0);
      Tensor y = Shapes.allocate(c, type.dtype(), type.staticShape());
      RandomBits bits = RandomBits.of(c);
      for (int i = 0; i < y.size(); i++) {
        y.setDouble(i, start(c) + range(c) * (normal ? bits.normal(i) : bits.uniform(i)));
      }
      return List.of(y);
    }

    @Override
    Lowering code(OpContext c) {
      KernelBuilder kernel = new KernelBuilder(this, c);
      Buf out = kernel.out(0);
      List<Axis> axes = Shapes.axes(out.shape());
      RandomBits bits = RandomBits.of(c);
      KExpr i = position(axes);
      KExpr value;
      if (normal) {
        KExpr twice = K.mul(i, K.literal(Scalar.I64, 2L));
        KExpr u = bits.uniform(twice);
        KExpr v = bits.uniform(K.add(twice, K.literal(Scalar.I64, 1L)));
        KExpr log = K.unary(UnaryOp.LOG, K.sub(number(1), u));
        value =
            K.mul(
                K.unary(UnaryOp.SQRT, K.mul(number(-2), log)),
                K.unary(UnaryOp.COS, K.mul(number(2 * Math.PI), v)));
      } else {
        value = bits.uniform(i);
      }
      kernel.stage(out, axes, K.add(number(start(c)), K.mul(number(range(c)), value)));
      return kernel.build();
    }
  }

  /** One with the probability that the input holds, else zero. */
  static final class Bernoulli extends OpBase {
    private static final Set<DType> RESULTS = Types.NUMERIC_OR_BOOL;

    Bernoulli() {
      super(
          random(OpSchema.of("", "Bernoulli", 15, 22))
              .input("input", "T1")
              .output("output", "T2")
              .types("T1", Types.FLOATS)
              .types("T2", RESULTS));
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      return List.of(c.in(0).withDtype(dtype(c, c.dtype(0), RESULTS)));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor p = c.input(0);
      Tensor y = Tensor.zeros(outType(c, 0).dtype(), p.shape());
      RandomBits bits = RandomBits.of(c);
      for (int i = 0; i < y.size(); i++) {
        y.setDouble(i, bits.uniform(i) < p.getDouble(i) ? 1 : 0);
      }
      return List.of(y);
    }

    @Override
    Lowering code(OpContext c) {
      KernelBuilder kernel = new KernelBuilder(this, c);
      Buf out = kernel.out(0);
      List<Axis> axes = Shapes.axes(out.shape());
      KExpr p = K.cast(Scalar.F64, kernel.value(0, Shapes.refs(axes)));
      KExpr hit = K.lt(RandomBits.of(c).uniform(position(axes)), p);
      kernel.stage(
          out,
          axes,
          Moves.select(hit, Moves.literal(out.element(), 1), Moves.literal(out.element(), 0)));
      return kernel.build();
    }
  }

  /** Classes drawn by unnormalized log-probabilities [B, classes]; result [B, sample_size]. */
  static final class Multinomial extends OpBase {
    Multinomial() {
      super(
          random(OpSchema.of("", "Multinomial", 7, 22))
              .input("input", "T1")
              .output("output", "T2")
              .types("T1", Types.FLOATS)
              .types("T2", Types.INDICES)
              .attribute("sample_size", AttributeKind.INT));
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      DType dtype = dtype(c, DType.I32, Types.INDICES);
      long samples = c.intAttr("sample_size", 1);
      if (samples < 1 || samples > Integer.MAX_VALUE) {
        throw c.error("TSR-0304", "sample_size is " + samples);
      }
      if (!c.in(0).isRanked()) {
        return List.of(TensorType.of(dtype, List.of(unknown(c, 0), DimExpr.of(samples))));
      }
      if (c.rank(0) != 2) {
        throw c.error("TSR-0303", "the log-probabilities must be [B, classes]");
      }
      return List.of(TensorType.of(dtype, List.of(c.dims(0).getFirst(), DimExpr.of(samples))));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      TensorType type = outType(c, 0);
      Tensor y = Shapes.allocate(c, type.dtype(), type.staticShape());
      int classes = (int) x.shape()[1];
      int samples = (int) y.shape()[1];
      RandomBits bits = RandomBits.of(c);
      for (int i = 0; i < y.size(); i++) {
        int row = i / samples * classes;
        double largest = Double.NEGATIVE_INFINITY;
        for (int k = 0; k < classes; k++) {
          largest = Math.max(largest, x.getDouble(row + k));
        }
        double total = 0;
        for (int k = 0; k < classes; k++) {
          total += Math.exp(x.getDouble(row + k) - largest);
        }
        double wanted = bits.uniform(i) * total;
        double below = 0;
        int drawn = 0;
        for (int k = 0; k < classes - 1; k++) {
          below += Math.exp(x.getDouble(row + k) - largest);
          drawn += below <= wanted ? 1 : 0;
        }
        y.setLong(i, drawn);
      }
      return List.of(y);
    }

    @Override
    Lowering code(OpContext c) {
      KernelBuilder kernel = new KernelBuilder(this, c);
      Buf out = kernel.out(0);
      Axis b = new Axis("b", c.dims(0).getFirst());
      Axis s = new Axis("s", out.shape().get(1));
      Axis k = new Axis("k", c.dims(0).get(1));
      Axis j = new Axis("j", c.dims(0).get(1));
      KExpr x = K.cast(Scalar.F64, kernel.value(0, K.axis(b), K.axis(k)));
      KExpr largest =
          new Reduction(kernel, List.of(b), List.of(k)).reduce("largest", ReduceOp.MAX, x);
      Buf weights = kernel.temp("weights", Scalar.F64, c.dims(0));
      kernel.stage(weights, List.of(b, k), K.unary(UnaryOp.EXP, K.sub(x, largest)));
      KExpr upTo =
          K.select(K.le(K.axis(j), K.axis(k)), K.at(weights, K.axis(b), K.axis(j)), number(0));
      Buf below = kernel.temp("below", Scalar.F64, c.dims(0));
      kernel.stage(below, List.of(b, k), K.sum(List.of(j), upTo));
      KExpr last = K.sub(K.dim(k.extent()), K.index(1));
      KExpr wanted =
          K.mul(RandomBits.of(c).uniform(position(List.of(b, s))), K.at(below, K.axis(b), last));
      KExpr passed = K.and(K.lt(K.axis(k), last), K.le(K.at(below, K.axis(b), K.axis(k)), wanted));
      kernel.stage(out, List.of(b, s), K.sum(List.of(k), K.select(passed, K.i32(1), K.i32(0))));
      return kernel.build();
    }
  }
}
