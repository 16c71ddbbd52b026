package org.tersor.conformance;

import java.util.List;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Program;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.StatefulExecutable;

/**
 * A model ready to run, with what tests want to know about it.
 *
 * @param graph prepared: dimensions bound, types inferred
 * @param nodes who computes its nodes
 * @param programs its loops, of every part; empty where they are not known, as of an artifact
 */
public record LoadedModel(
    Graph graph, Executable executable, String backend, Nodes nodes, List<Program> programs) {
  public LoadedModel {
    programs = List.copyOf(programs);
  }

  /** A model whose loops are not known. */
  public LoadedModel(Graph graph, Executable executable, String backend, Nodes nodes) {
    this(graph, executable, backend, nodes, List.of());
  }

  /**
   * Numbers of nodes, bodies included.
   *
   * @param kernel that are generated code, after operators were expanded into others
   * @param host that run in Java: operations of the host, or everything in the interpreter
   * @param folded of the file that compilation has computed or left out
   */
  public record Nodes(int kernel, int host, int folded) {
    public static final Nodes NONE = new Nodes(0, 0, 0);

    Nodes plus(Nodes other) {
      return new Nodes(kernel + other.kernel, host + other.host, folded + other.folded);
    }
  }

  /** The same with another way to run it. */
  public LoadedModel with(Executable newExecutable) {
    return new LoadedModel(graph, newExecutable, backend, nodes, programs);
  }

  /** Compiles an imported graph for a backend. */
  public static LoadedModel of(
      Compiler compiler, Graph imported, String backendId, CompileOptions options) {
    Graph graph = compiler.prepare(imported, options);
    LoadedModel model = prepared(compiler, graph, backendId, options);
    Nodes folded = new Nodes(0, 0, Math.max(0, count(imported) - count(graph)));
    return new LoadedModel(
        graph, model.executable, backendId, model.nodes.plus(folded), model.programs);
  }

  /** Compiles a graph that is prepared, e.g. quantized. */
  public static LoadedModel prepared(
      Compiler compiler, Graph graph, String backendId, CompileOptions options) {
    if (compiler.registry().backend(backendId) instanceof Backend.OfProgram backend) {
      ModelProgram model = compiler.model(graph, Compiler.target(backend, options), options);
      return new LoadedModel(
          graph,
          StatefulExecutable.of(Compiler.load(backend, model, options), model.states()),
          backendId,
          new Nodes(model.placement().kernelNodes(), model.placement().hostNodes(), 0),
          model.segments());
    }
    return new LoadedModel(
        graph, compiler.link(graph, backendId, options), backendId, new Nodes(0, count(graph), 0));
  }

  private static int count(Graph graph) {
    return graph.nodes().stream()
        .mapToInt(node -> 1 + Graph.bodies(node).stream().mapToInt(LoadedModel::count).sum())
        .sum();
  }
}
