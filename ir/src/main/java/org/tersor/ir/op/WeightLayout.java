package org.tersor.ir.op;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.tersor.runtime.Tensor;

/**
 * How a constant operand is stored in a number format: as rows that end in the values which are
 * summed together. Blocks of values run along a row and never cross into the next.
 *
 * @param input index of the operand
 * @param rows dimensions of the operand that tell rows apart (output channels), in encoding order
 * @param columns its other dimensions (what is summed over), in encoding order
 */
public record WeightLayout(int input, List<Integer> rows, List<Integer> columns) {
  public WeightLayout {
    rows = List.copyOf(rows);
    columns = List.copyOf(columns);
    int rank = rows.size() + columns.size();
    if (columns.isEmpty()
        || !IntStream.concat(rows.stream().mapToInt(d -> d), columns.stream().mapToInt(d -> d))
            .sorted()
            .boxed()
            .toList()
            .equals(IntStream.range(0, rank).boxed().toList())) {
      throw new IllegalArgumentException("rows " + rows + ", columns " + columns);
    }
  }

  /** The layout whose rows are single dimensions and whose columns are all others, in order. */
  public static WeightLayout of(int input, int rank, Integer... rows) {
    List<Integer> wanted = List.of(rows);
    return new WeightLayout(
        input, wanted, IntStream.range(0, rank).filter(d -> !wanted.contains(d)).boxed().toList());
  }

  public int rank() {
    return rows.size() + columns.size();
  }

  /** Dimensions of the operand in encoding order: rows, then columns. */
  public List<Integer> order() {
    List<Integer> order = new ArrayList<>(rows);
    order.addAll(columns);
    return List.copyOf(order);
  }

  /** Shape of the encoded tensor: rows, then one dimension for all columns. */
  public long[] encodedShape(long[] shape) {
    long[] encoded = new long[rows.size() + 1];
    for (int d = 0; d < rows.size(); d++) {
      encoded[d] = shape[rows.get(d)];
    }
    encoded[rows.size()] = Tensor.count(columns.stream().mapToLong(d -> shape[d]).toArray());
    return encoded;
  }

  /** For each element in encoding order its offset in the row-major operand. */
  public int[] offsets(long[] shape) {
    long[] stride = new long[shape.length];
    long step = 1;
    for (int d = shape.length - 1; d >= 0; d--) {
      stride[d] = step;
      step *= shape[d];
    }
    int[] offsets = new int[Math.toIntExact(Tensor.count(shape))];
    List<Integer> order = order();
    long[] index = new long[shape.length];
    long at = 0;
    for (int e = 0; e < offsets.length; e++) {
      offsets[e] = (int) at;
      for (int d = order.size() - 1; d >= 0; d--) {
        int dim = order.get(d);
        at += stride[dim];
        if (++index[d] < shape[dim]) {
          break;
        }
        at -= stride[dim] * shape[dim];
        index[d] = 0;
      }
    }
    return offsets;
  }
}
