package org.tersor.plugins.image.jpeg2000;

/**
 * The coefficients of a tile's component and the transform that makes samples of them (Annex F).
 * Each coefficient lies where its band is interleaved into the component, so the levels are lifted
 * in place, each on a grid twice as fine as the one before.
 */
abstract class Wavelet {
  /** So many columns are lifted together that their rows stay in the cache. */
  private static final int STRIP = 256;

  final Area area;
  private final int width;

  Wavelet(Area area) {
    this.area = area;
    this.width = area.width();
  }

  /** Puts a coefficient, given twice and in steps of its band's size, at an index. */
  abstract void put(int at, int twice, float step);

  /** The sample at an index, rounded to a whole number. */
  abstract int sample(int at);

  /** How many lifting steps there are; they change even and odd places in turn, even ones first. */
  abstract int steps();

  /**
   * Changes {@code count} places {@code stride} apart by those at {@code left} and {@code right}.
   */
  abstract void lift(int step, int at, int left, int right, int count, int stride);

  /** What goes before the first step at places of even or odd coordinates. */
  abstract void scale(boolean odd, int at, int count, int stride);

  /** What is alone at an odd coordinate is twice the sample (F.3.6). */
  abstract void halve(int at, int count, int stride);

  /** Where a coefficient of a band belongs. */
  int index(Band band, int u, int v) {
    return (int) ((band.row(v) - area.y0()) * width + band.column(u) - area.x0());
  }

  /** Makes samples of all levels' coefficients (F.3.1). */
  final void invert(int levels) {
    for (int halved = levels - 1; halved >= 0; halved--) {
      Area level = area.every(1L << halved, 1L << halved);
      if (level.isEmpty()) {
        continue;
      }
      int first =
          (int)
              ((((long) level.y0() << halved) - area.y0()) * width
                  + ((long) level.x0() << halved)
                  - area.x0());
      // Where the distance does not fit there is one column, or one row.
      int stride = level.width() > 1 ? 1 << halved : 0;
      int rowStride = level.height() > 1 ? width << halved : 0;
      invertRows(level, first, stride, rowStride);
      invertColumns(level, first, stride, rowStride);
    }
  }

  private void invertRows(Area level, int first, int stride, int rowStride) {
    int odd = level.x0() & 1;
    int n = level.width();
    if (n == 1) {
      if (odd == 1) {
        halve(first, level.height(), rowStride);
      }
      return;
    }
    for (int y = 0; y < level.height(); y++) {
      int row = first + y * rowStride;
      scale(false, row + odd * stride, (n - odd + 1) / 2, 2 * stride);
      scale(true, row + (1 - odd) * stride, (n + odd) / 2, 2 * stride);
      for (int step = 0; step < steps(); step++) {
        // Places of one parity; at the ends both neighbours are the one inside (F.3.7).
        int from = (step & 1) == odd ? 0 : 1;
        int count = (n - from + 1) / 2;
        int last = from + 2 * (count - 1);
        int head = from == 0 ? 1 : 0;
        int tail = last == n - 1 && count > head ? 1 : 0;
        if (head == 1) {
          lift(step, row, row + stride, row + stride, 1, 0);
        }
        int at = row + (from + 2 * head) * stride;
        lift(step, at, at - stride, at + stride, count - head - tail, 2 * stride);
        if (tail == 1) {
          at = row + last * stride;
          lift(step, at, at - stride, at - stride, 1, 0);
        }
      }
    }
  }

  private void invertColumns(Area level, int first, int stride, int rowStride) {
    int odd = level.y0() & 1;
    int n = level.height();
    if (n == 1) {
      if (odd == 1) {
        halve(first, level.width(), stride);
      }
      return;
    }
    for (int x = 0; x < level.width(); x += STRIP) {
      int columns = Math.min(STRIP, level.width() - x);
      int top = first + x * stride;
      for (int y = 0; y < n; y++) {
        scale(((level.y0() + y) & 1) == 1, top + y * rowStride, columns, stride);
      }
      for (int step = 0; step < steps(); step++) {
        for (int y = (step & 1) == odd ? 0 : 1; y < n; y += 2) {
          int above = y > 0 ? y - 1 : 1;
          int below = y < n - 1 ? y + 1 : n - 2;
          lift(
              step,
              top + y * rowStride,
              top + above * rowStride,
              top + below * rowStride,
              columns,
              stride);
        }
      }
    }
  }

  /** The reversible transform 5/3 (F.3.8.1), of whole numbers. */
  static final class Reversible extends Wavelet {
    final int[] values;

    Reversible(Area area) {
      super(area);
      values = new int[Math.toIntExact(area.samples())];
    }

    @Override
    void put(int at, int twice, float step) {
      values[at] = twice / 2;
    }

    @Override
    int sample(int at) {
      return values[at];
    }

    @Override
    int steps() {
      return 2;
    }

    @Override
    void lift(int step, int at, int left, int right, int count, int stride) {
      if (step == 0) {
        for (int i = 0, k = 0; i < count; i++, k += stride) {
          values[at + k] -= (values[left + k] + values[right + k] + 2) >> 2;
        }
      } else {
        for (int i = 0, k = 0; i < count; i++, k += stride) {
          values[at + k] += (values[left + k] + values[right + k]) >> 1;
        }
      }
    }

    @Override
    void scale(boolean odd, int at, int count, int stride) {}

    @Override
    void halve(int at, int count, int stride) {
      for (int i = 0, k = at; i < count; i++, k += stride) {
        values[k] >>= 1;
      }
    }
  }

  /** The irreversible transform 9/7 (F.3.8.2, table F.4). */
  static final class Irreversible extends Wavelet {
    private static final float[] FACTORS = {-0.44350687f, -0.8829111f, 0.052980117f, 1.5861343f};
    private static final float K = 1.2301741f;

    final float[] values;

    Irreversible(Area area) {
      super(area);
      values = new float[Math.toIntExact(area.samples())];
    }

    @Override
    void put(int at, int twice, float step) {
      values[at] = twice * (step / 2);
    }

    @Override
    int sample(int at) {
      return Math.round(values[at]);
    }

    @Override
    int steps() {
      return FACTORS.length;
    }

    @Override
    void lift(int step, int at, int left, int right, int count, int stride) {
      float factor = FACTORS[step];
      for (int i = 0, k = 0; i < count; i++, k += stride) {
        values[at + k] += factor * (values[left + k] + values[right + k]);
      }
    }

    @Override
    void scale(boolean odd, int at, int count, int stride) {
      float factor = odd ? 1 / K : K;
      for (int i = 0, k = at; i < count; i++, k += stride) {
        values[k] *= factor;
      }
    }

    @Override
    void halve(int at, int count, int stride) {
      for (int i = 0, k = at; i < count; i++, k += stride) {
        values[k] /= 2;
      }
    }
  }
}
