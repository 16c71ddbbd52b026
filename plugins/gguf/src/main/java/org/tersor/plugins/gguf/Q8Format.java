package org.tersor.plugins.gguf;

import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.ErrorBudget;
import org.tersor.ir.format.NumberFormat;

/** ggml's Q8_0: blocks of 32 values in 34 bytes, a half-precision scale and 8-bit codes. */
public final class Q8Format implements NumberFormat {
  /** For ServiceLoader. */
  public Q8Format() {}

  @Override
  public String id() {
    return "q8_0";
  }

  @Override
  public String dsl() {
    return """
    format q8_0 {
      block 32;
      scale: f16;
      q: s8[32];
      decode(b, i) = f32(b.q[i]) * b.scale
    }
    """;
  }

  @Override
  public BlockParameters fit(float[] values, float[] importance) {
    float largest = 0;
    for (float x : values) {
      largest = Math.max(largest, Math.abs(x));
    }
    return BlockParameters.none().with("scale", largest / 127);
  }

  /**
   * By the scale before it is rounded for storage, halves away from zero, as the reference does.
   */
  @Override
  public long code(float value, BlockParameters parameters) {
    float scale = (float) parameters.value("scale");
    float inverse = scale == 0 ? 0 : 1 / scale;
    if (Float.isInfinite(inverse)) {
      return 0;
    }
    float scaled = value * inverse;
    int size = Math.min(127, (int) (Math.abs(scaled) + 0.5f));
    return scaled < 0 ? -size : size;
  }

  @Override
  public ErrorBudget budget() {
    return new ErrorBudget(0.006);
  }
}
