package org.tersor.plugins.image.jpeg2000;

/**
 * What a code-block's decoder keeps about a coefficient in an int, and the contexts that follow
 * from it (D.3).
 */
final class Neighbours {
  static final int NORTH = 1;
  static final int SOUTH = 1 << 1;
  static final int WEST = 1 << 2;
  static final int EAST = 1 << 3;
  static final int NORTH_WEST = 1 << 4;
  static final int NORTH_EAST = 1 << 5;
  static final int SOUTH_WEST = 1 << 6;
  static final int SOUTH_EAST = 1 << 7;

  /** Whether any neighbour is significant. */
  static final int ANY = 255;

  static final int NORTH_NEGATIVE = 1 << 8;
  static final int SOUTH_NEGATIVE = 1 << 9;
  static final int WEST_NEGATIVE = 1 << 10;
  static final int EAST_NEGATIVE = 1 << 11;

  /** Whether the coefficient itself is. */
  static final int SIGNIFICANT = 1 << 12;

  /** Whether a pass of this bit-plane has been at it. */
  static final int VISITED = 1 << 13;

  /** Whether it was refined before. */
  static final int REFINED = 1 << 14;

  static final int NEGATIVE = 1 << 15;

  /** What a vertically causal context does not see in the last row of a stripe (D.7). */
  static final int BELOW = SOUTH | SOUTH_WEST | SOUTH_EAST | SOUTH_NEGATIVE;

  private static final byte[][] ZERO_CODING = {
    zeroCoding(Band.Kind.LL), zeroCoding(Band.Kind.HL),
    zeroCoding(Band.Kind.LH), zeroCoding(Band.Kind.HH)
  };

  private static final byte[] SIGN = signs();

  private Neighbours() {}

  /** The zero coding contexts of a band by the eight neighbours. */
  static byte[] zeroCoding(int kind) {
    return ZERO_CODING[kind];
  }

  /** Table D.1. */
  private static byte[] zeroCoding(Band.Kind kind) {
    byte[] contexts = new byte[ANY + 1];
    for (int f = 0; f <= ANY; f++) {
      int h = Integer.bitCount(f & (WEST | EAST));
      int v = Integer.bitCount(f & (NORTH | SOUTH));
      int d = Integer.bitCount(f & (NORTH_WEST | NORTH_EAST | SOUTH_WEST | SOUTH_EAST));
      contexts[f] =
          (byte)
              switch (kind) {
                case LL, LH -> straight(h, v, d);
                case HL -> straight(v, h, d);
                case HH -> diagonal(h + v, d);
              };
    }
    return contexts;
  }

  private static int straight(int along, int across, int d) {
    return switch (along) {
      case 2 -> 8;
      case 1 -> across > 0 ? 7 : d > 0 ? 6 : 5;
      default -> across > 0 ? 2 + across : Math.min(d, 2);
    };
  }

  private static int diagonal(int hv, int d) {
    return switch (d) {
      case 0 -> Math.min(hv, 2);
      case 1 -> 3 + Math.min(hv, 2);
      case 2 -> hv > 0 ? 7 : 6;
      default -> 8;
    };
  }

  /** The context of a sign times 2, and 1 if the symbol is to be inverted (tables D.2, D.3). */
  static int sign(int flags) {
    return SIGN[(flags & 15) | ((flags >> 4) & 0xF0)];
  }

  private static byte[] signs() {
    byte[] contexts = new byte[256];
    for (int f = 0; f < 256; f++) {
      int v = Integer.signum(sign(f, NORTH) + sign(f, SOUTH));
      int h = Integer.signum(sign(f, WEST) + sign(f, EAST));
      // Contexts 9 to 13 stand for pairs (h, v), and for their negatives with the symbol inverted.
      int pair = 3 * h + v;
      contexts[f] = (byte) (2 * (MqDecoder.SIGN + Math.abs(pair)) + (pair < 0 ? 1 : 0));
    }
    return contexts;
  }

  private static int sign(int f, int direction) {
    return (f & direction) == 0 ? 0 : (f & direction << 4) == 0 ? 1 : -1;
  }
}
