package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.DimExpr;

/**
 * How a product of bytes is cut for matrix registers: {@code down} times {@code across} of them
 * hold sums, each of {@code rows} rows and as many columns as a vector has lanes.
 */
record MatrixTile(int rows, int down, int across, int lanes) {
  /** How options of schedules speak of it. */
  static final String NAME = " matrices of ";

  /** Products of a task, which go by several times as fast as those of vectors. */
  static final long TASK_WORK = 1 << 22;

  /** Places of sums that leave room for the factors. */
  private static final int[][] PLACES = {{2, 2}, {1, 4}, {4, 1}, {1, 2}, {2, 1}, {1, 1}};

  /** Of them, how many there are to choose from. */
  private static final int CHOICES = 3;

  /** Cycles until a sum can be added to again. */
  private static final int LATENCY = 52;

  /** Words of one row in one register. */
  private static final int WORDS = Stmt.Tile.MOST;

  String text() {
    return down + "x" + across + NAME + rows;
  }

  /** All places as a tile. */
  GemmTile tile() {
    return new GemmTile(rows * down, across, lanes);
  }

  /**
   * Tiles for an M x N product over K bytes, those of the least estimated time first. Rows are
   * divided evenly: time is in proportion to them, and the last tile may overlap the one before.
   */
  static List<MatrixTile> choices(Target target, Contraction c) {
    int lanes = target.lanes(4);
    DimExpr m = c.extentM();
    DimExpr k = c.extentK();
    if (!target.has(Target.Feature.TILES) || !m.isConst() || !k.isConst() || m.constValue() < 2) {
      return List.of();
    }
    int high = (int) Math.ceilDiv(m.constValue(), (long) Stmt.Tile.MOST);
    int rows = (int) Math.ceilDiv(m.constValue(), (long) high);
    long columns = columns(c);
    List<MatrixTile> tiles = new ArrayList<>();
    for (int[] place : PLACES) {
      boolean inside = place[0] <= high && (place[1] - 1L) * lanes < columns;
      if (inside) {
        tiles.add(new MatrixTile(rows, place[0], place[1], lanes));
      }
    }
    tiles.sort(
        Comparator.comparingDouble(tile -> tile.cost(m.constValue(), columns, k.constValue())));
    return tiles.subList(0, Math.min(CHOICES, tiles.size()));
  }

  private static long columns(Contraction c) {
    return c.extentN().isConst() ? c.extentN().constValue() : 256;
  }

  /**
   * Whether a product is faster in matrix registers than in vectors. Where the rows are no runs of
   * whole words, as in the first convolution of a model, packing them takes longer than the sums.
   */
  boolean pays(Contraction c) {
    DimExpr run = KRuns.of(c.k(), c.row().whole()).inner().extent();
    if (!run.isConst() || run.constValue() % 4 != 0 || dividing(run.constValue() / 4) == 0) {
      return false;
    }
    long m = c.extentM().constValue();
    long k = c.extentK().constValue();
    return cost(m, columns(c), k) < costOfVectors(m, columns(c), k, lanes);
  }

  /** Cycles that the product takes, about. */
  private double cost(long m, long n, long k) {
    long steps = Math.ceilDiv(k, 4L * WORDS);
    long vectors = (long) rows * down * across;
    double dots = (double) down * across * Math.max(rows, 8);
    double loads = (rows * down + lanes * across) / 2.0;
    double step = Math.max(Math.max(dots, loads), LATENCY);
    long tiles = Math.ceilDiv(m, (long) rows * down) * Math.ceilDiv(n, (long) across * lanes);
    return tiles * (steps * step + 2.5 * vectors + 60);
  }

  /** Cycles that it takes without matrix registers, about. */
  private static double costOfVectors(long m, long n, long k, int lanes) {
    return m * Math.ceilDiv(n, (long) lanes) * (Math.ceilDiv(k, 4L) * 0.55 + 2);
  }

  /** Words of a row in one register, so that registers divide a run without a rest; else 0. */
  static int dividing(long words) {
    for (int each = WORDS; each >= WORDS / 2; each--) {
      if (words % each == 0) {
        return each;
      }
    }
    return words < WORDS ? (int) words : 0;
  }

  /** Words of a row in one register, of rows that may be padded. */
  static int padding(long words) {
    return (int) Math.ceilDiv(words, Math.ceilDiv(words, (long) WORDS));
  }
}
