package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.tersor.runtime.DimExpr;

/**
 * How a block of {@value #SIDE} x {@value #SIDE} threads computes a tile of a product.
 *
 * @param rows of a thread
 * @param columns of a thread
 * @param steps of k in shared memory; with {@code rows} or {@code columns} a multiple of {@link
 *     #SIDE}
 */
record CudaTile(int rows, int columns, int steps) {
  static final int SIDE = 16;

  /** Blocks that keep a large GPU busy: one per multiprocessor. */
  private static final double BUSY = 128;

  /** Cycles until what a block asks for is in shared memory, with its two barriers. */
  private static final double LATENCY = 700;

  /**
   * Cycles of another kernel that adds up the parts of sums, and how many elements it reads in one.
   */
  private static final double ANOTHER_KERNEL = 4000;

  private static final double ELEMENTS_PER_CYCLE = 500;

  /** What a size that only a call knows is taken for. */
  private static final long UNKNOWN = 256;

  private static final List<Integer> EACH = List.of(8, 4, 2, 1);
  private static final List<Integer> STEPS = List.of(16, 32, 64);
  private static final List<Integer> PARTS = List.of(1, 2, 4, 8, 16, 32);

  /** Most words of a factor that a thread brings at once. */
  private static final int MOST_WORDS = 8;

  /** Least steps of k that a part of a sum has. */
  private static final long LEAST_STEPS = 64;

  /**
   * @param tiles best first
   * @param parts in which sums are computed; a divisor of their length
   */
  record Plan(List<CudaTile> tiles, int parts) {}

  private record Candidate(CudaTile tile, int parts, double cycles) {}

  /** By the estimated time; the tiles after the first are others for as many parts. */
  static Plan plan(Contraction c) {
    List<Candidate> candidates = new ArrayList<>();
    for (int parts : PARTS) {
      if (parts == 1 || splits(c, parts)) {
        for (CudaTile tile : tiles(c)) {
          candidates.add(new Candidate(tile, parts, tile.cycles(c, parts)));
        }
      }
    }
    candidates.sort(Comparator.comparingDouble(Candidate::cycles));
    int parts = candidates.getFirst().parts;
    return new Plan(
        candidates.stream().filter(each -> each.parts == parts).map(Candidate::tile).toList(),
        parts);
  }

  private static boolean splits(Contraction c, int parts) {
    DimExpr k = c.extentK();
    return k.isConst()
        && k.constValue() % parts == 0
        && k.constValue() / parts >= LEAST_STEPS * (c.isInteger() ? 4 : 1);
  }

  private static List<CudaTile> tiles(Contraction c) {
    List<CudaTile> tiles = new ArrayList<>();
    for (int rows : EACH) {
      for (int columns : EACH) {
        for (int steps : STEPS) {
          boolean fits =
              useful(rows, c.extentM())
                  && useful(columns, c.extentN())
                  && steps * Math.max(rows, columns) / SIDE <= MOST_WORDS;
          if (fits) {
            tiles.add(new CudaTile(rows, columns, steps));
          }
        }
      }
    }
    return tiles;
  }

  /** Whether a side does not fit half as many positions of a thread. */
  private static boolean useful(int each, DimExpr extent) {
    return each == 1 || size(extent) > (long) each / 2 * SIDE;
  }

  private static long size(DimExpr extent) {
    return extent.isConst() ? extent.constValue() : UNKNOWN;
  }

  /**
   * An estimate. Per step of k a multiprocessor issues the multiplications of a block, its reads of
   * shared memory and the arithmetic that finds the elements to bring there; a block alone waits
   * for these besides.
   */
  private double cycles(Contraction c, int parts) {
    double outputs = size(c.extentM()) * (double) size(c.extentN());
    double batch =
        c.batch().stream().mapToDouble(axis -> size(axis.extent())).reduce(1, (a, b) -> a * b);
    double blocks =
        batch
            * parts
            * Math.ceilDiv(size(c.extentM()), rows * SIDE)
            * Math.ceilDiv(size(c.extentN()), columns * SIDE);
    double step = Math.max(8.0 * (rows + columns), 2.0 * rows * columns) + 8.0 * (rows + columns);
    long length = Math.ceilDiv(size(c.extentK()), (long) parts * (c.isInteger() ? 4 : 1));
    double padded = Math.ceilDiv(length, steps) * (double) steps;
    double cycles = padded * Math.max(step * blocks / BUSY, step + LATENCY / steps);
    return parts == 1
        ? cycles
        : cycles + ANOTHER_KERNEL + parts * batch * outputs / ELEMENTS_PER_CYCLE;
  }

  /** As {@code 4x2 by 16}: rows and columns of a thread, steps. */
  String text() {
    return rows + "x" + columns + " by " + steps;
  }
}
