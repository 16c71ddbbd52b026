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
    return List.copyOf(all);
  }
}
