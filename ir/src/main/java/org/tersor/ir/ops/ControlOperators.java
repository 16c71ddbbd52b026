package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Operators with bodies. */
public final class ControlOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    return List.of(new If(), new Loop(), new Scan(), new SequenceMap());
  }
}
