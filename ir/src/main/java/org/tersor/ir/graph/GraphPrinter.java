package org.tersor.ir.graph;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tersor.runtime.Tensor;

/**
 * Text form of a graph, read back by {@link GraphParser}:
 *
 * <pre>{@code
 * graph "main" {
 *   opset "" 17
 *   meta "author" "me"
 *   input %0 "x": f32[N, 3]
 *   const %1 "w": f32[3, 64] @sha256:9f86...
 *   const %2: i64[2] [1, -1]
 *   %4 "y": f32[N, 64] = MatMul-17(%0, %1) #3 "first" {}
 *   %6: ? = com.microsoft::Gelu-1(%4, -) #5 {alpha = 0.5f, axes = [0, 1], mode = "tanh"}
 *   output %6
 * }
 * }</pre>
 *
 * Constants of more than a few elements are printed as the digest of their content; {@link
 * #references} gives what the parser needs to find them again.
 */
public final class GraphPrinter {
  /** Constants of up to this many elements are printed in full. */
  public static final int INLINE = 32;

  private final StringBuilder out = new StringBuilder();
  private final Map<String, Constant> references;

  private GraphPrinter(Map<String, Constant> references) {
    this.references = references;
  }

  public static String print(Graph graph) {
    GraphPrinter printer = new GraphPrinter(new LinkedHashMap<>());
    printer.graph(graph, "");
    return printer.out.append('\n').toString();
  }

  /** Constants that the text form only names, by that name. */
  public static Map<String, Constant> references(Graph graph) {
    GraphPrinter printer = new GraphPrinter(new LinkedHashMap<>());
    printer.graph(graph, "");
    return printer.references;
  }

  private void graph(Graph graph, String indent) {
    String inner = indent + "  ";
    out.append("graph ").append(GraphText.quote(graph.name())).append(" {\n");
    graph
        .opsets()
        .forEach(
            (domain, version) -> line(inner, "opset " + GraphText.quote(domain) + " " + version));
    graph
        .metadata()
        .forEach((key, value) ->
            line(inner, "meta " + GraphText.quote(key) + " " + GraphText.quote(value)));
    for (Value input : graph.inputs()) {
      line(inner, "input " + definition(graph, input));
    }
    graph
        .constants()
        .forEach((value, constant) ->
            line(inner, "const " + value + name(value.name()) + ": " + constant(constant)));
    for (Node node : graph.nodes()) {
      out.append(inner);
      node(graph, node, inner);
      out.append('\n');
    }
    for (Value output : graph.outputs()) {
      line(inner, "output " + output);
    }
    out.append(indent).append('}');
  }

  private void line(String indent, String text) {
    out.append(indent).append(text).append('\n');
  }

  private static String name(String name) {
    return name.isEmpty() ? "" : " " + GraphText.quote(name);
  }

  private static String definition(Graph graph, Value value) {
    return value.isPresent() ? value + name(value.name()) + ": " + graph.type(value) : "-";
  }

  private void node(Graph graph, Node node, String indent) {
    String outputs =
        node.outputs().stream()
            .map(value -> definition(graph, value))
            .collect(Collectors.joining(", "));
    String inputs =
        node.inputs().stream()
            .map(value -> value.isPresent() ? value.toString() : "-")
            .collect(Collectors.joining(", "));
    out.append(outputs)
        .append(outputs.isEmpty() ? "= " : " = ")
        .append(op(node.op()))
        .append('(')
        .append(inputs)
        .append(") #");
    out.append(node.id()).append(name(node.name())).append(" {");
    String separator = "";
    for (var attribute : node.attributes().entrySet()) {
      out.append(separator).append(identifier(attribute.getKey())).append(" = ");
      attribute(attribute.getValue(), indent);
      separator = ", ";
    }
    out.append('}');
  }

  private static String op(OpKey op) {
    return (op.domain().isEmpty() ? "" : domain(op.domain()) + "::")
        + identifier(op.type())
        + "-"
        + op.version();
  }

  private static String domain(String domain) {
    return domain.matches("[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*")
        ? domain
        : GraphText.quote(domain);
  }

  private static String identifier(String text) {
    return text.matches("[A-Za-z_][A-Za-z0-9_]*") ? text : GraphText.quote(text);
  }

  private void attribute(Attribute attribute, String indent) {
    switch (attribute) {
      case Attribute.IntAttr a -> out.append(a.value());
      case Attribute.FloatAttr a -> out.append(GraphText.number(a.value())).append('f');
      case Attribute.StringAttr a -> out.append(GraphText.quote(a.value()));
      case Attribute.TensorAttr a -> out.append("tensor ").append(constant(a.value()));
      case Attribute.GraphAttr a -> graph(a.value(), indent);
      case Attribute.TypeAttr a -> out.append("type ").append(a.value());
      case Attribute.IntsAttr a -> list("", a.values(), v -> Long.toString(v));
      case Attribute.FloatsAttr a -> list("floats ", a.values(), v -> GraphText.number(v) + "f");
      case Attribute.StringsAttr a -> list("strings ", a.values(), GraphText::quote);
      case Attribute.TensorsAttr a -> list("tensors ", a.values(), this::constant);
      case Attribute.TypesAttr a -> list("types ", a.values(), ValueType::toString);
      case Attribute.GraphsAttr a -> {
        out.append("graphs [");
        for (int i = 0; i < a.values().size(); i++) {
          out.append(i == 0 ? "" : ", ");
          graph(a.values().get(i), indent);
        }
        out.append(']');
      }
    }
  }

  private <T> void list(String kind, List<T> values, Function<T, String> text) {
    out.append(kind).append(values.stream().map(text).collect(Collectors.joining(", ", "[", "]")));
  }

  private String constant(Constant constant) {
    if (constant.elements() > INLINE) {
      String reference = GraphText.reference(constant);
      references.put(reference, constant);
      return constant.type() + " @" + reference;
    }
    Tensor tensor = constant.load();
    StringBuilder text = new StringBuilder(constant.type() + " [");
    int slots = tensor.size() * tensor.dtype().slots();
    for (int i = 0; i < slots; i++) {
      text.append(i == 0 ? "" : ", ").append(GraphText.slot(tensor, i));
    }
    return text.append(']').toString();
  }
}
