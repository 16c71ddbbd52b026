package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Operators of shapes: Shape, Size, ConstantOfShape, Range. */
final class ShapeOperators {
  private ShapeOperators() {}

  static List<OpBase> all() {
    return List.of(
        new ShapeOf(), new ConstantOfShape(), new Range(), new RangeLength(), new RangeOf());
  }

  static OpBase size() {
    return new SizeOf();
  }

  /** A kernel that writes dimensions. */
  private static List<Stage> write(Buf out, List<DimExpr> dims) {
    List<Stage> stages = new ArrayList<>();
    for (int d = 0; d < dims.size(); d++) {
      stages.add(
          new Stage(
              out,
              List.of(),
              out.shape().isEmpty() ? List.of() : List.of(K.index(d)),
              K.cast(Scalar.I64, K.dim(dims.get(d)))));
    }
    return stages;
  }

  /** Dimensions, from start to end. */
  static final class ShapeOf extends OpBase {
    ShapeOf() {
      super(
          OpSchema.of("", "Shape", 1, 13, 15, 19, 21, 23, 24, 25)
              .sample("data[d*]; 15-: start=-2..3; 15-: end=-2..4")
              .input("data", "T")
              .output("shape", "I")
              .types("T", Types.ALL)
              .types("I", Types.I64)
              .attribute("start", OpSchema.AttributeKind.INT)
              .attribute("end", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static List<DimExpr> dims(OpContext c) {
      int rank = c.rank(0);
      int start = bound(c.intAttr("start", 0), rank);
      int end = bound(c.intAttr("end", rank), rank);
      return start < end ? c.dims(0).subList(start, end) : List.of();
    }

    private static int bound(long value, int rank) {
      return (int) Math.max(0, Math.min(rank, value < 0 ? value + rank : value));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(
          TensorType.of(
              DType.I64, List.of(c.in(0).isRanked() ? DimExpr.of(dims(c).size()) : unknown(c, 0))));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      long[] dims = dims(c).stream().mapToLong(DimExpr::constValue).toArray();
      return List.of(Tensor.of(dims, dims.length));
    }

    @Override
    Lowering code(OpContext c) {
      Buf out = out(c, 0, outType(c, 0));
      return compute(List.of(), out, write(out, dims(c)));
    }

    @Override
    public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
      return c.in(0).isRanked() ? Optional.of(dims(c)) : Optional.empty();
    }
  }

  /** Number of elements. */
  static final class SizeOf extends OpBase {
    SizeOf() {
      super(
          OpSchema.of("", "Size", 1, 13, 19, 21, 23, 24, 25)
              .input("data", "T")
              .output("size", "I")
              .types("T", Types.ALL)
              .types("I", Types.I64)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(TensorType.of(DType.I64));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      return List.of(Tensor.of(new long[] {c.input(0).size()}));
    }

    @Override
    Lowering code(OpContext c) {
      Buf out = out(c, 0, outType(c, 0));
      return compute(List.of(), out, write(out, List.of(c.in(0).elements())));
    }

    @Override
    public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
      return c.in(0).isRanked() ? Optional.of(List.of(c.in(0).elements())) : Optional.empty();
    }
  }

  /** One value everywhere. */
  static final class ConstantOfShape extends OpBase {
    ConstantOfShape() {
      super(
          OpSchema.of("", "ConstantOfShape", 9, 20, 21, 23, 24, 25)
              .sample("input=dims(e*); value=T")
              .input("input", "I")
              .output("output", "T")
              .types("I", Types.I64)
              .types("T", Types.ALL)
              .attribute("value", OpSchema.AttributeKind.TENSOR)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static Tensor value(OpContext c) {
      Tensor value = c.tensorAttr("value").orElseGet(() -> Tensor.of(new float[1], 1));
      if (value.size() != 1) {
        throw c.error("TSR-0304", "attribute 'value' must hold one element");
      }
      return value;
    }

    @Override
    List<ValueType> types(OpContext c) {
      Shapes.rank(c, 0, 1);
      DType dtype = value(c).dtype();
      Optional<List<DimExpr>> dims = c.symbolic(0);
      if (dims.isPresent()) {
        if (dims.get().stream().anyMatch(d -> d.isConst() && d.constValue() < 0)) {
          throw c.error("TSR-0303", "a dimension of " + dims.get() + " is negative");
        }
        return List.of(TensorType.of(dtype, dims.get()));
      }
      if (!c.in(0).isRanked() || c.rank(0) != 1 || !c.dims(0).getFirst().isConst()) {
        return List.of(TensorType.unranked(dtype));
      }
      List<DimExpr> unknown = new ArrayList<>();
      for (int d = 0; d < Math.min(64, c.dims(0).getFirst().constValue()); d++) {
        unknown.add(unknown(c, d));
      }
      return List.of(TensorType.of(dtype, unknown));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor value = value(c);
      Tensor out = Shapes.allocate(c, value.dtype(), Shapes.longs(c.input(0)));
      for (int i = 0; i < out.size(); i++) {
        Shapes.copy(value, 0, out, i);
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      Tensor value = value(c);
      Buf out = out(c, 0, outType(c, 0));
      KExpr literal =
          value.dtype().isInteger()
              ? K.literal(out.element(), value.getLong(0))
              : Moves.literal(out.element(), value.getDouble(0));
      return compute(List.of(), out, List.of(Stage.of(out, Shapes.axes(out.shape()), literal)));
    }

    @Override
    public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
      Tensor value = value(c);
      Optional<List<DimExpr>> dims = c.symbolic(0);
      if (!value.dtype().isInteger()
          || dims.isEmpty()
          || dims.get().size() > 1
          || !dims.get().stream().allMatch(DimExpr::isConst)) {
        return Optional.empty();
      }
      long count = dims.get().isEmpty() ? 1 : dims.get().getFirst().constValue();
      return count > 4096
          ? Optional.empty()
          : Optional.of(java.util.Collections.nCopies((int) count, DimExpr.of(value.getLong(0))));
    }
  }

  /** start, start + delta, ... below limit. */
  static final class Range extends OpBase {
    Range() {
      super(
          OpSchema.of("", "Range", 11, 27)
              .sample("start[]=-3..3; limit[]=-9..9; delta[]=1|2|-1|-3")
              .input("start", "T")
              .input("limit", "T")
              .input("delta", "T")
              .output("output", "T")
              .types("T", Types.union(Types.FLOATS, Types.set(DType.I16, DType.I32, DType.I64))));
    }

    private static DimExpr count(OpContext c) {
      Optional<List<DimExpr>> start = c.symbolic(0);
      Optional<List<DimExpr>> limit = c.symbolic(1);
      Optional<List<DimExpr>> delta = c.symbolic(2);
      if (start.isPresent()
          && limit.isPresent()
          && delta.isPresent()
          && delta.get().getFirst().isConst()) {
        long step = delta.get().getFirst().constValue();
        if (step == 0) {
          throw c.error("TSR-0303", "delta is 0");
        }
        DimExpr way =
            step > 0
                ? limit.get().getFirst().minus(start.get().getFirst())
                : start.get().getFirst().minus(limit.get().getFirst());
        DimExpr n = way.ceilDiv(Math.absExact(step));
        return n.isConst()
            ? DimExpr.of(Math.max(0, n.constValue()))
            : ElementSymbols.mayBeNegative(way) ? n.max(DimExpr.ZERO) : n;
      }
      Optional<Tensor> a = c.constant(0);
      Optional<Tensor> b = c.constant(1);
      Optional<Tensor> s = c.constant(2);
      if (a.isEmpty() || b.isEmpty() || s.isEmpty()) {
        return unknown(c, 0);
      }
      double n = Math.ceil((b.get().getDouble(0) - a.get().getDouble(0)) / s.get().getDouble(0));
      if (Double.isNaN(n) || n > Integer.MAX_VALUE) {
        throw c.error("TSR-0303", "the range has no end");
      }
      return DimExpr.of(Math.max(0, (long) n));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(TensorType.of(c.dtype(0), List.of(count(c))));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      return List.of(values(c, c.input(0), c.input(2), count(c).constValue()));
    }

    static Tensor values(EvalContext c, Tensor start, Tensor delta, long length) {
      DType dtype = start.dtype();
      Tensor out = Shapes.allocate(c, dtype, length);
      for (int i = 0; i < out.size(); i++) {
        if (dtype.isFloat()) {
          out.setDouble(i, start.getDouble(0) + i * delta.getDouble(0));
        } else {
          out.setLong(i, start.getLong(0) + i * delta.getLong(0));
        }
      }
      return out;
    }

    @Override
    Lowering code(OpContext c) {
      if (count(c).equals(unknown(c, 0))) {
        return new Lowering.Decompose(b -> {
          Value start = c.node().input(0);
          Value delta = c.node().input(2);
          Value n = b.add(OpKey.TERSOR, "RangeLength", Map.of(), start, c.node().input(1), delta);
          return List.of(b.add(OpKey.TERSOR, "RangeOf", Map.of(), start, delta, n));
        });
      }
      return kernel(this, c, 2, outType(c, 0));
    }

    /** start + i * delta. */
    static Lowering kernel(OpBase op, OpContext c, int deltaInput, TensorType type0) {
      Buf start = new Buf("in0", scalar(c, c.dtype(0)), List.of());
      Buf delta = new Buf("in" + deltaInput, start.element(), List.of());
      Buf out = out(c, 0, type0);
      List<Axis> axes = Shapes.axes(out.shape());
      Scalar type = Elementwise.compute(c.dtype(0));
      KExpr value =
          K.add(
              K.cast(type, K.at(start)),
              K.mul(K.cast(type, K.axis(axes.getFirst())), K.cast(type, K.at(delta))));
      return op.compute(
          List.of(start, delta), out, List.of(Stage.of(out, axes, K.cast(out.element(), value))));
    }

    @Override
    public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
      DimExpr n = count(c);
      Optional<List<DimExpr>> start = c.symbolic(0);
      Optional<List<DimExpr>> delta = c.symbolic(2);
      if (!n.isConst() || n.constValue() > 4096 || start.isEmpty() || delta.isEmpty()) {
        return Optional.empty();
      }
      List<DimExpr> values = new ArrayList<>();
      for (long i = 0; i < n.constValue(); i++) {
        values.add(start.get().getFirst().plus(delta.get().getFirst().times(i)));
      }
      return Optional.of(values);
    }
  }

  /** Length of a Range that is only known when it runs, I64[1]; 0 if it does not lead there. */
  static final class RangeLength extends OpBase {
    /** Nothing is that long; it is refused where memory is taken for it. */
    private static final double LONGEST = 1L << 40;

    RangeLength() {
      super(
          OpSchema.of(OpKey.TERSOR, "RangeLength", 1)
              .input("start", "T")
              .input("limit", "T")
              .input("delta", "T")
              .output("length", "I")
              .types("T", Types.union(Types.FLOATS, Types.set(DType.I16, DType.I32, DType.I64)))
              .types("I", Types.I64));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(TensorType.of(DType.I64, 1));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      double n =
          Math.ceil((c.input(1).getDouble(0) - c.input(0).getDouble(0)) / c.input(2).getDouble(0));
      return List.of(Tensor.of(new long[] {n > 0 ? (long) Math.min(n, LONGEST) : 0}, 1));
    }

    @Override
    Lowering code(OpContext c) {
      List<Buf> inputs = new ArrayList<>();
      List<KExpr> values = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        Buf buffer = new Buf("in" + i, scalar(c, c.dtype(i)), List.of());
        inputs.add(buffer);
        KExpr value = K.cast(Elementwise.compute(c.dtype(i)), K.at(buffer));
        values.add(K.cast(Scalar.F64, value));
      }
      KExpr n = K.unary(UnaryOp.CEIL, K.div(K.sub(values.get(1), values.get(0)), values.get(2)));
      KExpr zero = K.literal(Scalar.F64, 0.0);
      KExpr length = K.select(K.gt(n, zero), K.min(n, K.literal(Scalar.F64, LONGEST)), zero);
      Buf out = out(c, 0, outType(c, 0));
      return compute(
          inputs,
          out,
          List.of(Stage.of(out, List.of(new Axis("i", DimExpr.ONE)), K.cast(Scalar.I64, length))));
    }
  }

  /** A Range of given length. */
  static final class RangeOf extends OpBase {
    RangeOf() {
      super(
          OpSchema.of(OpKey.TERSOR, "RangeOf", 1)
              .input("start", "T")
              .input("delta", "T")
              .input("length", "I")
              .output("output", "T")
              .types("T", Types.union(Types.FLOATS, Types.set(DType.I16, DType.I32, DType.I64)))
              .types("I", Types.I64));
    }

    @Override
    List<ValueType> types(OpContext c) {
      DimExpr length = c.symbolic(2).map(List::getFirst).orElseGet(() -> unknown(c, 0));
      return List.of(TensorType.of(c.dtype(0), List.of(length)));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      return List.of(Range.values(c, c.input(0), c.input(1), c.input(2).getLong(0)));
    }

    @Override
    Lowering code(OpContext c) {
      return Range.kernel(this, c, 1, outType(c, 0));
    }
  }
}
