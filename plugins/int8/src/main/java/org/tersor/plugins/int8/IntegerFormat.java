package org.tersor.plugins.int8;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.format.AffineGrid;
import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.ErrorBudget;
import org.tersor.ir.format.NumberFormat;

/**
 * Integers of 2 to 16 bits on an evenly spaced grid: {@code (q - zero) * scale}.
 *
 * @param signed whether codes are
 * @param restricted leaves out the lowest code of a signed symmetric grid, so that codes are as
 *     many on either side of zero
 * @param group values that share a scale; {@link #CHANNEL} or {@link #TENSOR} for no groups
 */
record IntegerFormat(int bits, boolean signed, Grid grid, int group, boolean restricted)
    implements NumberFormat {
  /** Each index but the last shares a scale, e.g. an output channel of a weight [out, in]. */
  static final int CHANNEL = 0;

  /** One scale for all. */
  static final int TENSOR = -1;

  /** Where zero lies, and which scales there are. */
  enum Grid {
    /** A fixed zero point in the middle of the codes. */
    SYMMETRIC("symmetric"),
    /** As symmetric, with scales that are powers of two, the smallest that clip nothing. */
    POWER("pow2"),
    /** Any code is the zero point; zero is always a value. */
    AFFINE("affine"),
    /** Any number is the zero point; zero need not be a value. */
    FLOATING("float");

    private final String text;

    Grid(String text) {
      this.text = text;
    }

    String text() {
      return text;
    }

    boolean centred() {
      return this == SYMMETRIC || this == POWER;
    }
  }

  @Override
  public String id() {
    return (signed ? "s" : "u")
        + bits
        + "_"
        + grid.text()
        + (group == TENSOR ? "_tensor" : group == CHANNEL ? "_channel" : "_g" + group)
        + (restricted ? "_restricted" : "");
  }

  /** What static int8 quantization means: these weights, and activations that go with them. */
  @Override
  public List<String> aliases() {
    return id().equals("s8_symmetric_channel_restricted") ? List.of("int8") : List.of();
  }

  /** The smallest block that ends on a byte, where no group needs a larger one. */
  private int block() {
    if (group > 0) {
      return group;
    }
    int block = 1;
    while (block * bits % 8 != 0) {
      block *= 2;
    }
    return block;
  }

  @Override
  public String dsl() {
    String zero =
        switch (grid) {
          case SYMMETRIC, POWER -> "";
          case AFFINE ->
              group > 0 ? "; zero: " + (signed ? "s" : "u") + (bits <= 8 ? 8 : 16) : "; zero: i32";
          case FLOATING -> "; zero: f32";
        };
    String shared = "scale: f32" + zero;
    String code = (signed ? "s" : "u") + bits + (block() == 1 ? "" : "[" + block() + "]");
    String value =
        switch (grid) {
          case SYMMETRIC, POWER ->
              signed ? "f32(b.q[i])" : "f32(b.q[i] - " + (1 << (bits - 1)) + ")";
          case AFFINE -> "f32(b.q[i] - b.zero)";
          case FLOATING -> "(f32(b.q[i]) - b.zero)";
        };
    return group > 0
        ? """
        format %s {
          block %d;
          %s;
          q: %s;
          decode(b, i) = %s * b.scale
        }
        """
            .formatted(id(), block(), shared, code, value)
        : """
        format %s {
          block %d;
          q: %s;
          %s { %s }
          decode(b, i) = %s * b.scale
        }
        """
            .formatted(id(), block(), code, group == TENSOR ? "tensor" : "row", shared, value);
  }

  private int least() {
    return signed ? -(1 << (bits - 1)) + (restricted ? 1 : 0) : 0;
  }

  private int largest() {
    return signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
  }

  @Override
  public BlockParameters fit(float[] values, float[] importance) {
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;
    for (float x : values) {
      min = Math.min(min, x);
      max = Math.max(max, x);
    }
    double magnitude = Math.max(Math.abs(min), Math.abs(max));
    BlockParameters none = BlockParameters.none();
    return switch (grid) {
      case SYMMETRIC ->
          none.with("scale", AffineGrid.symmetric(magnitude, least(), largest()).scale());
      case POWER -> none.with("scale", power(magnitude));
      case AFFINE -> {
        AffineGrid affine = AffineGrid.affine(min, max, least(), largest());
        yield none.with("scale", affine.scale()).with("zero", affine.zero());
      }
      case FLOATING -> {
        double scale = (max - min) / ((double) largest() - least());
        float stored = (float) scale < Float.MIN_NORMAL ? 1 : (float) scale;
        yield none.with("scale", stored).with("zero", (float) (least() - min / stored));
      }
    };
  }

  /** The smallest power of two that reaches a magnitude on both sides. */
  private double power(double magnitude) {
    double needed = magnitude / (signed ? largest() : largest() - (1 << (bits - 1)));
    if (!((float) needed >= Float.MIN_NORMAL)) {
      return 1;
    }
    double power = Math.scalb(1.0, Math.getExponent(needed));
    return Math.min(power < needed ? 2 * power : power, Math.scalb(1.0, Float.MAX_EXPONENT));
  }

  @Override
  public long code(float value, BlockParameters parameters) {
    double scale = (float) parameters.value("scale");
    if (grid == Grid.FLOATING) {
      double zero = (float) parameters.value("zero");
      return (long) Math.clamp(Math.rint(value / scale + zero), (double) least(), largest());
    }
    int zero = grid.centred() ? signed ? 0 : 1 << (bits - 1) : (int) parameters.value("zero");
    return new AffineGrid((float) scale, zero, least(), largest()).code(value);
  }

  @Override
  public Optional<BlockParameters> moved(BlockParameters parameters, double by) {
    if (grid.centred()) {
      return Optional.empty();
    }
    double zero = parameters.value("zero") - by / parameters.value("scale");
    return Optional.of(
        parameters.with(
            "zero",
            grid == Grid.FLOATING
                ? (float) zero
                : Math.clamp(Math.rint(zero), (double) least(), largest())));
  }

  /** Bytes are multiplied with bytes; weights of other widths are decoded. */
  @Override
  public Optional<String> activation() {
    return bits == 8 && group <= 0 && grid != Grid.FLOATING
        ? Optional.of("u8_affine_tensor")
        : Optional.empty();
  }

  @Override
  public ErrorBudget budget() {
    double steps = largest() - (double) least();
    double wider = grid == Grid.POWER ? 2 : 1;
    return new ErrorBudget(Math.min(1, (group == TENSOR ? 0.012 : 0.010) * 255 / steps * wider));
  }
}
