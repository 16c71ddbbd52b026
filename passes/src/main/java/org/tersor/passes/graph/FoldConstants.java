package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.eval.KnownEval;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * Computes nodes whose inputs are constants, and shape arithmetic that inference worked out. A
 * result over 64 MiB, a random operator and the decoding of quantized weights are left alone: codes
 * stay codes, in the artifact and in memory.
 */
public final class FoldConstants implements Pass {
  private static final long MAX_BYTES = 64L << 20;

  /** Codes may become larger up to this. */
  private static final long SMALL_BYTES = 64L << 10;

  @Override
  public String id() {
    return "fold-constants";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    TypeInference.Inferred inferred = TypeInference.infer(graph, context.operators(), note -> {});
    Rewrite rewrite = new Rewrite(graph);
    Map<Value, Tensor> folded = new HashMap<>();
    int count = 0;
    for (Node node : graph.nodes()) {
      Optional<List<Tensor>> results = fold(graph, node, folded, inferred, context);
      if (results.isEmpty() || results.get().size() < node.outputs().size()) {
        continue;
      }
      for (int i = 0; i < node.outputs().size(); i++) {
        Value output = node.output(i);
        if (output.isPresent()) {
          folded.put(output, results.get().get(i));
          rewrite.redirect(
              output, rewrite.edit().constant(output.name(), Constant.of(results.get().get(i))));
        }
      }
      rewrite.edit().remove(node);
      count++;
    }
    if (count > 0) {
      context.note().accept("fold-constants: " + count + " nodes computed");
    }
    return rewrite.apply();
  }

  private static Optional<List<Tensor>> fold(
      Graph graph,
      Node node,
      Map<Value, Tensor> folded,
      TypeInference.Inferred inferred,
      PassContext context) {
    Optional<Operator> operator = context.operators().find(node.op());
    if (operator.isEmpty()
        || operator.get().schema().tolerance() == OpSchema.Tolerance.RANDOM
        || !Graph.bodies(node).isEmpty()
        || node.op().type().equals("DequantizeLinear")
        || unpacks(graph, node)
        || DecodeOperator.isDecode(node)) {
      return Optional.empty();
    }
    if (node.outputs().size() == 1) {
      Optional<Tensor> known = inferred.scope().knownAtCompileTime(node.output(0));
      if (known.isPresent()) {
        return known.map(List::of);
      }
    }
    List<Optional<Tensor>> inputs = new ArrayList<>();
    for (Value input : node.inputs()) {
      if (input.isPresent() && !folded.containsKey(input) && graph.constant(input).isEmpty()) {
        return Optional.empty();
      }
    }
    long limit = limit(graph, node, folded);
    for (Value output : node.outputs()) {
      if (output.isPresent() && !fits(graph.type(output), limit)) {
        return Optional.empty();
      }
    }
    for (Value input : node.inputs()) {
      Tensor earlier = folded.get(input);
      inputs.add(
          !input.isPresent()
              ? Optional.empty()
              : earlier != null ? Optional.of(earlier) : graph.constant(input).map(Constant::load));
    }
    try {
      return tensors(operator.get().eval(new KnownEval(graph, node, inputs)));
    } catch (RuntimeException e) {
      context
          .note()
          .accept("fold-constants: " + node.label() + " cannot be computed now: " + e.getMessage());
      return Optional.empty();
    }
  }

  /** Codes of less than a byte stay packed in the file, and are widened when it is loaded. */
  private static boolean unpacks(Graph graph, Node node) {
    return node.op().is("Cast")
        && graph
            .constant(node.input(0))
            .filter(c -> c.dtype().isInteger() && c.dtype().bits() < Byte.SIZE)
            .isPresent();
  }

  /** Only tensors can be constants. */
  private static Optional<List<Tensor>> tensors(List<? extends Datum> results) {
    return results.stream().allMatch(Tensor.class::isInstance)
        ? Optional.of(results.stream().map(Tensor.class::cast).toList())
        : Optional.empty();
  }

  /** What is made of integers of 8 bits or less is no larger than these, but for small ones. */
  private static long limit(Graph graph, Node node, Map<Value, Tensor> folded) {
    long bytes = 0;
    boolean codes = false;
    for (Value input : node.inputs()) {
      if (input.isPresent() && graph.type(input) instanceof ValueType.TensorType tensor) {
        Tensor known = folded.get(input);
        long elements =
            known != null ? known.size() : graph.constant(input).map(Constant::elements).orElse(0L);
        bytes += elements * tensor.dtype().memoryBytes();
        codes |= !tensor.dtype().isFloat() && tensor.dtype().bits() <= 8;
      }
    }
    return codes ? Math.min(MAX_BYTES, Math.max(SMALL_BYTES, bytes)) : MAX_BYTES;
  }

  private static boolean fits(ValueType type, long limit) {
    if (!(type instanceof ValueType.TensorType tensor) || !tensor.isStatic()) {
      return false;
    }
    try {
      return Math.multiplyExact(
              Tensor.count(tensor.staticShape()), (long) Math.max(1, tensor.dtype().memoryBytes()))
          <= limit;
    } catch (ArithmeticException e) {
      return false;
    }
  }
}
