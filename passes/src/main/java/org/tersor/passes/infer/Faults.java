package org.tersor.passes.infer;

import org.tersor.runtime.TersorException;

/** Faults of operators, told with the node they belong to. */
public final class Faults {
  private Faults() {}

  /** Whether types or shapes contradict each other, so that no call can be made with them. */
  public static boolean isOfTypes(TersorException fault) {
    return fault.code().startsWith("TSR-03");
  }

  /** The diagnostic with what caused it. */
  public static TersorException caused(TersorException diagnostic, Throwable cause) {
    diagnostic.initCause(cause);
    return diagnostic;
  }
}
