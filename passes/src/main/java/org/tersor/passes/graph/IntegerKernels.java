package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DType;

/**
 * DequantizeLinear of both operands, Conv, Gemm or MatMul, bias, ReLU or Clip that saturation does
 * anyway, QuantizeLinear: one integer operator. Layers whose inputs get their codes when the model
 * runs are {@link DynamicKernels}'. The report says how many layers compute with integers and how
 * many do not.
 */
public final class IntegerKernels implements Pass {
  static final int VERSION = 13;

  /** The setting that asks for integer operators in files that other tools read. */
  public static final String EXPORTED = "qoperator";

  private final boolean standard;

  /** Whatever there is a kernel for. */
  public IntegerKernels() {
    this(false);
  }

  private IntegerKernels(boolean standard) {
    this.standard = standard;
  }

  /**
   * Operators that other tools know, too: what is not among them keeps its quantizers, as layers do
   * whose inputs get their codes when the model runs.
   */
  public static IntegerKernels standard() {
    return new IntegerKernels(true);
  }

  @Override
  public String id() {
    return "integer-kernels";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  /**
   * What becomes of a layer whose weights are codes.
   *
   * @param kernel the integer operator; empty: weights are decoded and the layer computes in float
   * @param why the reason for float; empty for an integer kernel
   */
  public record Choice(Node layer, Optional<String> kernel, String why) {}

  @Override
  public Graph run(Graph graph, PassContext context) {
    Rewrite rewrite = new Rewrite(graph);
    List<Choice> choices = choose(rewrite, context, standard);
    if (choices.isEmpty()) {
      return rewrite.apply();
    }
    List<Choice> decoded = choices.stream().filter(c -> c.kernel().isEmpty()).toList();
    String floats =
        String.join(
            "; ", decoded.stream().map(c -> c.layer().label() + " (" + c.why() + ")").toList());
    context
        .note()
        .accept(
            "integer-kernels: "
                + (choices.size() - decoded.size())
                + " layers compute with integers, "
                + decoded.size()
                + " decode their weights to floats"
                + (decoded.isEmpty() ? "" : ": ")
                + floats);
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put(
        ModelMetadata.TERSOR + "layers in integers",
        String.join(
            "; ",
            choices.stream()
                .filter(c -> c.kernel().isPresent())
                .map(c -> c.layer().label())
                .toList()));
    facts.put(ModelMetadata.TERSOR + "layers in float", floats);
    facts.values().removeIf(String::isEmpty);
    return ModelMetadata.with(rewrite.apply(), facts);
  }

  /** What {@link #run} does to each layer with coded weights, in order of the graph. */
  public static List<Choice> choices(Graph graph, PassContext context) {
    return choose(new Rewrite(graph), context, false);
  }

  private static List<Choice> choose(Rewrite rewrite, PassContext context, boolean standard) {
    Graph graph = rewrite.graph();
    Map<Integer, String> kernels = new HashMap<>();
    Map<Integer, String> reasons = new HashMap<>();
    for (Node node : graph.nodes()) {
      if (QuantParams.isQuantize(node)) {
        IntegerMatch match = new IntegerMatch(rewrite, node, context, standard);
        if (match.apply()) {
          kernels.put(match.layer(), match.kernel());
        } else if (match.layer() >= 0) {
          reasons.put(match.layer(), match.why());
        }
      }
    }
    DynamicKernels dynamic = new DynamicKernels(rewrite);
    for (Node node : standard ? List.<Node>of() : graph.nodes()) {
      switch (dynamic.choose(node)) {
        case DynamicKernels.Found.Kernel kernel -> kernels.put(node.id(), kernel.operator());
        case DynamicKernels.Found.Obstacle obstacle -> reasons.put(node.id(), obstacle.why());
        case DynamicKernels.Found.Nothing nothing -> {}
      }
    }
    List<Choice> choices = new ArrayList<>();
    for (Node node : graph.nodes()) {
      Optional<Node> codes =
          node.inputs().stream()
              .limit(2)
              .flatMap(v -> graph.producer(v).stream())
              .filter(n -> isCoded(graph, n))
              .findFirst();
      if (codes.isPresent()) {
        Optional<String> kernel = Optional.ofNullable(kernels.get(node.id()));
        String why =
            kernel.isPresent()
                ? ""
                : reasons.getOrDefault(node.id(), why(graph, node, codes.get()));
        choices.add(new Choice(node, kernel, why));
      }
    }
    return choices;
  }

  /** Whether a node decodes constant codes. */
  private static boolean isCoded(Graph graph, Node node) {
    return DecodeOperator.isDecode(node)
        || (QuantParams.isDequantize(node) && graph.constant(node.input(0)).isPresent());
  }

  private static String why(Graph graph, Node node, Node codes) {
    if (DecodeOperator.isDecode(codes)) {
      return "no integer kernel knows the grid of its weights";
    }
    Optional<String> obstacle = obstacle(graph, node);
    if (obstacle.isPresent()) {
      return obstacle.get();
    }
    Optional<Node> input = graph.producer(node.input(0));
    if (input.filter(QuantParams::isDequantize).isEmpty()) {
      return "its input is not quantized";
    }
    return graph.isOutput(node.output(0))
        ? "its result leaves the model as floats"
        : "its result is not quantized: "
            + String.join(
                ", ",
                graph.consumers(node.output(0)).stream()
                    .map(n -> n.op().type())
                    .distinct()
                    .toList())
            + " reads floats";
  }

  /** Why a layer with constant weights cannot compute with integers, whatever surrounds it. */
  public static Optional<String> obstacle(Graph graph, Node node) {
    if (!node.op().domain().isEmpty() || !isFloat(graph, node.input(0))) {
      return Optional.of("there is no integer kernel for " + node.op().type());
    }
    int rank = graph.type(node.input(1)) instanceof TensorType w && w.isRanked() ? w.rank() : -1;
    boolean bias = !node.input(2).isPresent() || isKnown(graph, node.input(2));
    return switch (node.op().type()) {
      case "Conv", "ConvTranspose" -> bias ? Optional.empty() : Optional.of("its bias is computed");
      case "Gemm" ->
          !bias
              ? Optional.of("its bias is computed")
              : attribute(node, "alpha", 1) != 1
                      || attribute(node, "beta", 1) != 1
                      || attribute(node, "transA", 0) != 0
                  ? Optional.of("the integer kernel knows no alpha, beta and transA")
                  : Optional.empty();
      case "MatMul" ->
          rank == 2
              ? Optional.empty()
              : Optional.of("its weights are no matrix, but of rank " + rank);
      default -> Optional.of("there is no integer kernel for " + node.op().type());
    };
  }

  private static boolean isKnown(Graph graph, Value value) {
    return graph.constant(value).isPresent()
        || graph.producer(value).filter(n -> isCoded(graph, n)).isPresent();
  }

  private static boolean isFloat(Graph graph, Value value) {
    return graph.type(value) instanceof TensorType type && type.dtype() == DType.F32;
  }

  private static double attribute(Node node, String name, double otherwise) {
    Attribute attribute = node.attributes().get(name);
    if (attribute instanceof Attribute.IntAttr i) {
      return i.value();
    }
    return attribute instanceof Attribute.FloatAttr f ? f.value() : otherwise;
  }
}
