package org.tersor.ir.kernel;

import java.util.List;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/** A row-major buffer of a kernel: an operand, a result or a temporary. */
public record Buf(String name, Scalar element, List<DimExpr> shape) {
  public Buf {
    shape = List.copyOf(shape);
  }

  public DimExpr elements() {
    return DimExpr.product(shape);
  }
}
