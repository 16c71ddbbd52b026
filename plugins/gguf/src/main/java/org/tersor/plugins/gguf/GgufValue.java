package org.tersor.plugins.gguf;

import java.util.List;
import java.util.Optional;

/** A value of GGUF's metadata. Numbers of every width are longs or doubles. */
sealed interface GgufValue {
  /** An integer; those of 64 bits without a sign are negative from 2^63 on. */
  record Whole(long value) implements GgufValue {}

  record Real(double value) implements GgufValue {}

  record Truth(boolean value) implements GgufValue {}

  record Text(String value) implements GgufValue {}

  /** Whole numbers, Truths as 0 and 1. */
  record Wholes(long[] values) implements GgufValue {
    @Override
    public boolean equals(Object other) {
      return other instanceof Wholes w && java.util.Arrays.equals(values, w.values);
    }

    @Override
    public int hashCode() {
      return java.util.Arrays.hashCode(values);
    }
  }

  record Reals(double[] values) implements GgufValue {
    @Override
    public boolean equals(Object other) {
      return other instanceof Reals r && java.util.Arrays.equals(values, r.values);
    }

    @Override
    public int hashCode() {
      return java.util.Arrays.hashCode(values);
    }
  }

  record Texts(List<String> values) implements GgufValue {
    public Texts {
      values = List.copyOf(values);
    }
  }

  /** Arrays of arrays: nothing here reads them. */
  record Nested() implements GgufValue {}

  default Optional<Long> whole() {
    return this instanceof Whole w ? Optional.of(w.value()) : Optional.empty();
  }

  /** Of a real or a whole number. */
  default Optional<Double> real() {
    return switch (this) {
      case Real r -> Optional.of(r.value());
      case Whole w -> Optional.of((double) w.value());
      case Truth t -> Optional.empty();
      case Text t -> Optional.empty();
      case Wholes w -> Optional.empty();
      case Reals r -> Optional.empty();
      case Texts t -> Optional.empty();
      case Nested n -> Optional.empty();
    };
  }

  default Optional<String> text() {
    return this instanceof Text t ? Optional.of(t.value()) : Optional.empty();
  }
}
