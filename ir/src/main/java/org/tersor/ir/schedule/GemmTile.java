package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.tersor.runtime.DimExpr;

/**
 * A register tile: {@code rows} broadcast values times {@code columns} vectors.
 *
 * @param lanes lanes of a vector
 */
record GemmTile(int rows, int columns, int lanes) {
  private static final int MOST_ROWS = 14;
  private static final int MOST_COLUMNS = 6;

  /**
   * Bounds and zero points that integer results meet behind the sums: C compilers keep them in
   * vectors all along.
   */
  private static final int CONSTANTS = 2;

  /**
   * Numbers that C2 keeps in registers all along where codes become numbers, beside the codes:
   * constants of {@link LaneNumbers}, and as many broadcasts.
   */
  private static final int NUMBERS = LaneNumbers.CONSTANTS + LaneNumbers.CODES;

  /** Bytes of a panel that stay in the nearest cache beside the rows. */
  private static final long NEAREST = 1 << 15;

  /** Cycles for a vector that is not there. */
  private static final double FAR = 0.25;

  int width() {
    return columns * lanes;
  }

  /** As in schedules' names: rows by elements. */
  String text() {
    return rows + "x" + width();
  }

  /**
   * Tiles for an M x N product, those of the least estimated time first: the best of each number of
   * columns. In registers a tile holds its accumulators, its vectors of the column factor and its
   * broadcasts: all of them on the JVM (C2 spills an accumulator otherwise), one broadcast in C.
   *
   * @param bytes whether products of bytes are summed as integers; where a target has no
   *     instruction for four of them, as pairs of 16 bits, so that every vector is two
   * @param sums accumulators of an element: 2 where sums of blocks join totals
   * @param numbers whether lanes of codes become numbers on the way
   * @param columnBytes bytes of a column's weights; 0: not known
   */
  static List<GemmTile> choices(
      Target target,
      boolean bytes,
      int sums,
      boolean numbers,
      DimExpr m,
      DimExpr n,
      int lanes,
      long columnBytes) {
    boolean pairs = bytes && !target.has(Target.Feature.DOT4);
    Map<GemmTile, Double> best = new LinkedHashMap<>();
    for (int columns = 1; columns <= MOST_COLUMNS; columns++) {
      GemmTile least = new GemmTile(1, columns, lanes);
      double leastCost = Double.POSITIVE_INFINITY;
      for (int rows = 1; rows <= MOST_ROWS; rows++) {
        GemmTile tile = new GemmTile(rows, columns, lanes);
        int others =
            (sums - 1) * rows * columns
                + (bytes ? CONSTANTS : 0)
                + (numbers && !target.has(Target.Feature.BROADCAST) ? NUMBERS + columns : 0);
        if (!(pairs ? tile.fitsPairs(target, others) : tile.fits(target, others))) {
          continue;
        }
        double cost = tile.cost(m, n, pairs, tile.width() * columnBytes > NEAREST);
        if (cost < leastCost - 1e-9) {
          leastCost = cost;
          least = tile;
        }
      }
      if (leastCost < Double.POSITIVE_INFINITY) {
        best.put(least, leastCost);
      }
    }
    // A tile that costs hardly less than one of fewer columns comes after it.
    List<GemmTile> sorted = new ArrayList<>(best.keySet());
    sorted.sort(
        Comparator.comparingDouble(
            tile -> Math.rint(Objects.requireNonNull(best.get(tile)) * 1e9)));
    return sorted.isEmpty() ? List.of(new GemmTile(1, 1, lanes)) : sorted;
  }

  /** Vector registers that the inner loop needs. */
  int registers(Target target) {
    return rows * columns + columns + (target.has(Target.Feature.BROADCAST) ? 1 : rows);
  }

  boolean fits(Target target) {
    return fits(target, 0);
  }

  private boolean fits(Target target, int others) {
    return registers(target) + others <= target.registers() - 1;
  }

  /**
   * Halves of the column vectors and of one broadcast, two products, a mask, and two more constants
   * of results, which such targets take more steps to narrow. With less room gcc spills.
   */
  private boolean fitsPairs(Target target, int others) {
    return rows * columns + 2 * columns + 7 + others <= target.registers() - 1;
  }

  private double cost(DimExpr m, DimExpr n, boolean pairs, boolean far) {
    double wasteN =
        n.isConst()
            ? Math.ceilDiv(n.constValue(), width()) * (double) width() / Math.max(1, n.constValue())
            : 1;
    // A tail of few rows runs at the rate of its own, poorer tile.
    double rowCost;
    if (m.isConst()) {
      long full = m.constValue() / rows;
      long tail = m.constValue() % rows;
      double last = tail == 0 ? 0 : stepCost((int) tail, pairs, far);
      rowCost = (full * stepCost(rows, pairs, far) + last) / m.constValue();
    } else {
      rowCost = stepCost(rows, pairs, far) / rows;
    }
    return rowCost / columns * wasteN;
  }

  /**
   * Cycles of one k step: two multiply-adds, or two loads, per cycle; at least the latency of the
   * chains. Vectors of a panel that the nearest cache does not hold cost more, so that tiles of few
   * rows, which read it often, fall behind. In pairs a product is four operations, and vectors are
   * taken apart by two or three.
   */
  private double stepCost(int r, boolean pairs, boolean far) {
    double arithmetic = pairs ? (4 * r * columns + 2 * r + 3 * columns) / 4.0 : r * columns / 2.0;
    double loads = (r + columns) / 2.0;
    return Math.max(Math.max(arithmetic, loads), 4) + 0.1 * loads + (far ? FAR * columns : 0);
  }
}
