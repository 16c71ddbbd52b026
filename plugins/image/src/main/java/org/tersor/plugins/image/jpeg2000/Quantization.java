package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * The step sizes of a component: the parameters of QCD and QCC (A.6.4, E.1).
 *
 * @param guardBits how many bit-planes there are above those that the exponent tells
 * @param derived whether there is one step and all others follow from it
 * @param steps exponents times 2048 plus mantissas, from the lowest band
 */
record Quantization(int guardBits, boolean derived, List<Integer> steps) {
  private static final int MANTISSA = 2048;

  static Quantization read(ByteReader in) throws IOException {
    int style = in.u8();
    List<Integer> steps = new ArrayList<>();
    switch (style & 31) {
      case 0 -> {
        while (in.remaining() > 0) {
          steps.add((in.u8() >> 3) * MANTISSA);
        }
      }
      case 1 -> steps.add(in.u16());
      case 2 -> {
        while (in.remaining() > 0) {
          steps.add(in.u16());
        }
      }
      default -> throw new IOException("quantization style " + (style & 31) + " is not defined");
    }
    return new Quantization(style >> 5, (style & 31) == 1, List.copyOf(steps));
  }

  /**
   * The number of bit-planes of a band (equation E-2).
   *
   * @param band its number: LL, then HL, LH and HH of each level
   * @param levels how many levels are between the lowest band and this one
   */
  int planes(int band, int levels) throws IOException {
    return guardBits + exponent(band, levels) - 1;
  }

  /** The step size of a band whose coefficients have a range of {@code bits} (equation E-3). */
  float step(int band, int levels, int bits) throws IOException {
    float mantissa = step(band) % MANTISSA;
    return Math.scalb(1 + mantissa / MANTISSA, bits - exponent(band, levels));
  }

  private int exponent(int band, int levels) throws IOException {
    int exponent = step(band) / MANTISSA - (derived ? levels : 0);
    if (exponent < 0) {
      throw new IOException("band " + band + " has a quantization exponent of " + exponent);
    }
    return exponent;
  }

  private int step(int band) throws IOException {
    int at = derived ? 0 : band;
    if (at >= steps.size()) {
      throw new IOException("band " + band + " has no quantization step");
    }
    return steps.get(at);
  }
}
