package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntToDoubleFunction;
import java.util.function.IntUnaryOperator;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * A Conv, ConvTranspose, Gemm or MatMul with constant weights, seen as a linear map from input
 * channels to output channels. Weights and bias can be scaled and shifted per channel; arithmetic
 * is double, results are rounded once to the weights' type.
 */
final class LinearLayer {
  private final Node node;
  private final Optional<Node> add;
  private final Tensor weight;
  private final Optional<Tensor> bias;
  private final int outputs;
  private final int inputs;
  private final IntUnaryOperator outputOf;
  private final IntUnaryOperator inputOf;

  private LinearLayer(
      Node node,
      Optional<Node> add,
      Tensor weight,
      Optional<Tensor> bias,
      int outputs,
      int inputs,
      IntUnaryOperator outputOf,
      IntUnaryOperator inputOf) {
    this.node = node;
    this.add = add;
    this.weight = weight;
    this.bias = bias;
    this.outputs = outputs;
    this.inputs = inputs;
    this.outputOf = outputOf;
    this.inputOf = inputOf;
  }

  /**
   * The layer that ends in {@code last}: a node of the four kinds, or the Add of a bias after a
   * MatMul.
   */
  static Optional<LinearLayer> endingAt(Rewrite rewrite, Node last) {
    if (last.op().is("Add")) {
      for (int side = 0; side < 2; side++) {
        Optional<Tensor> bias = rewrite.constant(last.input(1 - side));
        Optional<Node> matmul =
            rewrite.graph().producer(last.input(side)).filter(n -> n.op().is("MatMul"));
        if (bias.isPresent()
            && matmul.isPresent()
            && rewrite.onlyUser(matmul.get().output(0)).isPresent()) {
          return matMul(rewrite, matmul.get(), Optional.of(last), bias);
        }
      }
      return Optional.empty();
    }
    return startingAt(rewrite, last).filter(layer -> layer.add.isEmpty());
  }

  /** The layer that begins with {@code first}. */
  static Optional<LinearLayer> startingAt(Rewrite rewrite, Node first) {
    if (!first.op().domain().isEmpty() || rewrite.isTouched(first)) {
      return Optional.empty();
    }
    return switch (first.op().type()) {
      case "Conv", "ConvTranspose" -> conv(rewrite, first);
      case "Gemm" -> gemm(rewrite, first);
      case "MatMul" -> {
        Optional<Node> add = rewrite.onlyUser(first.output(0)).filter(n -> n.op().is("Add"));
        if (add.isPresent()) {
          Value other =
              add.get().input(0).equals(first.output(0)) ? add.get().input(1) : add.get().input(0);
          Optional<LinearLayer> withBias =
              rewrite
                  .constant(other)
                  .flatMap(bias -> matMul(rewrite, first, add, Optional.of(bias)));
          if (withBias.isPresent()) {
            yield withBias;
          }
        }
        yield matMul(rewrite, first, Optional.empty(), Optional.empty());
      }
      default -> Optional.empty();
    };
  }

  private static Optional<Tensor> floats(Rewrite rewrite, Value value) {
    return rewrite
        .constant(value)
        .filter(t -> t.dtype() == DType.F32 || t.dtype() == DType.F64 || t.dtype() == DType.F16);
  }

  private static Optional<LinearLayer> conv(Rewrite rewrite, Node node) {
    Optional<Tensor> weight =
        floats(rewrite, node.input(1)).filter(w -> w.rank() >= 3 && w.size() > 0);
    Optional<Tensor> bias = rewrite.constant(node.input(2));
    if (weight.isEmpty() || bias.isPresent() != node.input(2).isPresent()) {
      return Optional.empty();
    }
    int groups =
        node.attributes().get("group") instanceof Attribute.IntAttr g ? (int) g.value() : 1;
    int first = (int) weight.get().shape()[0];
    int second = (int) weight.get().shape()[1];
    int kernel = weight.get().size() / (first * second);
    if (groups < 1 || first % groups != 0) {
      return Optional.empty();
    }
    int perGroup = first / groups;
    // Along axis 0 every channel of one side; along axis 1 the channels of one group of the other
    // side.
    IntUnaryOperator axis0 = i -> i / (second * kernel);
    IntUnaryOperator axis1 = i -> axis0.applyAsInt(i) / perGroup * second + i / kernel % second;
    return Optional.of(
        node.op().is("Conv")
            ? new LinearLayer(
                node, Optional.empty(), weight.get(), bias, first, second * groups, axis0, axis1)
            : new LinearLayer(
                node, Optional.empty(), weight.get(), bias, second * groups, first, axis1, axis0));
  }

  private static Optional<LinearLayer> gemm(Rewrite rewrite, Node node) {
    Optional<Tensor> weight =
        floats(rewrite, node.input(1)).filter(w -> w.rank() == 2 && w.size() > 0);
    boolean transA =
        node.attributes().get("transA") instanceof Attribute.IntAttr a && a.value() != 0;
    boolean beta1 =
        !(node.attributes().get("beta") instanceof Attribute.FloatAttr b) || b.value() == 1;
    boolean alpha1 =
        !(node.attributes().get("alpha") instanceof Attribute.FloatAttr a) || a.value() == 1;
    if (weight.isEmpty() || transA || !beta1 || !alpha1) {
      return Optional.empty();
    }
    boolean transB =
        node.attributes().get("transB") instanceof Attribute.IntAttr b && b.value() != 0;
    Optional<Tensor> bias = Optional.empty();
    int rows = (int) weight.get().shape()[0];
    int columns = (int) weight.get().shape()[1];
    if (node.input(2).isPresent()) {
      bias = rewrite.constant(node.input(2)).flatMap(c -> spread(c, transB ? rows : columns));
      if (bias.isEmpty()) {
        return Optional.empty();
      }
    }
    IntUnaryOperator row = i -> i / columns;
    IntUnaryOperator column = i -> i % columns;
    return Optional.of(
        transB
            ? new LinearLayer(
                node, Optional.empty(), weight.get(), bias, rows, columns, row, column)
            : new LinearLayer(
                node, Optional.empty(), weight.get(), bias, columns, rows, column, row));
  }

  private static Optional<LinearLayer> matMul(
      Rewrite rewrite, Node node, Optional<Node> add, Optional<Tensor> addend) {
    Optional<Tensor> weight =
        floats(rewrite, node.input(1)).filter(w -> w.rank() == 2 && w.size() > 0);
    if (weight.isEmpty() || rewrite.isTouched(node) || add.filter(rewrite::isTouched).isPresent()) {
      return Optional.empty();
    }
    int columns = (int) weight.get().shape()[1];
    Optional<Tensor> bias = addend.flatMap(b -> spread(b, columns));
    if (bias.isPresent() != addend.isPresent()) {
      return Optional.empty();
    }
    return Optional.of(
        new LinearLayer(
            node,
            add,
            weight.get(),
            bias,
            columns,
            (int) weight.get().shape()[0],
            i -> i % columns,
            i -> i / columns));
  }

  /** A bias as a vector of {@code n}, if it is constant along all axes but the last. */
  private static Optional<Tensor> spread(Tensor bias, int n) {
    if (bias.size() != 1 && (bias.size() != n || bias.shape()[bias.rank() - 1] != n)) {
      return Optional.empty();
    }
    Tensor vector = Tensor.zeros(bias.dtype(), n);
    for (int i = 0; i < n; i++) {
      vector.setDouble(i, bias.getDouble(bias.size() == 1 ? 0 : i));
    }
    return Optional.of(vector);
  }

  Node node() {
    return node;
  }

  /** The last node: the layer's result is its output 0. */
  Node last() {
    return add.orElse(node);
  }

  int outputs() {
    return outputs;
  }

  int inputs() {
    return inputs;
  }

  /**
   * Whether every output sees every input channel the same number of times: no padding, so that a
   * shift of the input is a bias.
   */
  boolean takesShift() {
    if (node.op().is("ConvTranspose")) {
      return false;
    }
    if (!node.op().is("Conv")) {
      return true;
    }
    boolean auto =
        node.attributes().get("auto_pad") instanceof Attribute.StringAttr s
            && s.value().startsWith("SAME");
    boolean pads =
        node.attributes().get("pads") instanceof Attribute.IntsAttr p
            && p.values().stream().anyMatch(v -> v != 0);
    return !auto && !pads;
  }

  /** Whether output channels lie on axis 1 of the result, as those of a BatchNormalization do. */
  boolean outputsOnAxis1(Rewrite rewrite) {
    return !node.op().is("MatMul")
        || rewrite
            .tensorType(node.output(0))
            .filter(t -> t.isRanked() && t.rank() == 2)
            .isPresent();
  }

  /** y = gain * layer(x) + shift, per output channel. */
  void scaleOutputs(Rewrite rewrite, double[] gain, double[] shift) {
    Tensor scaled = mapped(i -> weight.getDouble(i) * gain[outputOf.applyAsInt(i)]);
    Tensor newBias = Tensor.zeros(weight.dtype(), outputs);
    boolean zero = bias.isEmpty();
    for (int o = 0; o < outputs; o++) {
      int index = o;
      newBias.setDouble(o, bias.map(b -> b.getDouble(index)).orElse(0.0) * gain[o] + shift[o]);
      zero &= shift[o] == 0;
    }
    replace(rewrite, scaled, zero ? Optional.empty() : Optional.of(newBias));
  }

  /** y = layer(gain * x + shift), per input channel. */
  void scaleInputs(Rewrite rewrite, double[] gain, double[] shift) {
    double[] sums = new double[outputs];
    int size = weight.size();
    for (int i = 0; i < size; i++) {
      sums[outputOf.applyAsInt(i)] += weight.getDouble(i) * shift[inputOf.applyAsInt(i)];
    }
    Tensor scaled = mapped(i -> weight.getDouble(i) * gain[inputOf.applyAsInt(i)]);
    Tensor newBias = Tensor.zeros(weight.dtype(), outputs);
    boolean zero = bias.isEmpty();
    for (int o = 0; o < outputs; o++) {
      int index = o;
      newBias.setDouble(o, bias.map(b -> b.getDouble(index)).orElse(0.0) + sums[o]);
      zero &= sums[o] == 0;
    }
    replace(rewrite, scaled, zero ? Optional.empty() : Optional.of(newBias));
  }

  /** Largest magnitude of the weights of each output channel. */
  double[] outputPeaks() {
    return peaks(outputs, outputOf);
  }

  /** Largest magnitude of the weights of each input channel. */
  double[] inputPeaks() {
    return peaks(inputs, inputOf);
  }

  private double[] peaks(int channels, IntUnaryOperator channelOf) {
    double[] peaks = new double[channels];
    int size = weight.size();
    for (int i = 0; i < size; i++) {
      int c = channelOf.applyAsInt(i);
      peaks[c] = Math.max(peaks[c], Math.abs(weight.getDouble(i)));
    }
    return peaks;
  }

  private Tensor mapped(IntToDoubleFunction value) {
    Tensor result = Tensor.zeros(weight.dtype(), weight.shape());
    int size = result.size();
    for (int i = 0; i < size; i++) {
      result.setDouble(i, value.applyAsDouble(i));
    }
    return result;
  }

  private void replace(Rewrite rewrite, Tensor newWeight, Optional<Tensor> newBias) {
    Value weightValue = rewrite.edit().constant(node.input(1).name(), Constant.of(newWeight));
    if (!node.op().is("MatMul")) {
      List<Value> inputs = new ArrayList<>(List.of(node.input(0), weightValue));
      newBias.ifPresent(
          b -> inputs.add(rewrite.edit().constant(node.input(2).name(), Constant.of(b))));
      rewrite.edit().replace(node, List.of(node.withInputs(inputs)));
      return;
    }
    Node product = node.withInputs(List.of(node.input(0), weightValue));
    if (newBias.isEmpty()) {
      rewrite.edit().replace(node, List.of(product));
      return;
    }
    Value biasValue = rewrite.edit().constant("", Constant.of(newBias.get()));
    if (add.isPresent()) {
      rewrite.edit().replace(node, List.of(product));
      rewrite
          .edit()
          .replace(add.get(), List.of(add.get().withInputs(List.of(node.output(0), biasValue))));
      return;
    }
    TensorType type =
        rewrite.tensorType(node.output(0)).orElse(TensorType.unranked(weight.dtype()));
    Value inner = rewrite.edit().value("", type);
    Node matmul =
        new Node(
            node.id(), node.name(), node.op(), product.inputs(), List.of(inner), node.attributes());
    Node sum =
        new Node(
            rewrite.edit().freshId(),
            node.name(),
            new org.tersor.ir.graph.OpKey("", "Add", node.op().version()),
            List.of(inner, biasValue),
            node.outputs(),
            java.util.Map.of());
    rewrite.edit().replace(node, List.of(matmul, sum));
  }
}
