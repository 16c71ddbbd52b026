package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.WeightLayout;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.graph.DecodeOperator;
import org.tersor.passes.graph.DynamicGrid;
import org.tersor.passes.graph.FakeQuant;
import org.tersor.passes.graph.Names;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Writes a {@link QuantPlan} into a float graph: one {@code fq} node per activation, an encoded
 * constant and one {@code decode} node per weight, int32 codes with scale (activation scale *
 * weight scale) per bias.
 */
public final class Materialize implements Pass {
  public static final String ID = "materialize-plan";

  private final QuantPlan plan;
  private final Function<String, NumberFormat> formats;
  private final Map<String, List<Tensor>> codes;

  /**
   * @param formats the format of an id
   * @param codes buffers of weights that a method chose, by name of the node
   */
  public Materialize(
      QuantPlan plan, Function<String, NumberFormat> formats, Map<String, List<Tensor>> codes) {
    this.plan = plan;
    this.formats = formats;
    this.codes = codes;
  }

  @Override
  public String id() {
    return ID;
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

  /**
   * A bias of a layer: input {@code input} of {@code node}, which is the layer or, of a MatMul, the
   * Add behind it.
   */
  record Bias(Node node, int input, Tensor numbers) {}

  /**
   * A bias that can be int32 codes: a vector of one number per row of the weight, or of as many
   * times the rows as there are groups that share them.
   */
  static Optional<Bias> bias(Graph graph, Node node, WeightLayout layout, Tensor weight) {
    if (layout.rows().size() != 1 || weight.size() == 0) {
      return Optional.empty();
    }
    long rows = weight.shape()[layout.rows().getFirst()];
    if (!node.op().is("MatMul")) {
      return bias(graph, node, 2).filter(b -> b.numbers().size() % rows == 0);
    }
    Value product = node.output(0);
    List<Node> users = graph.consumers(product);
    if (graph.isOutput(product) || users.size() != 1 || !users.getFirst().op().is("Add")) {
      return Optional.empty();
    }
    Node add = users.getFirst();
    return bias(graph, add, add.input(0).equals(product) ? 1 : 0)
        .filter(b -> b.numbers().size() == rows);
  }

  private static Optional<Bias> bias(Graph graph, Node node, int input) {
    return graph
        .constant(node.input(input))
        .map(Constant::load)
        .filter(b -> b.dtype() == DType.F32 && b.rank() == 1 && b.size() > 0)
        .map(b -> new Bias(node, input, b));
  }

  private final class Run {
    private final Graph graph;
    private final PassContext context;
    private final GraphEdit edit;
    private final Names names;
    private final Map<Value, Value> quantized = new HashMap<>();
    private final Map<Value, ActivationGrid> grids = new LinkedHashMap<>();
    private final Map<Value, DynamicGrid> dynamic = new HashMap<>();
    private final Map<Node, Map<Integer, Value>> newInputs = new LinkedHashMap<>();
    private final List<Node> added = new ArrayList<>();
    private final Map<List<Object>, Value> encoded = new HashMap<>();
    private final Set<String> unused;

    Run(Graph graph, PassContext context) {
      this.graph = graph;
      this.context = context;
      this.edit = new GraphEdit(graph);
      this.names = new Names(graph);
      this.unused = new java.util.TreeSet<>(names.own(plan.activations()).keySet());
      unused.addAll(names.own(plan.weights()).keySet());
    }

    Graph run() {
      edit.importDomain(OpKey.TERSOR, 1);
      graph.inputs().forEach(this::quantize);
      for (Node node : graph.nodes()) {
        node.outputs().stream().filter(Value::isPresent).forEach(this::quantize);
      }
      for (Operand operand : Operand.of(graph, context.operators())) {
        String format = plan.weights().get(operand.name());
        if (format != null && encode(operand, formats.apply(format))) {
          unused.remove(operand.name());
        }
      }
      for (Node node : graph.nodes()) {
        for (int i = 0; i < node.inputs().size(); i++) {
          Value fq = quantized.get(node.input(i));
          if (fq != null && wants(node, i)) {
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

    /** Codes that are made when the model runs are for the products of layers alone. */
    private boolean wants(Node node, int input) {
      DynamicGrid grid = dynamic.get(node.input(input));
      return grid == null
          || (input == 0 && plan.weights().containsKey(names.of(node)) && grid.fits(node));
    }

    private void quantize(Value value) {
      QuantPlan.Activation activation = plan.activations().get(names.of(value));
      if (activation == null
          || !(graph.type(value) instanceof ValueType.TensorType type)
          || type.dtype() != DType.F32) {
        return;
      }
      unused.remove(names.of(value));
      Optional<DynamicGrid> whenRun = DynamicGrid.parse(activation.format());
      if (whenRun.isPresent()) {
        Value output = edit.value("", type);
        added.addAll(whenRun.get().nodes(edit, graph.opset(""), value, type, output));
        dynamic.put(value, whenRun.get());
        quantized.put(value, output);
        return;
      }
      ActivationGrid grid = ActivationGrid.of(formats.apply(activation.format()), activation);
      Value scale = edit.constant("", Constant.of(grid.scaleTensor()));
      Value zero = edit.constant("", Constant.of(grid.zeroTensor()));
      Value output = edit.value("", type);
      added.add(
          new Node(
              edit.freshId(),
              "",
              new OpKey(OpKey.TERSOR, FakeQuant.TYPE, 1),
              List.of(value, scale, zero),
              List.of(output),
              grid.limits()));
      quantized.put(value, output);
      grids.put(value, grid);
    }

    private boolean encode(Operand operand, NumberFormat format) {
      Node node = operand.node();
      WeightLayout layout = operand.layout();
      Value original = operand.value();
      Optional<Tensor> weight =
          graph
              .constant(original)
              .map(Constant::load)
              .filter(t -> t.dtype() == DType.F32 && WeightEncoding.isFinite(t));
      if (weight.isEmpty()) {
        return false;
      }
      Optional<ActivationGrid> input =
          operand.stored() ? Optional.empty() : Optional.ofNullable(grids.get(node.input(0)));
      Optional<Bias> bias = input.flatMap(grid -> bias(graph, node, layout, weight.get()));
      Optional<Tensor> numbers = bias.map(Bias::numbers);
      double inputScale = input.map(grid -> (double) grid.scale()).orElse(0.0);
      WeightEncoding encoding = encoding(operand, format, weight.get(), inputScale, numbers);
      List<Object> key =
          List.of(original, format.id(), layout, encoding.key(), checksum(operand.name()));
      set(
          node,
          layout.input(),
          known(key, () -> decode(original, format, weight.get().shape(), layout, encoding)));
      if (bias.isPresent() && encoding.scales().isPresent()) {
        Value biasValue = bias.get().node().input(bias.get().input());
        Tensor scales =
            WeightEncoding.biasScales(
                encoding.scales().get(), input.orElseThrow().scale(), numbers.get().size());
        Tensor codes = WeightEncoding.biasCodes(numbers.get(), scales);
        List<Object> biasKey = List.of(biasValue, java.util.Arrays.toString(scales.floats()));
        set(
            bias.get().node(),
            bias.get().input(),
            known(biasKey, () -> decodeBias(biasValue, codes, scales)));
      }
      return true;
    }

    private String checksum(String name) {
      QuantPlan.Choice choice = plan.choices().get(name);
      return choice == null ? "" : choice.sha256();
    }

    private WeightEncoding encoding(
        Operand operand,
        NumberFormat format,
        Tensor weight,
        double inputScale,
        Optional<Tensor> bias) {
      String name = operand.name();
      WeightLayout layout = operand.layout();
      QuantPlan.Choice choice = plan.choices().get(name);
      if (choice == null) {
        return WeightEncoding.of(format, weight, layout, inputScale, bias);
      }
      long[] shape = layout.encodedShape(weight.shape());
      List<Tensor> kept = codes.get(name);
      WeightMethod method = WeightMethod.parse(choice.method());
      if (kept == null && method.needsInputs()) {
        throw new TersorException(
            "TSR-0420",
            "the codes of '"
                + name
                + "' were chosen by "
                + choice.method()
                + " from data, and are kept in the file beside the plan: it is missing or of another"
                + " plan; quantize again, or remove 'method' from this line for plain rounding");
      }
      WeightEncoding encoding =
          kept == null
              ? WeightEncoding.of(
                  format, weight, layout, inputScale, bias, method, List.of(), note -> {})
              : WeightEncoding.of(format, kept, shape, name);
      String found = WeightEncoding.checksum(format.definition(), encoding.buffers(), shape);
      if (!found.equals(choice.sha256())) {
        throw new TersorException(
            "TSR-0420",
            "the codes of '"
                + name
                + "' have the checksum "
                + found
                + ", the plan says "
                + choice.sha256()
                + ": it was made for other weights or edited; quantize again");
      }
      return encoding;
    }

    private void set(Node node, int index, Value value) {
      newInputs.computeIfAbsent(node, n -> new HashMap<>()).put(index, value);
    }

    private Value known(List<Object> key, Supplier<Value> make) {
      Value found = encoded.get(key);
      if (found == null) {
        found = make.get();
        encoded.put(key, found);
      }
      return found;
    }

    private Value decode(
        Value original,
        NumberFormat format,
        long[] shape,
        WeightLayout layout,
        WeightEncoding encoding) {
      Value output = edit.value("", ValueType.TensorType.of(DType.F32, shape));
      List<Value> buffers = new ArrayList<>();
      for (Tensor buffer : encoding.buffers()) {
        String name = buffers.isEmpty() ? original.name() : "";
        buffers.add(edit.constant(name, Constant.of(buffer)));
      }
      added.add(
          DecodeOperator.node(
              edit.freshId(),
              original.name(),
              buffers,
              output,
              DecodeOperator.attributes(format.dsl(), shape, layout)));
      return output;
    }

    private Value decodeBias(Value original, Tensor codes, Tensor scales) {
      Value output = edit.value("", ValueType.TensorType.of(DType.F32, codes.shape()));
      Map<String, Attribute> attributes =
          scales.rank() == 0 ? Map.of() : Map.of("axis", new Attribute.IntAttr(0));
      Tensor zeros = Tensor.zeros(codes.dtype(), scales.shape());
      added.add(
          new Node(
              edit.freshId(),
              "",
              new OpKey("", "DequantizeLinear", graph.opset("")),
              List.of(
                  edit.constant(original.name(), Constant.of(codes)),
                  edit.constant("", Constant.of(scales)),
                  edit.constant("", Constant.of(zeros))),
              List.of(output),
              attributes));
      return output;
    }
  }
}
