package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/** A library loaded into this process; unloaded when the object is no longer used. */
// Calling native code is what this class is for.
@SuppressWarnings("restricted")
public final class SharedObject implements Functions {
  private final SymbolLookup symbols;

  /**
   * Loads a file.
   *
   * @throws IllegalArgumentException if the system cannot load it
   */
  public SharedObject(Path file) {
    this(file, Arena.ofAuto());
  }

  /** Handles refer to symbols, which keep the arena and with it the library. */
  private SharedObject(Path file, Arena arena) {
    this.symbols = SymbolLookup.libraryLookup(file, arena);
  }

  /**
   * Loads a library that is no file: from a file in memory where the system has such, which needs
   * no folder that may hold programs, else from a temporary file that is gone once it is loaded.
   *
   * @throws IOException if neither works
   */
  public static SharedObject of(InputStream library) throws IOException {
    byte[] bytes = library.readAllBytes();
    int descriptor = memoryFile();
    if (descriptor >= 0) {
      // The loader knows libraries by name: this one's must not be given to another one before it
      // is
      // unloaded.
      Arena arena = Arena.ofAuto();
      MemorySegment.NULL.reinterpret(arena, ended -> close(descriptor));
      Path file = Path.of("/proc/self/fd/" + descriptor);
      try {
        Files.write(file, bytes);
        return new SharedObject(file, arena);
      } catch (IOException | IllegalArgumentException e) {
        // A system that maps no such file as code: the temporary folder may do.
      }
    }
    Path file = Files.createTempFile("tersor", ".so");
    try {
      Files.write(file, bytes);
      return new SharedObject(file);
    } catch (IllegalArgumentException e) {
      throw new IOException("the system does not load " + file + ": " + e.getMessage(), e);
    } finally {
      Files.deleteIfExists(file);
    }
  }

  /** Descriptor of a new file in memory; -1 if there is none. */
  private static int memoryFile() {
    Linker linker = Linker.nativeLinker();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment create = linker.defaultLookup().find("memfd_create").orElse(MemorySegment.NULL);
      if (create.equals(MemorySegment.NULL)) {
        return -1;
      }
      int closeOnExec = 1;
      return (int)
          linker
              .downcallHandle(create, FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT))
              .invokeExact(arena.allocateFrom("tersor"), closeOnExec);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static void close(int descriptor) {
    Linker linker = Linker.nativeLinker();
    try {
      int ignored =
          (int)
              linker
                  .downcallHandle(
                      linker.defaultLookup().findOrThrow("close"),
                      FunctionDescriptor.of(JAVA_INT, JAVA_INT))
                  .invokeExact(descriptor);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public MethodHandle function(String name, FunctionDescriptor type, Linker.Option... options) {
    return Linker.nativeLinker()
        .downcallHandle(
            symbols.find(name).orElseThrow(() -> new IllegalStateException("no symbol " + name)),
            type,
            options);
  }
}
