package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
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
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Split: parts along an axis, of sizes given by attribute (before 13) or input, or equal ones (the
 * last may be smaller from 18 on).
 */
final class SplitOperator extends OpBase {
  SplitOperator() {
    super(
        OpSchema.of("", "Split", 1, 2, 11, 13, 18)
            .sample(
                "input[d*1-4]; axis=axis(input); n=dim(input, axis); -12: split=split(n); 13-: split[*]=split(n); outputs=len(split); num_outputs=- || 18-: num_outputs=1..3; 18-: outputs=num_outputs; 18-: input[d*1-4]; 18-: axis=axis(input); split=-")
            .input("input", "T")
            .optional("split", "I")
            .variadicOutput("outputs", "T")
            .types("T", Types.ALL)
            .types("I", Types.union(Types.I64, Types.FLOATS))
            .attribute("axis", OpSchema.AttributeKind.INT)
            .attribute("split", OpSchema.AttributeKind.INTS)
            .attribute("num_outputs", OpSchema.AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static int axis(OpContext c) {
    return c.axis(c.intAttr("axis", 0), c.rank(0));
  }

  /** Size of each part; empty where a split input is not known. */
  private static Optional<List<DimExpr>> sizes(OpContext c) {
    DimExpr all = c.dims(0).get(axis(c));
    int parts = c.outputCount();
    if (c.hasInput(1)) {
      Optional<List<DimExpr>> given =
          c.symbolic(1).or(() -> c.constant(1).map(t -> DimExpr.list(Shapes.longs(t))));
      given.ifPresent(sizes -> check(c, all, sizes));
      return given;
    }
    if (c.has("split") && c.version() < 13) {
      List<DimExpr> sizes = DimExpr.list(c.intsAttr("split").orElseThrow());
      check(c, all, sizes);
      return Optional.of(sizes);
    }
    if (c.version() >= 18 && c.has("num_outputs") && c.intAttr("num_outputs", 0) != parts) {
      throw c.error(
          "TSR-0304",
          "num_outputs is "
              + c.intAttr("num_outputs", 0)
              + ", but there are "
              + parts
              + " outputs");
    }
    if (parts == 0) {
      return Optional.of(List.of());
    }
    if (c.version() < 18 && all.isConst() && all.constValue() % parts != 0) {
      throw c.error("TSR-0303", all + " positions cannot be split into " + parts + " equal parts");
    }
    DimExpr size = all.ceilDiv(parts);
    List<DimExpr> sizes = new ArrayList<>();
    DimExpr rest = all;
    for (int i = 0; i < parts; i++) {
      DimExpr part = i == parts - 1 ? rest : all.isConst() ? rest.min(size) : size;
      sizes.add(part);
      rest = rest.minus(part);
    }
    return Optional.of(sizes);
  }

  private static void check(OpContext c, DimExpr all, List<DimExpr> sizes) {
    DimExpr sum = sizes.stream().reduce(DimExpr.ZERO, DimExpr::plus);
    boolean negative = sizes.stream().anyMatch(s -> s.isConst() && s.constValue() < 0);
    if (sizes.size() < c.outputCount()
        || negative
        || (sum.isConst() && all.isConst() && !sum.equals(all))) {
      throw c.error(
          "TSR-0303",
          "parts of "
              + sizes
              + " do not make up the "
              + all
              + " positions of the axis for "
              + c.outputCount()
              + " outputs");
    }
  }

  @Override
  List<ValueType> types(OpContext c) {
    List<ValueType> types = new ArrayList<>();
    Optional<List<DimExpr>> sizes = c.in(0).isRanked() ? sizes(c) : Optional.empty();
    for (int i = 0; i < c.outputCount(); i++) {
      if (!c.in(0).isRanked()) {
        types.add(c.in(0));
        continue;
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      int part = i;
      dims.set(axis(c), sizes.map(s -> s.get(part)).orElseGet(() -> unknown(c, part)));
      types.add(TensorType.of(c.dtype(0), dims));
    }
    return types;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    int axis = axis(c);
    Tensor x = c.input(0);
    List<Tensor> parts = new ArrayList<>();
    long offset = 0;
    for (DimExpr size : sizes(c).orElseThrow()) {
      long[] shape = x.shape().clone();
      shape[axis] = size.constValue();
      Tensor part = Tensor.zeros(x.dtype(), shape);
      long[] index = new long[shape.length];
      for (int i = 0; i < part.size(); i++) {
        long[] from = Arrays.copyOf(index, index.length);
        from[axis] += offset;
        Shapes.copy(x, Shapes.ravel(from, x.shape()), part, i);
        Shapes.next(index, shape);
      }
      parts.add(part);
      offset += size.constValue();
    }
    return parts.subList(0, c.outputCount());
  }

  @Override
  Lowering code(OpContext c) {
    int axis = axis(c);
    List<DimExpr> sizes =
        sizes(c).orElseThrow(() -> notLowered(c, "the sizes of the parts are not known"));
    Buf x = in(c, 0);
    List<ValueType> types = types(c);
    List<Buf> outputs = new ArrayList<>();
    List<Stage> stages = new ArrayList<>();
    DimExpr offset = DimExpr.ZERO;
    for (int k = 0; k < c.outputCount(); k++) {
      if (c.hasOutput(k)) {
        Buf out = out(c, k, types.get(k).tensor());
        List<Axis> axes = Shapes.axes("i" + k + "_", out.shape());
        List<KExpr> from = Shapes.refs(axes);
        from.set(axis, K.add(from.get(axis), K.dim(offset)));
        outputs.add(out);
        stages.add(Stage.of(out, axes, K.at(x, from)));
      }
      offset = offset.plus(sizes.get(k));
    }
    return compute(List.of(x), outputs, stages);
  }
}
