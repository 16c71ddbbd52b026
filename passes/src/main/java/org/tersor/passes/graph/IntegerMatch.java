package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * One attempt to write a layer on integers: everything between the codes that enter and the codes
 * that leave.
 */
final class IntegerMatch {
  private final Rewrite rewrite;
  private final Graph graph;
  private final Node quantize;
  private final PassContext context;
  private final ByteCodes bytes;
  private final boolean standard;
  private final List<Node> swallowed = new ArrayList<>();

  /** The layer that was tried, or -1; and what came of it. */
  private int layer = -1;

  private String kernel = "";
  private String why = "";

  /**
   * An attempt.
   *
   * @param standard take only operators that other tools know
   */
  IntegerMatch(Rewrite rewrite, Node quantize, PassContext context, boolean standard) {
    this.rewrite = rewrite;
    this.graph = rewrite.graph();
    this.quantize = quantize;
    this.context = context;
    this.bytes = new ByteCodes(rewrite, standard);
    this.standard = standard;
  }

  /** The layer that was tried, or -1. */
  int layer() {
    return layer;
  }

  /** The operator that computes it. */
  String kernel() {
    return kernel;
  }

  /** Why it is left. */
  String why() {
    return why;
  }

  /** Tries; false, and nothing done, if it cannot be. */
  boolean apply() {
    Optional<QuantParams> out =
        QuantParams.of(graph, quantize).filter(p -> p.perTensor() && ByteCodes.isByte(p.codes()));
    if (out.isEmpty()) {
      return false;
    }
    Optional<Node> current = before(quantize.input(0));
    while (current.isPresent() && saturates(current.get(), out.get())) {
      swallowed.add(current.get());
      current = before(current.get().input(0));
    }
    Optional<Value> addend = Optional.empty();
    if (current.isPresent() && current.get().op().is("Add")) {
      Node add = current.get();
      for (int side = 0; side < 2 && addend.isEmpty(); side++) {
        if (real(add.input(1 - side)).isPresent()
            && before(add.input(side)).filter(n -> n.op().is("MatMul")).isPresent()) {
          addend = Optional.of(add.input(1 - side));
          swallowed.add(add);
          current = before(add.input(side));
        }
      }
    }
    if (current.isEmpty()
        || rewrite.isTouched(current.get())
        || !current.get().op().domain().isEmpty()) {
      return false;
    }
    Node layer = current.get();
    this.layer = layer.id();
    Optional<Node> input = graph.producer(layer.input(0)).filter(QuantParams::isDequantize);
    Optional<Node> weight = graph.producer(layer.input(1)).filter(QuantParams::isDequantize);
    Optional<QuantParams> x =
        input
            .flatMap(n -> QuantParams.of(graph, n))
            .filter(p -> p.perTensor() && ByteCodes.isByte(p.codes()));
    Optional<QuantParams> w =
        weight.flatMap(n -> QuantParams.of(graph, n)).filter(p -> ByteCodes.fitsByte(p.codes()));
    if (x.isEmpty() || w.isEmpty()) {
      why =
          weight.isEmpty()
              ? "no integer kernel knows the grid of its weights"
              : "its input is not quantized to bytes with one scale";
      return false;
    }
    why = "its shape, axis of scales or bias do not fit the integer kernel";
    Optional<Constant> codes = graph.constant(weight.get().input(0));
    return codes.isPresent()
        && switch (layer.op().type()) {
          case "Conv", "ConvTranspose" ->
              conv(layer, input.get(), weight.get(), x.get(), w.get(), out.get());
          case "Gemm" ->
              gemm(
                  layer,
                  input.get(),
                  weight.get(),
                  x.get(),
                  w.get(),
                  codes.get(),
                  out.get(),
                  Optional.of(layer.input(2)));
          case "MatMul" -> {
            Optional<Value> bias = addend;
            yield bias.isEmpty()
                ? matMul(layer, input.get(), weight.get(), w.get(), codes.get(), out.get())
                : gemm(
                    layer,
                    input.get(),
                    weight.get(),
                    x.get(),
                    w.get(),
                    codes.get(),
                    out.get(),
                    bias);
          }
          default -> false;
        };
  }

  private Optional<Node> before(Value value) {
    return rewrite.onlyUser(value).isPresent()
        ? graph.producer(value).filter(n -> !rewrite.isTouched(n))
        : Optional.empty();
  }

  /**
   * Whether a ReLU or Clip changes nothing that rounding and saturation of the codes after it do
   * not.
   */
  private boolean saturates(Node node, QuantParams out) {
    double low = Double.NEGATIVE_INFINITY;
    double high = Double.POSITIVE_INFINITY;
    if (node.op().is("Relu")) {
      low = 0;
    } else if (node.op().is("Clip")) {
      Optional<Double> min = bound(node, 1, "min", low);
      Optional<Double> max = bound(node, 2, "max", high);
      if (min.isEmpty() || max.isEmpty()) {
        return false;
      }
      low = min.get();
      high = max.get();
    } else {
      return false;
    }
    return Math.rint(low / out.scalarScale()) + out.scalarZero() <= out.codes().minValue()
        && Math.rint(high / out.scalarScale()) + out.scalarZero() >= out.codes().maxValue();
  }

  private Optional<Double> bound(Node node, int index, String name, double otherwise) {
    if (node.attributes().get(name) instanceof Attribute.FloatAttr f) {
      return Optional.of((double) f.value());
    }
    return node.input(index).isPresent()
        ? real(node.input(index)).map(t -> t.getDouble(0))
        : Optional.of(otherwise);
  }

  /** Elements of a float constant, or of decoded constant codes. */
  private Optional<Tensor> real(Value value) {
    Optional<Tensor> constant = rewrite.constant(value);
    if (constant.isPresent()) {
      return constant.filter(t -> t.dtype().isFloat());
    }
    Optional<Node> decode = graph.producer(value).filter(QuantParams::isDequantize);
    Optional<Tensor> codes = decode.flatMap(d -> rewrite.constant(d.input(0)));
    Optional<QuantParams> params = decode.flatMap(d -> QuantParams.of(graph, d));
    if (codes.isEmpty()
        || params.isEmpty()
        || (codes.get().rank() > 1 && !params.get().perTensor())) {
      return Optional.empty();
    }
    Tensor result = Tensor.zeros(DType.F64, codes.get().shape());
    for (int i = 0; i < result.size(); i++) {
      int c = params.get().perTensor() ? 0 : i;
      result.setDouble(
          i,
          (codes.get().getLong(i) - (double) params.get().zeroPoint().getLong(c))
              * params.get().scale().getDouble(c));
    }
    return Optional.of(result);
  }

  private boolean conv(
      Node layer, Node input, Node weight, QuantParams x, QuantParams w, QuantParams out) {
    boolean transposed = layer.op().is("ConvTranspose");
    OpKey op =
        transposed
            ? new OpKey(OpKey.TERSOR, "QLinearConvTranspose", 1)
            : new OpKey("", "QLinearConv", Math.max(IntegerKernels.VERSION, layer.op().version()));
    int axis = transposed ? 1 : 0;
    if ((!w.perTensor() && w.axis() != axis) || !exists(op.domain(), op.type())) {
      return false;
    }
    List<Value> inputs = new ArrayList<>(operands(input, weight, w, out));
    if (layer.input(2).isPresent()) {
      Optional<Tensor> bias = real(layer.input(2)).flatMap(b -> biasCodes(b, b.size(), x, w));
      if (bias.isEmpty()) {
        return false;
      }
      inputs.add(rewrite.edit().constant("", Constant.of(bias.get())));
    }
    if (transposed) {
      rewrite.edit().importDomain(OpKey.TERSOR, 1);
    }
    return replace(layer, op, inputs, layer.attributes());
  }

  private boolean matMul(
      Node layer, Node input, Node weight, QuantParams w, Constant codes, QuantParams out) {
    boolean columns =
        w.perTensor() || (codes.shape().length == 2 && (w.axis() == 1 || w.axis() == -1));
    if (!columns || !exists("", "QLinearMatMul")) {
      return false;
    }
    return replace(
        layer,
        new OpKey("", "QLinearMatMul", Math.max(IntegerKernels.VERSION, layer.op().version())),
        operands(input, weight, w, out),
        Map.of());
  }

  private boolean gemm(
      Node layer,
      Node input,
      Node weight,
      QuantParams x,
      QuantParams w,
      Constant codes,
      QuantParams out,
      Optional<Value> bias) {
    boolean transB =
        layer.attributes().get("transB") instanceof Attribute.IntAttr t && t.value() != 0;
    boolean transA =
        layer.attributes().get("transA") instanceof Attribute.IntAttr t && t.value() != 0;
    boolean scaled =
        (layer.attributes().get("alpha") instanceof Attribute.FloatAttr a && a.value() != 1)
            || (layer.attributes().get("beta") instanceof Attribute.FloatAttr b && b.value() != 1);
    boolean rank2 =
        codes.shape().length == 2
            && rewrite
                .tensorType(layer.input(0))
                .filter(t -> t.isRanked() && t.rank() == 2)
                .isPresent();
    Optional<long[]> batched = rank2 || codes.shape().length != 2 ? Optional.empty() : batch(layer);
    int outputAxis = transB ? 0 : 1;
    if (!rank2 && batched.isEmpty() && !transA && !scaled) {
      why = "its operands are no matrices, and more than one dimension is not known";
    }
    if (transA
        || scaled
        || (!rank2 && batched.isEmpty())
        || (!w.perTensor() && w.axis() != outputAxis)
        || !exists("com.microsoft", "QGemm")) {
      return false;
    }
    int channels = (int) codes.shape()[outputAxis];
    List<Value> operands = operands(input, weight, w, out);
    List<Value> inputs = new ArrayList<>(operands.subList(0, 6));
    if (bias.isPresent() && bias.get().isPresent()) {
      Optional<Tensor> biasCodes = real(bias.get()).flatMap(b -> biasCodes(b, channels, x, w));
      if (biasCodes.isEmpty()) {
        return false;
      }
      inputs.add(rewrite.edit().constant("", Constant.of(biasCodes.get())));
    } else {
      inputs.add(Value.NONE);
    }
    inputs.addAll(operands.subList(6, 8));
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    attributes.put("transB", new Attribute.IntAttr(transB ? 1 : 0));
    rewrite.edit().importDomain("com.microsoft", 1);
    OpKey op = new OpKey("com.microsoft", "QGemm", 1);
    if (batched.isEmpty()) {
      return replace(layer, op, inputs, attributes);
    }
    // Rows of all matrices are those of one.
    Value rows = view(inputs.getFirst(), -1, codes.shape()[1 - outputAxis]);
    inputs.set(0, rows);
    Value matrix = rewrite.edit().value("", ValueType.UNKNOWN);
    rewrite
        .edit()
        .add(
            new Node(
                rewrite.edit().freshId(), layer.name(), op, inputs, List.of(matrix), attributes));
    long[] shape = batched.get();
    shape[shape.length - 1] = channels;
    return replace(layer, reshape(), List.of(matrix, numbers(shape)), Map.of(), op.type());
  }

  /**
   * The shape of the first operand of a product of many matrices by one, -1 for a dimension that is
   * not known; empty if more than one is not.
   */
  private Optional<long[]> batch(Node layer) {
    Optional<TensorType> x =
        rewrite.tensorType(layer.input(0)).filter(t -> t.isRanked() && t.rank() > 2);
    if (!layer.op().is("MatMul") || x.isEmpty()) {
      return Optional.empty();
    }
    long[] shape =
        x.get().dims().stream().mapToLong(d -> d.isConst() ? d.constValue() : -1).toArray();
    return java.util.Arrays.stream(shape).filter(d -> d < 0).count() <= 1
            && java.util.Arrays.stream(shape).noneMatch(d -> d == 0)
        ? Optional.of(shape)
        : Optional.empty();
  }

  private OpKey reshape() {
    return new OpKey("", "Reshape", graph.opset(""));
  }

  private Value numbers(long... numbers) {
    return rewrite.edit().constant("", Constant.of(Tensor.of(numbers, numbers.length)));
  }

  private Value view(Value value, long... shape) {
    Value view = rewrite.edit().value("", ValueType.UNKNOWN);
    rewrite
        .edit()
        .add(
            new Node(
                rewrite.edit().freshId(),
                "",
                reshape(),
                List.of(value, numbers(shape)),
                List.of(view),
                Map.of()));
    return view;
  }

  private boolean exists(String domain, String type) {
    if (standard && domain.equals(OpKey.TERSOR)) {
      why = "other tools know no integer operator for it";
      return false;
    }
    return context
        .operators()
        .find(new OpKey(domain, type, domain.isEmpty() ? IntegerKernels.VERSION : 1))
        .isPresent();
  }

  /** x, its scale and zero point, the same of w, scale and zero point of the result. */
  private List<Value> operands(Node input, Node weight, QuantParams w, QuantParams out) {
    return List.of(
        input.input(0),
        input.input(1),
        zero(input),
        bytes.widened(weight.input(0)),
        weight.input(1),
        weight.input(2).isPresent() && ByteCodes.isByte(w.codes())
            ? weight.input(2)
            : bytes.widened(w.zeroPoint()),
        quantize.input(1),
        quantize.input(2).isPresent()
            ? quantize.input(2)
            : rewrite.edit().constant("", Constant.of(out.zeroPoint())));
  }

  private Value zero(Node dequantize) {
    return dequantize.input(2).isPresent()
        ? dequantize.input(2)
        : rewrite
            .edit()
            .constant("", Constant.of(QuantParams.of(graph, dequantize).orElseThrow().zeroPoint()));
  }

  /** Bias as int32 codes of scale (x scale * w scale). */
  private static Optional<Tensor> biasCodes(
      Tensor bias, int channels, QuantParams x, QuantParams w) {
    if (bias.size() != channels && bias.size() != 1) {
      return Optional.empty();
    }
    Tensor codes = Tensor.zeros(DType.I32, channels);
    for (int c = 0; c < channels; c++) {
      // Groups of a ConvTranspose share the scales of their channels.
      double scale = x.scalarScale() * w.scale().getDouble(c % w.scale().size());
      double code = Math.rint(bias.getDouble(bias.size() == 1 ? 0 : c) / scale);
      if (!(Math.abs(code) <= Integer.MAX_VALUE)) {
        return Optional.empty();
      }
      codes.setLong(c, (long) code);
    }
    return Optional.of(codes);
  }

  private boolean replace(
      Node layer, OpKey op, List<Value> inputs, Map<String, Attribute> attributes) {
    return replace(layer, op, inputs, attributes, op.type());
  }

  /** A last node in the place of the layer and the quantizer behind it. */
  private boolean replace(
      Node layer,
      OpKey op,
      List<Value> inputs,
      Map<String, Attribute> attributes,
      String computes) {
    kernel = computes;
    Node integer = new Node(layer.id(), layer.name(), op, inputs, quantize.outputs(), attributes);
    rewrite.edit().replace(layer, List.of(integer));
    swallowed.forEach(node -> rewrite.edit().remove(node));
    rewrite.edit().remove(quantize);
    return true;
  }
}
