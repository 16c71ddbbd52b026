package org.tersor.codegen.c;

import org.tersor.runtime.TersorException;

/** Exceptions of this backend. */
final class Faults {
  private Faults() {}

  /** TSR-0601: no working compiler. */
  static TersorException toolchain(String message) {
    return new TersorException("TSR-0601", message);
  }

  /** TSR-0602: the compiler refused generated code. */
  static TersorException compile(String message) {
    return new TersorException("TSR-0602", message);
  }

  /** TSR-0611: no CUDA driver or no GPU that can be used. */
  static TersorException cudaMissing(String message) {
    return new TersorException("TSR-0611", message);
  }

  /** TSR-0603: loop IR that this backend cannot express. */
  static TersorException unsupported(String what, String remedy) {
    return new TersorException("TSR-0603", "the C backend cannot express " + what + ": " + remedy);
  }

  /** TSR-0603: an operation that only exists as loop-IR text. */
  static TersorException notLegal(Enum<?> op) {
    return unsupported(op.toString(), "the legalizer must replace it by loop-IR text");
  }
}
