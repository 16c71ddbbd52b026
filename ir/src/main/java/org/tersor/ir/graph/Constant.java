package org.tersor.ir.graph;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Elements of a weight. {@link OfTensor} holds them on the heap; {@link Mapped} refers to bytes of
 * a mapped file, so that a model is imported without copying its weights.
 */
public sealed interface Constant {
  DType dtype();

  /** Dimensions; the element count was checked against the data when the constant was made. */
  long[] shape();

  /** The elements on the heap; of a mapped constant a new copy each time. */
  Tensor load();

  /** Packed little-endian bytes as ONNX raw_data holds them, where they are mapped. */
  default Optional<MemorySegment> raw() {
    return Optional.empty();
  }

  default ValueType.TensorType type() {
    return ValueType.TensorType.of(dtype(), shape());
  }

  /** Number of elements. */
  default long elements() {
    return Tensor.count(shape());
  }

  static Constant of(Tensor tensor) {
    return new OfTensor(tensor);
  }

  /** On the heap; the array must not be changed. */
  record OfTensor(Tensor tensor) implements Constant {
    @Override
    public DType dtype() {
      return tensor.dtype();
    }

    @Override
    public long[] shape() {
      return tensor.shape();
    }

    @Override
    public Tensor load() {
      return tensor;
    }
  }

  /**
   * Packed little-endian elements in a mapped file; {@code segment} has exactly the bytes that type
   * and shape need.
   */
  record Mapped(DType dtype, long[] shape, MemorySegment segment) implements Constant {
    @Override
    public Tensor load() {
      return RawData.decode(dtype, shape, segment);
    }

    @Override
    public Optional<MemorySegment> raw() {
      return Optional.of(segment);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Mapped m
          && dtype == m.dtype
          && java.util.Arrays.equals(shape, m.shape)
          && segment.equals(m.segment);
    }

    @Override
    public int hashCode() {
      return segment.hashCode();
    }
  }
}
