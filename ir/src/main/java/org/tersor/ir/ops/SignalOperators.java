package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Fourier transforms, windows and filter banks: one line per operator. */
public final class SignalOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    return List.of();
  }
}
