package org.tersor.conformance.demo;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.tersor.conformance.SeededRandom;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Makes the demo's files from nothing: draws digits, trains {@link DigitNet} on fresh ones for
 * about two minutes on one thread, and writes {@code digits.onnx} and 2,000 test images with labels
 * in the IDX format of MNIST. The same run gives the same bytes.
 *
 * <p>Pixels enter the network as (v / 255 - .1307) / .3081, as is usual for MNIST.
 */
public final class TrainDigits {
  static final int BATCH = 32;
  private static final int STEPS = 4500;
  private static final int TEST_IMAGES = 2000;

  private TrainDigits() {}

  /** {@code TrainDigits DIR}. */
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      System.err.println("usage: TrainDigits DIR");
      System.exit(2);
    }
    run(Path.of(args[0]), STEPS, System.err);
  }

  static double run(Path folder, int steps, PrintStream log) throws IOException {
    DigitNet net = train(steps, log);
    Set test = draw(TEST_IMAGES, new SeededRandom(2));
    double accuracy = accuracy(net, test);
    log.printf("top-1 %.2f %% of %d fresh digits%n", 100 * accuracy, TEST_IMAGES);
    Files.createDirectories(folder);
    Compiler.standard().write(graph(net), folder.resolve("digits.onnx"), Map.of());
    writeGz(
        folder.resolve("digits-images-idx3-ubyte.gz"),
        idx(new int[] {TEST_IMAGES, Glyphs.SIZE, Glyphs.SIZE}, test.images));
    byte[] labels = new byte[TEST_IMAGES];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = (byte) test.labels[i];
    }
    writeGz(folder.resolve("digits-labels-idx1-ubyte.gz"), idx(new int[] {TEST_IMAGES}, labels));
    return accuracy;
  }

  static DigitNet train(int steps, PrintStream log) {
    DigitNet net = new DigitNet(BATCH, new SeededRandom(7));
    SeededRandom random = new SeededRandom(1);
    double loss = 0;
    for (int step = 1; step <= steps; step++) {
      Set set = draw(BATCH, random);
      double rate = 3e-3 * .5 * (1 + StrictMath.cos(StrictMath.PI * step / steps)) + 1e-5;
      loss += net.step(pixels(set.images, 0, BATCH), set.labels, rate, step);
      if (step % 250 == 0) {
        log.printf("step %d of %d: loss %.4f%n", step, steps, loss / 250);
        loss = 0;
      }
    }
    return net;
  }

  static double accuracy(DigitNet net, Set test) {
    int right = 0;
    int n = test.labels.length / BATCH * BATCH;
    for (int from = 0; from < n; from += BATCH) {
      float[] logits = net.forward(pixels(test.images, from, BATCH), false);
      for (int b = 0; b < BATCH; b++) {
        int best = 0;
        for (int c = 1; c < DigitNet.CLASSES; c++) {
          best = logits[b * DigitNet.CLASSES + c] > logits[b * DigitNet.CLASSES + best] ? c : best;
        }
        right += best == test.labels[from + b] ? 1 : 0;
      }
    }
    return right / (double) n;
  }

  /** Grey images in a row, with their digits. */
  record Set(byte[] images, int[] labels) {}

  static Set draw(int count, SeededRandom random) {
    int pixels = Glyphs.SIZE * Glyphs.SIZE;
    Set set = new Set(new byte[count * pixels], new int[count]);
    for (int i = 0; i < count; i++) {
      set.labels[i] = (int) random.between(0, 9);
      System.arraycopy(
          Glyphs.draw(set.labels[i], random.split()), 0, set.images, i * pixels, pixels);
    }
    return set;
  }

  private static float[] pixels(byte[] images, int from, int count) {
    int n = Glyphs.SIZE * Glyphs.SIZE;
    float[] values = new float[count * n];
    for (int i = 0; i < values.length; i++) {
      values[i] = ((images[from * n + i] & 0xFF) / 255f - .1307f) / .3081f;
    }
    return values;
  }

  /** The trained network as a model with a free batch dimension. */
  static Graph graph(DigitNet net) {
    GraphBuilder g = new GraphBuilder(Map.of("", 17), 0);
    DimExpr batch = DimExpr.symbol("N");
    Value image =
        g.input(
            "image",
            TensorType.of(DType.F32, List.of(batch, DimExpr.ONE, DimExpr.of(28), DimExpr.of(28))));
    Value x = block(g, "block1", net.first, image);
    x = block(g, "block2", net.second, x);
    x = g.add("Flatten", x);
    int features = net.second.pooledSize();
    Value weight =
        g.constant(
            "fc.weight", Constant.of(Tensor.of(net.weight.value, DigitNet.CLASSES, features)));
    Value bias = g.constant("fc.bias", Constant.of(Tensor.of(net.bias.value, DigitNet.CLASSES)));
    Value logits =
        g.value("logits", TensorType.of(DType.F32, List.of(batch, DimExpr.of(DigitNet.CLASSES))));
    g.addNode(
        "fc",
        "",
        "Gemm",
        Map.of("transB", new Attribute.IntAttr(1)),
        List.of(x, weight, bias),
        List.of(logits));
    g.output(logits);
    return g.build("digits", Map.of());
  }

  private static Value block(GraphBuilder g, String name, DigitNet.Block block, Value x) {
    Value kernel =
        g.constant(
            name + ".weight",
            Constant.of(Tensor.of(block.kernel.value, block.out, block.in, 3, 3)));
    Value y =
        g.add(
            "Conv",
            Map.of("kernel_shape", ints(3, 3), "pads", ints(1, 1, 1, 1), "strides", ints(1, 1)),
            x,
            kernel);
    y =
        g.add(
            "BatchNormalization",
            Map.of("epsilon", new Attribute.FloatAttr(DigitNet.EPSILON)),
            y,
            vector(g, name + ".gain", block.gain.value),
            vector(g, name + ".offset", block.offset.value),
            vector(g, name + ".mean", block.runningMean),
            vector(g, name + ".variance", block.runningVariance));
    y = g.add("Relu", y);
    return g.add("MaxPool", Map.of("kernel_shape", ints(2, 2), "strides", ints(2, 2)), y);
  }

  private static Value vector(GraphBuilder g, String name, float[] values) {
    return g.constant(name, Constant.of(Tensor.of(values, values.length)));
  }

  private static Attribute ints(long... values) {
    return new Attribute.IntsAttr(java.util.Arrays.stream(values).boxed().toList());
  }

  private static byte[] idx(int[] dims, byte[] data) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeInt(0x0800 | dims.length);
    for (int dim : dims) {
      out.writeInt(dim);
    }
    out.write(data);
    return bytes.toByteArray();
  }

  private static void writeGz(Path file, byte[] data) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream gz =
        new GZIPOutputStream(bytes) {
          {
            def.setLevel(9);
          }
        }) {
      gz.write(data);
    }
    Files.write(file, bytes.toByteArray());
  }
}
