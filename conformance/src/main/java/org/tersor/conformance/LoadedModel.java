package org.tersor.conformance;

import org.tersor.ir.graph.Graph;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
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

  /** The same with another way to run it. */
  public LoadedModel with(Executable newExecutable) {
    return new LoadedModel(graph, newExecutable, backend, kernelNodes, hostNodes);
  }

  /** Compiles an imported graph for a backend. */
  public static LoadedModel of(
      Compiler compiler, Graph imported, String backendId, CompileOptions options) {
    return prepared(compiler, compiler.prepare(imported, options), backendId, options);
  }

  /** Compiles a graph that is prepared, e.g. quantized. */
  public static LoadedModel prepared(
      Compiler compiler, Graph graph, String backendId, CompileOptions options) {
    int nodes = graph.nodes().size();
    boolean kernels = compiler.registry().backend(backendId) instanceof Backend.OfProgram;
    return new LoadedModel(
        graph,
        compiler.link(graph, backendId, options),
        backendId,
        kernels ? nodes : 0,
        kernels ? 0 : nodes);
  }
}
