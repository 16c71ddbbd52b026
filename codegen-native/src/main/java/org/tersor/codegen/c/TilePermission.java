package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * The system's leave to use the tile registers of AMX, which a process must ask for: their state is
 * large, so Linux keeps it for none that has not. Once given it holds for all threads.
 */
final class TilePermission {
  private static final long ARCH_PRCTL = 158;
  private static final long ARCH_REQ_XCOMP_PERM = 0x1023;
  private static final long XFEATURE_XTILEDATA = 18;

  private TilePermission() {}

  /** Asks Linux on x86-64; elsewhere there is nobody to ask. */
  @SuppressWarnings("restricted")
  static boolean granted() {
    if (!System.getProperty("os.name", "").equals("Linux")
        || !System.getProperty("os.arch", "").equals("amd64")) {
      return false;
    }
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> call = linker.defaultLookup().find("syscall");
    if (call.isEmpty()) {
      return false;
    }
    try {
      FunctionDescriptor type = FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
      return (long)
              linker
                  .downcallHandle(call.get(), type, Linker.Option.firstVariadicArg(1))
                  .invokeExact(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
          == 0;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
