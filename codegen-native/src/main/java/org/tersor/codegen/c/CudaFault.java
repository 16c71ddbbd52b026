package org.tersor.codegen.c;

import org.tersor.runtime.TersorException;

/** TSR-0612: a call of the CUDA driver failed. */
final class CudaFault extends TersorException {
  private static final long serialVersionUID = 1L;

  private final boolean outOfMemory;

  CudaFault(boolean outOfMemory, String message) {
    super("TSR-0612", message);
    this.outOfMemory = outOfMemory;
  }

  /** Whether memory given back would help. */
  boolean outOfMemory() {
    return outOfMemory;
  }
}
