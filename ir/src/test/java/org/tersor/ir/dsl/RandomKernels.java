package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/** Kernels of every node kind, type and odd name; well typed, not meant to be run. */
final class RandomKernels {
  private static final String[] NAMES = {
    "a",
    "x1",
    "sum",
    "kernel",
    "for",
    "in",
    "block",
    "inf",
    "nan_f32",
    "true",
    "two words",
    "`",
    "back\\slash",
    "",
    "f32",
    "dim",
    "é"
  };

  private final Random random;
  private final List<Buf> buffers = new ArrayList<>();
  private int axes;

  RandomKernels(long seed) {
    random = new Random(seed);
  }

  Kernel kernel() {
    List<Buf> inputs = new ArrayList<>();
    List<Buf> outputs = new ArrayList<>();
    for (int i = random.nextInt(4); i > 0; i--) {
      inputs.add(buffer());
    }
    for (int i = random.nextInt(1, 3); i > 0; i--) {
      outputs.add(buffer());
    }
    List<Buf> temporaries = new ArrayList<>();
    for (int i = random.nextInt(2); i > 0; i--) {
      temporaries.add(buffer());
    }
    List<Stage> stages = new ArrayList<>();
    for (int i = random.nextInt(4); i > 0; i--) {
      List<Axis> own = new ArrayList<>();
      for (int n = random.nextInt(3); n > 0; n--) {
        own.add(axis());
      }
      List<Buf> targets = new ArrayList<>(outputs);
      targets.addAll(temporaries);
      Buf target = view(pick(targets));
      stages.add(new Stage(target, own, indices(target, own), expr(target.element(), own, 5)));
    }
    return new Kernel(pick(List.of(NAMES)) + "k", inputs, outputs, stages);
  }

  private <T> T pick(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  private Axis axis() {
    return new Axis(NAMES[random.nextInt(NAMES.length)] + axes++, dim(2));
  }

  private DimExpr dim(int depth) {
    return switch (random.nextInt(depth > 0 ? 9 : 2)) {
      case 0 -> DimExpr.of(random.nextInt(100));
      case 1 ->
          DimExpr.symbol(random.nextBoolean() ? "N" : NAMES[random.nextInt(NAMES.length)] + "s");
      case 2 -> dim(depth - 1).plus(dim(depth - 1));
      case 3 -> dim(depth - 1).minus(dim(depth - 1));
      case 4 -> dim(depth - 1).times(dim(depth - 1));
      case 5 -> dim(depth - 1).floorDiv(random.nextInt(1, 9));
      case 6 -> dim(depth - 1).ceilDiv(random.nextInt(1, 9));
      case 7 -> dim(depth - 1).min(dim(depth - 1));
      default -> dim(depth - 1).mod(DimExpr.of(random.nextInt(1, 9)));
    };
  }

  private Buf buffer() {
    List<DimExpr> shape = new ArrayList<>();
    for (int i = random.nextInt(3); i > 0; i--) {
      shape.add(dim(1));
    }
    Scalar[] all = Scalar.values();
    Buf buffer =
        new Buf(
            NAMES[random.nextInt(NAMES.length)] + "_" + buffers.size(),
            all[random.nextInt(all.length)],
            shape);
    buffers.add(buffer);
    return buffer;
  }

  private Buf view(Buf buffer) {
    return random.nextInt(5) > 0
        ? buffer
        : new Buf(buffer.name(), pick(List.of(Scalar.values())), List.of(dim(1)));
  }

  private List<KExpr> indices(Buf buffer, List<Axis> scope) {
    return buffer.shape().stream().map(d -> expr(Scalar.INDEX, scope, 2)).toList();
  }

  private KExpr leaf(Scalar type, List<Axis> scope) {
    if (type == Scalar.INDEX && random.nextInt(3) > 0) {
      return scope.isEmpty() || random.nextInt(4) == 0
          ? new KExpr.Dim(dim(1))
          : new KExpr.AxisRef(pick(scope));
    }
    if (type.isFloat() || type.isSmallFloat()) {
      double[] values = {
        0,
        -0.0,
        1,
        -2.5,
        1e30,
        0.1,
        (float) 0.1,
        Double.NaN,
        Double.POSITIVE_INFINITY,
        Double.NEGATIVE_INFINITY,
        random.nextGaussian()
      };
      return new KExpr.FloatLit(type, values[random.nextInt(values.length)]);
    }
    return new KExpr.IntLit(
        type,
        type == Scalar.BOOL
            ? random.nextInt(2)
            : pick(List.of(0L, 1L, -1L, 7L, Long.MIN_VALUE, Long.MAX_VALUE)));
  }

  private KExpr expr(Scalar type, List<Axis> scope, int depth) {
    if (depth == 0) {
      return leaf(type, scope);
    }
    List<Buf> fitting = buffers.stream().filter(b -> b.element() == type).toList();
    List<Scalar> types = List.of(Scalar.values());
    return switch (random.nextInt(11)) {
      case 0 -> leaf(type, scope);
      case 1, 2 -> {
        if (fitting.isEmpty()) {
          yield leaf(type, scope);
        }
        Buf b = pick(fitting);
        Buf seen = random.nextInt(4) > 0 ? b : new Buf(b.name(), type, List.of(dim(1)));
        yield new KExpr.At(seen, indices(seen, scope));
      }
      case 3 -> new KExpr.Un(pick(List.of(UnaryOp.values())), expr(type, scope, depth - 1));
      case 4, 5 ->
          new KExpr.Bin(
              pick(List.of(BinaryOp.values())),
              expr(type, scope, depth - 1),
              expr(type, scope, depth - 1));
      case 6 ->
          type != Scalar.BOOL
              ? new KExpr.Un(UnaryOp.NEG, expr(type, scope, depth - 1))
              : compare(pick(types), scope, depth);
      case 7 ->
          new KExpr.If(
              expr(Scalar.BOOL, scope, depth - 1),
              expr(type, scope, depth - 1),
              expr(type, scope, depth - 1));
      case 8 -> new KExpr.To(type, expr(pick(types), scope, depth - 1), random.nextBoolean());
      case 9 -> new KExpr.BitsAs(type, expr(pick(types), scope, depth - 1));
      default -> {
        List<Axis> own = new ArrayList<>();
        List<Axis> inner = new ArrayList<>(scope);
        for (int i = random.nextInt(3); i > 0; i--) {
          own.add(axis());
        }
        inner.addAll(own);
        yield new KExpr.Fold(pick(List.of(ReduceOp.values())), own, expr(type, inner, depth - 1));
      }
    };
  }

  private KExpr compare(Scalar type, List<Axis> scope, int depth) {
    return new KExpr.Cmp(
        pick(List.of(CompareOp.values())),
        expr(type, scope, depth - 1),
        expr(type, scope, depth - 1));
  }
}
