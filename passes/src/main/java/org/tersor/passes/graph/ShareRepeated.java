package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Products whose operand repeats parts of another value read the value itself: where each of g
 * heads of keys serves r heads of queries (Ainslie et al., GQA), exports repeat keys and values
 * {@code [.., g, 1, s, d] -> [.., g, r, s, d] -> [.., g r, s, d]}, which costs a copy of r times
 * the cache for each token. The other operand is seen as {@code [.., g, r, m, k]} instead.
 */
public final class ShareRepeated implements Pass {
  @Override
  public String id() {
    return "share-repeated";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Rewrite rewrite = new Rewrite(graph);
    for (Node node : graph.nodes()) {
      if (node.op().is("", "MatMul")
          && node.op().version() >= UpgradeOpset.SUFFICIENT
          && !rewrite.isTouched(node)) {
        for (int side = 0; side < 2; side++) {
          Optional<Repeated> repeated = Repeated.of(graph, node.input(side));
          if (repeated.isPresent() && share(rewrite, node, side, repeated.get())) {
            break;
          }
        }
      }
    }
    return rewrite.apply();
  }

  /**
   * A value as it was before it was repeated.
   *
   * @param source [.., g, 1, ..]
   * @param order of the source's dimensions, with which it has the operand's order
   * @param axis of the operand, which has the extent groups times times
   */
  private record Repeated(Value source, List<Integer> order, int axis, long groups, long times) {

    static Optional<Repeated> of(Graph graph, Value operand) {
      Optional<Node> producer = standard(graph, operand);
      List<Integer> perm = List.of();
      Value joined = operand;
      if (producer.isPresent() && producer.get().op().type().equals("Transpose")) {
        if (!(producer.get().attributes().get("perm") instanceof Attribute.IntsAttr ints)) {
          return Optional.empty();
        }
        perm = ints.values().stream().map(Long::intValue).toList();
        joined = producer.get().input(0);
        producer = standard(graph, joined);
      }
      if (producer.isEmpty() || !producer.get().op().type().equals("Reshape")) {
        return Optional.empty();
      }
      Value repeated = producer.get().input(0);
      Optional<Node> expand = standard(graph, repeated).filter(n -> n.op().type().equals("Expand"));
      if (expand.isEmpty()) {
        return Optional.empty();
      }
      Value source = expand.get().input(0);
      return axis(graph, source, repeated, joined, perm);
    }

    private static Optional<Node> standard(Graph graph, Value value) {
      return graph.producer(value).filter(n -> n.op().domain().isEmpty());
    }

    private static Optional<Repeated> axis(
        Graph graph, Value source, Value repeated, Value joined, List<Integer> perm) {
      List<DimExpr> from = dims(graph, source);
      List<DimExpr> to = dims(graph, repeated);
      List<DimExpr> flat = dims(graph, joined);
      int rank = flat.size();
      if (from.isEmpty() || from.size() != to.size() || to.size() != rank + 1) {
        return Optional.empty();
      }
      int at = -1;
      for (int i = 0; i < to.size(); i++) {
        if (!from.get(i).equals(to.get(i))) {
          if (at >= 0 || i == 0 || !from.get(i).isConst(1) || !to.get(i).isConst()) {
            return Optional.empty();
          }
          at = i;
        }
      }
      if (at < 0 || !to.get(at - 1).isConst()) {
        return Optional.empty();
      }
      List<DimExpr> expected = new ArrayList<>(to);
      expected.remove(at);
      expected.set(at - 1, to.get(at - 1).times(to.get(at)));
      if (!expected.equals(flat)) {
        return Optional.empty();
      }
      List<Integer> order = new ArrayList<>();
      int axis = -1;
      for (int i = 0; i < rank; i++) {
        int of = perm.isEmpty() ? i : perm.get(i);
        if (of == at - 1) {
          axis = i;
          order.add(at - 1);
          order.add(at);
        } else {
          order.add(of < at ? of : of + 1);
        }
      }
      return axis >= rank - 2
          ? Optional.empty()
          : Optional.of(
              new Repeated(
                  source, order, axis, to.get(at - 1).constValue(), to.get(at).constValue()));
    }
  }

  private static List<DimExpr> dims(Graph graph, Value value) {
    return graph.type(value) instanceof TensorType type && type.isRanked()
        ? type.dims()
        : List.of();
  }

  private static boolean share(Rewrite rewrite, Node node, int side, Repeated repeated) {
    Graph graph = rewrite.graph();
    Value other = node.input(1 - side);
    List<DimExpr> otherDims = dims(graph, other);
    List<DimExpr> resultDims = dims(graph, node.output(0));
    int axis = repeated.axis;
    if (otherDims.size() != repeated.order.size() - 1
        || !otherDims.get(axis).isConst(repeated.groups * repeated.times)) {
      return false;
    }
    Optional<long[]> split = split(otherDims, axis, repeated.groups, repeated.times);
    Optional<long[]> joined = target(resultDims, axis);
    if (split.isEmpty() || joined.isEmpty()) {
      return false;
    }
    Steps steps = new Steps(rewrite, node);
    Value[] operands = new Value[2];
    operands[side] = steps.transpose(repeated.source, repeated.order);
    operands[1 - side] = steps.reshape(other, split.get());
    Value product = steps.add("MatMul", node.op().version(), Map.of(), List.of(operands));
    steps.finish(product, joined.get());
    return true;
  }

  /** Dimensions of a Reshape that divides one; empty if more than one is to be found. */
  private static Optional<long[]> split(List<DimExpr> dims, int axis, long groups, long times) {
    return target(dims, axis)
        .map(whole -> {
          long[] result = new long[whole.length + 1];
          System.arraycopy(whole, 0, result, 0, axis);
          result[axis] = groups;
          result[axis + 1] = times;
          System.arraycopy(whole, axis + 1, result, axis + 2, whole.length - axis - 1);
          return result;
        });
  }

  /** Dimensions before {@code axis} are copied, those from there on are numbers, one is found. */
  private static Optional<long[]> target(List<DimExpr> dims, int axis) {
    long[] result = new long[dims.size()];
    boolean found = false;
    for (int i = axis; i < result.length; i++) {
      if (dims.get(i).isConst()) {
        result[i] = dims.get(i).constValue();
        // Where nothing is found, nothing divides by it, and 0 would mean a copy.
        if (result[i] == 0) {
          return Optional.empty();
        }
      } else if (found) {
        return Optional.empty();
      } else {
        result[i] = -1;
        found = true;
      }
    }
    return Optional.of(result);
  }

  /** Nodes in place of one. */
  private record Steps(Rewrite rewrite, Node node, List<Node> nodes) {
    Steps(Rewrite rewrite, Node node) {
      this(rewrite, node, new ArrayList<>());
    }

    Value add(String type, int version, Map<String, Attribute> attributes, List<Value> inputs) {
      Value result = rewrite.edit().value("", ValueType.UNKNOWN);
      put(type, version, attributes, inputs, result);
      return result;
    }

    private void put(
        String type,
        int version,
        Map<String, Attribute> attributes,
        List<Value> inputs,
        Value output) {
      nodes.add(
          new Node(
              rewrite.edit().freshId(),
              node.name(),
              new OpKey("", type, version),
              inputs,
              List.of(output),
              attributes));
    }

    Value transpose(Value value, List<Integer> order) {
      if (order.equals(order.stream().sorted().toList())) {
        return value;
      }
      Attribute perm = new Attribute.IntsAttr(order.stream().map(Integer::longValue).toList());
      return add("Transpose", node.op().version(), Map.of("perm", perm), List.of(value));
    }

    Value reshape(Value value, long[] shape) {
      return add("Reshape", node.op().version(), Map.of(), List.of(value, longs(shape)));
    }

    private Value longs(long[] values) {
      return rewrite.edit().constant("", Constant.of(Tensor.of(values, values.length)));
    }

    void finish(Value product, long[] shape) {
      put("Reshape", node.op().version(), Map.of(), List.of(product, longs(shape)), node.output(0));
      rewrite.edit().replace(node, nodes);
    }
  }
}
