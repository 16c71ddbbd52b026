package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.Tensor;

/**
 * A value whose channels can be divided by positive factors without changing what the graph
 * computes: every reader is a linear layer, which takes the factors into its input channels, and
 * what makes the value, behind functions with f(a x) = a f(x), is a linear layer, which gives them
 * from its output channels, or a norm or product with a constant per channel, a constant sum behind
 * it included.
 */
public final class ChannelScales {
  private static final Set<String> HOMOGENEOUS =
      Set.of("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool");

  /** Functions with f(x - c) = f(x) - c, the first where x is above c. */
  private static final Set<String> SHIFTS =
      Set.of("Relu", "MaxPool", "GlobalMaxPool", "GlobalAveragePool", "Flatten", "Reshape");

  private final Value value;
  private final List<Node> readers;
  private final Maker maker;
  private final int repeat;

  private ChannelScales(Value value, List<Node> readers, Maker maker, int repeat) {
    this.value = value;
    this.readers = readers;
    this.maker = maker;
    this.repeat = repeat;
  }

  /**
   * What gives the factors.
   *
   * @param end its last node
   * @param channels how many factors there are
   * @param gains constants that take them, none for a linear layer
   */
  private record Maker(Node end, int channels, List<Gain> gains) {
    static Maker layer(Node end, int channels) {
      return new Maker(end, channels, List.of());
    }
  }

  /** An operand that is a constant with an element for each channel. */
  private record Gain(Node node, int input) {}

  /** The place at a value that layers read; empty, where there is none. */
  public static Optional<ChannelScales> at(Graph graph, Value value) {
    Rewrite rewrite = new Rewrite(graph);
    List<Node> readers = graph.consumers(value).stream().distinct().toList();
    if (readers.isEmpty() || graph.isOutput(value)) {
      return Optional.empty();
    }
    int inputs = -1;
    for (Node reader : readers) {
      Optional<LinearLayer> layer =
          LinearLayer.startingAt(rewrite, reader).filter(l -> reader.input(0).equals(value));
      boolean once = Graph.usedValues(reader).stream().filter(value::equals).count() == 1;
      if (layer.isEmpty() || !once || (inputs >= 0 && layer.get().inputs() != inputs)) {
        return Optional.empty();
      }
      inputs = layer.get().inputs();
    }
    int all = inputs;
    boolean convolves = readers.getFirst().op().type().startsWith("Conv");
    if (readers.stream().anyMatch(r -> r.op().type().startsWith("Conv") != convolves)) {
      return Optional.empty();
    }
    return maker(rewrite, value, convolves)
        .filter(m -> m.channels() > 0 && all % m.channels() == 0)
        .map(m -> new ChannelScales(value, readers, m, all / m.channels()));
  }

  /**
   * @param axis1 whether channels lie on axis 1, else on the last
   */
  private static Optional<Maker> maker(Rewrite rewrite, Value value, boolean axis1) {
    Optional<Node> found = rewrite.graph().producer(value);
    if (found.isEmpty() || found.get().outputs().size() != 1) {
      return Optional.empty();
    }
    Node node = found.get();
    Optional<LinearLayer> layer = LinearLayer.endingAt(rewrite, node);
    if (layer.isPresent()) {
      boolean convolves = layer.get().node().op().type().startsWith("Conv");
      return convolves == axis1 || rank(rewrite, value) == 2
          ? Optional.of(Maker.layer(node, layer.get().outputs()))
          : Optional.empty();
    }
    if (!axis1 && (isRmsNorm(rewrite.graph(), node) || isLayerNorm(rewrite.graph(), node))) {
      List<Gain> gains = new ArrayList<>(List.of(new Gain(node, 1)));
      if (node.input(2).isPresent()) {
        gains.add(new Gain(node, 2));
      }
      return rewrite.constant(node.input(1)).map(g -> new Maker(node, g.size(), gains));
    }
    if (!node.op().domain().isEmpty()) {
      return Optional.empty();
    }
    String type = node.op().type();
    if (HOMOGENEOUS.contains(type)) {
      return single(rewrite, node.input(0), axis1);
    }
    if ((type.equals("Flatten") || type.equals("Reshape")) && !axis1) {
      return joins(rewrite, node) ? single(rewrite, node.input(0), true) : Optional.empty();
    }
    if (type.equals("Add") && !axis1) {
      return perChannel(rewrite, node)
          .flatMap(bias ->
              single(rewrite, node.input(1 - bias.input()), false)
                  .filter(m -> !m.gains().isEmpty() && m.channels() == size(rewrite, bias))
                  .map(m ->
                      new Maker(
                          node,
                          m.channels(),
                          Stream.concat(m.gains().stream(), Stream.of(bias)).toList())));
    }
    if (type.equals("Mul") && !axis1) {
      if (rewrite.constant(node.input(0)).isPresent()
          || rewrite.constant(node.input(1)).isPresent()) {
        return perChannel(rewrite, node).map(g -> new Maker(node, size(rewrite, g), List.of(g)));
      }
      for (int side = 0; side < 2; side++) {
        Optional<Maker> factor = single(rewrite, node.input(side), false);
        if (factor.isPresent()) {
          return factor;
        }
      }
    }
    return Optional.empty();
  }

  /** The constant operand of a node of two, if it has an element for each of the last dimension. */
  private static Optional<Gain> perChannel(Rewrite rewrite, Node node) {
    for (int side = 0; side < 2; side++) {
      Optional<Tensor> constant = rewrite.constant(node.input(side));
      if (constant.isPresent()) {
        Tensor c = constant.get();
        boolean fits = c.rank() >= 1 && c.size() > 1 && c.shape()[c.rank() - 1] == c.size();
        return fits ? Optional.of(new Gain(node, side)) : Optional.empty();
      }
    }
    return Optional.empty();
  }

  private static int size(Rewrite rewrite, Gain gain) {
    return rewrite.constant(gain.node().input(gain.input())).orElseThrow().size();
  }

  /** Layer normalisation over the last dimension with a constant gain and bias for each channel. */
  private static boolean isLayerNorm(Graph graph, Node node) {
    return node.op().is("LayerNormalization")
        && isLastAxisNorm(graph, node)
        && (!node.input(2).isPresent()
            || graph
                .constant(node.input(2))
                .filter(bias ->
                    Arrays.equals(
                        bias.shape(), graph.constant(node.input(1)).orElseThrow().shape()))
                .isPresent());
  }

  /** RMS normalisation over the last dimension with a constant gain for each channel. */
  public static boolean isRmsNorm(Graph graph, Node node) {
    return (node.op().is("RMSNormalization")
            || node.op().type().equals("SimplifiedLayerNormalization"))
        && isLastAxisNorm(graph, node);
  }

  private static boolean isLastAxisNorm(Graph graph, Node node) {
    boolean gains =
        graph.constant(node.input(1)).filter(gain -> gain.shape().length == 1).isPresent();
    if (!gains
        || node.outputs().size() != 1
        || !(graph.type(node.input(0)) instanceof TensorType x && x.isRanked())) {
      return false;
    }
    long axis = node.attributes().get("axis") instanceof Attribute.IntAttr a ? a.value() : -1;
    return axis == -1 || axis == x.rank() - 1;
  }

  private static Optional<Maker> single(Rewrite rewrite, Value value, boolean axis1) {
    return rewrite.onlyUser(value).isPresent() ? maker(rewrite, value, axis1) : Optional.empty();
  }

  private static int rank(Rewrite rewrite, Value value) {
    return rewrite.tensorType(value).filter(TensorType::isRanked).map(TensorType::rank).orElse(-1);
  }

  /** Whether a node joins the channels and positions of each sample. */
  private static boolean joins(Rewrite rewrite, Node node) {
    Optional<TensorType> in = rewrite.tensorType(node.input(0)).filter(TensorType::isRanked);
    Optional<TensorType> out = rewrite.tensorType(node.output(0)).filter(TensorType::isRanked);
    if (in.isEmpty() || out.isEmpty() || in.get().rank() < 2 || out.get().rank() != 2) {
      return false;
    }
    long size = 1;
    for (int d = 1; d < in.get().rank(); d++) {
      if (!in.get().dims().get(d).isConst()) {
        return false;
      }
      size *= in.get().dims().get(d).constValue();
    }
    return out.get().dims().get(1).isConst(size)
        && out.get().dims().getFirst().equals(in.get().dims().getFirst());
  }

  public Value value() {
    return value;
  }

  /** The layers that read the value. */
  public List<Node> readers() {
    return readers;
  }

  /** How many factors there are. */
  public int channels() {
    return maker.channels();
  }

  /** Neighbouring inputs of a reader that share a factor: the positions that a Flatten joined. */
  public int repeat() {
    return repeat;
  }

  /** Whether constant gains give the factors, else a layer. */
  public boolean ofGains() {
    return !maker.gains().isEmpty();
  }

  /**
   * Why a number for each channel cannot be taken from the value and given to the biases of its
   * readers; empty, where it can.
   */
  public Optional<String> shiftObstacle(Graph graph) {
    if (!maker.gains().isEmpty()) {
      return Optional.of("no layer with a bias makes it");
    }
    Rewrite rewrite = new Rewrite(graph);
    for (Node reader : readers) {
      if (!LinearLayer.startingAt(rewrite, reader).orElseThrow().takesShift()) {
        return Optional.of(reader.label() + " pads it: a shift would be missing at the border");
      }
    }
    for (Value at = value; !at.equals(maker.end().output(0)); ) {
      Node node = graph.producer(at).orElseThrow();
      if (!SHIFTS.contains(node.op().type())) {
        return Optional.of("a shift does not pass through " + node.op().type());
      }
      at = node.input(0);
    }
    return Optional.empty();
  }

  /** What the layer that makes the value gives, before activation and pooling. */
  public Value made() {
    return maker.end().output(0);
  }

  /**
   * The graph in which the layer gives less by a number for each channel and readers add it again:
   * the same wherever the layer's results stay above these numbers. For places without a {@link
   * #shiftObstacle}.
   */
  public Graph shift(Graph graph, double[] numbers) {
    Rewrite rewrite = new Rewrite(graph);
    double[] ones = new double[numbers.length];
    Arrays.fill(ones, 1);
    LinearLayer.endingAt(rewrite, maker.end())
        .orElseThrow()
        .scaleOutputs(rewrite, ones, Arrays.stream(numbers).map(x -> -x).toArray());
    double[] spread = new double[numbers.length * repeat];
    Arrays.setAll(spread, i -> numbers[i / repeat]);
    double[] all = new double[spread.length];
    Arrays.fill(all, 1);
    for (Node reader : readers) {
      LinearLayer.startingAt(rewrite, reader).orElseThrow().scaleInputs(rewrite, all, spread);
    }
    return rewrite.apply();
  }

  /** What gives the factors, for messages. */
  public String makerLabel() {
    return maker.end().label();
  }

  /** Largest weight of each output channel of the layer that makes the value; empty for a gain. */
  public Optional<double[]> makerPeaks(Graph graph) {
    return !maker.gains().isEmpty()
        ? Optional.empty()
        : LinearLayer.endingAt(new Rewrite(graph), maker.end()).map(LinearLayer::outputPeaks);
  }

  /** Largest weight of the readers for each channel. */
  public double[] readerPeaks(Graph graph) {
    double[] peaks = new double[channels()];
    for (Node reader : readers) {
      double[] all = LinearLayer.startingAt(new Rewrite(graph), reader).orElseThrow().inputPeaks();
      for (int i = 0; i < all.length; i++) {
        peaks[i / repeat] = Math.max(peaks[i / repeat], all[i]);
      }
    }
    return peaks;
  }

  /**
   * The graph in which the value is divided by the factors and its readers undo it.
   *
   * @param factors positive, one for each channel
   */
  public Graph apply(Graph graph, double[] factors) {
    Rewrite rewrite = new Rewrite(graph);
    double[] inverse = Arrays.stream(factors).map(f -> 1 / f).toArray();
    if (!maker.gains().isEmpty()) {
      maker.gains().stream()
          .map(Gain::node)
          .distinct()
          .forEach(node -> scaleGains(rewrite, node, inverse));
    } else {
      LinearLayer.endingAt(rewrite, maker.end())
          .orElseThrow()
          .scaleOutputs(rewrite, inverse, new double[inverse.length]);
    }
    double[] spread = new double[factors.length * repeat];
    Arrays.setAll(spread, i -> factors[i / repeat]);
    for (Node reader : readers) {
      LinearLayer.startingAt(rewrite, reader)
          .orElseThrow()
          .scaleInputs(rewrite, spread, new double[spread.length]);
    }
    return rewrite.apply();
  }

  private void scaleGains(Rewrite rewrite, Node node, double[] factors) {
    List<Value> inputs = new ArrayList<>(node.inputs());
    for (Gain gain : maker.gains()) {
      if (gain.node().equals(node)) {
        Value old = node.input(gain.input());
        Tensor numbers = rewrite.constant(old).orElseThrow();
        Tensor scaled = Tensor.zeros(numbers.dtype(), numbers.shape());
        for (int c = 0; c < scaled.size(); c++) {
          scaled.setDouble(c, numbers.getDouble(c) * factors[c]);
        }
        inputs.set(gain.input(), rewrite.edit().constant(old.name(), Constant.of(scaled)));
      }
    }
    rewrite.edit().replace(node, List.of(node.withInputs(inputs)));
  }
}
