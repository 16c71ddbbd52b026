package org.tersor.codegen.c;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/** A library loaded into this process; unloaded when the object is no longer used. */
// Calling native code is what this class is for.
@SuppressWarnings("restricted")
final class SharedObject {
  private final SymbolLookup symbols;

  SharedObject(Path file) {
    // Handles refer to symbols, which keep the arena and with it the library.
    this.symbols = SymbolLookup.libraryLookup(file, Arena.ofAuto());
  }

  /** A function for short calls, which may be given Java arrays; the collector waits meanwhile. */
  MethodHandle critical(String name, FunctionDescriptor type) {
    return function(name, type, Linker.Option.critical(true));
  }

  MethodHandle function(String name, FunctionDescriptor type, Linker.Option... options) {
    return Linker.nativeLinker()
        .downcallHandle(
            symbols.find(name).orElseThrow(() -> new IllegalStateException("no symbol " + name)),
            type,
            options);
  }
}
