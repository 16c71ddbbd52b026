package org.tersor.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphPrinter;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.Compiler;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tersor inspect}: what is in a model. */
@Command(
    name = "inspect",
    description =
        "Shows a model's inputs, outputs, weights and operators, and which of them are not supported.")
final class InspectCommand implements Callable<Integer> {
  @Mixin ModelOptions options;

  @Option(
      names = "--graph",
      description = "Print the graph, node by node; after folding if that is possible.")
  boolean graphWanted;

  @Override
  public Integer call() {
    Compiler compiler = options.common.compiler();
    Graph graph = typed(compiler, options.read(compiler));
    Map<String, Integer> operators = new TreeMap<>();
    Map<String, Integer> missing = new TreeMap<>();
    count(compiler, graph, operators, missing);
    long parameters = 0;
    long bytes = 0;
    for (Constant constant : graph.constants().values()) {
      parameters += constant.elements();
      bytes += constant.elements() * Math.max(1, constant.dtype().bits()) / 8;
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", graph.name());
    json.put("opsets", graph.opsets());
    json.put("inputs", ports(graph, graph.inputs()));
    json.put("outputs", ports(graph, graph.outputs()));
    json.put("nodes", operators.values().stream().mapToInt(n -> n).sum());
    json.put("parameters", parameters);
    json.put("weightBytes", bytes);
    json.put("operators", operators);
    json.put("unsupported", missing);
    json.put("metadata", graph.metadata());
    List<String> opsets = new ArrayList<>();
    graph
        .opsets()
        .forEach((domain, version) ->
            opsets.add((domain.isEmpty() ? "ai.onnx" : domain) + " " + version));
    options.common.say(
        "%s: opset %s, %s nodes, %s parameters (%s)",
        options.model.getFileName(),
        String.join(", ", opsets),
        json.get("nodes"),
        Common.count(parameters),
        Common.bytes(bytes));
    graph.inputs().forEach(v -> options.common.say("  input  %s: %s", v.name(), graph.type(v)));
    graph.outputs().forEach(v -> options.common.say("  output %s: %s", v.name(), graph.type(v)));
    options.common.say("  operators: %s", text(operators));
    Graph shown = graph;
    if (missing.isEmpty()) {
      try {
        shown = compiler.prepare(graph, options.compileOptions());
        json.put("nodesAfterFolding", shown.nodes().size());
        options.common.say("  after folding: %d nodes", shown.nodes().size());
      } catch (TersorException e) {
        options.common.warn(e.code() + " " + e.getMessage());
        json.put("fault", e.code() + " " + e.getMessage());
      }
    } else {
      options.common.say("  NOT SUPPORTED: %s", text(missing));
    }
    json.put("contradictions", options.contradictions());
    options.contradictions().forEach(c -> options.common.say("  contradiction: %s", c));
    json.put("notes", options.notes());
    options.common.notes(options.notes());
    if (graphWanted) {
      options.common.say("%s", GraphPrinter.print(shown));
      json.put("graph", GraphPrinter.print(shown));
    }
    options.common.sayJson(json);
    return Exit.OK;
  }

  /** With inferred types, since a file's outputs have none that can be believed. */
  private static Graph typed(Compiler compiler, Graph graph) {
    try {
      return TypeInference.infer(graph, compiler.registry().operators(), note -> {}).graph();
    } catch (TersorException e) {
      return graph; // what is wrong is told below
    }
  }

  private static void count(
      Compiler compiler,
      Graph graph,
      Map<String, Integer> operators,
      Map<String, Integer> missing) {
    for (Node node : graph.nodes()) {
      String name =
          (node.op().domain().isEmpty() ? "" : node.op().domain() + ".") + node.op().type();
      operators.merge(name, 1, Integer::sum);
      if (compiler.registry().operators().find(node.op()).isEmpty()) {
        missing.merge(name, 1, Integer::sum);
      }
      Graph.bodies(node).forEach(body -> count(compiler, body, operators, missing));
    }
  }

  private static String text(Map<String, Integer> counts) {
    List<String> parts = new ArrayList<>();
    counts.forEach((name, n) -> parts.add(n == 1 ? name : name + " x" + n));
    return String.join(", ", parts);
  }

  private static List<Map<String, Object>> ports(Graph graph, List<Value> values) {
    List<Map<String, Object>> list = new ArrayList<>();
    for (Value value : values) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("name", value.name());
      entry.put("type", graph.type(value).toString());
      list.add(entry);
    }
    return list;
  }
}
