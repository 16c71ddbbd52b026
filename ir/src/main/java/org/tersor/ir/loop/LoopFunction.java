package org.tersor.ir.loop;

import java.util.List;

/**
 * A kernel after scheduling, what backends compile: buffers, INDEX parameters, and a body that
 * holds at most one PARALLEL loop, from 0 with step 1 and as its outermost loop (before it only
 * Let). A body without one is a single task.
 *
 * @param name an identifier made by the compiler, never text from a model
 * @param buffers tensors, passed by reference; distinct written buffers never overlap any other
 * @param dims names of the INDEX parameters
 */
public record LoopFunction(String name, List<BufferParam> buffers, List<String> dims, Stmt body) {
  public LoopFunction {
    buffers = List.copyOf(buffers);
    dims = List.copyOf(dims);
  }

  /** A buffer parameter. */
  public record BufferParam(String name, Scalar element, boolean written) {}
}
