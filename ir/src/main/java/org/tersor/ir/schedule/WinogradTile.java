package org.tersor.ir.schedule;

import java.util.List;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;

/**
 * The transforms of F(m, 3), which gets m sums of 3 products from m + 2 multiplications: {@code
 * output(input(d) * weights(g))} is {@code sum(k) d[i + k] * g[k]} for i below m. See A. Lavin and
 * S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.
 */
enum WinogradTile {
  /** Four multiplications instead of six; the rounding errors of a plain sum. */
  F2(2) {
    @Override
    List<KExpr> input(List<KExpr> d) {
      return List.of(
          K.sub(d.get(0), d.get(2)),
          K.add(d.get(1), d.get(2)),
          K.sub(d.get(2), d.get(1)),
          K.sub(d.get(1), d.get(3)));
    }

    @Override
    List<KExpr> weights(List<KExpr> g) {
      KExpr ends = K.add(g.get(0), g.get(2));
      return List.of(
          g.get(0), times(K.add(ends, g.get(1)), 0.5), times(K.sub(ends, g.get(1)), 0.5), g.get(2));
    }

    @Override
    List<KExpr> output(List<KExpr> t) {
      return List.of(
          K.add(K.add(t.get(0), t.get(1)), t.get(2)), K.sub(K.sub(t.get(1), t.get(2)), t.get(3)));
    }
  },

  /** Six multiplications instead of twelve; rounding errors about ten times those of F2. */
  F4(4) {
    @Override
    List<KExpr> input(List<KExpr> d) {
      KExpr even = K.sub(d.get(4), times(d.get(2), 4));
      KExpr odd = K.sub(d.get(3), times(d.get(1), 4));
      KExpr step = K.sub(d.get(4), d.get(2));
      KExpr twice = times(K.sub(d.get(3), d.get(1)), 2);
      return List.of(
          K.add(times(d.get(0), 4), K.sub(d.get(4), times(d.get(2), 5))),
          K.add(even, odd),
          K.sub(even, odd),
          K.add(step, twice),
          K.sub(step, twice),
          K.add(times(d.get(1), 4), K.sub(d.get(5), times(d.get(3), 5))));
    }

    @Override
    List<KExpr> weights(List<KExpr> g) {
      KExpr ends = K.add(g.get(0), g.get(2));
      KExpr far = K.add(times(g.get(0), 1 / 24.0), times(g.get(2), 1 / 6.0));
      KExpr middle = times(g.get(1), 1 / 12.0);
      return List.of(
          times(g.get(0), 0.25),
          times(K.add(ends, g.get(1)), -1 / 6.0),
          times(K.sub(ends, g.get(1)), -1 / 6.0),
          K.add(far, middle),
          K.sub(far, middle),
          g.get(2));
    }

    @Override
    List<KExpr> output(List<KExpr> t) {
      KExpr sum = K.add(t.get(1), t.get(2));
      KExpr difference = K.sub(t.get(1), t.get(2));
      KExpr farSum = K.add(t.get(3), t.get(4));
      KExpr farDifference = K.sub(t.get(3), t.get(4));
      return List.of(
          K.add(K.add(t.get(0), sum), farSum),
          K.add(difference, times(farDifference, 2)),
          K.add(sum, times(farSum, 4)),
          K.add(K.add(difference, times(farDifference, 8)), t.get(5)));
    }
  };

  /** Elements of a filter. */
  static final int TAPS = 3;

  private final int outputs;

  WinogradTile(int outputs) {
    this.outputs = outputs;
  }

  /** Sums that a tile gives. */
  int outputs() {
    return outputs;
  }

  /** Elements of the input that a tile reads, and multiplications that it needs. */
  int points() {
    return outputs + TAPS - 1;
  }

  /** From {@link #points} elements to as many. */
  abstract List<KExpr> input(List<KExpr> d);

  /** From 3 elements of a filter to {@link #points}. */
  abstract List<KExpr> weights(List<KExpr> g);

  /** From {@link #points} products to {@link #outputs} sums. */
  abstract List<KExpr> output(List<KExpr> t);

  private static KExpr times(KExpr a, double factor) {
    return K.mul(a, K.literal(Scalar.F32, factor));
  }
}
