package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.RepeatedStages;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DimExpr;

/** Collects the buffers and stages of one operator's kernel; declares the inputs that are read. */
final class KernelBuilder {
  private final OpBase operator;
  private final OpContext context;
  private final Map<Integer, Buf> inputs = new LinkedHashMap<>();
  private final Map<Integer, Buf> outputs = new LinkedHashMap<>();
  private final List<Stage> before = new ArrayList<>();
  private final List<Stage> turn = new ArrayList<>();
  private final List<Stage> after = new ArrayList<>();
  private Optional<DimExpr> turns = Optional.empty();

  /** Where stages go. */
  private List<Stage> stages = before;

  KernelBuilder(OpBase operator, OpContext context) {
    this.operator = operator;
    this.context = context;
  }

  /** Whether the node has input {@code index}. */
  boolean given(int index) {
    return context.hasInput(index);
  }

  Buf in(int index) {
    return inputs.computeIfAbsent(index, i -> OpBase.in(context, i));
  }

  Buf out(int index) {
    return outputs.computeIfAbsent(
        index, i -> OpBase.out(context, i, operator.outType(context, i)));
  }

  Buf temp(String name, Scalar element, List<DimExpr> shape) {
    return new Buf(name, element, shape);
  }

  /** The type that elements of input {@code index} are computed in. */
  Scalar computeType(int index) {
    return Elementwise.compute(context.dtype(index));
  }

  /** An element of input {@code index} in the type it is computed in. */
  KExpr value(int index, List<KExpr> at) {
    return K.cast(computeType(index), K.at(in(index), at));
  }

  KExpr value(int index, KExpr... at) {
    return value(index, List.of(at));
  }

  /** The one element of an input of rank 0 or of extents 1, in the type {@code type}. */
  KExpr scalar(int index, Scalar type) {
    Buf buffer = in(index);
    return K.cast(type, K.at(buffer, buffer.shape().stream().map(d -> K.index(0)).toList()));
  }

  /** One axis per dimension of the target; the value is converted to the target's type. */
  void stage(Buf target, List<Axis> axes, KExpr value) {
    stages.add(Stage.of(target, axes, K.cast(target.element(), value)));
  }

  void stage(Buf target, List<Axis> axes, List<KExpr> index, KExpr value) {
    stages.add(new Stage(target, axes, index, K.cast(target.element(), value)));
  }

  /** The stages from here to {@link #endTurn} are repeated, see {@link RepeatedStages}. */
  void beginTurn(DimExpr count) {
    turns = Optional.of(count);
    stages = turn;
  }

  void endTurn() {
    stages = after;
  }

  Lowering build() {
    return new Lowering.Compute(
        new Kernel(
            operator.schema().name().toLowerCase(Locale.ROOT),
            List.copyOf(inputs.values()),
            List.copyOf(outputs.values()),
            turns.isEmpty() ? before : List.of(),
            turns.map(count -> new RepeatedStages(before, count, turn, after))));
  }
}
