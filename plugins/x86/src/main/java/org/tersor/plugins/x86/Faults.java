package org.tersor.plugins.x86;

import org.tersor.runtime.TersorException;

/** Exceptions of this backend. */
final class Faults {
  private Faults() {}

  /** TSR-0601: no processor or system for this code. */
  static TersorException machine(String message) {
    return new TersorException("TSR-0601", message);
  }

  /** TSR-0603: loop IR that this backend cannot express. */
  static TersorException unsupported(String what, String remedy) {
    return new TersorException(
        "TSR-0603", "the x86 backend cannot express " + what + ": " + remedy);
  }

  /** TSR-0603: an operation that only exists as loop-IR text. */
  static TersorException notLegal(Enum<?> op) {
    return unsupported(op.toString(), "the legalizer must replace it by loop-IR text");
  }
}
