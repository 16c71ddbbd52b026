package org.tersor.ir.spi;

import java.util.Set;
import org.tersor.ir.graph.Graph;

/** A graph-to-graph step. */
public interface Pass {
  /** e.g. "fold-batch-norm". */
  String id();

  /** Whether the function computed stays the same (up to rounding). */
  default boolean preservesSemantics() {
    return true;
  }

  /** Facts that must hold before, by name, e.g. "types". */
  default Set<String> needs() {
    return Set.of();
  }

  /** Facts that hold afterwards; facts not named are lost when the graph changed. */
  default Set<String> gives() {
    return Set.of();
  }

  /** The graph after the pass; the same object if nothing changed. */
  Graph run(Graph graph, PassContext context);
}
