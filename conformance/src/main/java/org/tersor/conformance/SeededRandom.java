package org.tersor.conformance;

/**
 * SplitMix64: the same numbers from the same seed on every machine and JDK. Transcendental
 * functions come from StrictMath for the same reason.
 */
public final class SeededRandom {
  private long state;

  public SeededRandom(long seed) {
    this.state = seed;
  }

  public long nextLong() {
    state += 0x9E3779B97F4A7C15L;
    long z = state;
    z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }

  /** Uniform in [0, 1). */
  public double nextDouble() {
    return (nextLong() >>> 11) * 0x1.0p-53;
  }

  /** Uniform in [low, high). */
  public double uniform(double low, double high) {
    return low + (high - low) * nextDouble();
  }

  /** Uniform in low..high, both included. */
  public long between(long low, long high) {
    long range = high - low + 1;
    return range <= 0 ? nextLong() : low + Long.remainderUnsigned(nextLong() >>> 1, range);
  }

  /** Standard normal (Box and Muller). */
  public double nextGaussian() {
    double radius = StrictMath.sqrt(-2 * StrictMath.log(1 - nextDouble()));
    return radius * StrictMath.cos(2 * StrictMath.PI * nextDouble());
  }

  /** An independent generator for a part of the work. */
  public SeededRandom split() {
    return new SeededRandom(nextLong());
  }
}
