package org.tersor.runtime.machine;

import java.lang.foreign.MemorySegment;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Java arrays as memory. */
public final class HeapSegments {
  private HeapSegments() {}

  /** The array of a tensor. */
  public static MemorySegment of(Tensor tensor) {
    return switch (tensor.dtype().slot()) {
      case BYTE -> MemorySegment.ofArray(tensor.bytes());
      case SHORT -> MemorySegment.ofArray(tensor.shorts());
      case INT -> MemorySegment.ofArray(tensor.ints());
      case LONG -> MemorySegment.ofArray(tensor.longs());
      case FLOAT -> MemorySegment.ofArray(tensor.floats());
      case DOUBLE -> MemorySegment.ofArray(tensor.doubles());
      case STRING ->
          throw new TersorException(
              "TSR-0603", "machine code takes no tensor of strings: use the interpreter backend");
    };
  }
}
