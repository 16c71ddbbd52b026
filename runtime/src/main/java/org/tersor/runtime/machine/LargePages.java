package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.Optional;

/**
 * Memory in pages of 2 MiB where the system has them on request (Linux, transparent huge pages): a
 * product of one row with weights larger than the caches reads them about 1.7 times as fast. For
 * weights, not for arenas: depthwise convolutions of MobileNetV2 took up to eight times as long
 * there.
 */
// Calling native code is what this class is for.
@SuppressWarnings("restricted")
public final class LargePages {
  private static final long PAGE = 2L << 20;

  /** Less is no gain. */
  private static final long LEAST = 2 * PAGE;

  private static final int READ_AND_WRITE = 3;
  private static final int PRIVATE_AND_ANONYMOUS = 0x22;

  /** MADV_HUGEPAGE. */
  private static final int IN_LARGE_PAGES = 14;

  private LargePages() {}

  /**
   * Zeros at a cache line, as long as the arena lives; in ordinary pages where there are no others.
   */
  public static MemorySegment allocate(Arena arena, long bytes) {
    return bytes < LEAST || !System.getProperty("os.name", "").equals("Linux")
        ? arena.allocate(bytes, 64)
        : mapped(arena, bytes).orElseGet(() -> arena.allocate(bytes, 64));
  }

  private static Optional<MemorySegment> mapped(Arena arena, long bytes) {
    Linker linker = Linker.nativeLinker();
    SymbolLookup system = linker.defaultLookup();
    Optional<MemorySegment> map = system.find("mmap");
    Optional<MemorySegment> advise = system.find("madvise");
    Optional<MemorySegment> unmap = system.find("munmap");
    if (map.isEmpty() || advise.isEmpty() || unmap.isEmpty()) {
      return Optional.empty();
    }
    long length = Math.addExact(bytes, PAGE);
    try {
      MemorySegment all =
          (MemorySegment)
              linker
                  .downcallHandle(
                      map.get(),
                      FunctionDescriptor.of(
                          ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG))
                  .invokeExact(
                      MemorySegment.NULL, length, READ_AND_WRITE, PRIVATE_AND_ANONYMOUS, -1, 0L);
      if (all.address() == -1) {
        return Optional.empty();
      }
      // It has to be asked for before anything is written there.
      int ignored =
          (int)
              linker
                  .downcallHandle(
                      advise.get(), FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT))
                  .invokeExact(all, length, IN_LARGE_PAGES);
      long before = (PAGE - all.address() % PAGE) % PAGE;
      MemorySegment owned =
          all.reinterpret(length, arena, gone -> unmap(unmap.get(), gone, length));
      return Optional.of(owned.asSlice(before, bytes));
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static void unmap(MemorySegment unmap, MemorySegment memory, long length) {
    try {
      int ignored =
          (int)
              Linker.nativeLinker()
                  .downcallHandle(unmap, FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG))
                  .invokeExact(memory, length);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
