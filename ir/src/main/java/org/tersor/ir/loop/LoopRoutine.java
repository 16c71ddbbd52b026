package org.tersor.ir.loop;

import java.util.List;

/**
 * A scalar function written in the loop IR, for inlining: {@code body} (no loads or stores), then
 * {@code result}. Its names are its own.
 */
public record LoopRoutine(String name, List<Parameter> parameters, List<Stmt> body, Expr result) {
  public LoopRoutine {
    parameters = List.copyOf(parameters);
    body = List.copyOf(body);
  }

  /** A parameter, used in the body as a variable. */
  public record Parameter(String name, Type type) {}
}
