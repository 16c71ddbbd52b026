package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * Random kernels that can be run. Reads are inside their buffers wherever the kernel executes them,
 * but often only there: guards, extents of zero and indices from data decide. Floats are small
 * integers, so that no order of a sum and no fused step changes a bit.
 */
final class RandomKernel {
  private static final Scalar[] TYPES = {
    Scalar.BOOL,
    Scalar.I8,
    Scalar.U8,
    Scalar.I16,
    Scalar.U16,
    Scalar.I32,
    Scalar.U32,
    Scalar.I64,
    Scalar.U64,
    Scalar.F16,
    Scalar.BF16,
    Scalar.F32,
    Scalar.F32,
    Scalar.F64
  };
  private static final long[] EXTENTS = {0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 19, 33, 40};

  /** Floats stay below this, so that sums of all kinds are exact. */
  private static final double BOUND = 1 << 20;

  private final Random random;
  private final Map<String, Long> dims = new LinkedHashMap<>();
  private final List<Buf> inputs = new ArrayList<>();
  private final List<Buf> readable = new ArrayList<>();
  private int names;

  RandomKernel(Random random) {
    this.random = random;
    for (String symbol : List.of("N", "M", "K")) {
      dims.put(symbol, EXTENTS[random.nextInt(EXTENTS.length)]);
    }
  }

  Map<String, Long> dims() {
    return dims;
  }

  List<Buf> inputs() {
    return inputs;
  }

  private <T> T pick(List<T> of) {
    return of.get(random.nextInt(of.size()));
  }

  private boolean oneIn(int n) {
    return random.nextInt(n) == 0;
  }

  private Scalar type() {
    return TYPES[random.nextInt(TYPES.length)];
  }

  private DimExpr extent() {
    if (oneIn(2)) {
      DimExpr symbol = DimExpr.symbol(pick(List.copyOf(dims.keySet())));
      return switch (random.nextInt(6)) {
        case 0 -> symbol.plus(DimExpr.of(random.nextInt(1, 4)));
        case 1 -> symbol.ceilDiv(random.nextInt(2, 5));
        default -> symbol;
      };
    }
    // Zero only through symbols, mostly: a constant zero leaves nothing to test.
    return DimExpr.of(Math.max(oneIn(20) ? 0 : 1, EXTENTS[random.nextInt(EXTENTS.length)]));
  }

  private Axis axis() {
    return new Axis("x" + names++, extent());
  }

  private Buf input(Scalar element, List<DimExpr> shape) {
    Buf buffer = new Buf("in" + inputs.size(), element, shape);
    inputs.add(buffer);
    readable.add(buffer);
    return buffer;
  }

  /** A stage into a new buffer, which later stages read. */
  Stage stage(String name) {
    Stage stage = oneIn(3) ? contraction(name) : free(name);
    readable.add(stage.target());
    return stage;
  }

  private Stage free(String name) {
    Scalar type = type();
    List<Axis> axes = new ArrayList<>();
    for (int i = random.nextInt(4); i > 0; i--) {
      axes.add(axis());
    }
    KExpr value = value(type, axes, 3).expr;
    List<Axis> order = new ArrayList<>(axes);
    if (oneIn(4)) {
      java.util.Collections.shuffle(order, random);
    }
    Buf target = new Buf(name, type, order.stream().map(Axis::extent).toList());
    List<KExpr> index = new ArrayList<>();
    for (Axis axis : order) {
      index.add(
          oneIn(8) ? K.sub(K.sub(K.dim(axis.extent()), K.index(1)), K.axis(axis)) : K.axis(axis));
    }
    return new Stage(target, axes, index, value);
  }

  /** sum(k) f(m, k) * g(n, k) with whatever around it. */
  private Stage contraction(String name) {
    Scalar type = pick(List.of(Scalar.F32, Scalar.F32, Scalar.I32, Scalar.I32, Scalar.F64));
    List<Axis> axes = new ArrayList<>();
    for (int i = random.nextInt(3); i > 0; i--) {
      axes.add(axis());
    }
    Axis n = new Axis("n" + names++, oneIn(3) ? DimExpr.of(random.nextInt(8, 70)) : extent());
    List<Axis> k = new ArrayList<>(List.of(new Axis("k" + names++, extent())));
    if (oneIn(3)) {
      k.add(axis());
    }
    List<Axis> row = new ArrayList<>(axes);
    List<Axis> column = new ArrayList<>();
    if (!axes.isEmpty() && oneIn(3)) {
      column.add(axes.getFirst());
    }
    row.addAll(k);
    column.addAll(k);
    column.add(n);
    axes.add(n);
    KExpr sum = K.sum(k, K.mul(factor(type, row), factor(type, column)));
    KExpr value =
        switch (random.nextInt(4)) {
          case 0 -> sum;
          case 1 -> K.add(sum, bounded(value(type, axes, 1)));
          case 2 -> K.max(K.add(sum, bounded(value(type, axes, 1))), K.literal(type, 0));
          default -> K.select(K.lt(sum, K.literal(type, 3)), bounded(value(type, axes, 2)), sum);
        };
    Scalar stored = oneIn(4) ? type() : type;
    if (stored != type) {
      value = converted(new Value(value, 1 << 15), stored).expr;
    }
    return Stage.of(new Buf(name, stored, axes.stream().map(Axis::extent).toList()), axes, value);
  }

  private KExpr factor(Scalar type, List<Axis> axes) {
    if (type != Scalar.I32) {
      return read(type, axes, 1).expr;
    }
    KExpr code = K.cast(Scalar.I32, read(oneIn(2) ? Scalar.U8 : Scalar.I8, axes, 0).expr);
    return switch (random.nextInt(4)) {
      case 0 -> K.sub(code, K.i32(random.nextInt(-3, 9)));
      case 1 -> {
        Axis axis = pick(axes);
        KExpr at = K.add(K.axis(axis), K.index(random.nextInt(-2, 3)));
        yield K.select(inside(at, axis.extent()), code, K.i32(0));
      }
      default -> code;
    };
  }

  /** An expression with a bound of its magnitude (of floats only). */
  private record Value(KExpr expr, double bound) {}

  private KExpr bounded(Value value) {
    Scalar type = value.expr.scalar();
    if (!type.isFloat() || value.bound <= 64) {
      return value.expr;
    }
    return K.max(K.min(value.expr, K.literal(type, 64L)), K.literal(type, -64L));
  }

  private static KExpr inside(KExpr index, DimExpr extent) {
    return K.and(K.ge(index, K.index(0)), K.lt(index, K.dim(extent)));
  }

  private Value literal(Scalar type) {
    if (type == Scalar.BOOL) {
      return new Value(K.bool(oneIn(2)), 0);
    }
    if (type.isSmallFloat()) {
      return new Value(K.cast(type, K.f32(random.nextInt(-8, 9))), 8);
    }
    return type.isFloat()
        ? new Value(K.literal(type, (double) random.nextInt(-8, 9)), 8)
        : new Value(K.literal(type, (long) random.nextInt(type.isUnsigned() ? 0 : -9, 10)), 0);
  }

  private Value value(Scalar type, List<Axis> axes, int depth) {
    if (depth == 0) {
      return oneIn(4) ? literal(type) : read(type, axes, 0);
    }
    if (type.isSmallFloat()) {
      return oneIn(2) ? read(type, axes, depth) : converted(value(Scalar.F32, axes, depth), type);
    }
    return switch (random.nextInt(8)) {
      case 0, 1 -> read(type, axes, depth);
      case 2 -> unary(type, axes, depth);
      case 3, 4 -> binary(type, axes, depth);
      case 5 -> {
        KExpr condition = condition(axes, depth - 1);
        Value a = value(type, axes, depth - 1);
        Value b = value(type, axes, depth - 1);
        yield new Value(K.select(condition, a.expr, b.expr), Math.max(a.bound, b.bound));
      }
      case 6 ->
          type == Scalar.BOOL ? new Value(condition(axes, depth), 0) : convert(type, axes, depth);
      default -> fold(type, axes, depth);
    };
  }

  private Value convert(Scalar type, List<Axis> axes, int depth) {
    if (oneIn(4) && !axes.isEmpty()) {
      KExpr index = index(axes);
      return converted(new Value(K.cast(Scalar.I64, index), 1 << 12), type);
    }
    return converted(value(type(), axes, depth - 1), type);
  }

  private Value converted(Value a, Scalar type) {
    Scalar from = a.expr.scalar();
    if (type == Scalar.BOOL || (!type.isFloat() && !type.isSmallFloat())) {
      return new Value(K.cast(type, a.expr), 0);
    }
    // Halves hold integers of up to 8 bits.
    double limit = type.isSmallFloat() ? 64 : BOUND;
    KExpr value = a.expr;
    double bound = a.bound;
    if (from.isInteger() || from == Scalar.INDEX) {
      Scalar wide = from == Scalar.U64 ? Scalar.U64 : Scalar.I64;
      value = K.binary(BinaryOp.REM, K.cast(wide, value), K.literal(wide, 61L));
      bound = 61;
    } else if (bound > limit) {
      value = bounded(a);
      bound = 64;
    }
    return new Value(K.cast(type, value), from == Scalar.BOOL ? 1 : bound);
  }

  private Value unary(Scalar type, List<Axis> axes, int depth) {
    Value a = value(type, axes, depth - 1);
    if (type == Scalar.BOOL) {
      return new Value(K.not(a.expr), 0);
    }
    List<UnaryOp> ops =
        type.isFloat()
            ? List.of(UnaryOp.NEG, UnaryOp.ABS, UnaryOp.FLOOR, UnaryOp.RINT, UnaryOp.TRUNC)
            : List.of(UnaryOp.NEG, UnaryOp.ABS, UnaryOp.NOT, UnaryOp.POPCOUNT);
    return new Value(new KExpr.Un(pick(ops), a.expr), a.bound);
  }

  private Value binary(Scalar type, List<Axis> axes, int depth) {
    Value a = value(type, axes, depth - 1);
    Value b = value(type, axes, depth - 1);
    if (type == Scalar.BOOL) {
      BinaryOp op = pick(List.of(BinaryOp.AND, BinaryOp.OR, BinaryOp.XOR));
      return new Value(K.binary(op, a.expr, b.expr), 0);
    }
    if (type.isFloat()) {
      BinaryOp op =
          pick(List.of(BinaryOp.ADD, BinaryOp.SUB, BinaryOp.MUL, BinaryOp.MIN, BinaryOp.MAX));
      double bound = op == BinaryOp.MUL ? a.bound * b.bound : a.bound + b.bound;
      return bound > BOUND
          ? new Value(K.binary(op, bounded(a), bounded(b)), op == BinaryOp.MUL ? 4096 : 128)
          : new Value(K.binary(op, a.expr, b.expr), bound);
    }
    return new Value(
        K.binary(
            pick(
                List.of(
                    BinaryOp.ADD,
                    BinaryOp.SUB,
                    BinaryOp.MUL,
                    BinaryOp.DIV,
                    BinaryOp.REM,
                    BinaryOp.MIN,
                    BinaryOp.MAX,
                    BinaryOp.AND,
                    BinaryOp.OR,
                    BinaryOp.XOR,
                    BinaryOp.SHL,
                    BinaryOp.SHR)),
            a.expr,
            b.expr),
        0);
  }

  private KExpr condition(List<Axis> axes, int depth) {
    CompareOp op = pick(List.of(CompareOp.values()));
    if (!axes.isEmpty() && oneIn(2)) {
      return new KExpr.Cmp(op, index(axes), oneIn(2) ? K.index(random.nextInt(9)) : index(axes));
    }
    if (depth <= 0) {
      return new KExpr.Cmp(op, value(Scalar.I32, axes, 0).expr, K.i32(random.nextInt(3)));
    }
    Scalar type = type();
    Scalar compared = type.isSmallFloat() || type == Scalar.BOOL ? Scalar.F32 : type;
    return new KExpr.Cmp(
        op, value(compared, axes, depth - 1).expr, value(compared, axes, depth - 1).expr);
  }

  private Value fold(Scalar type, List<Axis> axes, int depth) {
    List<Axis> inner = new ArrayList<>();
    for (int i = random.nextInt(1, 3); i > 0; i--) {
      inner.add(axis());
    }
    List<Axis> all = new ArrayList<>(axes);
    all.addAll(inner);
    Value body = value(type, all, depth - 1);
    if (type == Scalar.BOOL) {
      ReduceOp op = pick(List.of(ReduceOp.AND, ReduceOp.OR, ReduceOp.XOR));
      return new Value(K.fold(op, inner, body.expr), 0);
    }
    if (!type.isFloat()) {
      return new Value(K.fold(pick(List.of(ReduceOp.values())), inner, body.expr), 0);
    }
    if (oneIn(3)) {
      // Of nothing it is infinite, which the selection hides.
      ReduceOp op = oneIn(2) ? ReduceOp.MIN : ReduceOp.MAX;
      KExpr some = K.bool(true);
      for (Axis axis : inner) {
        some = K.and(some, K.lt(K.index(0), K.dim(axis.extent())));
      }
      return new Value(
          K.select(some, K.fold(op, inner, body.expr), K.literal(type, 1L)), body.bound);
    }
    double count = Math.pow(50, inner.size());
    return body.bound * count > BOUND
        ? new Value(K.sum(inner, bounded(body)), 64 * count)
        : new Value(K.sum(inner, body.expr), body.bound * count);
  }

  /** An INDEX expression of any range. */
  private KExpr index(List<Axis> axes) {
    KExpr axis = K.axis(pick(axes));
    KExpr shifted = K.add(axis, K.index(random.nextInt(-6, 7)));
    return switch (random.nextInt(7)) {
      case 0 -> axis;
      case 1 -> shifted;
      case 2 -> K.add(K.mul(axis, K.index(random.nextInt(-2, 4))), K.index(random.nextInt(4)));
      case 3 -> K.floorDiv(shifted, K.index(random.nextInt(1, 6)));
      case 4 -> K.floorMod(shifted, K.index(random.nextInt(1, 9)));
      case 5 -> K.sub(K.axis(pick(axes)), shifted);
      default -> K.select(condition(axes, 0), shifted, K.min(K.axis(pick(axes)), K.index(3)));
    };
  }

  /** An element of some buffer; guarded where its index may leave the buffer. */
  private Value read(Scalar type, List<Axis> axes, int depth) {
    List<Buf> fitting =
        readable.stream().filter(b -> b.element() == type && b.shape().size() < 4).toList();
    Buf buffer = !fitting.isEmpty() && oneIn(2) ? pick(fitting) : input(type, shape(axes));
    KExpr guard = K.bool(true);
    List<KExpr> index = new ArrayList<>();
    for (DimExpr extent : buffer.shape()) {
      List<Axis> same = axes.stream().filter(a -> a.extent().equals(extent)).toList();
      if (!same.isEmpty() && !oneIn(5)) {
        index.add(oneIn(8) && extent.isConst() ? K.index(0) : walked(pick(same)));
        continue;
      }
      if (!same.isEmpty() && oneIn(2)) {
        // Inside wherever it is executed: a point of the axis exists.
        index.add(K.index(0));
        continue;
      }
      KExpr at =
          axes.isEmpty()
              ? K.index(random.nextInt(3))
              : depth > 0 && oneIn(3) ? fromData(axes) : index(axes);
      if (oneIn(3)) {
        guard = K.and(guard, K.lt(K.index(0), K.dim(extent)));
        index.add(K.max(K.min(at, K.sub(K.dim(extent), K.index(1))), K.index(0)));
      } else {
        guard = K.and(guard, inside(at, extent));
        index.add(at);
      }
    }
    KExpr element = new KExpr.At(buffer, index);
    // What a value reads from another stage may be large.
    Value whole = new Value(element, inputs.contains(buffer) ? 8 : BOUND);
    Value read = type.isFloat() && whole.bound > 64 ? new Value(bounded(whole), 64) : whole;
    KExpr other = literal(type).expr;
    return new Value(K.select(guard, read.expr, other), Math.max(8, read.bound));
  }

  private KExpr walked(Axis axis) {
    return oneIn(10) ? K.sub(K.sub(K.dim(axis.extent()), K.index(1)), K.axis(axis)) : K.axis(axis);
  }

  private KExpr fromData(List<Axis> axes) {
    Scalar type = pick(List.of(Scalar.I32, Scalar.I64));
    KExpr stored =
        K.cast(
            Scalar.INDEX, K.binary(BinaryOp.REM, read(type, axes, 0).expr, K.literal(type, 50L)));
    return oneIn(2)
        ? stored
        : K.select(K.lt(stored, K.index(0)), K.add(stored, K.index(9)), stored);
  }

  private List<DimExpr> shape(List<Axis> axes) {
    List<DimExpr> shape = new ArrayList<>();
    for (Axis axis : axes) {
      if (shape.size() < 3 && !oneIn(4)) {
        shape.add(axis.extent());
      }
    }
    if (shape.isEmpty() && oneIn(2)) {
      shape.add(extent());
    }
    if (oneIn(6)) {
      java.util.Collections.shuffle(shape, random);
    }
    return shape;
  }
}
