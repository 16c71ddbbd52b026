package org.tersor.runtime.host;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/** Sequences and optionals (ONNX specification, Operators.md, "Sequence*", "Optional*"). */
final class SequenceOps {
  private SequenceOps() {}

  static List<HostOp> all() {
    return List.of(
        new Op("value.same", call -> call.datum(0)),
        new Op("sequence.construct", SequenceOps::construct),
        new Op("sequence.insert", SequenceOps::insert),
        new Op("sequence.erase", SequenceOps::erase),
        new Op("sequence.at", SequenceOps::at),
        new Op("sequence.length", call -> Elements.scalar(call.sequence(0).size())),
        new Op("sequence.split", SequenceOps::split),
        new Op("sequence.concat", SequenceOps::concat),
        new Op("optional.make", SequenceOps::optional),
        new Op("optional.has", SequenceOps::has),
        new Op("optional.get", SequenceOps::get));
  }

  private static Datum construct(HostCall call) {
    List<Datum> elements = new ArrayList<>();
    for (int i = 0; i < call.inputs().size(); i++) {
      elements.add(call.datum(i));
    }
    return new Datum.Sequence(elements);
  }

  /** Inserts before a position in -n..n; without one at the end. */
  private static Datum insert(HostCall call) {
    List<Datum> elements = new ArrayList<>(call.sequence(0));
    int n = elements.size();
    long position = call.has(2) ? call.integer(2) : n;
    elements.add(position == n ? n : call.position(position, n, "position"), call.tensor(1));
    return new Datum.Sequence(elements);
  }

  /** Without a position the last element goes. */
  private static Datum erase(HostCall call) {
    List<Datum> elements = new ArrayList<>(call.sequence(0));
    elements.remove(call.position(call.has(1) ? call.integer(1) : -1, elements.size(), "position"));
    return new Datum.Sequence(elements);
  }

  private static Datum at(HostCall call) {
    List<Datum> elements = call.sequence(0);
    return elements.get(call.position(call.integer(1), elements.size(), "position"));
  }

  /**
   * Input 1 is the size of all pieces but the last, or the size of each, or absent: single rows,
   * without the axis unless {@code keepdims}.
   */
  private static Datum split(HostCall call) {
    Tensor input = call.tensor(0);
    int axis = call.position(call.longSetting("axis"), input.rank(), "axis");
    int rows = Math.toIntExact(input.shape()[axis]);
    boolean keep = call.has(1) || call.longSetting("keepdims") != 0;
    List<Datum> pieces = new ArrayList<>();
    int start = 0;
    for (int length : lengths(call, rows)) {
      Tensor piece = Elements.slice(call, input, axis, start, length);
      pieces.add(keep ? piece : piece.reshaped(Elements.without(piece.shape(), axis)));
      start += length;
    }
    return new Datum.Sequence(pieces);
  }

  private static int[] lengths(HostCall call, int rows) {
    Tensor given = call.has(1) ? call.tensor(1) : Elements.scalar(1);
    if (given.rank() > 1 || !given.dtype().isInteger()) {
      throw call.error("TSR-0303", "the sizes must be integers of rank 0 or 1, not " + given);
    }
    if (given.rank() == 0) {
      long size = given.getLong(0);
      if (size <= 0) {
        throw call.error("TSR-0303", "pieces of size " + size + " cannot be made");
      }
      int count = (int) ((rows + size - 1) / size);
      int[] lengths = new int[count];
      for (int i = 0; i < count; i++) {
        lengths[i] = (int) Math.min(size, rows - i * size);
      }
      return lengths;
    }
    int[] lengths = new int[given.size()];
    long sum = 0;
    for (int i = 0; i < lengths.length; i++) {
      long length = given.getLong(i);
      if (length < 0 || length > rows) {
        throw call.error("TSR-0303", "a piece of size " + length + " of " + rows + " rows");
      }
      lengths[i] = (int) length;
      sum += length;
    }
    if (sum != rows) {
      throw call.error(
          "TSR-0303", "pieces of sizes " + Arrays.toString(lengths) + " of " + rows + " rows");
    }
    return lengths;
  }

  private static Datum concat(HostCall call) {
    List<Tensor> parts = new ArrayList<>();
    for (Datum element : call.sequence(0)) {
      parts.add(element.tensor(call.node() + ": an element"));
    }
    if (parts.isEmpty()) {
      throw call.error("TSR-0303", "the sequence is empty, so the result has no type");
    }
    Tensor first = parts.getFirst();
    boolean stack = call.longSetting("new_axis") != 0;
    int rank = first.rank() + (stack ? 1 : 0);
    int axis = call.position(call.longSetting("axis"), rank, "axis");
    long rows = 0;
    for (Tensor part : parts) {
      long[] expected =
          stack || part.rank() != first.rank()
              ? first.shape()
              : Elements.with(first.shape(), axis, part.shape()[axis]);
      if (part.dtype() != first.dtype() || !Arrays.equals(part.shape(), expected)) {
        throw call.error("TSR-0303", "elements " + first + " and " + part + " cannot be joined");
      }
      rows += stack ? 1 : part.shape()[axis];
    }
    long[] shape =
        stack
            ? Elements.inserted(first.shape(), axis, rows)
            : Elements.with(first.shape(), axis, rows);
    Tensor out = call.allocate(first.dtype(), shape);
    int at = 0;
    for (Tensor part : parts) {
      Tensor row = stack ? part.reshaped(Elements.inserted(part.shape(), axis, 1)) : part;
      int length = (int) row.shape()[axis];
      Elements.copy(row, axis, 0, out, axis, at, length);
      at += length;
    }
    return out;
  }

  private static Datum optional(HostCall call) {
    return new Datum.Maybe(call.has(0) ? Optional.of(call.datum(0)) : Optional.empty());
  }

  /** An absent input holds nothing; what is no optional holds itself. */
  private static Datum has(HostCall call) {
    return Elements.bool(
        call.has(0)
            && !(call.datum(0) instanceof Datum.Maybe(Optional<Datum> value) && value.isEmpty()));
  }

  private static Datum get(HostCall call) {
    return call.datum(0) instanceof Datum.Maybe(Optional<Datum> value)
        ? value.orElseThrow(() -> call.error("TSR-0305", "the optional holds nothing"))
        : call.datum(0);
  }
}
