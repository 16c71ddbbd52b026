package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
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

/** Concat: inputs one after another along an axis (1 by default in version 1). */
final class ConcatOperator extends OpBase implements Differentiable {
  ConcatOperator() {
    super(
        OpSchema.of("", "Concat", 1, 4, 11, 13)
            .sample("inputs[a* ^v b*]; axis=len(a)")
            .variadic("inputs", "T")
            .output("concat_result", "T")
            .types("T", Types.ALL)
            .attribute("axis", OpSchema.AttributeKind.INT)
            .carries(OpSchema.Carries.ALL)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static int axis(OpContext c) {
    if (!c.has("axis") && c.version() >= 4) {
      throw c.error("TSR-0304", "attribute 'axis' is missing");
    }
    return c.axis(c.intAttr("axis", 1), c.rank(0));
  }

  @Override
  List<ValueType> types(OpContext c) {
    if (c.inputCount() == 0) {
      throw c.error("TSR-0301", "there are no inputs");
    }
    Optional<List<List<DimExpr>>> shapes = shapes(c, 0, c.inputCount());
    if (shapes.isEmpty()) {
      return List.of(TensorType.unranked(c.dtype(0)));
    }
    int axis = axis(c);
    List<DimExpr> dims = new ArrayList<>(shapes.get().getFirst());
    for (List<DimExpr> shape : shapes.get().subList(1, shapes.get().size())) {
      if (shape.size() != dims.size()) {
        throw c.error("TSR-0303", "inputs differ in rank");
      }
      for (int d = 0; d < dims.size(); d++) {
        DimExpr dim = shape.get(d);
        if (d == axis) {
          dims.set(d, dims.get(d).plus(dim));
        } else if (!dims.get(d).isConst() && dim.isConst()) {
          dims.set(d, dim);
        } else if (dims.get(d).isConst() && dim.isConst() && !dims.get(d).equals(dim)) {
          throw c.error("TSR-0303", "dimension " + d + " is " + dims.get(d) + " and " + dim);
        }
      }
    }
    return List.of(TensorType.of(c.dtype(0), dims));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    int axis = axis(c);
    Tensor out = Shapes.allocate(c, c.dtype(0), outType(c, 0).staticShape());
    int outer = 1;
    for (int d = 0; d < axis; d++) {
      outer = Math.multiplyExact(outer, Math.toIntExact(out.shape()[d]));
    }
    int slots = out.dtype().slots();
    int whole = outer == 0 ? 0 : out.size() / outer * slots;
    int offset = 0;
    for (int k = 0; k < c.inputCount(); k++) {
      Tensor x = c.input(k);
      int part = outer == 0 ? 0 : x.size() / outer * slots;
      for (int i = 0; i < outer; i++) {
        System.arraycopy(x.array(), i * part, out.array(), i * whole + offset, part);
      }
      offset += part;
    }
    return List.of(out);
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    int axis = axis(c);
    List<Value> parts = new ArrayList<>();
    long offset = 0;
    for (int k = 0; k < c.inputCount(); k++) {
      DimExpr extent = c.dims(k).get(axis);
      if (!extent.isConst()) {
        throw c.error("TSR-0203", "the extent " + extent + " must be known for its gradient");
      }
      GraphBuilder b = p.builder();
      parts.add(
          p.modern(
              "Slice",
              Map.of(),
              p.gradient(),
              b.longs(offset),
              b.longs(offset + extent.constValue()),
              b.longs(axis)));
      offset += extent.constValue();
    }
    return parts;
  }

  @Override
  Lowering code(OpContext c) {
    if (c.inputCount() == 1) {
      return new Lowering.View(0);
    }
    int axis = axis(c);
    Buf out = out(c, 0, outType(c, 0));
    List<Buf> inputs = new ArrayList<>();
    List<Stage> stages = new ArrayList<>();
    DimExpr offset = DimExpr.ZERO;
    for (int k = 0; k < c.inputCount(); k++) {
      Buf x = in(c, k);
      inputs.add(x);
      List<Axis> axes = Shapes.axes("i" + k + "_", x.shape());
      List<KExpr> at = Shapes.refs(axes);
      List<KExpr> to = new ArrayList<>(at);
      to.set(axis, K.add(at.get(axis), K.dim(offset)));
      stages.add(new Stage(out, axes, to, K.at(x, at)));
      offset = offset.plus(x.shape().get(axis));
    }
    return compute(inputs, out, stages);
  }

  @Override
  public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
    List<DimExpr> all = new ArrayList<>();
    for (int i = 0; i < c.inputCount(); i++) {
      Optional<List<DimExpr>> elements = c.symbolic(i);
      if (elements.isEmpty()) {
        return Optional.empty();
      }
      all.addAll(elements.get());
    }
    return Optional.of(all);
  }
}
