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
    return text(functions, 0, functions.size());
  }

  /** The text of a file with the functions from (inclusive) to to (exclusive) of a program. */
  static String text(List<LoopFunction> functions, int from, int to) {
    CUnit unit = new CUnit(Isa.SCALAR, true);
    for (LoopFunction function : functions.subList(from, to)) {
      String name = name(function, functions);
      CEmitter.emit(unit, function, name, "TSR_KERNEL");
      unit.function("TSR_PARAMETERS(" + name + ", \"" + parameters(function) + "\")");
    }
    return CRuntime.resource("tersor_device.h") + "\n" + unit.text();
  }

  /** Kinds of a kernel's parameters: p and w pointers to read and write, i integers, s scratch. */
  private static String parameters(LoopFunction function) {
    StringBuilder kinds = new StringBuilder();
    function.buffers().forEach(b -> kinds.append(b.written() ? 'w' : 'p'));
    return kinds.append("i".repeat(function.dims().size() + 2)).append('s').toString();
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
