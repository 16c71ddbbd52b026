package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;

/** One loop function compiled to native code and loaded into this process, for tests and benchmarks. */
public final class NativeKernel {
  private static final String EXPORT = "__attribute__((visibility(\"default\"))) ";
  private final LoopFunction function;
  private final SharedObject library;
  private final MethodHandle run;
  private final MethodHandle scratch;

  private NativeKernel(LoopFunction function, SharedObject library) {
    this.function = function;
    this.library = library;
    this.run = library.function("tsr_entry", FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS));
    this.scratch = library.function("tsr_entry_scratch", FunctionDescriptor.of(JAVA_LONG, ADDRESS));
  }

  /** The C text for {@code function}, with entries of a fixed form. */
  public static String source(LoopFunction function, Target target) {
    CUnit unit = new CUnit(Isa.of(target), false);
    CEmitter.emit(unit, function, "kernel");
    ScratchSize.emit(unit, function, "kernel");
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
        EXPORT + "void tsr_entry(void *const *b, const int64_t *d, int64_t from, int64_t to, unsigned char *scratch) { kernel(" + String.join(", ", args) + "); }\n"
            + EXPORT + "int64_t tsr_entry_scratch(const int64_t *d) { return kernel_scratch(" + String.join(", ", dims) + "); }");
    return unit.prelude() + CRuntime.MEMORY_FUNCTIONS + unit.text();
  }

  /** Compiles and loads. */
  public static NativeKernel load(LoopFunction function, Target target) {
    String source = source(function, target);
    return Toolchain.inFolder(
        folder -> {
          Files.writeString(folder.resolve("kernel.c"), source, StandardCharsets.UTF_8);
          Toolchain.run(folder, Toolchain.command(Isa.of(target).flags(), "-shared", "-nostdlib", "-o", "kernel.so", "kernel.c"));
          return new NativeKernel(function, new SharedObject(folder.resolve("kernel.so")));
        });
  }

  /**
   * Runs tasks.
   *
   * @param buffers off-heap memory of each buffer parameter
   */
  public void run(List<MemorySegment> buffers, long[] dims, long from, long to) {
    if (buffers.size() != function.buffers().size() || dims.length != function.dims().size()) {
      throw new IllegalArgumentException(function.name() + " has " + function.buffers().size() + " buffers and " + function.dims().size() + " dimensions");
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointers = arena.allocate(ADDRESS, Math.max(1, buffers.size()));
      for (int i = 0; i < buffers.size(); i++) {
        pointers.setAtIndex(ADDRESS, i, buffers.get(i));
      }
      MemorySegment values = dims.length == 0 ? arena.allocate(8, 8) : arena.allocateFrom(JAVA_LONG, dims);
      long bytes = (long) scratch.invokeExact(values);
      MemorySegment area = arena.allocate(Math.max(64, bytes), 64);
      run.invokeExact(pointers, values, from, to, area);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
    java.lang.ref.Reference.reachabilityFence(library);
  }
}
