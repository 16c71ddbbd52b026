package org.tersor.runtime;

import java.util.List;
import java.util.Optional;

/**
 * What a value of a model holds at run time: a {@link Tensor}, or one of the other ONNX types
 * (specification, IR.md, "Standard data types").
 */
public sealed interface Datum permits Tensor, Datum.Sequence, Datum.Maybe, Datum.Dictionary {

  /** A sequence; its elements are of one type, tensors among them may differ in shape. */
  record Sequence(List<Datum> elements) implements Datum {
    public Sequence {
      elements = List.copyOf(elements);
    }

    @Override
    public String toString() {
      return "seq" + elements;
    }
  }

  /** An optional: something or nothing. */
  record Maybe(Optional<Datum> value) implements Datum {
    @Override
    public String toString() {
      return value.map(v -> "optional(" + v + ")").orElse("none");
    }
  }

  /**
   * A map from integers or strings to numbers or strings.
   *
   * @param keys I64[n] or STRING[n], each key once
   * @param values [n]
   */
  record Dictionary(Tensor keys, Tensor values) implements Datum {
    @Override
    public String toString() {
      return "map(" + keys + ", " + values + ")";
    }
  }

  /** This as a tensor; a diagnostic that starts with {@code what} if it is none. */
  default Tensor tensor(String what) {
    if (this instanceof Tensor tensor) {
      return tensor;
    }
    throw new TersorException("TSR-0702", what + " must be a tensor, not " + this);
  }
}
