package org.tersor.ir.op;

/** Receives, one by one, the vectors that the rows of a weight are multiplied with. */
public interface WeightVectors {
  /**
   * One vector. Rows of the weight, in encoding order, are divided evenly among the groups; those
   * of group {@code group} are multiplied with it.
   *
   * @param vector in order of the columns of {@link WeightLayout}; may be reused after the call
   */
  void add(int group, int groups, float[] vector);
}
