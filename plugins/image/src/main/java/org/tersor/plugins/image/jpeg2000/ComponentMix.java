package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.List;

/** The inverse transforms of three components into red, green and blue (Annex G). */
final class ComponentMix {
  static final int COUNT = 3;

  private ComponentMix() {}

  /** Replaces luma and chroma by colours. */
  static void unmix(List<Wavelet> mixed) throws IOException {
    Wavelet first = mixed.get(0);
    Wavelet second = mixed.get(1);
    Wavelet third = mixed.get(2);
    if (!first.area.equals(second.area) || !first.area.equals(third.area)) {
      throw new IOException("components of different sizes cannot be mixed");
    }
    if (first instanceof Wavelet.Reversible y
        && second instanceof Wavelet.Reversible u
        && third instanceof Wavelet.Reversible v) {
      reversible(y.values, u.values, v.values);
    } else if (first instanceof Wavelet.Irreversible y
        && second instanceof Wavelet.Irreversible cb
        && third instanceof Wavelet.Irreversible cr) {
      irreversible(y.values, cb.values, cr.values);
    } else {
      throw new IOException("components with different wavelets cannot be mixed");
    }
  }

  /** G.2.2. */
  private static void reversible(int[] y, int[] u, int[] v) {
    for (int i = 0; i < y.length; i++) {
      int green = y[i] - ((u[i] + v[i]) >> 2);
      y[i] = v[i] + green;
      v[i] = u[i] + green;
      u[i] = green;
    }
  }

  /** G.3.2. */
  private static void irreversible(float[] y, float[] cb, float[] cr) {
    for (int i = 0; i < y.length; i++) {
      float luma = y[i];
      y[i] = luma + 1.402f * cr[i];
      float green = luma - 0.344136f * cb[i] - 0.714136f * cr[i];
      cr[i] = luma + 1.772f * cb[i];
      cb[i] = green;
    }
  }
}
