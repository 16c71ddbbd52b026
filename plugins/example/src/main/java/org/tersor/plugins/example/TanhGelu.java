package org.tersor.plugins.example;

import java.util.HashMap;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.spi.PassContext;
import org.tersor.ir.spi.PluginPass;

/**
 * A pass of your own: with {@code --set gelu=tanh} every Gelu of the model uses the approximation
 * by tanh (ai.onnx Gelu, attribute {@code approximate}).
 */
public final class TanhGelu implements PluginPass {
  private static final String SETTING = "gelu";

  @Override
  public String id() {
    return "tanh-gelu";
  }

  @Override
  public Point point() {
    return Point.CANONICAL;
  }

  @Override
  public boolean preservesSemantics() {
    return false; // the approximation differs by up to 5e-4
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    if (!"tanh".equals(context.options().get(SETTING))) {
      return graph;
    }
    GraphEdit edit = new GraphEdit(graph);
    for (Node node : graph.nodes()) {
      if (node.op().domain().isEmpty() && node.op().type().equals("Gelu")) {
        Map<String, Attribute> attributes = new HashMap<>(node.attributes());
        attributes.put("approximate", new Attribute.StringAttr("tanh"));
        edit.remove(node);
        edit.add(node.withAttributes(attributes));
        context.note().accept(id() + ": " + node.label());
      }
    }
    return edit.isEmpty() ? graph : edit.apply();
  }
}
