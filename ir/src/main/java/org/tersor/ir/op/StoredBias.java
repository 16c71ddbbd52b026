package org.tersor.ir.op;

import java.util.List;

/**
 * Where an operator adds a constant number to each sum of the rows of a stored operand: an input
 * that holds the numbers of other sums too.
 *
 * @param input its index; it may be absent, which stands for zeros
 * @param shape it has
 * @param rows of the operand, whose numbers lie behind each other
 * @param stride from one such run of numbers to the next
 * @param offset of the first number
 */
public record StoredBias(int input, List<Long> shape, int rows, int stride, int offset) {
  /** Place of the number of a row, counted in encoding order. */
  public int index(int row) {
    return row / rows * stride + offset + row % rows;
  }
}
