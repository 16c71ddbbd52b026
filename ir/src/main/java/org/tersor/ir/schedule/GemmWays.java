package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * The ways that there are to go over the tiles of a product, the one that a rule takes first. None
 * of them changes a sum.
 *
 * @param mode how products are summed in vectors
 * @param codes where weights are read as codes
 * @param silent whether no schedule line asks for anything
 */
record GemmWays(
    Scheduler scheduler,
    Contraction c,
    NestEmitter nest,
    Mode mode,
    Optional<CodedColumn> codes,
    boolean silent) {
  /** Products in a task. */
  static final long TASK_WORK = 1 << 19;

  /**
   * Products summed in one register before the sum joins a total: one chain over all of k would
   * have two to four times the rounding error at the lengths of convolutions.
   */
  static final int FLOAT_BLOCK = 64;

  /** Tiles that there are to choose from, and of them those that have other orders, too. */
  private static final int TILES = 4;

  private static final int OTHER_ORDERS = 2;

  /** Bytes of a core's own cache, as small as it is met. */
  private static final long OWN_CACHE = 1 << 20;

  /** How products are summed. */
  enum Mode {
    /** Multiply-add in the type of the sum. */
    FLOAT,
    /** Four bytes at a time into I32. */
    DOT4,
    /** Matrices of bytes into I32. */
    MATRICES,
    /** Two BF16 at a time into F32. */
    DOT2,
    /** 8-bit integers as F32, exact up to 2^24, flushed into I32 every few hundred steps. */
    EXACT_F32
  }

  /** What the outermost of the loops over tiles goes over. */
  enum Order {
    COLUMNS(""),
    ROWS(" rows outside"),
    /** Blocks of steps, see {@link BlocksOutside}. */
    BLOCKS(" blocks outside");

    private final String text;

    Order(String text) {
      this.text = text;
    }
  }

  /**
   * A tile, and the order of the loops over tiles.
   *
   * @param matrices where sums are in matrix registers
   */
  record Way(GemmTile tile, Order order, Optional<MatrixTile> matrices) {
    private Way(GemmTile tile, Order order) {
      this(tile, order, Optional.empty());
    }

    private String text() {
      return matrices.map(MatrixTile::text).orElse(tile.text() + order.text);
    }
  }

  /** What the scheduler's table says, else the first. */
  Way choose(List<GemmTile> tiles) {
    Map<String, Way> ways = new LinkedHashMap<>();
    all(tiles.subList(0, Math.min(tiles.size(), TILES)))
        .forEach(way -> ways.putIfAbsent(way.text(), way));
    String shape =
        "product %s%s %s %s by %s over %s of %s"
            .formatted(
                mode.name().toLowerCase(Locale.ROOT),
                codes.isPresent() ? " codes" : "",
                ofWeights() ? "weights" : "values",
                LoopSchedule.sizes(c.m().stream().toList()),
                LoopSchedule.sizes(c.n()),
                LoopSchedule.sizes(c.k()),
                LoopSchedule.sizes(c.batch()));
    return Objects.requireNonNull(ways.get(scheduler.choose(shape, List.copyOf(ways.keySet()))));
  }

  private List<Way> all(List<GemmTile> tiles) {
    List<Way> ways = new ArrayList<>();
    GemmTile best = tiles.getFirst();
    List<MatrixTile> matrices =
        mode == Mode.DOT4 && silent ? MatrixTile.choices(scheduler.target(), c) : List.of();
    List<Way> inMatrices =
        matrices.stream()
            .map(each -> new Way(each.tile(), Order.COLUMNS, Optional.of(each)))
            .toList();
    if (!matrices.isEmpty() && matrices.getFirst().pays(c)) {
      ways.addAll(inMatrices);
    }
    if (rowsAreFarther() && mayHaveRowsOutside(best)) {
      ways.add(new Way(best, Order.ROWS));
    }
    int bytes = c.fold().scalar().bytes();
    if (blocksOutside(best).filter(order -> order.pays(bytes)).isPresent()) {
      ways.add(new Way(best, Order.BLOCKS));
    }
    resident()
        .filter(tile -> blocksOutside(tile).filter(BlocksOutside::occupiesThreads).isPresent())
        .ifPresent(tile -> ways.add(new Way(tile, Order.BLOCKS)));
    tiles.forEach(each -> ways.add(new Way(each, Order.COLUMNS)));
    for (GemmTile each : tiles.subList(0, Math.min(tiles.size(), OTHER_ORDERS))) {
      if (mayHaveRowsOutside(each)) {
        ways.add(new Way(each, Order.ROWS));
      }
      if (blocksOutside(each).isPresent()) {
        ways.add(new Way(each, Order.BLOCKS));
      }
    }
    ways.addAll(inMatrices);
    return ways;
  }

  private boolean ofWeights() {
    return c.column().buffers().stream().allMatch(scheduler::isConstant);
  }

  /** Whether float sums are longer than a block. */
  boolean isLong() {
    return c.fold().scalar() == Scalar.F32 && sizeOr(c.extentK(), Long.MAX_VALUE) > FLOAT_BLOCK;
  }

  /** The tile whose columns stay in registers, see {@link ResidentCodes}. */
  private Optional<GemmTile> resident() {
    int lanes = scheduler.target().lanes(c.fold().scalar().bytes());
    return codes.flatMap(column -> column.resident(scheduler.target(), c, lanes));
  }

  /** Blocks of steps outside of the tiles, where sums of blocks join totals anyway. */
  Optional<BlocksOutside> blocksOutside(GemmTile tile) {
    boolean totals =
        codes.isPresent()
            ? resident().filter(tile::equals).isPresent()
            : mode == Mode.FLOAT
                ? isLong()
                : mode == Mode.EXACT_F32 && sizeOr(c.extentK(), 0) > BlocksOutside.STEPS;
    return totals && ofWeights() && silent
        ? BlocksOutside.of(nest, c, tile, c.fold().scalar().bytes())
        : Optional.empty();
  }

  private boolean mayHaveRowsOutside(GemmTile tile) {
    boolean severalBlocks = sizeOr(c.extentM(), Integer.MAX_VALUE) > rowsPerTask(tile, TASK_WORK);
    return severalBlocks && sizeOr(c.extentN(), 256) > tile.width();
  }

  /** Whether all weights stay in a core's own cache and the rows with their results do not. */
  private boolean rowsAreFarther() {
    if (!ofWeights()
        || !c.batch().isEmpty()
        || !(c.extentM().isConst() && c.extentN().isConst() && c.extentK().isConst())) {
      return false;
    }
    long bytes = mode == Mode.DOT4 ? 1 : c.fold().scalar().bytes();
    long m = c.extentM().constValue();
    long n = c.extentN().constValue();
    long k = c.extentK().constValue();
    return n * k * bytes <= OWN_CACHE / 2 && m * (n + k) * bytes > OWN_CACHE;
  }

  /** Whether a core's own cache does not hold all weights as numbers of the sum's size. */
  boolean weightsAreFar() {
    long numbers = sizeOr(c.extentK(), 1) * sizeOr(c.extentN(), 1);
    return numbers * c.fold().scalar().bytes() >= OWN_CACHE;
  }

  /** Rows in a task of one column panel, for so much work. */
  long rowsPerTask(GemmTile size, long work) {
    long m = sizeOr(c.extentM(), Integer.MAX_VALUE);
    if (!ofWeights()) {
      return m == Integer.MAX_VALUE ? 1L << 30 : Math.max(1, m);
    }
    long perRow = Math.max(1, size.width() * sizeOr(c.extentK(), 256));
    long rows = Math.max(1, work / perRow);
    return Math.min(Math.ceilDiv(rows, size.rows()), Math.ceilDiv(m, size.rows())) * size.rows();
  }

  private static long sizeOr(DimExpr extent, long otherwise) {
    return extent.isConst() ? extent.constValue() : otherwise;
  }
}
