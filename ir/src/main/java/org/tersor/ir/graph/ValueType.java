package org.tersor.ir.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

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

  /** The type of what a value holds; what an empty sequence or optional could hold is unknown. */
  static ValueType of(Datum datum) {
    return switch (datum) {
      case Tensor tensor -> TensorType.of(tensor.dtype(), tensor.shape());
      case Datum.Sequence s ->
          new SequenceType(
              s.elements().stream().map(ValueType::of).reduce(ValueType::cover).orElse(UNKNOWN));
      case Datum.Maybe m -> new OptionalType(m.value().map(ValueType::of).orElse(UNKNOWN));
      case Datum.Dictionary d -> new MapType(d.keys().dtype(), TensorType.of(d.values().dtype()));
    };
  }

  /** A dimension of a sequence's elements that they need not agree in. */
  DimExpr ANY_DIM = DimExpr.symbol("_any");

  /**
   * The least type of a sequence's elements that covers both: dimensions that differ become {@link
   * #ANY_DIM}, another rank becomes none.
   */
  static ValueType cover(ValueType a, ValueType b) {
    if (a instanceof UnknownType) {
      return b;
    }
    if (a instanceof SequenceType x && b instanceof SequenceType y) {
      return new SequenceType(cover(x.element(), y.element()));
    }
    if (!(a instanceof TensorType x && b instanceof TensorType y) || x.equals(y)) {
      return a;
    }
    if (!x.isRanked() || !y.isRanked() || x.rank() != y.rank()) {
      return TensorType.unranked(x.dtype());
    }
    List<DimExpr> dims = new ArrayList<>();
    for (int d = 0; d < x.rank(); d++) {
      dims.add(x.dims().get(d).equals(y.dims().get(d)) ? x.dims().get(d) : ANY_DIM);
    }
    return TensorType.of(x.dtype(), dims);
  }

  /**
   * The type of one element that is taken out of a sequence or optional: what is not constant is a
   * new symbol made from {@code tag}, as another element may have another.
   */
  static ValueType fresh(ValueType element, String tag) {
    if (!(element instanceof TensorType x) || !x.isRanked()) {
      return element;
    }
    List<DimExpr> dims = new ArrayList<>();
    for (int d = 0; d < x.rank(); d++) {
      DimExpr dim = x.dims().get(d);
      dims.add(dim.isConst() ? dim : DimExpr.symbol(tag + "_" + d));
    }
    return TensorType.of(x.dtype(), dims);
  }

  /** The type of the elements of a sequence each of which is another value of type {@code one}. */
  static ValueType varying(ValueType one) {
    if (!(one instanceof TensorType x) || !x.isRanked()) {
      return one;
    }
    return TensorType.of(
        x.dtype(), x.dims().stream().map(dim -> dim.isConst() ? dim : ANY_DIM).toList());
  }

  /**
   * A type that covers both: dimensions that differ become symbols made from {@code tag}, another
   * rank becomes none.
   */
  static ValueType join(ValueType a, ValueType b, String tag) {
    if (a instanceof UnknownType) {
      return b;
    }
    if (b instanceof UnknownType || a.equals(b)) {
      return a;
    }
    if (a instanceof SequenceType x && b instanceof SequenceType y) {
      return new SequenceType(cover(x.element(), y.element()));
    }
    if (a instanceof OptionalType x && b instanceof OptionalType y) {
      return new OptionalType(join(x.element(), y.element(), tag));
    }
    if (!(a instanceof TensorType x && b instanceof TensorType y) || !x.isRanked()) {
      return a;
    }
    if (!y.isRanked() || x.rank() != y.rank()) {
      return TensorType.unranked(x.dtype());
    }
    List<DimExpr> dims = new ArrayList<>();
    for (int d = 0; d < x.rank(); d++) {
      DimExpr dim = x.dims().get(d);
      dims.add(dim.equals(y.dims().get(d)) ? dim : DimExpr.symbol(tag + "_" + d));
    }
    return TensorType.of(x.dtype(), dims);
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
