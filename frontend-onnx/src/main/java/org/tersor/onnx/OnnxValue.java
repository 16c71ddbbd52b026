package org.tersor.onnx;

import java.util.List;
import java.util.Optional;
import org.tersor.runtime.Tensor;

/** A value of a test data file. */
public sealed interface OnnxValue {
  record OfTensor(Tensor tensor) implements OnnxValue {}

  record OfSequence(List<OnnxValue> elements) implements OnnxValue {}

  record OfOptional(Optional<OnnxValue> value) implements OnnxValue {}

  /**
   * A map.
   *
   * @param keys of rank 1, integers or strings
   * @param values one per key
   */
  record OfMap(Tensor keys, List<OnnxValue> values) implements OnnxValue {}
}
