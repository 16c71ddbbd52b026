package org.tersor.plugins.q4;

import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.ErrorBudget;
import org.tersor.ir.format.NumberFormat;

/**
 * ggml's Q4_0: blocks of 32 values in 18 bytes, a half-precision scale and 4-bit codes, the low
 * nibble of byte j being value j, the high one value j + 16.
 */
public final class Q4Format implements NumberFormat {
  @Override
  public String id() {
    return "q4_0";
  }

  @Override
  public String dsl() {
    return """
    format q4_0 {
      block 32;
      scale: f16;
      q: u4[32] at i % 16 * 8 + i / 16 * 4;
      decode(b, i) = (f32(b.q[i]) - 8) * b.scale
    }
    """;
  }

  /** The value of largest magnitude, with its sign, becomes code 0: -8 times the scale. */
  @Override
  public BlockParameters fit(float[] values, float[] importance) {
    float largest = 0;
    for (float x : values) {
      if (Math.abs(x) > Math.abs(largest)) {
        largest = x;
      }
    }
    return BlockParameters.none().with("scale", largest / -8);
  }

  /** By the scale before it is rounded for storage, as the reference does. */
  @Override
  public long code(float value, BlockParameters parameters) {
    float scale = (float) parameters.value("scale");
    float inverse = scale == 0 ? 0 : 1 / scale;
    return Float.isInfinite(inverse) ? 8 : Math.clamp((long) (value * inverse + 8.5f), 0, 15);
  }

  @Override
  public ErrorBudget budget() {
    return new ErrorBudget(0.11);
  }
}
