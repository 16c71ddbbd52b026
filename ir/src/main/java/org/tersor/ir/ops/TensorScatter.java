package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * TensorScatter (24): a cache with an update written along an axis (not 0) from position
 * write_indices[sample] on (0 without the input); circular: positions beyond the end start again at
 * the beginning. The update has the cache's shape but for that axis, where it is at most as long.
 */
final class TensorScatter extends OpBase {
  private static final int POSITIONS = 2;

  TensorScatter() {
    super(
        OpSchema.of("", "TensorScatter", 24)
            .sample(
                "u=1..2; v=0..2; s=plus(u, v); past_cache[b s d]; update[b u d]; write_indices[b]=0..v; axis=1|-2; mode=linear || u=1..2; v=0..2; s=plus(u, v); past_cache[b s d]; update[b u d]; write_indices[b]=below(s); axis=1|-2; mode=circular")
            .input("past_cache", "T")
            .input("update", "T")
            .optional("write_indices", "I")
            .output("present_cache", "T")
            .types("T", Types.ALL)
            .types("I", Types.I64)
            .attribute("axis", AttributeKind.INT)
            .attribute("mode", AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static boolean circular(OpContext c) {
    String mode = c.stringAttr("mode", "linear");
    return switch (mode) {
      case "linear" -> false;
      case "circular" -> true;
      default -> throw c.error("TSR-0304", "mode '" + mode + "' is not linear or circular");
    };
  }

  private static int axis(OpContext c) {
    int axis = c.axis(c.intAttr("axis", -2), c.rank(0));
    if (axis == 0) {
      throw c.error("TSR-0305", "axis 0 is the samples: nothing can be written along it");
    }
    List<DimExpr> cache = c.dims(0);
    List<DimExpr> update = c.dims(1);
    boolean fits = cache.size() == update.size();
    for (int d = 0; fits && d < cache.size(); d++) {
      if (cache.get(d).isConst() && update.get(d).isConst()) {
        long limit = cache.get(d).constValue();
        long extent = update.get(d).constValue();
        fits = d == axis ? extent <= limit : extent == limit;
      }
    }
    if (!fits) {
      throw c.error("TSR-0303", "the update does not fit into the cache along axis " + axis);
    }
    if (c.hasInput(POSITIONS) && c.in(POSITIONS).isRanked() && c.rank(POSITIONS) != 1) {
      throw c.error("TSR-0303", "write_indices must be [samples]");
    }
    return axis;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    circular(c);
    if (c.in(0).isRanked() && c.in(1).isRanked()) {
      axis(c);
    }
    return List.of(c.in(0));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    int axis = axis(c);
    boolean circular = circular(c);
    Tensor cache = c.input(0);
    Tensor update = c.input(1);
    Tensor out = Tensor.zeros(cache.dtype(), cache.shape());
    System.arraycopy(cache.array(), 0, out.array(), 0, cache.size() * cache.dtype().slots());
    long[] index = new long[update.rank()];
    for (int i = 0; i < update.size(); i++) {
      long start = c.hasInput(POSITIONS) ? c.input(POSITIONS).getLong((int) index[0]) : 0;
      long limit = cache.shape()[axis];
      if (start < 0 || start >= limit || (!circular && start + update.shape()[axis] > limit)) {
        throw c.error(
            "TSR-0705", "an update cannot be written at position " + start + " of " + limit);
      }
      long[] to = index.clone();
      to[axis] = (start + index[axis]) % limit;
      Shapes.copy(update, i, out, Shapes.ravel(to, cache.shape()));
      Shapes.next(index, update.shape());
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    int axis = axis(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    Buf out = kernel.out(0);
    List<Axis> all = Shapes.axes(c.dims(0));
    kernel.stage(out, all, K.at(kernel.in(0), Shapes.refs(all)));
    List<Axis> axes = Shapes.axes("u", c.dims(1));
    List<KExpr> to = new ArrayList<>(Shapes.refs(axes));
    KExpr limit = K.dim(c.dims(0).get(axis));
    DimExpr extent = c.dims(0).get(axis);
    DimExpr most = extent.minus(circular(c) ? DimExpr.ONE : c.dims(1).get(axis));
    KExpr start =
        c.hasInput(POSITIONS)
            ? new KExpr.Within(
                K.at(kernel.in(POSITIONS), K.axis(axes.getFirst())), DimExpr.ZERO, most)
            : K.index(0);
    KExpr last = K.dim(most);
    KExpr position = K.add(K.max(K.min(start, last), K.index(0)), K.axis(axes.get(axis)));
    to.set(
        axis,
        circular(c) ? K.select(K.ge(position, limit), K.sub(position, limit), position) : position);
    kernel.stage(out, axes, to, K.at(kernel.in(1), Shapes.refs(axes)));
    return kernel.build();
  }
}
