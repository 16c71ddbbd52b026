package org.tersor.ir.op;

import java.util.List;

/** A pack of operators, found by ServiceLoader. */
public interface OperatorProvider {
  List<Operator> operators();
}
