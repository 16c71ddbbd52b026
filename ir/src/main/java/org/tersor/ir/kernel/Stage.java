package org.tersor.ir.kernel;

import java.util.List;

/**
 * {@code target[index] = value} for every point of the axes. No two points write the same element.
 * Elements that no stage of a kernel writes are undefined, so the stages of a kernel cover each
 * output.
 *
 * @param index one INDEX expression per dimension of the target
 */
public record Stage(Buf target, List<Axis> axes, List<KExpr> index, KExpr value) {
  public Stage {
    axes = List.copyOf(axes);
    index = List.copyOf(index);
    if (index.size() != target.shape().size()) {
      throw new IllegalArgumentException(index.size() + " indices into " + target);
    }
    if (value.scalar() != target.element()) {
      throw new IllegalArgumentException(
          "value of type " + value.scalar() + " stored into " + target);
    }
  }

  /** The usual case: one axis per dimension, in order. */
  public static Stage of(Buf target, List<Axis> axes, KExpr value) {
    return new Stage(target, axes, axes.stream().map(K::axis).toList(), value);
  }
}
