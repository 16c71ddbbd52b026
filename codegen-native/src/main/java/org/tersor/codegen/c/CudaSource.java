package org.tersor.codegen.c;

import java.util.List;
import org.tersor.ir.loop.LoopFunction;

/**
 * CUDA C++ of functions: one kernel each, named as the function; complete with {@code
 * tersor_device.h}.
 */
public final class CudaSource {
  private CudaSource() {}

  /** The text of a {@code .cu} file. */
  public static String text(List<LoopFunction> functions) {
    CUnit unit = new CUnit(Isa.SCALAR, true);
    for (LoopFunction function : functions) {
      CEmitter.emit(unit, function, name(function, functions), "TSR_KERNEL");
    }
    return CRuntime.resource("tersor_device.h") + "\n" + unit.text();
  }

  /** Name of a function's kernel. */
  static String name(LoopFunction function, List<LoopFunction> functions) {
    return "tersor_k" + functions.indexOf(function);
  }

  /** Flags of nvcc under which arithmetic is that of the loop IR. */
  public static List<String> flags() {
    return List.of("-std=c++17", "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true");
  }
}
