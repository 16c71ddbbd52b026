package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.Tensor;

/** Removes nodes that do nothing and merges pairs of transposes and of reshapes. */
public final class Simplify implements Pass {
  @Override
  public String id() {
    return "simplify";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Rewrite rewrite = new Rewrite(graph);
    for (Node node : graph.nodes()) {
      if (!node.op().domain().isEmpty()) {
        continue;
      }
      switch (node.op().type()) {
        case "Identity" -> rewrite.bypass(node, node.input(0));
        case "Dropout" -> dropout(rewrite, node);
        case "Sum", "Max", "Min", "Mean", "Concat" -> {
          if (node.inputs().size() == 1) {
            rewrite.bypass(node, node.input(0));
          }
        }
        case "Cast", "Reshape", "Flatten", "Expand", "Squeeze", "Unsqueeze" -> {
          if (sameType(graph, node) && !dataDecide(graph, node)) {
            rewrite.bypass(node, node.input(0));
          } else if (node.op().type().equals("Reshape")) {
            reshapeOfReshape(rewrite, node);
          }
        }
        case "Transpose" -> transpose(rewrite, node);
        default -> {}
      }
    }
    return rewrite.apply();
  }

  private static void dropout(Rewrite rewrite, Node node) {
    boolean training =
        node.attributes().get("is_test") instanceof Attribute.IntAttr test
            && test.value() == 0
            && node.op().version() < 7;
    if (node.input(2).isPresent()) {
      training |= rewrite.constant(node.input(2)).map(t -> t.getLong(0) != 0).orElse(true);
    }
    boolean maskUnused =
        !node.output(1).isPresent()
            || (rewrite.graph().consumers(node.output(1)).isEmpty()
                && !rewrite.graph().isOutput(node.output(1)));
    if (!training && maskUnused) {
      rewrite.bypass(node, node.input(0));
    }
  }

  /** Squeeze without axes drops what turns out to be 1. */
  private static boolean dataDecide(Graph graph, Node node) {
    return node.op().type().equals("Squeeze")
        && !node.attributes().containsKey("axes")
        && !node.input(1).isPresent()
        && !(graph.type(node.input(0)) instanceof TensorType type && type.isStatic());
  }

  /** Whether output and input have equal types without dimensions that hide a difference. */
  private static boolean sameType(Graph graph, Node node) {
    return graph.type(node.output(0)) instanceof TensorType out
        && graph.type(node.input(0)) instanceof TensorType in
        && out.equals(in)
        && (in.isRanked() || node.op().type().equals("Cast"));
  }

  private static void reshapeOfReshape(Rewrite rewrite, Node node) {
    Optional<Node> inner = rewrite.graph().producer(node.input(0));
    Optional<Tensor> shape = rewrite.constant(node.input(1));
    if (inner.isEmpty()
        || rewrite.isTouched(inner.get())
        || rewrite.isTouched(node)
        || shape.isEmpty()
        || node.inputs().size() != 2) {
      return;
    }
    boolean innerReshapes =
        Set.of("Reshape", "Flatten", "Squeeze", "Unsqueeze").contains(inner.get().op().type());
    for (long dim : shape.get().longs()) {
      if (dim == 0) {
        return; // copies a dimension of its input
      }
    }
    if (innerReshapes && inner.get().op().domain().isEmpty()) {
      rewrite
          .edit()
          .replace(node, List.of(node.withInputs(List.of(inner.get().input(0), node.input(1)))));
    }
  }

  private static void transpose(Rewrite rewrite, Node node) {
    Optional<List<Long>> outer = permutation(rewrite, node);
    if (outer.isEmpty()) {
      return;
    }
    if (isIdentity(outer.get())) {
      rewrite.bypass(node, node.input(0));
      return;
    }
    Optional<Node> inner =
        rewrite
            .graph()
            .producer(node.input(0))
            .filter(n -> n.op().is("Transpose") && !rewrite.isTouched(n));
    Optional<List<Long>> first = inner.flatMap(n -> permutation(rewrite, n));
    if (first.isEmpty() || first.get().size() != outer.get().size() || rewrite.isTouched(node)) {
      return;
    }
    List<Long> both = new ArrayList<>();
    for (long axis : outer.get()) {
      both.add(first.get().get((int) axis));
    }
    if (isIdentity(both)) {
      rewrite.bypass(node, inner.get().input(0));
    } else {
      Node merged =
          node.withInputs(inner.get().inputs())
              .withAttributes(Map.of("perm", new Attribute.IntsAttr(both)));
      rewrite.edit().replace(node, List.of(merged));
    }
  }

  private static Optional<List<Long>> permutation(Rewrite rewrite, Node node) {
    Optional<TensorType> type = rewrite.tensorType(node.input(0)).filter(TensorType::isRanked);
    if (node.attributes().get("perm") instanceof Attribute.IntsAttr perm) {
      boolean valid = perm.values().stream().allMatch(p -> p >= 0 && p < perm.values().size());
      return valid ? Optional.of(perm.values()) : Optional.empty();
    }
    return type.map(t ->
        java.util.stream.LongStream.range(0, t.rank()).mapToObj(d -> t.rank() - 1 - d).toList());
  }

  private static boolean isIdentity(List<Long> permutation) {
    for (int d = 0; d < permutation.size(); d++) {
      if (permutation.get(d) != d) {
        return false;
      }
    }
    return true;
  }
}
