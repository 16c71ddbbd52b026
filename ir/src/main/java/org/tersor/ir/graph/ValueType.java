package org.tersor.ir.graph;

import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/** Type of a graph value. */
public sealed interface ValueType {

  /**
   * A tensor.
   *
   * @param shape dimensions, or empty if not even the rank is known
   */
  record TensorType(DType dtype, Optional<List<DimExpr>> shape) implements ValueType {
    public TensorType {
      shape = shape.map(List::copyOf);
    }

    public static TensorType of(DType dtype, List<DimExpr> shape) {
      return new TensorType(dtype, Optional.of(shape));
    }

    public static TensorType of(DType dtype, long... shape) {
      return of(dtype, DimExpr.list(shape));
    }

    public static TensorType unranked(DType dtype) {
      return new TensorType(dtype, Optional.empty());
    }

    public boolean isRanked() {
      return shape.isPresent();
    }

    /** The dimensions; throws if unranked. */
    public List<DimExpr> dims() {
      return shape.orElseThrow(
          () -> new IllegalStateException("the rank of " + this + " is not known"));
    }

    public int rank() {
      return dims().size();
    }

    /** Number of elements; throws if unranked. */
    public DimExpr elements() {
      return DimExpr.product(dims());
    }

    /** Whether every dimension is a constant. */
    public boolean isStatic() {
      return isRanked() && dims().stream().allMatch(DimExpr::isConst);
    }

    /** The dimensions as numbers; throws unless {@link #isStatic}. */
    public long[] staticShape() {
      return dims().stream().mapToLong(DimExpr::constValue).toArray();
    }

    public TensorType withDtype(DType newDtype) {
      return new TensorType(newDtype, shape);
    }

    @Override
    public String toString() {
      return dtype.text()
          + shape
              .map(dims ->
                  dims.stream().map(DimExpr::toString).collect(Collectors.joining(", ", "[", "]")))
              .orElse("[*]");
    }
  }

  /** A sequence (ONNX). */
  record SequenceType(ValueType element) implements ValueType {
    @Override
    public String toString() {
      return "seq(" + element + ")";
    }
  }

  /** An optional (ONNX). */
  record OptionalType(ValueType element) implements ValueType {
    @Override
    public String toString() {
      return "optional(" + element + ")";
    }
  }

  /** A map (ONNX). */
  record MapType(DType key, ValueType value) implements ValueType {
    @Override
    public String toString() {
      return "map(" + key.text() + ", " + value + ")";
    }
  }

  /** Not inferred yet. */
  record UnknownType() implements ValueType {
    @Override
    public String toString() {
      return "?";
    }
  }

  /** The only instance, made nowhere else: so no thread initialises the record before this. */
  @SuppressWarnings("ClassInitializationDeadlock")
  ValueType UNKNOWN = new UnknownType();

  /** This as a tensor type; throws with a plain sentence if it is none. */
  default TensorType tensor() {
    if (this instanceof TensorType tensor) {
      return tensor;
    }
    throw new IllegalStateException("a tensor is expected, not " + this);
  }
}
