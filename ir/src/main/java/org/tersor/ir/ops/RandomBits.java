package org.tersor.ir.ops;

import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.OpContext;

/**
 * Random numbers by counter: number i of a stream is SplitMix64's output function (Steele, Lea,
 * Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014) of key + (i + 1) * golden
 * ratio. So elements are independent of each other and of the order they are computed in, and all
 * backends give the same bits. A node without a seed takes one from its names in the graph; every
 * run starts from the seed.
 */
final class RandomBits {
  private static final long GOLDEN = 0x9E3779B97F4A7C15L;
  private static final long FIRST = 0xBF58476D1CE4E5B9L;
  private static final long SECOND = 0x94D049BB133111EBL;

  private final long key;

  private RandomBits(long key) {
    this.key = key;
  }

  /** The stream of a node's seed attribute. */
  static RandomBits of(OpContext c) {
    return new RandomBits(
        c.has("seed")
            ? mix(Double.doubleToRawLongBits(c.floatAttr("seed", 0)))
            : mix(~(31L * c.node().name().hashCode() + c.node().output(0).name().hashCode())));
  }

  private static long mix(long z) {
    long a = (z ^ z >>> 30) * FIRST;
    long b = (a ^ a >>> 27) * SECOND;
    return b ^ b >>> 31;
  }

  /** Number {@code i}, uniform in 0 to 1 without 1: a multiple of 2^-53. */
  double uniform(long i) {
    return (mix(key + (i + 1) * GOLDEN) >>> 11) * 0x1p-53;
  }

  /** Number {@code i} of a standard normal distribution, from two uniform ones (Box, Muller). */
  double normal(long i) {
    double radius = Math.sqrt(-2 * Math.log(1 - uniform(2 * i)));
    return radius * Math.cos(2 * Math.PI * uniform(2 * i + 1));
  }

  /**
   * {@link #uniform} as an expression in F64.
   *
   * @param i of type I64
   */
  KExpr uniform(KExpr i) {
    KExpr counter = K.mul(K.add(K.cast(Scalar.U64, i), word(1)), word(GOLDEN));
    KExpr a = K.mul(shifted(K.add(counter, word(key)), 30), word(FIRST));
    KExpr b = K.mul(shifted(a, 27), word(SECOND));
    KExpr bits = K.binary(BinaryOp.SHR, shifted(b, 31), word(11));
    return K.mul(K.cast(Scalar.F64, bits), K.literal(Scalar.F64, 0x1p-53));
  }

  private static KExpr shifted(KExpr z, int by) {
    return K.binary(BinaryOp.XOR, z, K.binary(BinaryOp.SHR, z, word(by)));
  }

  private static KExpr word(long value) {
    return K.literal(Scalar.U64, value);
  }
}
