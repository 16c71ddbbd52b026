package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Elementwise operators, data movement and reductions: one line per operator or group. */
public final class StandardOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    List<Operator> all = new ArrayList<>();
    all.addAll(ElementwiseOperators.all());
    all.add(CastOperator.cast());
    all.add(CastOperator.castLike());
    all.add(new BitCastOperator());
    all.addAll(ViewOperator.all());
    all.add(new TransposeOperator());
    all.add(new ConcatOperator());
    all.add(new SplitOperator());
    all.add(new SliceOperator());
    all.addAll(GatherOperators.all());
    all.addAll(RepeatOperators.all());
    all.add(new PadOperator());
    all.addAll(BlockOperator.all());
    all.addAll(ShapeOperators.all());
    all.add(ShapeOperators.size());
    all.addAll(PositionOperators.all());
    all.addAll(ReduceOperator.all());
    all.addAll(AxisOperators.all());
    all.addAll(ScatterOperators.all());
    all.addAll(DataSizedOperators.all());
    all.addAll(PlainOperators.all());
    all.add(new EinsumOperator());
    return List.copyOf(all);
  }
}
