package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;

/** Asserts that two graphs are equal but for ids and for names inside. */
final class Same {
  private final Map<Value, Value> pairs = new HashMap<>();
  private final String what;

  private Same(String what) {
    this.what = what;
    pairs.put(Value.NONE, Value.NONE);
  }

  static void check(Graph a, Graph b, String what) {
    Same same = new Same(what);
    same.graphs(a, b);
    assertEquals(
        a.inputs().stream().map(Value::name).toList(),
        b.inputs().stream().map(Value::name).toList(),
        what);
    assertEquals(a.opsets(), b.opsets(), what);
    assertEquals(kept(a), kept(b), what);
  }

  private static Map<String, String> kept(Graph graph) {
    Map<String, String> kept = new TreeMap<>(graph.metadata());
    kept.keySet()
        .removeIf(k ->
            k.startsWith(Metadata.NODE)
                || k.startsWith(Metadata.VALUE)
                || k.equals(Metadata.IR_VERSION)
                || k.equals(Metadata.DEFAULT_INPUTS));
    kept.remove(Metadata.PRODUCER_NAME);
    return kept;
  }

  private void graphs(Graph a, Graph b) {
    pair(a.inputs(), b.inputs());
    a.inputs()
        .forEach(i -> assertEquals(a.type(i), b.type(Objects.requireNonNull(pairs.get(i))), what));
    // Constants are matched by where they are used, so their order does not matter.
    assertEquals(a.nodes().size(), b.nodes().size(), what);
    for (int i = 0; i < a.nodes().size(); i++) {
      nodes(a, b, a.nodes().get(i), b.nodes().get(i));
    }
    assertEquals(a.outputs().size(), b.outputs().size(), what);
    for (int i = 0; i < a.outputs().size(); i++) {
      use(a, b, a.outputs().get(i), b.outputs().get(i));
    }
    assertEquals(a.constants().size(), b.constants().size(), what);
  }

  private void pair(List<Value> a, List<Value> b) {
    assertEquals(a.size(), b.size(), what);
    for (int i = 0; i < a.size(); i++) {
      assertEquals(a.get(i).isPresent(), b.get(i).isPresent(), what);
      pairs.put(a.get(i), b.get(i));
    }
  }

  private void use(Graph a, Graph b, Value x, Value y) {
    Value known = pairs.get(x);
    if (known == null) {
      // A constant of this graph, or of one around it that is first used here.
      assertEquals(a.constant(x).isPresent(), b.constant(y).isPresent(), what + ": " + x.name());
      if (a.constant(x).isPresent()) {
        constants(a.constant(x).get(), b.constant(y).get());
      }
      pairs.put(x, y);
    } else {
      assertEquals(known, y, what + ": " + x.name() + " and " + y.name());
    }
  }

  private void constants(Constant a, Constant b) {
    assertEquals(a.type(), b.type(), what);
    assertEquals(a.load(), b.load(), what);
  }

  private void nodes(Graph ga, Graph gb, Node a, Node b) {
    assertEquals(a.op(), b.op(), what);
    assertTrue(
        b.name().equals(a.name()) || b.name().startsWith(a.name() + "_"),
        () -> what + ": " + a.name() + " and " + b.name());
    assertEquals(a.inputs().size(), b.inputs().size(), what);
    for (int i = 0; i < a.inputs().size(); i++) {
      use(ga, gb, a.input(i), b.input(i));
    }
    assertEquals(a.attributes().keySet(), b.attributes().keySet(), what);
    a.attributes()
        .forEach(
            (name, value) -> attributes(value, Objects.requireNonNull(b.attributes().get(name))));
    pair(a.outputs(), b.outputs());
  }

  private void attributes(Attribute a, Attribute b) {
    switch (a) {
      case Attribute.GraphAttr g -> graphs(g.value(), ((Attribute.GraphAttr) b).value());
      case Attribute.GraphsAttr g -> {
        for (int i = 0; i < g.values().size(); i++) {
          graphs(g.values().get(i), ((Attribute.GraphsAttr) b).values().get(i));
        }
      }
      case Attribute.TensorAttr t -> constants(t.value(), ((Attribute.TensorAttr) b).value());
      case Attribute.TensorsAttr t -> {
        for (int i = 0; i < t.values().size(); i++) {
          constants(t.values().get(i), ((Attribute.TensorsAttr) b).values().get(i));
        }
      }
      default -> assertEquals(a, b, what);
    }
  }
}
