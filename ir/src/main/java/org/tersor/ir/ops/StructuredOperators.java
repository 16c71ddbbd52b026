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
    all.add(new MatMul());
    all.add(MatMul.fused());
    all.add(new Gemm());
    all.add(Gemm.fused());
    all.add(new Conv());
    all.add(Conv.fused());
    all.add(new MaxPool());
    return List.copyOf(all);
  }
}
