package org.tersor.ir.loop;

/** Type of a loop-IR expression: {@code lanes} values of a scalar type; one lane is a scalar. */
public record Type(Scalar scalar, int lanes) {
  public static final Type INDEX = of(Scalar.INDEX);
  public static final Type BOOL = of(Scalar.BOOL);
  public static final Type I32 = of(Scalar.I32);
  public static final Type F32 = of(Scalar.F32);

  public Type {
    if (lanes < 1 || Integer.bitCount(lanes) != 1) {
      throw new IllegalArgumentException("lanes must be a power of two: " + lanes);
    }
  }

  public static Type of(Scalar scalar) {
    return new Type(scalar, 1);
  }

  public boolean isVector() {
    return lanes > 1;
  }

  public Type withLanes(int newLanes) {
    return new Type(scalar, newLanes);
  }

  public Type withScalar(Scalar newScalar) {
    return new Type(newScalar, lanes);
  }

  /** Bytes of all lanes. */
  public int bytes() {
    return scalar.bytes() * lanes;
  }

  @Override
  public String toString() {
    return lanes == 1 ? scalar.text() : scalar.text() + "x" + lanes;
  }
}
