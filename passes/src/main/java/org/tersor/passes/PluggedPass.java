package org.tersor.passes;

import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.op.GraphVerifier;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.TersorException;

/** A pass of a plugin: what goes wrong in it is said in its name. */
record PluggedPass(Pass pass) implements Pass {
  @Override
  public String id() {
    return pass.id();
  }

  @Override
  public boolean preservesSemantics() {
    return pass.preservesSemantics();
  }

  @Override
  public Set<String> needs() {
    return pass.needs();
  }

  @Override
  public Set<String> gives() {
    return pass.gives();
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Graph next;
    try {
      next = pass.run(graph, context);
    } catch (TersorException e) {
      throw e;
    } catch (RuntimeException | LinkageError e) {
      throw new TersorException(
          "TSR-0407", "pass '" + pass.id() + "' of a plugin failed: " + e + "; this is its bug", e);
    }
    if (next != graph) {
      GraphVerifier.verify(next, Optional.of(context.operators()), "after " + pass.id());
    }
    return next;
  }
}
