package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;

/**
 * A column factor of codes, {@code (float(code(n, k)) - zero(n, k / block)) * scale(n, k / block)}:
 * a product of few rows reads the codes instead of numbers of four bytes. It takes as long as its
 * weights take from memory.
 *
 * @param blocks axis of the blocks of k
 * @param inside axis of k within a block
 * @param code an integer over n, blocks and inside
 * @param low least code
 * @param nibble whether two codes fit a byte
 * @param zero F32 over n and blocks, {@code low} subtracted; empty for none
 * @param scale F32 over n and blocks; empty for none
 */
record CodedColumn(
    Axis blocks,
    Axis inside,
    KExpr code,
    long low,
    boolean nibble,
    Optional<KExpr> zero,
    Optional<KExpr> scale) {

  /** More rows are worth numbers decoded once; fewer wait for memory. */
  private static final long FEW_ROWS = 8;

  /** Lengths of blocks, best first: the sums of long ones have larger errors. */
  private static final List<Long> LENGTHS = List.of(64L, 128L, 32L, 16L, 256L);

  /** The column factor of a product of few rows, or of rows whose number is not known. */
  static Optional<CodedColumn> of(Contraction c) {
    boolean few = !c.extentM().isConst() || c.extentM().constValue() <= FEW_ROWS;
    if (!few
        || c.fold().scalar() != Scalar.F32
        || c.k().size() != 1
        || !c.extentK().isConst()
        || c.batch().stream().anyMatch(c.column().axes()::contains)) {
      return Optional.empty();
    }
    long extent = c.extentK().constValue();
    for (long length : LENGTHS) {
      if (extent % length == 0) {
        Optional<CodedColumn> match = of(c, extent / length, length);
        if (match.isPresent()) {
          return match;
        }
      }
    }
    return Optional.empty();
  }

  private static Optional<CodedColumn> of(Contraction c, long count, long length) {
    Axis k = c.k().getFirst();
    Axis blocks = new Axis(k.name() + "_block", org.tersor.runtime.DimExpr.of(count));
    Axis inside = new Axis(k.name() + "_inside", org.tersor.runtime.DimExpr.of(length));
    KExpr position = K.add(K.mul(K.axis(blocks), K.index(length)), K.axis(inside));
    KExpr value =
        StageSimplifier.decided(
            Affine.canonical(KExprs.substitute(c.column().whole(), Map.of(k, position))));
    List<KExpr> factors = new ArrayList<>();
    flatten(value, factors);
    List<KExpr> varying = factors.stream().filter(f -> dependsOn(f, inside)).toList();
    if (varying.size() != 1) {
      return Optional.empty();
    }
    Optional<KExpr> scale =
        factors.stream().filter(f -> !dependsOn(f, inside)).reduce((a, b) -> K.mul(a, b));
    KExpr number = varying.getFirst();
    Optional<KExpr> zero = Optional.empty();
    if (number instanceof KExpr.Bin difference
        && difference.op() == BinaryOp.SUB
        && !dependsOn(difference.b(), inside)) {
      zero = Optional.of(difference.b());
      number = difference.a();
    }
    if (!(number instanceof KExpr.To to) || to.scalar() != Scalar.F32) {
      return Optional.empty();
    }
    Optional<Range> range = Range.of(to.a());
    if (range.isEmpty() || range.get().high - range.get().low > 255) {
      return Optional.empty();
    }
    long low = range.get().low;
    KExpr code = to.a().scalar() == Scalar.I32 ? to.a() : K.cast(Scalar.I32, to.a());
    Optional<KExpr> offset =
        zero.map(z -> low == 0 ? z : K.sub(z, K.f32((double) low)))
            .or(() -> low == 0 ? Optional.empty() : Optional.of(K.f32((double) -low)));
    boolean nibble = range.get().high - low <= 15 && length % 2 == 0;
    return Optional.of(new CodedColumn(blocks, inside, code, low, nibble, offset, scale));
  }

  private static boolean dependsOn(KExpr expr, Axis axis) {
    return KExprs.freeAxes(expr).contains(axis);
  }

  private static void flatten(KExpr expr, List<KExpr> factors) {
    if (expr instanceof KExpr.Bin product && product.op() == BinaryOp.MUL) {
      flatten(product.a(), factors);
      flatten(product.b(), factors);
    } else {
      factors.add(expr);
    }
  }

  /** Codes of a block. */
  long length() {
    return inside.extent().constValue();
  }

  /** Bounds of an integer value, both inclusive. */
  private record Range(long low, long high) {
    static Optional<Range> of(KExpr expr) {
      return switch (expr) {
        case KExpr.IntLit e -> Optional.of(new Range(e.value(), e.value()));
        case KExpr.At e -> ofElement(e.scalar());
        case KExpr.To e ->
            of(e.a())
                .filter(r -> ofElement(e.scalar()).map(r::isWithin).orElse(isWide(e.scalar())));
        case KExpr.If e ->
            of(e.then())
                .flatMap(a ->
                    of(e.otherwise())
                        .map(b -> new Range(Math.min(a.low, b.low), Math.max(a.high, b.high))));
        case KExpr.Bin e -> ofBinary(e);
        default -> Optional.empty();
      };
    }

    private boolean isWithin(Range other) {
      return low >= other.low && high <= other.high;
    }

    private static boolean isWide(Scalar scalar) {
      return scalar == Scalar.I32 || scalar == Scalar.I64;
    }

    private static Optional<Range> ofElement(Scalar scalar) {
      return switch (scalar) {
        case U8 -> Optional.of(new Range(0, 255));
        case I8 -> Optional.of(new Range(-128, 127));
        default -> Optional.empty();
      };
    }

    private static Optional<Range> ofBinary(KExpr.Bin e) {
      Optional<Range> a = of(e.a());
      Optional<Range> b = of(e.b());
      boolean literal = b.isPresent() && b.get().low == b.get().high;
      if (e.op() == BinaryOp.AND && literal && b.get().low >= 0) {
        return Optional.of(new Range(0, b.get().low));
      }
      if (a.isEmpty() || b.isEmpty()) {
        return Optional.empty();
      }
      Range x = a.get();
      Range y = b.get();
      return switch (e.op()) {
        case ADD -> Optional.of(new Range(x.low + y.low, x.high + y.high));
        case SUB -> Optional.of(new Range(x.low - y.high, x.high - y.low));
        case SHR ->
            literal && x.low >= 0 && y.low >= 0 && y.low < 31
                ? Optional.of(new Range(x.low >> y.low, x.high >> y.low))
                : Optional.empty();
        // Flipping the bits below a power of two stays below it.
        case XOR ->
            literal && x.low >= 0 && y.low >= 0
                ? Optional.of(new Range(0, Math.max(1, Long.highestOneBit(x.high | y.low)) * 2 - 1))
                : Optional.empty();
        default -> Optional.empty();
      };
    }
  }
}
