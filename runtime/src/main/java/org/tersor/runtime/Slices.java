package org.tersor.runtime;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Slices of tensors along an axis, and elements of sequences, for loops. */
final class Slices {
  private Slices() {}

  /** How many slices there are. */
  static long count(Datum datum, int axis) {
    return switch (datum) {
      case Tensor t when axis < t.rank() -> t.shape()[axis];
      case Datum.Sequence s -> s.elements().size();
      case Tensor _, Datum.Maybe _, Datum.Dictionary _ ->
          throw new TersorException("TSR-0702", datum + " has no slices along axis " + axis);
    };
  }

  /** Slice {@code at}, without the axis. */
  static Datum get(Datum datum, int axis, long at) {
    if (datum instanceof Datum.Sequence sequence) {
      return sequence.elements().get(Math.toIntExact(at));
    }
    Tensor tensor = datum.tensor("what is scanned");
    long[] shape = without(tensor.shape(), axis);
    Tensor out = Tensor.zeros(tensor.dtype(), shape);
    int slots = tensor.dtype().slots();
    int inner =
        Math.toIntExact(Tensor.count(Arrays.copyOfRange(shape, axis, shape.length)) * slots);
    int outer = Math.toIntExact(Tensor.count(Arrays.copyOf(shape, axis)));
    int length = Math.toIntExact(tensor.shape()[axis]);
    for (int o = 0; o < outer; o++) {
      int from = Math.toIntExact(((long) o * length + at) * inner);
      System.arraycopy(tensor.array(), from, out.array(), o * inner, inner);
    }
    return out;
  }

  /** The tensor with another extent along an axis: cut off, or zeros behind it. */
  static Tensor resized(Tensor tensor, int axis, long extent) {
    long[] shape = tensor.shape().clone();
    long before = shape[axis];
    shape[axis] = extent;
    Tensor out = Tensor.zeros(tensor.dtype(), shape);
    long inner =
        Tensor.count(Arrays.copyOfRange(shape, axis + 1, shape.length)) * tensor.dtype().slots();
    long outer = Tensor.count(Arrays.copyOf(shape, axis));
    for (long o = 0; o < outer; o++) {
      System.arraycopy(
          tensor.array(),
          Math.toIntExact(o * before * inner),
          out.array(),
          Math.toIntExact(o * extent * inner),
          Math.toIntExact(Math.min(before, extent) * inner));
    }
    return out;
  }

  /** Slices along a new axis. */
  static Tensor stack(
      List<Datum> slices, Script.Stacked form, Map<String, Long> symbols, String origin) {
    long[] slice;
    DType dtype = form.dtype();
    if (slices.isEmpty()) {
      slice =
          form.empty().stream()
              .mapToLong(d -> symbols.keySet().containsAll(d.symbols()) ? d.eval(symbols) : 0)
              .toArray();
    } else {
      Tensor first = slices.getFirst().tensor("a slice of " + origin);
      slice = first.shape();
      dtype = first.dtype();
    }
    int axis = form.axis();
    long[] shape = new long[slice.length + 1];
    for (int d = 0; d < shape.length; d++) {
      shape[d] = d == axis ? slices.size() : slice[d < axis ? d : d - 1];
    }
    Tensor out = Tensor.zeros(dtype, shape);
    int inner =
        Math.toIntExact(
            Tensor.count(Arrays.copyOfRange(slice, axis, slice.length)) * dtype.slots());
    int outer = Math.toIntExact(Tensor.count(Arrays.copyOf(slice, axis)));
    for (int i = 0; i < slices.size(); i++) {
      Tensor from = slices.get(i).tensor("a slice of " + origin);
      if (!Arrays.equals(from.shape(), slice) || from.dtype() != dtype) {
        throw new TersorException(
            "TSR-0303",
            origin
                + ": slices to be stacked differ: "
                + dtype.text()
                + Arrays.toString(slice)
                + " and "
                + from);
      }
      for (int o = 0; o < outer; o++) {
        int to = Math.toIntExact(((long) o * slices.size() + i) * inner);
        System.arraycopy(from.array(), o * inner, out.array(), to, inner);
      }
    }
    return out;
  }

  private static long[] without(long[] shape, int axis) {
    long[] rest = new long[shape.length - 1];
    for (int d = 0; d < rest.length; d++) {
      rest[d] = shape[d < axis ? d : d + 1];
    }
    return rest;
  }
}
