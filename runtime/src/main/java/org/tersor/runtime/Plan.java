package org.tersor.runtime;

import java.util.List;

/**
 * What an executable does, without the code of its kernels: buffers, steps run once at load
 * (packing of weights) and steps run per call. Sizes are expressions over {@link #dims}, bound by
 * the shapes of the inputs. This is the one description that the in-process executable, the jar and
 * the shared library are made from.
 *
 * @param dims symbols, sorted
 * @param kernels names of the kernels, indexed by {@link Call#kernel}
 */
public record Plan(
    String name,
    List<String> dims,
    List<Executable.Port> inputs,
    List<Executable.Port> outputs,
    List<Buffer> buffers,
    List<String> kernels,
    List<Call> loadSteps,
    List<Call> runSteps) {

  /** Where the elements of a buffer live. */
  public enum Storage {
    /** The caller's input array; {@link Buffer#index} is the input's number. */
    INPUT,
    /** The caller's output array; {@link Buffer#index} is the output's number. */
    OUTPUT,
    /**
     * A weight as stored in the artifact; {@link Buffer#index} is its number among the constants.
     */
    CONSTANT,
    /**
     * Computed once by {@link Plan#loadSteps}; the size is constant. {@link Buffer#index} numbers
     * them.
     */
    PACKED,
    /**
     * Scratch of one call; {@link Buffer#index} is a slot: buffers that share a slot are never live
     * together.
     */
    ARENA
  }

  /**
   * A buffer.
   *
   * @param elements number of elements (of {@code dtype}, unpacked)
   */
  public record Buffer(String name, DType dtype, DimExpr elements, Storage storage, int index) {}

  /**
   * One kernel launch.
   *
   * @param kernel index into {@link Plan#kernels}
   * @param buffers index into {@link Plan#buffers} for each buffer parameter
   * @param dims value of each dimension parameter
   * @param tasks extent of the parallel loop
   * @param origin the graph node(s) it computes, for reports
   */
  public record Call(
      int kernel, List<Integer> buffers, List<DimExpr> dims, DimExpr tasks, String origin) {}
}
