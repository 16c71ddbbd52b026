package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.machine.SharedObject;

/**
 * One loop function compiled to native code and loaded into this process, for tests and benchmarks.
 */
public final class NativeKernel {
  private static final String EXPORT = "__attribute__((visibility(\"default\"))) ";
  private final LoopFunction function;
  private final MethodHandle run;
  private final MethodHandle scratch;

  private NativeKernel(LoopFunction function, SharedObject library, int number) {
    this.function = function;
    this.run =
        library.function(
            "tsr_entry" + number,
            FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS));
    this.scratch =
        library.function("tsr_scratch" + number, FunctionDescriptor.of(JAVA_LONG, ADDRESS));
  }

  /** The C text for functions, each with entries of a fixed form. */
  public static String source(List<LoopFunction> functions, Target target) {
    CUnit unit = new CUnit(Isa.of(target), target.kind() == Target.Kind.CUDA);
    for (int i = 0; i < functions.size(); i++) {
      add(unit, functions.get(i), i);
    }
    return unit.prelude() + CRuntime.MEMORY_FUNCTIONS + unit.text();
  }

  private static void add(CUnit unit, LoopFunction function, int number) {
    String name = "kernel" + number;
    CEmitter.emit(unit, function, name, "static");
    ScratchSize.emit(unit, function, name, "static");
    List<String> args = new ArrayList<>();
    List<String> dims = new ArrayList<>();
    for (int i = 0; i < function.buffers().size(); i++) {
      args.add("b[" + i + "]");
    }
    for (int i = 0; i < function.dims().size(); i++) {
      dims.add("d[" + i + "]");
    }
    args.addAll(dims);
    args.addAll(List.of("from", "to", "scratch"));
    unit.function(
        EXPORT
            + "void tsr_entry"
            + number
            + "(void *const *b, const int64_t *d, int64_t from, int64_t to, unsigned char *scratch) { "
            + name
            + "("
            + String.join(", ", args)
            + "); }\n"
            + EXPORT
            + "int64_t tsr_scratch"
            + number
            + "(const int64_t *d) { return "
            + name
            + "_scratch("
            + String.join(", ", dims)
            + "); }");
  }

  /** Compiles and loads one function. */
  public static NativeKernel load(LoopFunction function, Target target) {
    return load(List.of(function), target).getFirst();
  }

  /** Compiles functions into one library and loads it. */
  public static List<NativeKernel> load(List<LoopFunction> functions, Target target) {
    return Toolchain.inFolder(folder -> {
      SharedObject library = new SharedObject(build(source(functions, target), target, folder));
      List<NativeKernel> kernels = new ArrayList<>();
      for (int i = 0; i < functions.size(); i++) {
        kernels.add(new NativeKernel(functions.get(i), library, i));
      }
      return List.copyOf(kernels);
    });
  }

  static Path build(String source, Target target, Path folder) throws IOException {
    if (target.kind() == Target.Kind.CUDA) {
      Files.writeString(
          folder.resolve("tersor_device.h"),
          CRuntime.resource("tersor_device.h"),
          StandardCharsets.UTF_8);
    }
    Files.writeString(folder.resolve("kernel.c"), source, StandardCharsets.UTF_8);
    Toolchain.run(
        folder,
        Toolchain.command(
            Isa.of(target).flags(), "-shared", "-nostdlib", "-o", "kernel.so", "kernel.c"));
    return folder.resolve("kernel.so");
  }

  /**
   * Runs tasks.
   *
   * @param buffers off-heap memory of each buffer parameter
   */
  public void run(List<MemorySegment> buffers, long[] dims, long from, long to) {
    if (buffers.size() != function.buffers().size() || dims.length != function.dims().size()) {
      throw new IllegalArgumentException(
          function.name()
              + " has "
              + function.buffers().size()
              + " buffers and "
              + function.dims().size()
              + " dimensions");
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointers = arena.allocate(ADDRESS, Math.max(1, buffers.size()));
      for (int i = 0; i < buffers.size(); i++) {
        pointers.setAtIndex(ADDRESS, i, buffers.get(i));
      }
      MemorySegment values =
          dims.length == 0 ? arena.allocate(8, 8) : arena.allocateFrom(JAVA_LONG, dims);
      long bytes = (long) scratch.invokeExact(values);
      MemorySegment area = arena.allocate(Math.max(64, bytes), 64);
      run.invokeExact(pointers, values, from, to, area);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
