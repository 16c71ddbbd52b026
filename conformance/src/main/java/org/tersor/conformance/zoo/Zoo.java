package org.tersor.conformance.zoo;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tersor.conformance.SeededRandom;
import org.tersor.conformance.zoo.NetBuilder.Act;
import org.tersor.conformance.zoo.NetBuilder.Layer;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Models by name. Architectures as published and as torchvision builds them: MobileNetV2 (Sandler
 * 2018), SqueezeNet 1.1 (Iandola 2016), ResNet-18 and -50 (He 2015, stride in the 3x3 convolution),
 * all 224 x 224, 1000 classes; {@link Transformers}.
 */
public final class Zoo {
  private static final Pattern MATMUL = Pattern.compile("matmul-(\\d{1,5})x(\\d{1,5})x(\\d{1,5})");
  private static final Pattern CONV =
      Pattern.compile(
          "conv-(\\d{1,4})x(\\d{1,4})x(\\d{1,4})-(\\d{1,4})x(\\d{1,2})x(\\d{1,2})(?:-s(\\d))?(?:-p(\\d))?(?:-g(\\d{1,4}))?");

  private Zoo() {}

  /**
   * What to build.
   *
   * @param qdq element type of quantized activations of a network, I8 or U8; empty for float
   * @param int8 whether matmul and conv are MatMulInteger and ConvInteger
   * @param zeroPoint zero point of their u8 input
   * @param columnZeroPoints whether each column of B has a zero point of its own (MatMulInteger)
   * @param text of a transformer
   */
  public record Options(
      int batch,
      long seed,
      Optional<DType> qdq,
      boolean int8,
      int zeroPoint,
      boolean columnZeroPoints,
      Text text) {
    public static final Options DEFAULT =
        new Options(1, 1, Optional.empty(), false, 128, false, Text.DEFAULT);

    /** These for networks of quantized activations. */
    public Options withQdq(Optional<DType> activations) {
      return new Options(batch, seed, activations, int8, zeroPoint, columnZeroPoints, text);
    }
  }

  /**
   * Of a transformer.
   *
   * @param sequence tokens of a call
   * @param past tokens that a decoder has seen before
   * @param dynamic products of integers: int8 weights, activations quantized when they are known
   * @param bits weights of products in blocks of 32 with com.microsoft MatMulNBits; 0 for float
   * @param accuracy accuracy_level of these
   */
  public record Text(int sequence, int past, boolean dynamic, int bits, int accuracy) {
    public static final Text DEFAULT = new Text(128, 0, false, 0, 0);
  }

  /** Names that can be built. */
  public static List<String> names() {
    return List.of(
        "mobilenetv2",
        "squeezenet11",
        "resnet18",
        "resnet50",
        Transformers.BERT,
        Transformers.DECODER,
        "matmul-MxNxK",
        "conv-CxHxW-OxKxK[-sS][-pP][-gG]");
  }

  /** Builds a model; the same arguments give the same weights. */
  public static Graph build(String name, Options options) {
    String key = name.toLowerCase(Locale.ROOT);
    Matcher matmul = MATMUL.matcher(key);
    if (matmul.matches()) {
      return matmul(key, number(matmul, 1), number(matmul, 2), number(matmul, 3), options);
    }
    Matcher conv = CONV.matcher(key);
    if (conv.matches()) {
      return conv(key, conv, options);
    }
    if (Transformers.has(key)) {
      if (options.qdq().isPresent()) {
        throw new TersorException(
            "TSR-0905", key + " is quantized by 'tersor quantize', or built with dynamic products");
      }
      return Transformers.build(key, options.batch(), options.seed(), options.text());
    }
    NetBuilder net = new NetBuilder(options.seed(), options.qdq());
    Layer x =
        key.equals("mobilenetv2") || key.equals("squeezenet11") || key.startsWith("resnet")
            ? net.input(options.batch(), 3, 224, 224)
            : unknown(name);
    return net.build(
        key,
        switch (key) {
          case "mobilenetv2" -> mobilenetV2(net, x);
          case "squeezenet11" -> squeezenet11(net, x);
          case "resnet18" -> resnet(net, x, new int[] {2, 2, 2, 2}, false);
          case "resnet50" -> resnet(net, x, new int[] {3, 4, 6, 3}, true);
          default -> unknown(name);
        });
  }

  private static Layer unknown(String name) {
    throw new TersorException(
        "TSR-0905", "the zoo has no '" + name + "'; it has " + String.join(", ", names()));
  }

  private static int number(Matcher matcher, int group) {
    return Integer.parseInt(matcher.group(group));
  }

  private static Layer mobilenetV2(NetBuilder net, Layer image) {
    int[][] settings = {
      {1, 16, 1, 1},
      {6, 24, 2, 2},
      {6, 32, 3, 2},
      {6, 64, 4, 2},
      {6, 96, 3, 1},
      {6, 160, 3, 2},
      {6, 320, 1, 1}
    };
    Layer x = net.conv(image, 32, 3, 2, 1, 1, true, Act.RELU6);
    int in = 32;
    for (int[] s : settings) {
      for (int i = 0; i < s[2]; i++) {
        int stride = i == 0 ? s[3] : 1;
        int hidden = in * s[0];
        Layer y = s[0] == 1 ? x : net.conv(x, hidden, 1, 1, 0, 1, true, Act.RELU6);
        y = net.conv(y, hidden, 3, stride, 1, hidden, true, Act.RELU6);
        y = net.conv(y, s[1], 1, 1, 0, 1, true, Act.NONE);
        x = stride == 1 && in == s[1] ? net.add(x, y, Act.NONE) : y;
        in = s[1];
      }
    }
    x = net.conv(x, 1280, 1, 1, 0, 1, true, Act.RELU6);
    return net.linear(net.flatten(net.globalAverage(x)), 1000);
  }

  private static Layer squeezenet11(NetBuilder net, Layer image) {
    Layer x = net.maxPool(net.conv(image, 64, 3, 2, 0, 1, false, Act.RELU), 3, 2, 0, true);
    x = fire(net, fire(net, x, 16, 64), 16, 64);
    x = net.maxPool(x, 3, 2, 0, true);
    x = fire(net, fire(net, x, 32, 128), 32, 128);
    x = net.maxPool(x, 3, 2, 0, true);
    x = fire(net, fire(net, x, 48, 192), 48, 192);
    x = fire(net, fire(net, x, 64, 256), 64, 256);
    x = net.conv(x, 1000, 1, 1, 0, 1, false, Act.RELU);
    return net.flatten(net.globalAverage(x));
  }

  private static Layer fire(NetBuilder net, Layer x, int squeeze, int expand) {
    Layer s = net.conv(x, squeeze, 1, 1, 0, 1, false, Act.RELU);
    return net.concat(
        net.conv(s, expand, 1, 1, 0, 1, false, Act.RELU),
        net.conv(s, expand, 3, 1, 1, 1, false, Act.RELU));
  }

  private static Layer resnet(NetBuilder net, Layer image, int[] blocks, boolean bottleneck) {
    Layer x = net.maxPool(net.conv(image, 64, 7, 2, 3, 1, true, Act.RELU), 3, 2, 1, false);
    int in = 64;
    for (int stage = 0; stage < 4; stage++) {
      int width = 64 << stage;
      int out = bottleneck ? 4 * width : width;
      for (int i = 0; i < blocks[stage]; i++) {
        int stride = i == 0 && stage > 0 ? 2 : 1;
        Layer y;
        if (bottleneck) {
          y = net.conv(x, width, 1, 1, 0, 1, true, Act.RELU);
          y = net.conv(y, width, 3, stride, 1, 1, true, Act.RELU);
          y = net.conv(y, out, 1, 1, 0, 1, true, Act.NONE);
        } else {
          y = net.conv(x, width, 3, stride, 1, 1, true, Act.RELU);
          y = net.conv(y, out, 3, 1, 1, 1, true, Act.NONE);
        }
        Layer shortcut =
            stride != 1 || in != out ? net.conv(x, out, 1, stride, 0, 1, true, Act.NONE) : x;
        x = net.add(y, shortcut, Act.RELU);
        in = out;
      }
    }
    return net.linear(net.flatten(net.globalAverage(x)), 1000);
  }

  private static Graph matmul(String name, int m, int n, int k, Options options) {
    SeededRandom random = new SeededRandom(options.seed());
    GraphBuilder g = new GraphBuilder(Map.of("", 17), 0);
    Value a = g.input("A", TensorType.of(options.int8() ? DType.U8 : DType.F32, m, k));
    Value y = g.value("Y", ValueType.UNKNOWN);
    if (options.int8()) {
      Tensor zeros = Tensor.zeros(DType.I8, n);
      for (int i = 0; i < n && options.columnZeroPoints(); i++) {
        zeros.bytes()[i] = (byte) random.between(-5, 5);
      }
      g.addNode(
          "",
          "MatMulInteger",
          Map.of(),
          List.of(
              a,
              weight(g, "B", true, random, k, n),
              zeroPoint(g, options.zeroPoint()),
              g.constant("b_zero_point", Constant.of(zeros))),
          List.of(y));
    } else {
      g.addNode(
          "", "MatMul", Map.of(), List.of(a, weight(g, "B", false, random, k, n)), List.of(y));
    }
    g.output(y);
    return g.build(name, Map.of());
  }

  private static Graph conv(String name, Matcher shape, Options options) {
    SeededRandom random = new SeededRandom(options.seed());
    int groups = shape.group(9) == null ? 1 : number(shape, 9);
    int channels = number(shape, 1);
    int out = number(shape, 4);
    if (groups == 0 || channels % groups != 0 || out % groups != 0) {
      throw new TersorException("TSR-0905", name + ": channels must be multiples of the groups");
    }
    long stride = shape.group(7) == null ? 1 : number(shape, 7);
    long pad = shape.group(8) == null ? number(shape, 5) / 2 : number(shape, 8);
    GraphBuilder g = new GraphBuilder(Map.of("", 17), 0);
    Value x =
        g.input(
            "X",
            TensorType.of(
                options.int8() ? DType.U8 : DType.F32,
                options.batch(),
                channels,
                number(shape, 2),
                number(shape, 3)));
    Value w =
        weight(
            g,
            "W",
            options.int8(),
            random,
            out,
            channels / groups,
            number(shape, 5),
            number(shape, 6));
    Value y = g.value("Y", ValueType.UNKNOWN);
    Map<String, Attribute> attributes =
        Map.of(
            "strides", new Attribute.IntsAttr(List.of(stride, stride)),
            "pads", new Attribute.IntsAttr(List.of(pad, pad, pad, pad)),
            "group", new Attribute.IntAttr(groups));
    List<Value> inputs =
        options.int8() ? List.of(x, w, zeroPoint(g, options.zeroPoint())) : List.of(x, w);
    g.addNode("", options.int8() ? "ConvInteger" : "Conv", attributes, inputs, List.of(y));
    g.output(y);
    return g.build(name, Map.of());
  }

  private static Value zeroPoint(GraphBuilder g, int value) {
    Tensor zero = Tensor.zeros(DType.U8);
    zero.setLong(0, value);
    return g.constant("a_zero_point", Constant.of(zero));
  }

  private static Value weight(
      GraphBuilder g, String name, boolean int8, SeededRandom random, long... shape) {
    Tensor tensor = Tensor.zeros(int8 ? DType.I8 : DType.F32, shape);
    double deviation = StrictMath.sqrt(2.0 * shape[0] / Math.max(1, tensor.size()));
    for (int i = 0; i < tensor.size(); i++) {
      if (int8) {
        tensor.bytes()[i] = (byte) random.between(-128, 127);
      } else {
        tensor.floats()[i] = (float) (deviation * random.nextGaussian());
      }
    }
    return g.constant(name, Constant.of(tensor));
  }
}
