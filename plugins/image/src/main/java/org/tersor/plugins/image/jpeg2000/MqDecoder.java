package org.tersor.plugins.image.jpeg2000;

/**
 * The arithmetic decoder (Annex C, in the form of its figures C.14 to C.20) with the contexts of
 * code-blocks. Behind the end of a segment it reads ones without end (D.4.1).
 */
final class MqDecoder {
  static final int ZERO_CODING = 0;
  static final int SIGN = 9;
  static final int REFINEMENT = 14;
  static final int RUN = 17;
  static final int UNIFORM = 18;
  private static final int CONTEXTS = 19;

  /**
   * Table C.2: the probability of the less probable symbol, the next state after it, the next state
   * after the other one, and whether the symbols change places, for each state.
   */
  private static final int[] STATES = {
    0x5601, 1, 1, 1, 0x3401, 6, 2, 0, 0x1801, 9, 3, 0, 0x0AC1, 12, 4, 0, 0x0521, 29, 5, 0, //
    0x0221, 33, 38, 0, 0x5601, 6, 7, 1, 0x5401, 14, 8, 0, 0x4801, 14, 9, 0, 0x3801, 14, 10, 0, //
    0x3001, 17, 11, 0, 0x2401, 18, 12, 0, 0x1C01, 20, 13, 0, 0x1601, 21, 29, 0, 0x5601, 14, 15, 1,
    0x5401, 14, 16, 0, 0x5101, 15, 17, 0, 0x4801, 16, 18, 0, 0x3801, 17, 19, 0, 0x3401, 18, 20, 0,
    0x3001, 19, 21, 0, 0x2801, 19, 22, 0, 0x2401, 20, 23, 0, 0x2201, 21, 24, 0, 0x1C01, 22, 25, 0,
    0x1801, 23, 26, 0, 0x1601, 24, 27, 0, 0x1401, 25, 28, 0, 0x1201, 26, 29, 0, 0x1101, 27, 30, 0,
    0x0AC1, 28, 31, 0, 0x09C1, 29, 32, 0, 0x08A1, 30, 33, 0, 0x0521, 31, 34, 0, 0x0441, 32, 35, 0,
    0x02A1, 33, 36, 0, 0x0221, 34, 37, 0, 0x0141, 35, 38, 0, 0x0111, 36, 39, 0, 0x0085, 37, 40, 0,
    0x0049, 38, 41, 0, 0x0025, 39, 42, 0, 0x0015, 40, 43, 0, 0x0009, 41, 44, 0, 0x0005, 42, 45, 0,
    0x0001, 43, 45, 0, 0x5601, 46, 46, 0
  };

  private final int[] state = new int[CONTEXTS];
  private final int[] symbol = new int[CONTEXTS];
  private byte[] data = {};
  private int end;
  private int at;
  private int c;
  private int a;
  private int count;

  /** The contexts as they are at the start of a code-block (table D.7). */
  void resetContexts() {
    for (int i = 0; i < CONTEXTS; i++) {
      state[i] = i == ZERO_CODING ? 4 : i == RUN ? 3 : i == UNIFORM ? 46 : 0;
      symbol[i] = 0;
    }
  }

  /** INITDEC. */
  void start(byte[] bytes, int length) {
    data = bytes;
    end = length;
    at = 0;
    c = byteAt(0) << 16;
    readByte();
    c <<= 7;
    count -= 7;
    a = 0x8000;
  }

  private int byteAt(int place) {
    return place < end ? data[place] & 0xFF : 0xFF;
  }

  /** BYTEIN: a byte after 0xFF has seven bits, or is a marker, before which there are ones. */
  private void readByte() {
    if (byteAt(at) == 0xFF) {
      int next = byteAt(at + 1);
      if (next > 0x8F) {
        c += 0xFF00;
        count = 8;
      } else {
        at++;
        c += next << 9;
        count = 7;
      }
    } else {
      at++;
      c += byteAt(at) << 8;
      count = 8;
    }
  }

  /** DECODE. */
  int decode(int context) {
    int row = state[context] * 4;
    int qe = STATES[row];
    int decided = symbol[context];
    a -= qe;
    boolean lower = c >>> 16 < qe;
    if (lower) {
      // The smaller interval is the less probable symbol's, whichever of both is the lower one.
      boolean exchanged = a < qe;
      a = qe;
      if (exchanged) {
        state[context] = STATES[row + 2];
      } else {
        decided = lessProbable(context, row);
      }
    } else {
      c -= qe << 16;
      if ((a & 0x8000) != 0) {
        return decided;
      }
      if (a < qe) {
        decided = lessProbable(context, row);
      } else {
        state[context] = STATES[row + 2];
      }
    }
    do {
      if (count == 0) {
        readByte();
      }
      a <<= 1;
      c <<= 1;
      count--;
    } while ((a & 0x8000) == 0);
    return decided;
  }

  private int lessProbable(int context, int row) {
    int decided = 1 - symbol[context];
    if (STATES[row + 3] == 1) {
      symbol[context] = decided;
    }
    state[context] = STATES[row + 1];
    return decided;
  }
}
