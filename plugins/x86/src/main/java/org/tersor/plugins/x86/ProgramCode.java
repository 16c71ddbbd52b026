package org.tersor.plugins.x86;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Plan;
import org.tersor.runtime.machine.CodeMemory;
import org.tersor.runtime.machine.Functions;

/**
 * The functions of a program: kernels and steps as machine code, sizes computed in Java, which a
 * call needs once.
 */
public final class ProgramCode implements Functions {
  static final String PREFIX = "x86";

  private final Plan plan;
  private final List<LoopFunction> kernels;
  private final CodeMemory memory;
  private final byte[] code;
  private final Map<String, int[]> extents = new LinkedHashMap<>();

  ProgramCode(Program program) {
    this.plan = program.plan();
    this.kernels = program.kernels();
    Assembler assembler = new Assembler();
    List<Label> labels = new ArrayList<>();
    for (LoopFunction kernel : kernels) {
      labels.add(Kernel.emit(kernel, program.target(), assembler));
      extents.put(
          labels.size() - 1 + "_" + kernel.name(),
          new int[] {labels.getLast().position(), assembler.position()});
    }
    Map<String, Integer> places = Steps.emit(plan, program.target(), labels, assembler);
    this.code = assembler.finish();
    this.memory = new CodeMemory(code, places);
  }

  /** Bytes of code and constants. */
  int size() {
    return code.length;
  }

  /** Writes the code of each kernel to a file of its own. */
  void dump(Path folder) {
    try {
      Files.createDirectories(folder);
      for (Map.Entry<String, int[]> kernel : extents.entrySet()) {
        int[] extent = kernel.getValue();
        Files.write(
            folder.resolve(kernel.getKey() + ".bin"),
            Arrays.copyOfRange(code, extent[0], extent[1]));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write into " + folder, e);
    }
  }

  @Override
  public MethodHandle function(String name, FunctionDescriptor type, Linker.Option... options) {
    String own = name.substring(PREFIX.length() + 1);
    MethodType java = type.toMethodType();
    try {
      return switch (own) {
        case "layout", "scratch", "tasks" -> MethodHandles.lookup().bind(this, own, java);
        default -> memory.function(own, type, options);
      };
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public boolean has(String name) {
    return !name.equals(PREFIX + "_work");
  }

  private Map<String, Long> symbols(MemorySegment d) {
    Map<String, Long> values = new HashMap<>();
    for (int i = 0; i < plan.dims().size(); i++) {
      values.put(plan.dims().get(i), d.getAtIndex(JAVA_LONG, i));
    }
    return values;
  }

  /** Fills offsets of the slots; the bytes of the arena, or -1 if they are too large. */
  public long layout(MemorySegment d, MemorySegment offsets) {
    try {
      return layout(symbols(d), offsets);
    } catch (ArithmeticException e) {
      return -1;
    }
  }

  private long layout(Map<String, Long> values, MemorySegment offsets) {
    for (Plan.Check check : plan.checks()) {
      if (check.least().eval(values) > check.is().eval(values)) {
        return -1;
      }
    }
    long[] most = new long[plan.arenaSlots()];
    for (Plan.Buffer b : plan.buffers()) {
      if (b.storage() == Plan.Storage.CONSTANT || b.storage() == Plan.Storage.PACKED) {
        continue;
      }
      long bytes = Math.multiplyExact(b.elements().eval(values), (long) b.dtype().memoryBytes());
      if (bytes < 0) {
        return -1;
      }
      if (b.storage() == Plan.Storage.ARENA) {
        most[b.index()] = Math.max(most[b.index()], bytes);
      }
    }
    long total = 0;
    for (int slot = 0; slot < most.length; slot++) {
      offsets.setAtIndex(JAVA_LONG, slot, total);
      // A cache line beyond the end keeps neighbours apart.
      total = Math.addExact(total, Math.addExact(most[slot], 127) / 64 * 64);
    }
    return total;
  }

  private List<Plan.Call> calls() {
    List<Plan.Call> calls = new ArrayList<>(plan.loadSteps());
    calls.addAll(plan.runSteps());
    return calls;
  }

  private static Optional<Long> value(DimExpr size, Map<String, Long> values) {
    try {
      return Optional.of(size.eval(values));
    } catch (ArithmeticException e) {
      // Sizes that are too large have been refused before they are used.
      return Optional.empty();
    }
  }

  /** Bytes that one worker needs beside the arena. */
  public long scratch(MemorySegment d) {
    Map<String, Long> values = symbols(d);
    long most = 0;
    for (Plan.Call call : calls()) {
      long[] dims = call.dims().stream().mapToLong(e -> value(e, values).orElse(0L)).toArray();
      most = Math.max(most, ScratchBytes.of(kernels.get(call.kernel()), dims));
    }
    return (most + 63) / 64 * 64 + 64;
  }

  /** The extent of each step's parallel loop. */
  public void tasks(MemorySegment d, MemorySegment tasks) {
    Map<String, Long> values = symbols(d);
    int step = 0;
    for (Plan.Call call : calls()) {
      tasks.setAtIndex(JAVA_LONG, step++, value(call.tasks(), values).orElse(0L));
    }
  }
}
