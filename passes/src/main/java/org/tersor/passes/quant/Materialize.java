package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.graph.FakeQuant;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Writes a {@link QuantPlan} into a float graph: one {@code fq} node per activation, codes and a
 * DequantizeLinear per weight, int32 codes with scale (activation scale * weight scale) per bias.
 */
public final class Materialize implements Pass {
  private final QuantPlan plan;

  public Materialize(QuantPlan plan) {
    this.plan = plan;
  }

  @Override
  public String id() {
    return "materialize-plan";
  }

  @Override
  public boolean preservesSemantics() {
    return false;
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    return new Run(graph, context).run();
  }

  private final class Run {
    private final Graph graph;
    private final PassContext context;
    private final GraphEdit edit;
    private final Names names;
    private final Map<Value, Value> quantized = new HashMap<>();
    private final Map<Value, Affine> affine = new LinkedHashMap<>();
    private final Map<Node, Map<Integer, Value>> newInputs = new LinkedHashMap<>();
    private final List<Node> added = new ArrayList<>();
    private final Map<List<Object>, Value> encoded = new HashMap<>();
    private final Set<String> unused;

    Run(Graph graph, PassContext context) {
      this.graph = graph;
      this.context = context;
      this.edit = new GraphEdit(graph);
      this.names = new Names(graph);
      this.unused = new java.util.TreeSet<>(plan.activations().keySet());
      unused.addAll(plan.weights().keySet());
    }

    Graph run() {
      edit.importDomain(OpKey.TERSOR, 1);
      graph.inputs().forEach(this::quantize);
      for (Node node : graph.nodes()) {
        node.outputs().stream().filter(Value::isPresent).forEach(this::quantize);
      }
      for (Node node : graph.nodes()) {
        QuantPlan.WeightScheme scheme = plan.weights().get(names.of(node));
        if (scheme != null && encode(node, scheme)) {
          unused.remove(names.of(node));
        }
        for (int i = 0; i < node.inputs().size(); i++) {
          Value fq = quantized.get(node.input(i));
          if (fq != null) {
            newInputs.computeIfAbsent(node, n -> new HashMap<>()).put(i, fq);
          }
        }
      }
      newInputs.forEach((node, changes) -> {
        List<Value> inputs = new ArrayList<>(node.inputs());
        changes.forEach(inputs::set);
        edit.replace(node, List.of(node.withInputs(inputs)));
      });
      for (Node node : added) {
        edit.add(node);
      }
      for (String name : unused) {
        context
            .note()
            .accept(
                "materialize-plan: warning: the plan names '"
                    + name
                    + "', which this graph has no use for");
      }
      context
          .note()
          .accept(
              "materialize-plan: "
                  + quantized.size()
                  + " activations, "
                  + encoded.size()
                  + " weights and biases");
      Graph result = edit.apply();
      Map<String, String> metadata = new LinkedHashMap<>(result.metadata());
      metadata.put("tersor.plan.sha256", plan.hash());
      plan.header().forEach((key, value) -> metadata.put("tersor." + key, value));
      return result.withMetadata(metadata);
    }

    private void quantize(Value value) {
      Affine scheme = plan.activations().get(names.of(value));
      if (scheme == null
          || !(graph.type(value) instanceof ValueType.TensorType type)
          || type.dtype() != DType.F32) {
        return;
      }
      unused.remove(names.of(value));
      Value scale =
          edit.constant(
              "", Constant.of(new Tensor(DType.F32, new long[0], new float[] {scheme.scale()})));
      Tensor zero = Tensor.zeros(scheme.codes());
      zero.setLong(0, scheme.zeroPoint());
      Value output = edit.value("", type);
      added.add(
          new Node(
              edit.freshId(),
              "",
              new OpKey(OpKey.TERSOR, FakeQuant.TYPE, 1),
              List.of(value, scale, edit.constant("", Constant.of(zero))),
              List.of(output),
              Map.of()));
      quantized.put(value, output);
      affine.put(value, scheme);
    }

    private boolean encode(Node node, QuantPlan.WeightScheme scheme) {
      Optional<Tensor> weight =
          graph.constant(node.input(1)).map(Constant::load).filter(t -> t.dtype() == DType.F32);
      if (weight.isEmpty() || scheme.axis() >= weight.get().rank()) {
        return false;
      }
      Affine input = affine.get(node.input(0));
      Optional<Tensor> bias = input == null ? Optional.empty() : bias(node);
      Weights weights =
          Weights.encode(weight.get(), scheme, input == null ? 0 : input.scale(), bias);
      set(node, 1, decode(node.input(1), weights.codes(), weights.scales(), scheme.axis()));
      if (input != null && bias.isPresent() && node.input(2).isPresent()) {
        Tensor codes = weights.biasCodes(bias.get(), input.scale());
        Tensor scales = weights.biasScales(input.scale());
        set(node, 2, decode(node.input(2), codes, scales, scales.rank() == 0 ? -1 : 0));
      }
      return true;
    }

    /** A bias that can be int32 codes: a vector of one number per output channel. */
    private Optional<Tensor> bias(Node node) {
      return graph
          .constant(node.input(2))
          .map(Constant::load)
          .filter(b -> b.dtype() == DType.F32 && b.rank() == 1);
    }

    private void set(Node node, int index, Value value) {
      newInputs.computeIfAbsent(node, n -> new HashMap<>()).put(index, value);
    }

    /**
     * A DequantizeLinear of constant codes; the com.microsoft one where the model's opset has no
     * axis.
     */
    private Value decode(Value original, Tensor codes, Tensor scales, int axis) {
      List<Object> key = List.of(original, axis, java.util.Arrays.toString(scales.floats()));
      Value known = encoded.get(key);
      if (known != null) {
        return known;
      }
      int version = graph.opset("");
      boolean standard = version >= 13 || (version >= 10 && axis < 0);
      if (!standard) {
        edit.importDomain("com.microsoft", 1);
      }
      Value scale = edit.constant("", Constant.of(scales));
      Value zero = edit.constant("", Constant.of(Tensor.zeros(codes.dtype(), scales.shape())));
      Value output = edit.value("", ValueType.TensorType.of(DType.F32, codes.shape()));
      Map<String, Attribute> attributes =
          axis < 0 ? Map.of() : Map.of("axis", new Attribute.IntAttr(axis));
      OpKey op =
          standard
              ? new OpKey("", "DequantizeLinear", version)
              : new OpKey("com.microsoft", "DequantizeLinear", 1);
      added.add(
          new Node(
              edit.freshId(),
              "",
              op,
              List.of(edit.constant(original.name(), Constant.of(codes)), scale, zero),
              List.of(output),
              attributes));
      encoded.put(key, output);
      return output;
    }
  }
}
