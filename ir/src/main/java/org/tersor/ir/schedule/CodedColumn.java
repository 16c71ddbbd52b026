package org.tersor.ir.schedule;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * A product whose weights stay codes: one of few rows reads them instead of numbers of four bytes,
 * as it takes as long as its weights take from memory; one whose rows are codes, too, sums products
 * of bytes.
 *
 * @param blocks axis of the blocks of k
 * @param inside axis of k within a block
 * @param column the weights
 * @param row the other factor, if it is I8 in memory, successive k side by side
 */
record CodedColumn(Axis blocks, Axis inside, BlockCode column, Optional<BlockCode> row) {

  /** More rows are worth numbers decoded once; fewer wait for memory. */
  private static final long FEW_ROWS = 8;

  /** Fewer rows do not pay for totals in memory. */
  private static final long MANY_ROWS = 16;

  /** Registers for a broadcast, a product and constants of sums. */
  private static final int RESIDENT_OTHERS = 4;

  /** Registers of a vector's sum and scale. */
  private static final int RESIDENT_SUMS = 2;

  /** Codes of one byte in a lane of I32. */
  static final long WORD = 4;

  private static final long LARGEST_BYTE = 128;

  /** Lengths of blocks, best first: the sums of long ones have larger errors. */
  private static final List<Long> LENGTHS = List.of(64L, 128L, 32L, 16L, 256L);

  /**
   * The factors of a product of few rows, or of rows whose number is not known, or of rows in
   * codes.
   */
  static Optional<CodedColumn> of(Contraction c) {
    List<CodedColumn> matches = matches(c);
    return matches.stream()
        .filter(match -> match.row.isPresent())
        .findFirst()
        .or(() -> matches.stream().findFirst());
  }

  /** The same, in blocks whose products the target can sum as integers if there are such. */
  static Optional<CodedColumn> of(Contraction c, Target target) {
    List<CodedColumn> matches = matches(c);
    return Stream.concat(matches.stream(), matches.stream().flatMap(CodedColumn::parts))
        .filter(match -> match.sumsCodes(target))
        .findFirst()
        .or(() -> of(c));
  }

  /** The same in shorter blocks, of which several have the same scale. */
  private Stream<CodedColumn> parts() {
    return LENGTHS.stream()
        .filter(length -> length < length() && length() % length == 0)
        .map(length -> {
          long count = length() / length;
          Axis parts = new Axis(blocks.name() + "_part", blocks.extent().times(count));
          Axis part = new Axis(inside.name(), DimExpr.of(length));
          KExpr number = K.axis(parts);
          KExpr begin = K.mul(K.floorMod(number, K.index(count)), K.index(length));
          Map<Axis, KExpr> moved =
              Map.of(
                  blocks, K.floorDiv(number, K.index(count)), inside, K.add(begin, K.axis(part)));
          return new CodedColumn(
              parts, part, column.moved(moved), row.map(code -> code.moved(moved)));
        });
  }

  private static List<CodedColumn> matches(Contraction c) {
    if (c.fold().scalar() != Scalar.F32
        || c.k().size() != 1
        || !c.extentK().isConst()
        || c.batch().stream().anyMatch(c.column().axes()::contains)) {
      return List.of();
    }
    long extent = c.extentK().constValue();
    return LENGTHS.stream()
        .filter(length -> extent % length == 0)
        .flatMap(length -> of(c, extent / length, length).stream())
        .toList();
  }

  private static Optional<CodedColumn> of(Contraction c, long count, long length) {
    Axis k = c.k().getFirst();
    Axis blocks = new Axis(k.name() + "_block", DimExpr.of(count));
    Axis inside = new Axis(k.name() + "_inside", DimExpr.of(length));
    KExpr position = K.add(K.mul(K.axis(blocks), K.index(length)), K.axis(inside));
    Map<Axis, KExpr> inBlocks = Map.of(k, position);
    Optional<BlockCode> row =
        BlockCode.of(moved(c.row().whole(), inBlocks), inside)
            .filter(code -> code.stored().filter(at -> isRun(at, inside)).isPresent());
    return BlockCode.of(moved(c.column().whole(), inBlocks), inside)
        .map(column -> new CodedColumn(blocks, inside, column, row));
  }

  private static KExpr moved(KExpr value, Map<Axis, KExpr> inBlocks) {
    return StageSimplifier.decided(Affine.canonical(KExprs.substitute(value, inBlocks)));
  }

  private static boolean isRun(KExpr.At at, Axis inside) {
    Affine index = Affine.of(at.index().getFirst());
    return at.buffer().element() == Scalar.I8
        && at.index().size() == 1
        && index.isLinearIn(inside)
        && index.coefficient(inside).isConst(1);
  }

  /**
   * Whether rows that are no codes should take them: few, or of unknown number, they wait for
   * memory anyway.
   *
   * @param small whether memory counts more than time, for any number of rows
   */
  static boolean readsCodes(Contraction c, boolean small) {
    return small || !c.extentM().isConst() || c.extentM().constValue() <= FEW_ROWS;
  }

  /** Whether products of codes are summed as integers. */
  boolean sumsCodes(Target target) {
    return sumsBytes(target) || sumsShorts(target);
  }

  /** Whether four products of bytes are summed at once. */
  boolean sumsBytes(Target target) {
    return row.isPresent() && target.sumsBytes() && length() % 4 == 0;
  }

  /**
   * Whether products are summed in 16 bits, every other one of a block, which then hold the sum
   * whatever the codes are.
   */
  boolean sumsShorts(Target target) {
    return row.isPresent()
        && !target.sumsBytes()
        && target.lanes(Scalar.I16.bytes()) > 1
        && nibbles(2 * WORD)
        && half(0) <= Short.MAX_VALUE;
  }

  /** The most that products of half a block reach, if the codes count from a zero point. */
  long half(long zero) {
    long range = column.high() - column.low();
    return length() / 2 * LARGEST_BYTE * Math.max(Math.abs(zero), Math.abs(range - zero));
  }

  /**
   * The tile of one row whose columns stay in registers, taken apart, while many rows pass a block;
   * empty if they do not fit, each broadcast would meet a single vector, or the rows are too few.
   */
  Optional<GemmTile> resident(Target target, Contraction c, int lanes) {
    if (!sumsBytes(target) || !c.extentM().isConst() || c.extentM().constValue() < MANY_ROWS) {
      return Optional.empty();
    }
    long columns = (target.registers() - RESIDENT_OTHERS) / (length() / WORD + RESIDENT_SUMS);
    return columns < 2 ? Optional.empty() : Optional.of(new GemmTile(1, (int) columns, lanes));
  }

  /** Codes of a block. */
  long length() {
    return inside.extent().constValue();
  }

  /** Whether lanes of eight codes become numbers of floats, see {@link LaneNumbers}. */
  boolean inLanes(Target target) {
    return !sumsCodes(target) && nibbles(LaneNumbers.CODES) && target.lanes(Scalar.F32.bytes()) > 1;
  }

  /** Whether {@code codes} of them, four bits each, fit the bytes of half as many. */
  boolean nibbles(long codes) {
    return column.high() - column.low() <= 15 && length() % codes == 0;
  }
}
