package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/**
 * Convolutions, matrix products, pools, normalizations, quantization operators: one line per
 * operator or group.
 */
public final class StructuredOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    List<Operator> all = new ArrayList<>();
    return List.copyOf(all);
  }
}
