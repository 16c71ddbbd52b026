package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Bodies;
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
  record Place(Graph graph, List<Around> within, List<Operand> layers) {}

  /** A body, and the graph that it stands in. */
  record Around(Graph graph, Bodies.Body body) {}

  /** A weight of a layer. */
  record Site(Place place, Operand operand) {
    Constant constant() {
      return place.graph().constant(operand.value()).orElseThrow();
    }

    Tensor load() {
      return constant().load();
    }
  }

  private final Compiler compiler;
  private final Predicate<String> wanted;
  private final List<Place> places = new ArrayList<>();
  private final Map<Operand, Site> sites = new LinkedHashMap<>();

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
    Place place = new Place(graph, within, new ArrayList<>());
    places.add(place);
    for (Operand operand : Operand.of(graph, compiler.registry().operators())) {
      if (wanted.test(operand.name())) {
        place.layers().add(operand);
        sites.put(operand, new Site(place, operand));
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

  /** Weights of layers, those of the model first. */
  Map<Operand, Site> all() {
    return sites;
  }
}
