package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.passes.graph.Bodies;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.TersorException;

/**
 * What stays float whatever the scheme says. A layer that is kept has float weights, and nothing is
 * quantized for its sake: its input and its result have codes only where another layer wants them.
 * A value that is kept has none at all.
 *
 * @param rules one for each word
 */
public record Keep(List<Rule> rules) {
  /** Nothing is kept. */
  public static final Keep NONE = new Keep(List.of());

  /** What one word says. */
  public sealed interface Rule {
    /** The layer or value of exactly this name. */
    record Name(String name) implements Rule {}

    /** All nodes of an operator. */
    record Type(String type) implements Rule {}

    /** Values whose names an expression finds. */
    record Values(Pattern found) implements Rule {}

    /** Nodes whose names an expression finds. */
    record Nodes(Pattern found) implements Rule {}
  }

  public Keep {
    rules = List.copyOf(rules);
  }

  /**
   * Reads words.
   *
   * @param words {@code name:NAME}, {@code type:OPERATOR}, {@code value:REGEX}, or a regular
   *     expression found in the names of nodes
   */
  public static Keep parse(List<String> words) {
    return new Keep(words.stream().map(Keep::rule).toList());
  }

  private static Rule rule(String word) {
    int colon = word.indexOf(':');
    String rest = word.substring(colon + 1);
    return switch (colon < 0 ? "" : word.substring(0, colon)) {
      case "name" -> new Rule.Name(rest);
      case "type" -> new Rule.Type(rest);
      case "value" -> new Rule.Values(pattern(rest));
      default -> new Rule.Nodes(pattern(word));
    };
  }

  private static Pattern pattern(String text) {
    try {
      return Pattern.compile(text);
    } catch (PatternSyntaxException e) {
      throw new TersorException(
          "TSR-0906", "what to keep is no regular expression: " + e.getMessage(), e);
    }
  }

  /** Whether a node stays as it is. */
  boolean node(Node node, String name) {
    return rules.stream()
        .anyMatch(rule ->
            switch (rule) {
              case Rule.Name n -> n.name().equals(name);
              case Rule.Type t -> node.op().is(t.type()) || node.op().toString().equals(t.type());
              case Rule.Nodes n -> n.found().matcher(name).find();
              case Rule.Values v -> false;
            });
  }

  /** Whether a value has no codes. */
  boolean value(String name) {
    return rules.stream()
        .anyMatch(rule ->
            switch (rule) {
              case Rule.Name n -> n.name().equals(name);
              case Rule.Values v -> v.found().matcher(name).find();
              case Rule.Type t -> false;
              case Rule.Nodes n -> false;
            });
  }

  /** A word that finds nothing is a slip of the pen, which would go unnoticed. */
  void check(Graph graph) {
    Named all = new Named(new LinkedHashMap<>(), new ArrayList<>());
    all.add(graph);
    for (Rule rule : rules) {
      Keep alone = new Keep(List.of(rule));
      boolean found =
          all.nodes.entrySet().stream().anyMatch(node -> alone.node(node.getValue(), node.getKey()))
              || all.values.stream().anyMatch(alone::value);
      if (!found) {
        throw new TersorException(
            "TSR-0427",
            "nothing of '"
                + graph.name()
                + "' is kept by "
                + rule
                + ": the names are those of --explain and of the plan, after folding; '"
                + all.nodes.keySet().stream().findFirst().orElse("")
                + "' is one of a node, '"
                + all.values.stream().findFirst().orElse("")
                + "' one of a value");
      }
    }
  }

  /** All that a model names, bodies included. */
  private record Named(Map<String, Node> nodes, List<String> values) {
    void add(Graph graph) {
      Names names = new Names(graph);
      graph.inputs().forEach(input -> values.add(names.of(input)));
      for (Node node : graph.nodes()) {
        nodes.put(names.of(node), node);
        node.outputs().forEach(output -> values.add(names.of(output)));
      }
      Bodies.of(graph).forEach(body -> add(body.closed()));
    }
  }

  /** Why a layer stays float. */
  Optional<String> obstacle(Node node, String name) {
    return node(node, name) ? Optional.of("it is kept as it is, as asked for") : Optional.empty();
  }
}
