package org.tersor.ir.schedule;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Numbers of the eight codes of four bits in a lane of I32, without a conversion: bits of a
 * mantissa whose last one counts 2^-s are what stands there times 2^s, so that a code at bit s,
 * between the bits of 2^(23 - s), is 2^(23 - s) more than itself. Taking that away is exact, and a
 * zero point goes with it.
 *
 * @param zero taken from every code
 * @param lackZero whether there is a zero point, and {@code zero} is it
 */
record LaneNumbers(int zero, boolean lackZero) {
  /** Codes in a lane. */
  static final int CODES = 8;

  /** A mask, a power of two and what is taken away for each place. */
  static final int CONSTANTS = 9;

  /** Bits of F32 behind the leading one. */
  private static final int MANTISSA = 23;

  private static final int BIAS = 127;
  private static final int MASK = 15;

  /** Beyond it a code would reach into the exponent. */
  private static final int HIGHEST = 16;

  /** Where codes are taken: three places, so that their constants stay in registers. */
  private static final int LOWEST = 8;

  /** What brings codes below and above to these places. */
  private static final int UP = 8;

  private static final int DOWN = 12;

  /** Larger ones would need a bit that the sum with the smallest power of two lacks. */
  private static final int LARGEST_ZERO = 1 << (MANTISSA - HIGHEST - 1);

  /** Codes by their number among eight successive k: by what they need to get to their places. */
  private static final List<Integer> ORDER = List.of(1, 2, 5, 0, 4, 3, 6, 7);

  /**
   * @param zero the zero point of all columns, if it is a number
   */
  static LaneNumbers of(Optional<KExpr> zero) {
    boolean whole =
        zero.isPresent()
            && zero.get() instanceof KExpr.FloatLit z
            && z.value() == Math.rint(z.value())
            && Math.abs(z.value()) <= LARGEST_ZERO;
    return new LaneNumbers(whole ? (int) ((KExpr.FloatLit) zero.orElseThrow()).value() : 0, whole);
  }

  /** Takes vectors of F32. */
  interface Use {
    /**
     * @param k of eight successive ones
     */
    void of(int k, Expr[] vectors);
  }

  /** Each of the eight codes of some words: those of k + 4 are in the high bits of the bytes. */
  void forEach(NestEmitter nest, Expr[] words, Use use) {
    Expr[] from = words;
    int moved = 0;
    for (int k : ORDER) {
      int bit = 8 * (k % 4) + 4 * (k / 4);
      int up = bit < LOWEST ? UP : bit > HIGHEST ? -DOWN : 0;
      if (up != moved) {
        moved = up;
        from = Arrays.stream(words).map(word -> moved(nest, word, up)).toArray(Expr[]::new);
      }
      Expr[] vectors = new Expr[from.length];
      for (int v = 0; v < vectors.length; v++) {
        vectors[v] = nest.let("c", number(from[v], bit + up));
      }
      use.of(k, vectors);
    }
  }

  private static Expr moved(NestEmitter nest, Expr word, int up) {
    BinaryOp op = up > 0 ? BinaryOp.SHL : BinaryOp.SHR;
    Expr by = new Expr.IntConst(word.type(), Math.abs(up));
    return nest.let("h", new Expr.Binary(op, word, by));
  }

  private Expr number(Expr word, int bit) {
    Type type = word.type();
    Type floats = type.withScalar(Scalar.F32);
    Expr code = new Expr.Binary(BinaryOp.AND, word, new Expr.IntConst(type, (long) MASK << bit));
    long exponent = (long) (BIAS + MANTISSA - bit) << MANTISSA;
    Expr placed = new Expr.Binary(BinaryOp.OR, code, new Expr.IntConst(type, exponent));
    double taken = Math.scalb(1.0, MANTISSA - bit) + zero;
    return new Expr.Binary(
        BinaryOp.SUB, new Expr.Bits(floats, placed), new Expr.FloatConst(floats, taken));
  }
}
