package org.tersor.passes.infer;

import org.tersor.runtime.TersorException;

/** Faults of operators, told with the node they belong to. */
public final class Faults {
  private Faults() {}

  /** The diagnostic with what caused it. */
  public static TersorException caused(TersorException diagnostic, Throwable cause) {
    diagnostic.initCause(cause);
    return diagnostic;
  }
}
