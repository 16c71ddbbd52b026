package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Pad: constant, edge, reflect, wrap; negative pads cut. By attributes before version 11, by inputs
 * from it on.
 */
final class PadOperator extends OpBase {
  PadOperator() {
    super(
        OpSchema.of("", "Pad", 1, 2, 11, 13, 18, 19, 21, 23, 24, 25)
            .sample(
                "data[d*1-4]; -1: paddings=each2(data, 0..2); 2-: paddings=-; -1: pads=-; 2-10: pads=each2(data, 0..2); -10: value=-2.0..2.0; mode=constant; 11-: pads[*]=each2(data, -1..2); 11-: constant_value[]; axes=- || data[d*1-4]; -1: paddings=each2(data, 0..1); 2-: paddings=-; -1: pads=-; 2-10: pads=each2(data, 0..1); value=-; mode=reflect|edge; 11-: pads[*]=each2(data, 0..1); constant_value=-; axes=- || 19-: data[d*2-4]; 19-: axes=axes(data); 19-: pads[*]=each2(axes, 0..2); 19-: mode=wrap|constant|edge; value=-; paddings=-; constant_value=-")
            .input("data", "T")
            .optional("pads", "P")
            .optional("constant_value", "T")
            .optional("axes", "I")
            .output("output", "T")
            .types("T", Types.ALL)
            .types("P", Types.I64)
            .types("I", Types.INDICES)
            .attribute("mode", OpSchema.AttributeKind.STRING)
            .attribute("pads", OpSchema.AttributeKind.INTS)
            .attribute("paddings", OpSchema.AttributeKind.INTS)
            .attribute("value", OpSchema.AttributeKind.FLOAT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private enum Mode {
    CONSTANT,
    EDGE,
    REFLECT,
    WRAP
  }

  private static Mode mode(OpContext c) {
    return switch (c.stringAttr("mode", "constant")) {
      case "constant" -> Mode.CONSTANT;
      case "edge" -> Mode.EDGE;
      case "reflect" -> Mode.REFLECT;
      case "wrap" -> Mode.WRAP;
      default -> throw c.error("TSR-0304", "mode must be constant, edge, reflect or wrap");
    };
  }

  private record Pads(List<DimExpr> before, List<DimExpr> after) {}

  private static Optional<Pads> pads(OpContext c) {
    int rank = c.rank(0);
    Optional<List<DimExpr>> given =
        c.version() < 11
            ? c.intsAttr("pads").or(() -> c.intsAttr("paddings")).map(DimExpr::list)
            : c.hasInput(1) ? c.symbolic(1) : Optional.empty();
    if (given.isEmpty()) {
      return Optional.empty();
    }
    long[] axes = java.util.stream.LongStream.range(0, rank).toArray();
    if (c.hasInput(3)) {
      Optional<long[]> chosen = Shapes.constantLongs(c, 3);
      if (chosen.isEmpty()) {
        List<DimExpr> none = java.util.Collections.nCopies(rank, DimExpr.ZERO);
        return RuntimeAxes.of(c, 3, rank)
            .filter(a -> given.get().size() == 2 * a.count())
            .map(a ->
                new Pads(
                    a.spread("before", given.get().subList(0, a.count()), none),
                    a.spread("after", given.get().subList(a.count(), 2 * a.count()), none)));
      }
      axes = chosen.get();
    }
    int n = axes.length;
    if (given.get().size() != 2 * n) {
      throw c.error("TSR-0303", given.get().size() + " pads for " + n + " axes");
    }
    List<DimExpr> before = new ArrayList<>(java.util.Collections.nCopies(rank, DimExpr.ZERO));
    List<DimExpr> after = new ArrayList<>(before);
    for (int i = 0; i < n; i++) {
      int axis = c.axis(axes[i], rank);
      before.set(axis, given.get().get(i));
      after.set(axis, given.get().get(n + i));
    }
    return Optional.of(new Pads(before, after));
  }

  @Override
  List<ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    Optional<Pads> pads = pads(c);
    List<DimExpr> dims = new ArrayList<>();
    for (int d = 0; d < c.rank(0); d++) {
      DimExpr dim =
          pads.isPresent()
              ? c.dims(0).get(d).plus(pads.get().before().get(d)).plus(pads.get().after().get(d))
              : unknown(c, d);
      if (dim.isConst() && dim.constValue() < 0) {
        throw c.error("TSR-0303", "axis " + d + " would have " + dim + " positions");
      }
      dims.add(dim);
    }
    return List.of(TensorType.of(c.dtype(0), dims));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Mode mode = mode(c);
    Pads pads = pads(c).orElseThrow(() -> c.error("TSR-0304", "pads are missing"));
    Tensor x = c.input(0);
    Tensor out = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
    Tensor fill = Tensor.zeros(x.dtype(), 1);
    if (c.version() >= 11 && c.hasInput(2)) {
      Shapes.copy(c.input(2), 0, fill, 0);
    } else if (x.dtype() != DType.STRING) {
      fill.setDouble(0, c.floatAttr("value", 0));
    }
    if (mode != Mode.CONSTANT && x.size() == 0 && out.size() > 0) {
      throw c.error("TSR-0303", "there is nothing to repeat in an empty input");
    }
    long[] index = new long[out.rank()];
    long[] from = new long[out.rank()];
    for (int i = 0; i < out.size(); i++) {
      boolean inside = true;
      for (int d = 0; d < from.length; d++) {
        long dim = x.shape()[d];
        long at = index[d] - pads.before().get(d).constValue();
        inside &= at >= 0 && at < dim;
        from[d] =
            switch (mode) {
              case CONSTANT -> at;
              case EDGE -> Math.max(0, Math.min(dim - 1, at));
              case WRAP -> Math.floorMod(at, dim);
              case REFLECT -> {
                long period = Math.max(1, 2 * (dim - 1));
                long m = Math.floorMod(at, period);
                yield m < dim ? m : period - m;
              }
            };
      }
      if (mode == Mode.CONSTANT && !inside) {
        Shapes.copy(fill, 0, out, i);
      } else {
        Shapes.copy(x, Shapes.ravel(from, x.shape()), out, i);
      }
      Shapes.next(index, out.shape());
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    Mode mode = mode(c);
    Pads pads = pads(c).orElseThrow(() -> notLowered(c, "the pads are only known when it runs"));
    Buf x = in(c, 0);
    Buf out = out(c, 0, outType(c, 0));
    List<Axis> axes = Shapes.axes(out.shape());
    List<KExpr> from = new ArrayList<>();
    KExpr inside = K.bool(true);
    for (int d = 0; d < axes.size(); d++) {
      DimExpr before = pads.before().get(d);
      DimExpr after = pads.after().get(d);
      KExpr dim = K.dim(x.shape().get(d));
      KExpr at = K.sub(K.axis(axes.get(d)), K.dim(before));
      if (!cuts(before)) {
        inside = K.and(inside, K.ge(at, K.index(0)));
      }
      if (!cuts(after)) {
        inside = K.and(inside, K.lt(at, dim));
      }
      from.add(cuts(before) && cuts(after) ? at : source(mode, at, dim));
    }
    KExpr value = K.at(x, from);
    List<Buf> inputs = new ArrayList<>(List.of(x));
    if (mode == Mode.CONSTANT) {
      KExpr fill = Moves.literal(out.element(), c.floatAttr("value", 0));
      if (c.version() >= 11) {
        fill = Moves.literal(out.element(), 0);
        if (c.hasInput(2)) {
          Buf given = new Buf("in2", out.element(), c.rank(2) == 0 ? List.of() : DimExpr.list(1));
          inputs.add(given);
          fill = K.at(given, c.rank(2) == 0 ? List.of() : List.of(K.index(0)));
        }
      }
      value = Moves.select(inside, value, fill);
    }
    return compute(inputs, out, List.of(Stage.of(out, axes, value)));
  }

  private static boolean cuts(DimExpr pad) {
    return pad.isConst() && pad.constValue() <= 0;
  }

  private static KExpr source(Mode mode, KExpr at, KExpr dim) {
    KExpr last = K.sub(dim, K.index(1));
    return switch (mode) {
      case CONSTANT -> at;
      case EDGE -> K.max(K.min(at, last), K.index(0));
      case WRAP -> K.floorMod(at, dim);
      case REFLECT -> {
        KExpr period = K.max(K.mul(last, K.index(2)), K.index(1));
        KExpr m = K.floorMod(at, period);
        yield K.select(K.lt(m, dim), m, K.sub(period, m));
      }
    };
  }
}
