package org.tersor.ir.loop;

import java.util.Arrays;
import java.util.Optional;

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

  /** The type of that text form, if there is one. */
  public static Optional<Type> parse(String text) {
    int x = text.lastIndexOf('x');
    String lanes = text.substring(x + 1);
    boolean vector =
        x > 0
            && !lanes.isEmpty()
            && lanes.length() <= 4
            && lanes.chars().allMatch(Character::isDigit);
    String element = vector ? text.substring(0, x) : text;
    int count = vector ? Integer.parseInt(lanes) : 1;
    if (count < 1 || Integer.bitCount(count) != 1) {
      return Optional.empty();
    }
    return Arrays.stream(Scalar.values())
        .filter(s -> s.text().equals(element))
        .findFirst()
        .map(s -> new Type(s, count));
  }

  @Override
  public String toString() {
    return lanes == 1 ? scalar.text() : scalar.text() + "x" + lanes;
  }
}
