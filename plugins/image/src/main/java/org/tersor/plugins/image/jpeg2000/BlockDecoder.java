package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;

/**
 * Decodes the bit-planes of code-blocks (Annex D). Coefficients are kept doubled, with a one below
 * the last bit that is known: the middle of what the coefficient may be (E.1.1.2, r = 1/2).
 */
final class BlockDecoder {
  private static final int STRIPE = 4;
  private static final int MARK = 10;

  private final MqDecoder mq = new MqDecoder();

  /** With a border of one on each side, so that no neighbour is outside. */
  private int[] flags = {};

  private int[] values = {};
  private Optional<RawBits> raw = Optional.empty();
  private byte[] contexts = {};
  private int width;
  private int height;
  private int stride;
  private boolean causal;

  /** Decodes what there is of a block; {@link #value} then tells the coefficients. */
  void decode(CodeBlock block, Band band, CodingStyle style, Work work) throws IOException {
    width = block.area.width();
    height = block.area.height();
    stride = width + 2;
    causal = style.has(CodingStyle.VERTICALLY_CAUSAL);
    contexts = Neighbours.zeroCoding(band.kind().number());
    flags = cleared(flags, stride * (height + 2));
    values = cleared(values, width * height);
    mq.resetContexts();
    int pass = 0;
    for (CodeBlock.Segment segment : block.segments()) {
      boolean isRaw = style.has(CodingStyle.BYPASS) && CodeBlock.isRaw(pass);
      raw = isRaw ? Optional.of(new RawBits(segment.data, segment.length)) : Optional.empty();
      if (!isRaw) {
        mq.start(segment.data, segment.length);
      }
      for (int i = 0; i < segment.passes; i++, pass++) {
        work.spend((long) width * height);
        decodePass(pass, block.planes - 1 - (pass + 2) / 3, style);
      }
    }
  }

  private static int[] cleared(int[] array, int size) {
    if (array.length < size) {
      return new int[size];
    }
    Arrays.fill(array, 0, size, 0);
    return array;
  }

  /** Twice the coefficient, as far as it is known. */
  int value(int x, int y) {
    int magnitude = values[y * width + x];
    return (flags[(y + 1) * stride + x + 1] & Neighbours.NEGATIVE) == 0 ? magnitude : -magnitude;
  }

  private void decodePass(int pass, int plane, CodingStyle style) throws IOException {
    for (int top = 0; top < height; top += STRIPE) {
      int bottom = Math.min(top + STRIPE, height);
      for (int x = 0; x < width; x++) {
        switch (pass % 3) {
          case 1 -> propagate(x, top, bottom, plane);
          case 2 -> refine(x, top, bottom, plane);
          default -> cleanUp(x, top, bottom, plane);
        }
      }
    }
    if (pass % 3 == 0 && style.has(CodingStyle.SEGMENTATION)) {
      int mark = 0;
      for (int i = 0; i < 4; i++) {
        mark = mark << 1 | mq.decode(MqDecoder.UNIFORM);
      }
      if (mark != MARK) {
        throw new IOException("a code-block is damaged: its segmentation symbols are wrong");
      }
    }
    if (style.has(CodingStyle.RESET)) {
      mq.resetContexts();
    }
  }

  /** The flags at a place, as far as its context sees them. */
  private int seen(int at, int y) {
    return causal && y % STRIPE == STRIPE - 1 ? flags[at] & ~Neighbours.BELOW : flags[at];
  }

  /** D.3.1: what has a significant neighbour. */
  private void propagate(int x, int top, int bottom, int plane) {
    int at = (top + 1) * stride + x + 1;
    for (int y = top; y < bottom; y++, at += stride) {
      int f = seen(at, y);
      if ((f & Neighbours.SIGNIFICANT) == 0 && (f & Neighbours.ANY) != 0) {
        int bit = raw.isPresent() ? raw.get().bit() : mq.decode(contexts[f & Neighbours.ANY]);
        if (bit == 1) {
          becomeSignificant(at, x, y, plane);
        }
        flags[at] |= Neighbours.VISITED;
      }
    }
  }

  /** D.3.3: another bit of what is significant. */
  private void refine(int x, int top, int bottom, int plane) {
    int at = (top + 1) * stride + x + 1;
    for (int y = top; y < bottom; y++, at += stride) {
      int f = seen(at, y);
      if ((f & (Neighbours.SIGNIFICANT | Neighbours.VISITED)) == Neighbours.SIGNIFICANT) {
        int context =
            MqDecoder.REFINEMENT
                + ((f & Neighbours.REFINED) != 0 ? 2 : (f & Neighbours.ANY) != 0 ? 1 : 0);
        int bit = raw.isPresent() ? raw.get().bit() : mq.decode(context);
        int i = y * width + x;
        values[i] = (values[i] & ~(2 << plane)) | (bit << (plane + 1)) | (1 << plane);
        flags[at] |= Neighbours.REFINED;
      }
    }
  }

  /** D.3.4: all the rest, with runs of zeros in columns of which nothing is known. */
  private void cleanUp(int x, int top, int bottom, int plane) {
    int at = (top + 1) * stride + x + 1;
    int y = top;
    if (bottom - top == STRIPE && isUnknown(at, top)) {
      if (mq.decode(MqDecoder.RUN) == 0) {
        return;
      }
      int zeros = mq.decode(MqDecoder.UNIFORM) << 1 | mq.decode(MqDecoder.UNIFORM);
      y += zeros;
      at += zeros * stride;
      becomeSignificant(at, x, y, plane);
      y++;
      at += stride;
    }
    // What lies above y was insignificant and has not been visited.
    for (; y < bottom; y++, at += stride) {
      int f = seen(at, y);
      if ((f & (Neighbours.SIGNIFICANT | Neighbours.VISITED)) == 0
          && mq.decode(contexts[f & Neighbours.ANY]) == 1) {
        becomeSignificant(at, x, y, plane);
      }
    }
    for (int i = (top + 1) * stride + x + 1; i < at; i += stride) {
      flags[i] &= ~Neighbours.VISITED;
    }
  }

  private boolean isUnknown(int at, int top) {
    int all = 0;
    for (int i = 0; i < STRIPE; i++) {
      all |= seen(at + i * stride, top + i);
    }
    return (all & (Neighbours.ANY | Neighbours.SIGNIFICANT | Neighbours.VISITED)) == 0;
  }

  /** Decodes the sign (D.3.2) and tells the neighbours. */
  private void becomeSignificant(int at, int x, int y, int plane) {
    int negative;
    if (raw.isPresent()) {
      negative = raw.get().bit();
    } else {
      int sign = Neighbours.sign(seen(at, y));
      negative = mq.decode(sign >> 1) ^ (sign & 1);
    }
    values[y * width + x] = 3 << plane;
    flags[at] |= Neighbours.SIGNIFICANT | negative * Neighbours.NEGATIVE;
    flags[at - 1] |= Neighbours.EAST | negative * Neighbours.EAST_NEGATIVE;
    flags[at + 1] |= Neighbours.WEST | negative * Neighbours.WEST_NEGATIVE;
    flags[at - stride] |= Neighbours.SOUTH | negative * Neighbours.SOUTH_NEGATIVE;
    flags[at + stride] |= Neighbours.NORTH | negative * Neighbours.NORTH_NEGATIVE;
    flags[at - stride - 1] |= Neighbours.SOUTH_EAST;
    flags[at - stride + 1] |= Neighbours.SOUTH_WEST;
    flags[at + stride - 1] |= Neighbours.NORTH_EAST;
    flags[at + stride + 1] |= Neighbours.NORTH_WEST;
  }
}
