package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Bodies;
import org.tersor.passes.graph.Names;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.Tensor;

/** Layers with weights in a model and in bodies of If, Loop and Scan; ids of nodes are its own. */
final class Sites {
  /**
   * A graph with layers.
   *
   * @param graph the model, or a closed body
   * @param within the bodies around it, the outermost first; none of the model
   */
  record Place(Graph graph, List<Around> within, Map<Node, WeightLayout> layers) {}

  /** A body, and the graph that it stands in. */
  record Around(Graph graph, Bodies.Body body) {}

  /**
   * A layer.
   *
   * @param name in plans
   */
  record Site(Place place, String name, WeightLayout layout, Value weight) {
    Tensor load() {
      return place.graph().constant(weight).orElseThrow().load();
    }
  }

  private final Compiler compiler;
  private final Predicate<String> wanted;
  private final List<Place> places = new ArrayList<>();
  private final Map<Node, Site> sites = new LinkedHashMap<>();

  /**
   * @param wanted names of layers
   */
  Sites(Compiler compiler, Graph model, Predicate<String> wanted) {
    this.compiler = compiler;
    this.wanted = wanted;
    add(model, List.of());
  }

  private void add(Graph graph, List<Around> within) {
    if (!within.isEmpty() && !TypeInference.holds(graph, compiler.registry().operators())) {
      return; // a branch that the types do not allow
    }
    Names names = new Names(graph);
    TypeInference.Inferred inferred =
        TypeInference.infer(graph, compiler.registry().operators(), note -> {});
    Place place = new Place(graph, within, new LinkedHashMap<>());
    places.add(place);
    for (Node node : graph.nodes()) {
      String name = names.of(node);
      if (wanted.test(name)) {
        compiler
            .registry()
            .operators()
            .find(node.op())
            .flatMap(o -> o.weights(inferred.scope().context(node)))
            .ifPresent(layout -> {
              place.layers().put(node, layout);
              sites.put(node, new Site(place, name, layout, node.input(layout.input())));
            });
      }
    }
    for (Bodies.Body body : Bodies.of(graph)) {
      List<Around> more = new ArrayList<>(within);
      more.add(new Around(graph, body));
      add(body.closed(), List.copyOf(more));
    }
  }

  /** Graphs, the model first. */
  List<Place> places() {
    return places;
  }

  /** Layers by node, those of the model first. */
  Map<Node, Site> all() {
    return sites;
  }
}
