package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
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
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/**
 * Operators without weights between DequantizeLinear and QuantizeLinear as those that ONNX Runtime
 * has on codes. Kernels need no such names: there the quantizers fuse into what they surround.
 */
public final class CodedOperators implements Pass {
  private static final String DOMAIN = "com.microsoft";

  /**
   * Forms of the operators on codes.
   *
   * @param data operands, each followed by its scale and zero point
   * @param attributes those that the form knows; others must have the value that changes nothing
   * @param more attributes that the form has besides
   */
  private record Form(String type, int data, Set<String> attributes, Map<String, Long> more) {}

  private static final Set<String> WINDOW =
      Set.of("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides");

  private static final Map<String, Form> FORMS =
      Map.of(
          "Add", new Form("QLinearAdd", 2, Set.of(), Map.of()),
          "Mul", new Form("QLinearMul", 2, Set.of(), Map.of()),
          "Sigmoid", new Form("QLinearSigmoid", 1, Set.of(), Map.of()),
          "LeakyRelu", new Form("QLinearLeakyRelu", 1, Set.of("alpha"), Map.of()),
          "AveragePool", new Form("QLinearAveragePool", 1, WINDOW, Map.of("channels_last", 0L)),
          "GlobalAveragePool",
              new Form("QLinearGlobalAveragePool", 1, Set.of(), Map.of("channels_last", 0L)));

  @Override
  public String id() {
    return "coded-operators";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Rewrite rewrite = new Rewrite(graph);
    for (Node quantize : graph.nodes()) {
      Optional<Node> node =
          QuantParams.isQuantize(quantize) && rewrite.onlyUser(quantize.input(0)).isPresent()
              ? graph.producer(quantize.input(0))
              : Optional.empty();
      node.ifPresent(n -> write(rewrite, n, quantize));
    }
    return rewrite.apply();
  }

  private static void write(Rewrite rewrite, Node node, Node quantize) {
    Optional<Form> known =
        Optional.ofNullable(FORMS.get(node.op().type())).filter(f -> node.op().domain().isEmpty());
    if (known.isEmpty()
        || node.inputs().size() != known.get().data()
        || !known.get().attributes().containsAll(node.attributes().keySet())
        || codes(rewrite, quantize).isEmpty()) {
      return;
    }
    Form form = known.get();
    List<Value> inputs = new ArrayList<>();
    for (Value operand : node.inputs()) {
      Optional<Node> decode = rewrite.graph().producer(operand).filter(QuantParams::isDequantize);
      Optional<QuantParams> params = decode.flatMap(d -> codes(rewrite, d));
      if (params.isEmpty()) {
        return;
      }
      inputs.add(decode.get().input(0));
      grid(rewrite, decode.get(), params.get(), inputs);
    }
    grid(rewrite, quantize, codes(rewrite, quantize).orElseThrow(), inputs);
    Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
    form.more().forEach((name, value) -> attributes.put(name, new Attribute.IntAttr(value)));
    rewrite.edit().importDomain(DOMAIN, 1);
    rewrite
        .edit()
        .replace(
            node,
            List.of(
                new Node(
                    node.id(),
                    node.name(),
                    new OpKey(DOMAIN, form.type(), 1),
                    inputs,
                    quantize.outputs(),
                    attributes)));
    rewrite.edit().remove(quantize);
  }

  /** One grid of bytes. */
  private static Optional<QuantParams> codes(Rewrite rewrite, Node coder) {
    return QuantParams.of(rewrite.graph(), coder)
        .filter(p -> p.perTensor() && ByteCodes.isByte(p.codes()));
  }

  private static void grid(Rewrite rewrite, Node coder, QuantParams params, List<Value> inputs) {
    inputs.add(coder.input(1));
    inputs.add(
        coder.input(2).isPresent()
            ? coder.input(2)
            : rewrite.edit().constant("", Constant.of(params.zeroPoint())));
  }
}
