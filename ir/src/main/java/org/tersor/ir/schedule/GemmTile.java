package org.tersor.ir.schedule;

import org.tersor.runtime.DimExpr;

/**
 * A register tile: {@code rows} broadcast values times {@code columns} vectors.
 *
 * @param lanes lanes of a vector
 */
record GemmTile(int rows, int columns, int lanes) {

  int width() {
    return columns * lanes;
  }

  /**
   * The tile with the least estimated time for an M x N product. In registers a tile holds its
   * accumulators, its vectors of the column factor and its broadcasts: all of them on the JVM (C2
   * spills an accumulator otherwise), one broadcast in C.
   */
  static GemmTile choose(Target target, DimExpr m, DimExpr n, int lanes) {
    GemmTile best = new GemmTile(1, 1, lanes);
    double bestCost = Double.POSITIVE_INFINITY;
    for (int columns = 1; columns <= 6; columns++) {
      for (int rows = 1; rows <= 8; rows++) {
        GemmTile tile = new GemmTile(rows, columns, lanes);
        if (!tile.fits(target)) {
          continue;
        }
        double cost = tile.cost(m, n);
        if (cost < bestCost - 1e-9) {
          bestCost = cost;
          best = tile;
        }
      }
    }
    return best;
  }

  /** Vector registers that the inner loop needs. */
  int registers(Target target) {
    return rows * columns + columns + (target.kind() == Target.Kind.JVM ? rows : 1);
  }

  boolean fits(Target target) {
    return registers(target) <= target.registers() - 1;
  }

  private double cost(DimExpr m, DimExpr n) {
    double wasteN =
        n.isConst()
            ? Math.ceilDiv(n.constValue(), width()) * (double) width() / Math.max(1, n.constValue())
            : 1;
    // A tail of few rows runs at the rate of its own, poorer tile.
    double rowCost;
    if (m.isConst()) {
      long full = m.constValue() / rows;
      long tail = m.constValue() % rows;
      rowCost = (full * stepCost(rows) + (tail == 0 ? 0 : stepCost((int) tail))) / m.constValue();
    } else {
      rowCost = stepCost(rows) / rows;
    }
    return rowCost / columns * wasteN;
  }

  /**
   * Cycles of one k step: two multiply-adds, or two loads, per cycle; at least the latency of the
   * chains.
   */
  private double stepCost(int r) {
    double arithmetic = r * columns / 2.0;
    double loads = (r + columns) / 2.0;
    return Math.max(Math.max(arithmetic, loads), 4) + 0.1 * loads;
  }
}
