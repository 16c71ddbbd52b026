package org.tersor.codegen.c;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.runtime.machine.HeapSegments;

/** Weights in native memory. */
final class NativeMemory {
  private NativeMemory() {}

  /**
   * The elements of a weight, one per memory slot: where they are mapped, in place if that is the
   * form and the alignment.
   */
  static MemorySegment constant(Constant constant, Arena arena) {
    Optional<MemorySegment> raw = constant.raw();
    if (constant.dtype().bits() >= 8
        && raw.filter(s -> s.isNative() && s.address() % 16 == 0 && s.byteSize() > 0).isPresent()) {
      return raw.get();
    }
    MemorySegment source =
        constant.dtype().bits() >= 8 && raw.isPresent()
            ? raw.get()
            : HeapSegments.of(constant.load());
    return arena.allocate(Math.max(64, source.byteSize()), 64).copyFrom(source);
  }
}
