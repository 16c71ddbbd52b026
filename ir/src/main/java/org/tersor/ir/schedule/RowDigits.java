package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * A product of one row of F32 with weights in codes, for targets with an instruction that sums
 * products of bytes: the row becomes four rows of digits, whose sums are exact within a block. An
 * instruction then takes 64 codes as they are; made floats, 16 of them take three. More rows would
 * share what makes floats of the codes.
 *
 * <p>Elements are integers of 31 bits times a power of two that a block has in common, so what is
 * less than a 64th of the block's largest element may lose bits that F32 has, and none loses more
 * than 2^-30 of the largest. A block with an element that is not finite gives NaN.
 *
 * @param before make the digits and their scales
 * @param parts sums of the digits' rows [4][n]
 * @param sums the stage, with the parts added instead of its sum
 */
record RowDigits(List<Stage> before, Stage parts, Stage sums) {

  private static final int DIGITS = 4;

  private static final int DIGIT_BITS = 8;

  /** Adding it carries from each digit that is 128 or more into the next. */
  private static final int CARRIES = 0x00808080;

  /** Fewer columns do not pay for the digits. */
  private static final long LEAST_COLUMNS = 128;

  private static final int MANTISSA_BITS = 23;

  private static final int MAGNITUDE = 0x7fffffff;

  /** Exponent bits of a float, and all that those have which are not finite. */
  private static final int EXPONENT = 0x7f800000;

  /** A block's largest element becomes an integer from this power of two to the next. */
  private static final int TOP = 29;

  /** Blocks of less than this exponent are as if they had it: scales stay normal numbers. */
  private static final int LEAST_EXPONENT = (TOP + 1) << MANTISSA_BITS;

  /** Exponent of 1 / scale where a block has the least one. */
  private static final int MOST_RECIPROCAL = 253 << MANTISSA_BITS;

  static Optional<RowDigits> of(Scheduler scheduler, Stage stage) {
    return Contraction.match(stage)
        .filter(c -> fits(scheduler, c))
        .flatMap(c ->
            CodedColumn.of(c)
                .filter(column -> column.row().isEmpty() && column.length() % DIGITS == 0)
                .map(column -> of(c, column.length())));
  }

  private static boolean fits(Scheduler scheduler, Contraction c) {
    KExpr row = c.row().whole();
    return scheduler.target().has(Target.Feature.DOT4)
        && c.fold().scalar() == Scalar.F32
        && c.extentM().isConst(1)
        && c.batch().isEmpty()
        && KExprs.freeAxes(row).equals(Set.copyOf(c.k()))
        && c.extentN().isConst()
        && c.extentN().constValue() >= LEAST_COLUMNS
        && c.column().buffers().stream().allMatch(scheduler::isConstant)
        && !c.row().buffers().stream().allMatch(scheduler::isConstant);
  }

  private static RowDigits of(Contraction c, long length) {
    String name = c.stage().target().name();
    List<Stage> before = new ArrayList<>();
    Axis k = c.k().getFirst();
    Axis blocks = new Axis(k.name() + "_block", DimExpr.of(c.extentK().constValue() / length));
    Axis inside = new Axis(k.name() + "_inside", DimExpr.of(length));
    Axis digit = new Axis("digit", DimExpr.of(DIGITS));

    KExpr row = c.row().whole();
    if (!(row instanceof KExpr.At)) {
      row = read(stage(before, name + "_row", List.of(k), row), K.axis(k));
    }
    KExpr place = K.add(K.mul(K.axis(blocks), K.index(length)), K.axis(inside));
    KExpr element = KExprs.substitute(row, Map.of(k, place));
    KExpr exponent =
        read(
            stage(before, name + "_exponent", List.of(blocks), exponent(element, inside)),
            K.axis(blocks));
    Buf scales =
        stage(before, name + "_scale", List.of(digit, blocks), scale(exponent, shift(digit)));
    Buf digits =
        stage(
            before,
            name + "_digits",
            List.of(digit, blocks, inside),
            digit(element, exponent, shift(digit)));

    KExpr code = K.cast(Scalar.F32, read(digits, Positions.flat(List.of(digit, k))));
    KExpr block = K.floorDiv(K.axis(k), K.index(length));
    KExpr scale = read(scales, K.add(K.mul(K.axis(digit), K.dim(blocks.extent())), block));
    List<Axis> results = new ArrayList<>(List.of(digit));
    results.addAll(c.n());
    Buf parts = new Buf(name + "_parts", Scalar.F32, results.stream().map(Axis::extent).toList());
    KExpr sum = K.sum(c.k(), K.mul(K.mul(code, scale), c.column().whole()));

    KExpr column = Positions.flat(c.n());
    KExpr total =
        IntStream.range(0, DIGITS)
            .mapToObj(d -> read(parts, K.add(K.dim(c.extentN().times(d)), column)))
            .reduce(K::add)
            .orElseThrow();
    KExpr value = KExprs.rewrite(c.stage().value(), e -> e.equals(c.fold()) ? total : e);
    return new RowDigits(
        before,
        Stage.of(parts, results, sum),
        new Stage(c.stage().target(), c.stage().axes(), c.stage().index(), value));
  }

  /** Exponent bits of a block's largest element. */
  private static KExpr exponent(KExpr element, Axis inside) {
    KExpr bits = new KExpr.BitsAs(Scalar.I32, element);
    KExpr magnitude = K.binary(BinaryOp.AND, bits, K.i32(MAGNITUDE));
    KExpr largest = K.fold(ReduceOp.MAX, List.of(inside), magnitude);
    return K.max(K.binary(BinaryOp.AND, largest, K.i32(EXPONENT)), K.i32(LEAST_EXPONENT));
  }

  private static KExpr isFinite(KExpr exponent) {
    return K.lt(exponent, K.i32(EXPONENT));
  }

  /** Bits of a number that are below a digit. */
  private static KExpr shift(Axis digit) {
    return K.mul(K.cast(Scalar.I32, K.axis(digit)), K.i32(DIGIT_BITS));
  }

  /** What 1 counts in a digit. */
  private static KExpr scale(KExpr exponent, KExpr shift) {
    KExpr lowest = K.sub(exponent, K.i32(TOP << MANTISSA_BITS));
    KExpr power = K.add(lowest, K.mul(shift, K.i32(1 << MANTISSA_BITS)));
    return new KExpr.BitsAs(Scalar.F32, K.select(isFinite(exponent), power, K.i32(EXPONENT)));
  }

  /** A digit, from -128 to 127. */
  private static KExpr digit(KExpr element, KExpr exponent, KExpr shift) {
    KExpr above = K.sub(exponent, K.i32(LEAST_EXPONENT));
    KExpr reciprocal = new KExpr.BitsAs(Scalar.F32, K.sub(K.i32(MOST_RECIPROCAL), above));
    KExpr finite = K.select(isFinite(exponent), element, K.f32(0));
    KExpr number = K.castInRange(Scalar.I32, K.unary(UnaryOp.RINT, K.mul(finite, reciprocal)));
    KExpr digits = K.binary(BinaryOp.XOR, K.add(number, K.i32(CARRIES)), K.i32(CARRIES));
    return K.cast(Scalar.I8, K.binary(BinaryOp.SHR, digits, shift));
  }

  private static Buf stage(List<Stage> into, String name, List<Axis> axes, KExpr value) {
    Buf buffer = new Buf(name, value.scalar(), axes.stream().map(Axis::extent).toList());
    into.add(Stage.of(buffer, axes, value));
    return buffer;
  }

  private static KExpr read(Buf buffer, KExpr at) {
    return new KExpr.At(StageSimplifier.flat(buffer), List.of(at));
  }
}
