package org.tersor.ir.kernel;

import java.util.List;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.runtime.DimExpr;

/**
 * The body of a kernel that is written in the loop IR, because what it does is no tensor
 * expression: running counts, sorting, searching.
 *
 * @param function its buffers are the kernel's and the temporaries, by name
 * @param dims for each dimension parameter of the function, its value
 * @param tasks extent of its parallel loop, 1 if it has none
 * @param temporaries scratch buffers, whose contents are undefined at the beginning
 */
public record LoopProgram(
    LoopFunction function, List<DimExpr> dims, DimExpr tasks, List<Buf> temporaries)
    implements KernelProgram {
  public LoopProgram {
    dims = List.copyOf(dims);
    temporaries = List.copyOf(temporaries);
    if (dims.size() != function.dims().size()) {
      throw new IllegalArgumentException(
          dims.size() + " dimensions for " + function.dims().size() + " of " + function.name());
    }
  }
}
