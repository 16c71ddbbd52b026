package org.tersor.plugins.x86;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Array;
import java.util.Map;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.plugins.x86.Operand.Mem;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.machine.CodeMemory;

/** One loop function as code that is given Java arrays, which it gets as copies. */
final class Compiled {
  private Compiled() {}

  /** {@code void run(pointers rdi, dims rsi, long from rdx, long to rcx, scratch r8)}. */
  private static int entry(LoopFunction function, Label kernel, Assembler assembler) {
    Hand hand = new Hand(assembler);
    assembler.align(16);
    int place = assembler.position();
    int buffers = function.buffers().size();
    int count = Stmts.BUFFERS + buffers + function.dims().size();
    hand.enter(8 * count);
    hand.store(Reg.RDX, Mem.of(Reg.RSP, 0));
    hand.store(Reg.RCX, Mem.of(Reg.RSP, 8));
    hand.store(Hand.R8, Mem.of(Reg.RSP, 16));
    for (int i = 0; i < buffers; i++) {
      hand.load(Reg.RAX, Mem.of(Reg.RDI, 8 * i));
      hand.store(Reg.RAX, Mem.of(Reg.RSP, 8 * (Stmts.BUFFERS + i)));
    }
    for (int i = 0; i < function.dims().size(); i++) {
      hand.load(Reg.RAX, Mem.of(Reg.RSI, 8 * i));
      hand.store(Reg.RAX, Mem.of(Reg.RSP, 8 * (Stmts.BUFFERS + buffers + i)));
    }
    hand.call(kernel);
    hand.leave();
    return place;
  }

  static KernelCode of(LoopFunction function, Target target) {
    Assembler assembler = new Assembler();
    Label kernel = Kernel.emit(function, target, assembler);
    int place = entry(function, kernel, assembler);
    MethodHandle run =
        new CodeMemory(assembler.finish(), Map.of("run", place))
            .function(
                "run", FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS));
    return (arrays, offsets, dims, from, to) -> run(function, run, arrays, offsets, dims, from, to);
  }

  private static void run(
      LoopFunction function,
      MethodHandle run,
      Object[] arrays,
      int[] offsets,
      int[] dims,
      long from,
      long to) {
    long[] sizes = java.util.Arrays.stream(dims).asLongStream().toArray();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointers = arena.allocate(ADDRESS, Math.max(1, arrays.length));
      MemorySegment values = arena.allocate(JAVA_LONG, Math.max(1, dims.length));
      MemorySegment.copy(sizes, 0, values, JAVA_LONG, 0, dims.length);
      MemorySegment[] copies = new MemorySegment[arrays.length];
      for (int i = 0; i < arrays.length; i++) {
        MemorySegment source = heap(arrays[i]);
        copies[i] = arena.allocate(source.byteSize() + 64, 64).copyFrom(source);
        long at = offsets[i] * (source.byteSize() / Math.max(1, Array.getLength(arrays[i])));
        pointers.setAtIndex(ADDRESS, i, copies[i].asSlice(at));
      }
      long bytes = ScratchBytes.of(function, sizes);
      MemorySegment scratch = arena.allocate(bytes + 64, 64);
      run.invokeExact(pointers, values, from, to, scratch);
      for (int i = 0; i < arrays.length; i++) {
        MemorySegment to0 = heap(arrays[i]);
        to0.copyFrom(copies[i].asSlice(0, to0.byteSize()));
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  static MemorySegment heap(Object array) {
    return switch (array) {
      case byte[] a -> MemorySegment.ofArray(a);
      case short[] a -> MemorySegment.ofArray(a);
      case int[] a -> MemorySegment.ofArray(a);
      case long[] a -> MemorySegment.ofArray(a);
      case float[] a -> MemorySegment.ofArray(a);
      case double[] a -> MemorySegment.ofArray(a);
      default -> throw new IllegalArgumentException();
    };
  }
}
