package org.tersor.conformance;

import org.tersor.ir.graph.Graph;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.InterpreterBackend;
import org.tersor.runtime.Executable;

/**
 * A model ready to run, with what tests want to know about it.
 *
 * @param graph prepared: dimensions bound, types inferred
 * @param kernelNodes nodes of the prepared graph that run as generated code
 * @param hostNodes nodes that run in Java
 */
public record LoadedModel(
    Graph graph, Executable executable, String backend, int kernelNodes, int hostNodes) {

  /** Compiles an imported graph for a backend. */
  public static LoadedModel of(
      Compiler compiler, Graph imported, String backendId, CompileOptions options) {
    Graph graph = compiler.prepare(imported, options);
    int nodes = graph.nodes().size();
    Backend.Options backendOptions = new Backend.Options(options.threads(), options.settings());
    return switch (compiler.registry().backend(backendId)) {
      case InterpreterBackend _ ->
          new LoadedModel(
              graph,
              InterpreterBackend.load(graph, compiler.registry().operators()),
              backendId,
              0,
              nodes);
      case Backend.OfGraph backend ->
          new LoadedModel(graph, backend.load(graph, backendOptions), backendId, 0, nodes);
      case Backend.OfProgram backend ->
          new LoadedModel(
              graph,
              backend.load(
                  compiler.program(graph, Compiler.target(backend, options), options),
                  backendOptions),
              backendId,
              nodes,
              0);
    };
  }
}
