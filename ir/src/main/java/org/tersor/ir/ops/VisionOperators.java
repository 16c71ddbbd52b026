package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/**
 * Operators that sample and place images and regions of them, and determinants: one line per
 * operator.
 */
public final class VisionOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    return List.of(
        new GridSample(),
        new AffineGrid(),
        new CenterCropPad(),
        new Col2Im(),
        new MaxUnpool(),
        new RoiAlign(),
        new MaxRoiPool(),
        new DeformConv(),
        new Det());
  }
}
