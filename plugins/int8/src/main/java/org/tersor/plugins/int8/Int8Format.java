package org.tersor.plugins.int8;

import java.util.Optional;
import org.tersor.ir.format.AffineGrid;
import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.ErrorBudget;
import org.tersor.ir.format.NumberFormat;

/**
 * An 8-bit integer format: {@code (q - zero) * scale}. Symmetric grids have a fixed zero point (0
 * for s8, 128 for u8); affine ones store it. The restricted range leaves out -128, so that a
 * product of two codes never needs the sign of -128 * -128.
 */
abstract class Int8Format implements NumberFormat {
  /** Who shares a scale. */
  enum Sharing {
    TENSOR,
    /** Each index but the last, e.g. an output channel of a weight [out, in]. */
    CHANNEL
  }

  private final String id;
  private final boolean signed;
  private final boolean symmetric;
  private final boolean restricted;
  private final Sharing sharing;

  Int8Format(boolean signed, boolean symmetric, boolean restricted, Sharing sharing) {
    this.signed = signed;
    this.symmetric = symmetric;
    this.restricted = restricted;
    this.sharing = sharing;
    this.id =
        (signed ? "s8" : "u8")
            + (symmetric ? "_symmetric" : "_affine")
            + (sharing == Sharing.TENSOR ? "_tensor" : "_channel")
            + (restricted ? "_restricted" : "");
  }

  @Override
  public String id() {
    return id;
  }

  @Override
  public String dsl() {
    return """
    format %s {
      block 1;
      q: %s;
      %s { scale: f32%s }
      decode(b, i) = f32(b.q[i]%s) * b.scale
    }
    """
        .formatted(
            id,
            signed ? "s8" : "u8",
            sharing == Sharing.TENSOR ? "tensor" : "row",
            symmetric ? "" : "; zero: i32",
            symmetric ? signed ? "" : " - 128" : " - b.zero");
  }

  /** The grid over values. */
  private AffineGrid grid(float[] values) {
    int least = signed ? restricted ? -127 : -128 : 0;
    int largest = signed ? 127 : 255;
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;
    for (float x : values) {
      min = Math.min(min, x);
      max = Math.max(max, x);
    }
    return symmetric
        ? AffineGrid.symmetric(Math.max(Math.abs(min), Math.abs(max)), least, largest)
        : AffineGrid.affine(min, max, least, largest);
  }

  @Override
  public BlockParameters fit(float[] values, float[] importance) {
    AffineGrid grid = grid(values);
    BlockParameters scale = BlockParameters.none().with("scale", grid.scale());
    return symmetric ? scale : scale.with("zero", grid.zero());
  }

  @Override
  public long code(float value, BlockParameters parameters) {
    int least = signed ? restricted ? -127 : -128 : 0;
    int zero = symmetric ? signed ? 0 : 128 : (int) parameters.value("zero");
    return new AffineGrid((float) parameters.value("scale"), zero, least, signed ? 127 : 255)
        .code(value);
  }

  @Override
  public Optional<String> activation() {
    return Optional.of("u8_affine_tensor");
  }

  @Override
  public ErrorBudget budget() {
    return new ErrorBudget(sharing == Sharing.TENSOR ? 0.012 : 0.010);
  }
}
