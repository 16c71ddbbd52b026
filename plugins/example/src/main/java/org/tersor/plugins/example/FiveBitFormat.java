package org.tersor.plugins.example;

import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.ErrorBudget;
import org.tersor.ir.format.NumberFormat;

/**
 * The tutorial's format: blocks of 16 values, 5 bits each, between a smallest value and 31 steps
 * above it. README.md walks through it.
 */
public final class FiveBitFormat implements NumberFormat {
  @Override
  public String id() {
    return "five";
  }

  /** 14 bytes per block: two halves, then 16 codes that cross byte borders. */
  @Override
  public String dsl() {
    return """
    format five {
      block 16;
      low: f16;
      step: f16;
      q: u5[16];
      decode(b, i) = b.low + f32(b.q[i]) * b.step
    }
    """;
  }

  @Override
  public BlockParameters fit(float[] values, float[] importance) {
    float low = values[0];
    float high = values[0];
    for (float x : values) {
      low = Math.min(low, x);
      high = Math.max(high, x);
    }
    float stored = half(low);
    return BlockParameters.none().with("low", stored).with("step", half((high - stored) / 31));
  }

  @Override
  public long code(float value, BlockParameters parameters) {
    double step = parameters.value("step");
    return step == 0
        ? 0
        : (long) Math.clamp(Math.rint((value - parameters.value("low")) / step), 0, 31);
  }

  /** Codes are chosen by the parameters as they are stored. */
  private static float half(float x) {
    return Float.float16ToFloat(Float.floatToFloat16(x));
  }

  @Override
  public ErrorBudget budget() {
    return new ErrorBudget(0.045);
  }
}
