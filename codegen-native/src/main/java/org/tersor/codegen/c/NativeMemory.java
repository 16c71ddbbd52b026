package org.tersor.codegen.c;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.runtime.Tensor;

/** Views and copies between Java arrays and native memory. */
final class NativeMemory {
  private NativeMemory() {}

  /** The array of a tensor as a heap segment. */
  static MemorySegment heap(Tensor tensor) {
    return switch (tensor.dtype().slot()) {
      case BYTE -> MemorySegment.ofArray(tensor.bytes());
      case SHORT -> MemorySegment.ofArray(tensor.shorts());
      case INT -> MemorySegment.ofArray(tensor.ints());
      case LONG -> MemorySegment.ofArray(tensor.longs());
      case FLOAT -> MemorySegment.ofArray(tensor.floats());
      case DOUBLE -> MemorySegment.ofArray(tensor.doubles());
      case STRING -> throw Faults.unsupported("a tensor of strings", "use the interpreter backend");
    };
  }

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
        constant.dtype().bits() >= 8 && raw.isPresent() ? raw.get() : heap(constant.load());
    return arena.allocate(Math.max(64, source.byteSize()), 64).copyFrom(source);
  }
}
