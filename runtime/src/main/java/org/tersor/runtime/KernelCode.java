package org.tersor.runtime;

/** One compiled kernel. Generated classes implement this; it is stateless. */
public interface KernelCode {
  /**
   * Runs tasks {@code from} (inclusive) to {@code to} (exclusive) of the kernel's parallel loop; a
   * serial kernel has the one task 0.
   *
   * @param arrays the Java array of each buffer parameter, in order
   * @param offsets the slot at which each buffer starts in its array
   * @param dims the values of the kernel's dimension parameters, in order
   */
  void run(Object[] arrays, int[] offsets, int[] dims, int from, int to);
}
