package org.tersor.runtime.machine;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;

/** Functions by name: of a library, or of code made in memory. */
public interface Functions {
  /** A function. */
  MethodHandle function(String name, FunctionDescriptor type, Linker.Option... options);

  /** Whether there is a function that need not be there. */
  default boolean has(String name) {
    return true;
  }

  /** A function for short calls, which may be given Java arrays; the collector waits meanwhile. */
  default MethodHandle critical(String name, FunctionDescriptor type) {
    return function(name, type, Linker.Option.critical(true));
  }
}
