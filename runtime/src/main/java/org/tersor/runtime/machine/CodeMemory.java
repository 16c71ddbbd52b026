package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import org.tersor.runtime.TersorException;

/**
 * Machine code in memory of its own: written there first, then made executable and no longer
 * writable (Linux). It is free again when neither this nor a handle of a function is in use.
 */
// Calling native code is what this class is for.
@SuppressWarnings("restricted")
public final class CodeMemory implements Functions {
  private static final int READ_AND_WRITE = 3;
  private static final int READ_AND_EXECUTE = 5;
  private static final int PRIVATE_AND_ANONYMOUS = 0x22;

  private final MemorySegment memory;
  private final Map<String, Integer> places;

  /**
   * Takes a copy of the code.
   *
   * @param places where each function begins
   */
  public CodeMemory(byte[] code, Map<String, Integer> places) {
    this.memory = map(Math.max(1, code.length));
    this.places = Map.copyOf(places);
    MemorySegment.copy(MemorySegment.ofArray(code), 0, memory, 0, code.length);
    int result = (int) call("mprotect", JAVA_INT, memory, memory.byteSize(), READ_AND_EXECUTE);
    if (result != 0) {
      throw new TersorException(
          "TSR-0601", "the system lets this process run no code that it has written to memory");
    }
  }

  private static MemorySegment map(long bytes) {
    MemorySegment mapped =
        (MemorySegment)
            call(
                "mmap",
                ADDRESS,
                MemorySegment.NULL,
                bytes,
                READ_AND_WRITE,
                PRIVATE_AND_ANONYMOUS,
                -1,
                0L);
    if (mapped.address() == -1) {
      throw new TersorException(
          "TSR-0601", "the system gives no memory for " + bytes + " bytes of code");
    }
    return mapped.reinterpret(bytes, Arena.ofAuto(), gone -> call("munmap", JAVA_INT, gone, bytes));
  }

  /** A function of the system with arguments that are addresses, longs and ints. */
  private static Object call(String name, MemoryLayout result, Object... arguments) {
    MemoryLayout[] layouts = new MemoryLayout[arguments.length];
    for (int i = 0; i < arguments.length; i++) {
      layouts[i] =
          switch (arguments[i]) {
            case MemorySegment _ -> ADDRESS;
            case Long _ -> JAVA_LONG;
            default -> JAVA_INT;
          };
    }
    Linker linker = Linker.nativeLinker();
    try {
      return linker
          .downcallHandle(
              linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, layouts))
          .invokeWithArguments(arguments);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public MethodHandle function(String name, FunctionDescriptor type, Linker.Option... options) {
    Integer place = places.get(name);
    if (place == null) {
      throw new IllegalStateException("no function " + name);
    }
    return Linker.nativeLinker().downcallHandle(memory.asSlice(place), type, options);
  }
}
