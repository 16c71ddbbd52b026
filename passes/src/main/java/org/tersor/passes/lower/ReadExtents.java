package org.tersor.passes.lower;

import java.util.LinkedHashSet;
import java.util.Set;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Plan;

/**
 * Dimensions that a kernel walks with an axis of another extent, as where two symbols meet in a sum
 * (A [M, K] times B [L, N]): whether the axis stays inside is known when the symbols are.
 */
final class ReadExtents {
  private final Set<Plan.Check> checks = new LinkedHashSet<>();
  private final String origin;

  private ReadExtents(String origin) {
    this.origin = origin;
  }

  /** What must hold for the reads of a kernel that no condition guards. */
  static Set<Plan.Check> of(Kernel kernel, String origin) {
    ReadExtents reads = new ReadExtents(origin);
    for (Stage stage : kernel.stages()) {
      stage.index().forEach(reads::visit);
      reads.visit(stage.value());
    }
    return reads.checks;
  }

  private void visit(KExpr expr) {
    if (expr instanceof KExpr.If choice) {
      visit(choice.condition());
      return;
    }
    if (expr instanceof KExpr.At at) {
      for (int d = 0; d < at.index().size(); d++) {
        if (at.index().get(d) instanceof KExpr.AxisRef ref) {
          require(at.buffer().shape().get(d), ref.axis().extent());
        }
      }
    }
    KExprs.operands(expr).forEach(this::visit);
  }

  private void require(DimExpr dimension, DimExpr extent) {
    if (!dimension.equals(extent) && !(dimension.isConst() && extent.isConst())) {
      checks.add(Plan.Check.fits(dimension, extent, origin));
    }
  }
}
