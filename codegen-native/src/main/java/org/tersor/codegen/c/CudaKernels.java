package org.tersor.codegen.c;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.loop.LoopFunction;

/** The kernels of a program, loaded on a device. */
final class CudaKernels {
  private final List<LoopFunction> functions;
  private final List<MemorySegment> entries = new ArrayList<>();

  /** Kernels live as long as their modules, and those as long as this. */
  private final List<CudaContext.Handle> modules = new ArrayList<>();

  /**
   * Inside {@link CudaContext#in}.
   *
   * @param images of {@link CudaBuild#images}
   */
  CudaKernels(CudaContext context, List<LoopFunction> functions, List<byte[]> images) {
    this.functions = functions;
    images.forEach(image -> modules.add(context.module(image)));
    for (int i = 0; i < functions.size(); i++) {
      entries.add(
          context.function(
              modules.get(i / CudaBuild.KERNELS_PER_FILE),
              CudaSource.name(functions.get(i), functions)));
    }
  }

  LoopFunction function(int kernel) {
    return functions.get(kernel);
  }

  MemorySegment entry(int kernel) {
    return entries.get(kernel);
  }

  int modules() {
    return modules.size();
  }
}
