package org.tersor.passes.graph;

import java.util.Arrays;
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
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Folds BatchNormalization, y = gain * x + shift per channel, into neighbours. In this order: into
 * the output axis of the layer before it; gains that are all positive backwards through ReLU and
 * pooling into the output axis, the shift alone forwards; both into the input axis of the layer
 * after it, unless option {@code low-bit} is set: there a row would mix gains that lie far apart,
 * which destroys weights of few bits. The choice goes into the report.
 */
public final class FoldBatchNorm implements Pass {
  /** f(a * x) = a * f(x) for a > 0, channel by channel. */
  private static final Set<String> HOMOGENEOUS =
      Set.of("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool");

  @Override
  public String id() {
    return "fold-batch-norm";
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
    boolean lowBit = context.options().containsKey("low-bit");
    Graph current = graph;
    while (true) {
      Rewrite rewrite = new Rewrite(current);
      for (Node node : current.nodes()) {
        if (node.op().is("BatchNormalization")) {
          fold(rewrite, node, lowBit, context);
        }
      }
      Graph next = rewrite.apply();
      if (next == current) {
        break;
      }
      current = next;
    }
    for (Node node : current.nodes()) {
      if (node.op().is("BatchNormalization")) {
        context
            .note()
            .accept(
                "fold-batch-norm: "
                    + node.label()
                    + " stays: no neighbour takes it"
                    + (lowBit ? " (low-bit is set)" : ""));
      }
    }
    return current;
  }

  /** y = gain * x + shift. */
  private record Affine(double[] gain, double[] shift) {
    boolean positive() {
      return Arrays.stream(gain).allMatch(g -> g > 0);
    }

    boolean shifts() {
      return Arrays.stream(shift).anyMatch(s -> s != 0);
    }

    double[] none() {
      return new double[gain.length];
    }

    double[] ones() {
      double[] ones = new double[gain.length];
      Arrays.fill(ones, 1);
      return ones;
    }
  }

  private static Optional<Affine> affine(Rewrite rewrite, Node node) {
    boolean training =
        node.attributes().get("training_mode") instanceof Attribute.IntAttr t && t.value() != 0;
    boolean perElement =
        node.attributes().get("spatial") instanceof Attribute.IntAttr s && s.value() == 0;
    boolean moreOutputs =
        node.outputs().size() > 1 && node.outputs().stream().skip(1).anyMatch(Value::isPresent);
    if (training || perElement || moreOutputs || rewrite.isTouched(node)) {
      return Optional.empty();
    }
    Tensor[] p = new Tensor[4];
    for (int i = 0; i < 4; i++) {
      Optional<Tensor> tensor = rewrite.constant(node.input(i + 1));
      if (tensor.isEmpty() || (i > 0 && tensor.get().size() != p[0].size())) {
        return Optional.empty();
      }
      p[i] = tensor.get();
    }
    double epsilon =
        node.attributes().get("epsilon") instanceof Attribute.FloatAttr e ? e.value() : 1e-5f;
    int channels = p[0].size();
    Affine affine = new Affine(new double[channels], new double[channels]);
    for (int c = 0; c < channels; c++) {
      affine.gain[c] = p[0].getDouble(c) / Math.sqrt(p[3].getDouble(c) + epsilon);
      affine.shift[c] = p[1].getDouble(c) - p[2].getDouble(c) * affine.gain[c];
    }
    return Optional.of(affine);
  }

  private static void fold(Rewrite rewrite, Node norm, boolean lowBit, PassContext context) {
    Optional<Affine> affine = affine(rewrite, norm);
    if (affine.isEmpty()) {
      return;
    }
    if (backward(rewrite, norm, affine.get(), context)) {
      return;
    }
    Optional<Follower> after = follower(rewrite, norm);
    if (after.isEmpty() || (affine.get().shifts() && !after.get().layer().takesShift())) {
      return;
    }
    if (lowBit) {
      return;
    }
    if (rewrite.bypass(norm, norm.input(0))) {
      after
          .get()
          .layer()
          .scaleInputs(
              rewrite,
              after.get().spread(affine.get().gain),
              after.get().spread(affine.get().shift));
      context
          .note()
          .accept(
              "fold-batch-norm: "
                  + norm.label()
                  + " folded forwards into the input axis of "
                  + after.get().layer().node().label());
    }
  }

  private static boolean backward(Rewrite rewrite, Node norm, Affine affine, PassContext context) {
    Value value = norm.input(0);
    boolean direct = true;
    Optional<LinearLayer> layer = Optional.empty();
    while (layer.isEmpty()) {
      Optional<Node> producer = rewrite.graph().producer(value).filter(n -> !rewrite.isTouched(n));
      if (producer.isEmpty() || rewrite.onlyUser(value).isEmpty()) {
        return false;
      }
      layer = LinearLayer.endingAt(rewrite, producer.get());
      if (layer.isEmpty()) {
        boolean passes =
            producer.get().op().domain().isEmpty()
                && HOMOGENEOUS.contains(producer.get().op().type());
        if (!passes || !affine.positive() || producer.get().outputs().size() > 1) {
          return false;
        }
        direct = false;
        value = producer.get().input(0);
      }
    }
    if (layer.get().outputs() != affine.gain.length || !layer.get().outputsOnAxis1(rewrite)) {
      return false;
    }
    String target = layer.get().last().label();
    if (direct) {
      if (!rewrite.bypass(norm, norm.input(0))) {
        return false;
      }
      layer.get().scaleOutputs(rewrite, affine.gain, affine.shift);
      context
          .note()
          .accept("fold-batch-norm: " + norm.label() + " folded into the output axis of " + target);
      return true;
    }
    Optional<Follower> after =
        follower(rewrite, norm)
            .filter(f -> f.layer().takesShift() && !f.layer().node().equals(norm));
    String shift;
    if (!affine.shifts()) {
      if (!rewrite.bypass(norm, norm.input(0))) {
        return false;
      }
      shift = "there is no shift";
    } else if (after.isPresent() && rewrite.bypass(norm, norm.input(0))) {
      Follower follower = after.get();
      follower
          .layer()
          .scaleInputs(rewrite, follower.spread(affine.ones()), follower.spread(affine.shift));
      shift = "its shift into the bias of " + follower.layer().node().label();
    } else {
      keepShift(rewrite, norm, affine);
      shift = "its shift stays as an Add";
    }
    layer.get().scaleOutputs(rewrite, affine.gain, affine.none());
    context
        .note()
        .accept(
            "fold-batch-norm: gain of "
                + norm.label()
                + " folded backwards into the output axis of "
                + target
                + ", "
                + shift);
    return true;
  }

  private static void keepShift(Rewrite rewrite, Node norm, Affine affine) {
    Optional<TensorType> type = rewrite.tensorType(norm.input(0)).filter(TensorType::isRanked);
    long[] shape = new long[type.map(TensorType::rank).orElse(2) - 1];
    Arrays.fill(shape, 1);
    shape[0] = affine.shift.length;
    Tensor shift = Tensor.zeros(type.map(TensorType::dtype).orElse(DType.F32), shape);
    for (int c = 0; c < affine.shift.length; c++) {
      shift.setDouble(c, affine.shift[c]);
    }
    Value constant = rewrite.edit().constant(norm.input(2).name(), Constant.of(shift));
    Node add =
        new Node(
            norm.id(),
            norm.name(),
            new OpKey("", "Add", norm.op().version()),
            List.of(norm.input(0), constant),
            List.of(norm.output(0)),
            Map.of());
    rewrite.edit().replace(norm, List.of(add));
  }

  /**
   * The layer after a normalization.
   *
   * @param repeat how many neighbouring inputs of the layer belong to one channel (the positions
   *     that a Flatten joined)
   */
  private record Follower(LinearLayer layer, int repeat) {
    double[] spread(double[] perChannel) {
      double[] all = new double[perChannel.length * repeat];
      for (int i = 0; i < all.length; i++) {
        all[i] = perChannel[i / repeat];
      }
      return all;
    }
  }

  private static Optional<Follower> follower(Rewrite rewrite, Node norm) {
    Value value = norm.output(0);
    Optional<TensorType> type = rewrite.tensorType(norm.input(0)).filter(TensorType::isRanked);
    Optional<Node> user = rewrite.onlyUser(value);
    if (user.isEmpty()
        || type.isEmpty()
        || type.get().rank() < 2
        || !type.get().dims().get(1).isConst()) {
      return Optional.empty();
    }
    long channels = type.get().dims().get(1).constValue();
    boolean flat = type.get().rank() == 2;
    long positions = 1;
    if (user.get().op().is("Flatten") || user.get().op().is("Reshape")) {
      Optional<TensorType> out =
          rewrite.tensorType(user.get().output(0)).filter(t -> t.isRanked() && t.rank() == 2);
      for (int d = 2; d < type.get().rank(); d++) {
        if (!type.get().dims().get(d).isConst()) {
          return Optional.empty();
        }
        positions *= type.get().dims().get(d).constValue();
      }
      // Equal row sizes mean that rows are samples: the channels of one sample stay together.
      if (out.isEmpty()
          || !out.get().dims().get(1).isConst(channels * positions)
          || !out.get().dims().get(0).equals(type.get().dims().get(0))) {
        return Optional.empty();
      }
      flat = true;
      value = user.get().output(0);
      user = rewrite.onlyUser(value);
    }
    Value input = value;
    long repeat = positions;
    boolean onLastAxis = flat;
    return user.filter(n -> n.input(0).equals(input))
        .flatMap(n -> LinearLayer.startingAt(rewrite, n))
        .filter(layer ->
            layer.inputs() == channels * repeat
                && (onLastAxis
                    || layer.node().op().is("Conv")
                    || layer.node().op().is("ConvTranspose")))
        .map(layer -> new Follower(layer, (int) repeat));
  }
}
