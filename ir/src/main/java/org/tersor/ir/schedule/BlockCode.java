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
 * A factor of a product in codes, {@code (float(code(x, k)) - zero(x, k / block)) * scale(x, k /
 * block)}.
 *
 * @param code an I32 over the factor's axes, blocks of k and k within a block
 * @param low least code that the type allows
 * @param high greatest one; at most 255 above the least
 * @param zero F32 that does not vary within a block; empty for none
 * @param scale F32 that does not vary within a block; empty for none
 */
record BlockCode(KExpr code, long low, long high, Optional<KExpr> zero, Optional<KExpr> scale) {

  /**
   * @param value the factor
   * @param inside axis of k within a block
   */
  static Optional<BlockCode> of(KExpr value, Axis inside) {
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
    KExpr code = to.a().scalar() == Scalar.I32 ? to.a() : K.cast(Scalar.I32, to.a());
    return Optional.of(new BlockCode(code, range.get().low, range.get().high, zero, scale));
  }

  /** The same at other places. */
  BlockCode moved(Map<Axis, KExpr> places) {
    return new BlockCode(
        KExprs.substitute(code, places),
        low,
        high,
        zero.map(value -> KExprs.substitute(value, places)),
        scale.map(value -> KExprs.substitute(value, places)));
  }

  /** What is taken from a code that counts from zero. */
  Optional<KExpr> offset() {
    return zero.map(z -> low == 0 ? z : K.sub(z, K.f32((double) low)))
        .or(() -> low == 0 ? Optional.empty() : Optional.of(K.f32((double) -low)));
  }

  /** The code as it stands in memory, if it is a byte there and has no zero point. */
  Optional<KExpr.At> stored() {
    return zero.isEmpty() && code instanceof KExpr.To to && to.a() instanceof KExpr.At at
        ? Optional.of(at)
        : Optional.empty();
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
