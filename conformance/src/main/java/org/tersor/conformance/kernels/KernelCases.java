package org.tersor.conformance.kernels;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.conformance.SeededRandom;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** The kernels that models are made of, at shapes with and without tails: one row each. */
public final class KernelCases {
  private final GraphBuilder graph = new GraphBuilder(Map.of("", 17), 0);
  private final Map<String, Tensor> inputs = new LinkedHashMap<>();
  private final SeededRandom random = new SeededRandom(7);
  private DType type = DType.F32;

  private KernelCases() {}

  /**
   * All rows.
   *
   * @param panel columns of a packed panel in the hand-written code
   */
  public static List<KernelCase> all(int panel) {
    return List.of(
        gemm(517, 259, 771, panel),
        gemm(384, 384, 384, panel),
        gemm(1, 1024, 1024, panel),
        gemm8(256, panel * 4, 512, panel),
        gemm8(1, 1024, 1024, panel),
        requantised(256, panel * 4, 512, panel),
        conv(64, 64, 32, 32, 1),
        conv(64, 64, 16, 32, 2),
        depthwise(96, 57, 57),
        maxPool(64, 28, 27),
        addRelu(100_003),
        halfToFloat(100_003),
        rowSum(512, 1_003),
        softmax(128, 1_003));
  }

  /** The panel of the code written with the Vector API. */
  public static int vectorPanel() {
    return VectorReference.PANEL;
  }

  private Value input(String name, Tensor value) {
    inputs.put(name, value);
    return graph.input(name, TensorType.of(value.dtype(), value.shape()));
  }

  private Tensor floats(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  private KernelCase finish(
      String name,
      Value result,
      List<Object> operands,
      int[] sizes,
      Optional<KernelCase.Hand> jvm,
      String function,
      double[] expected,
      double tolerance) {
    graph.output(result);
    return new KernelCase(
        name,
        graph.build(name, Map.of()),
        inputs,
        operands,
        sizes,
        type,
        jvm,
        function,
        expected,
        tolerance);
  }

  /** max(A B + bias, 0). */
  private static KernelCase gemm(int m, int n, int k, int panel) {
    KernelCases c = new KernelCases();
    Tensor a = c.floats(m, k);
    Tensor b = c.floats(k, n);
    Tensor bias = c.floats(n);
    int panels = Math.ceilDiv(n, panel);
    float[] packed = new float[panels * panel * k];
    float[] padded = new float[panels * panel];
    for (int j = 0; j < n; j++) {
      padded[j] = bias.floats()[j];
      for (int p = 0; p < k; p++) {
        packed[(j / panel * k + p) * panel + j % panel] = b.floats()[p * n + j];
      }
    }
    double[] expected = new double[m * n];
    IntStream.range(0, m)
        .forEach(i -> {
          double[] row = new double[n];
          for (int p = 0; p < k; p++) {
            double x = a.floats()[i * k + p];
            for (int j = 0; j < n; j++) {
              row[j] += x * b.floats()[p * n + j];
            }
          }
          for (int j = 0; j < n; j++) {
            expected[i * n + j] = Math.max(row[j] + bias.floats()[j], 0);
          }
        });
    Value product = c.graph.add("MatMul", c.input("A", a), c.graph.constant("B", Constant.of(b)));
    Value sum = c.graph.add("Add", product, c.graph.constant("bias", Constant.of(bias)));
    return c.finish(
        "gemm-relu " + m + "x" + n + "x" + k,
        c.graph.add("Relu", sum),
        List.of(a.floats(), packed, padded),
        new int[] {m, n, k},
        Optional.of(VectorReference::gemm),
        "gemm",
        expected,
        1e-5);
  }

  /** Factors of an integer product: random bytes, the second one also in panels. */
  private record Bytes(Tensor a, Tensor b, byte[] packed, int[] product) {
    static Bytes of(KernelCases c, int m, int n, int k, int panel) {
      Tensor a = Tensor.zeros(DType.U8, m, k);
      Tensor b = Tensor.zeros(DType.I8, k, n);
      for (int i = 0; i < a.size(); i++) {
        a.bytes()[i] = (byte) c.random.between(0, 255);
      }
      for (int i = 0; i < b.size(); i++) {
        b.bytes()[i] = (byte) c.random.between(-128, 127);
      }
      byte[] packed = new byte[k * n];
      for (int j = 0; j < n; j++) {
        for (int p = 0; p < k; p++) {
          int step = j / panel * (k / 4) + p / 4;
          packed[(step * panel + j % panel) * 4 + p % 4] = b.bytes()[p * n + j];
        }
      }
      int[] product = new int[m * n];
      for (int i = 0; i < m; i++) {
        for (int p = 0; p < k; p++) {
          int x = a.bytes()[i * k + p] & 255;
          for (int j = 0; j < n; j++) {
            product[i * n + j] += x * b.bytes()[p * n + j];
          }
        }
      }
      return new Bytes(a, b, packed, product);
    }
  }

  /** u8 by s8 into s32. */
  private static KernelCase gemm8(int m, int n, int k, int panel) {
    KernelCases c = new KernelCases();
    c.type = DType.I32;
    Bytes bytes = Bytes.of(c, m, n, k, panel);
    return c.finish(
        "gemm u8 s8 " + m + "x" + n + "x" + k,
        c.graph.add(
            "MatMulInteger", c.input("A", bytes.a), c.graph.constant("B", Constant.of(bytes.b))),
        List.of(bytes.a.bytes(), bytes.packed),
        new int[] {m, n, k},
        Optional.empty(), // the Vector API has no byte dot product
        "gemm8",
        Arrays.stream(bytes.product).asDoubleStream().toArray(),
        0);
  }

  /** u8 by s8, scaled, rounded and narrowed to u8. */
  private static KernelCase requantised(int m, int n, int k, int panel) {
    KernelCases c = new KernelCases();
    c.type = DType.U8;
    Bytes bytes = Bytes.of(c, m, n, k, panel);
    float[] scales = new float[n];
    int[] columnTerms = new int[n];
    for (int j = 0; j < n; j++) {
      scales[j] = (float) Math.exp(.2 * c.random.nextGaussian() - 10);
      for (int p = 0; p < k; p++) {
        columnTerms[j] -= 128 * bytes.b.bytes()[p * n + j];
      }
    }
    double[] expected = new double[m * n];
    for (int i = 0; i < expected.length; i++) {
      double value = (bytes.product[i] + columnTerms[i % n]) * (double) scales[i % n];
      expected[i] = Math.max(0, Math.min(255, Math.rint(value / .03125) + 120));
    }
    Value y =
        c.graph.add(
            "QLinearMatMul",
            c.input("A", bytes.a),
            c.graph.constant("As", Constant.of(Tensor.of(new float[] {1}))),
            c.graph.constant("Az", Constant.of(unsigned(128))),
            c.graph.constant("B", Constant.of(bytes.b)),
            c.graph.constant("Bs", Constant.of(Tensor.of(scales, n))),
            c.graph.constant("Bz", Constant.of(Tensor.zeros(DType.I8, n))),
            c.graph.constant("Ys", Constant.of(Tensor.of(new float[] {.03125f}))),
            c.graph.constant("Yz", Constant.of(unsigned(120))));
    float[] factors = scales.clone();
    for (int j = 0; j < n; j++) {
      factors[j] *= 32;
    }
    return c.finish(
        "gemm u8 s8 to u8 " + m + "x" + n + "x" + k,
        y,
        List.of(bytes.a.bytes(), bytes.packed, columnTerms, factors),
        new int[] {m, n, k},
        Optional.empty(),
        "gemm8_to_u8",
        expected,
        1 / 254.0); // a step of 255, where float and double round to different sides
  }

  private static Tensor unsigned(int value) {
    Tensor tensor = Tensor.zeros(DType.U8);
    tensor.bytes()[0] = (byte) value;
    return tensor;
  }

  /** 3 x 3 over a padded input. */
  private static KernelCase conv(int in, int out, int height, int width, int stride) {
    KernelCases c = new KernelCases();
    int rows = height * stride + 2;
    int columns = width * stride + 2;
    Tensor x = c.floats(1, in, rows, columns);
    Tensor f = c.floats(out, in, 3, 3);
    Tensor bias = c.floats(out);
    double[] expected = new double[out * height * width];
    IntStream.range(0, expected.length)
        .parallel()
        .forEach(i -> {
          int o = i / (height * width);
          double sum = bias.floats()[o];
          for (int t = 0; t < in * 9; t++) {
            int row = i / width % height * stride + t % 9 / 3;
            int at = (t / 9 * rows + row) * columns + i % width * stride + t % 3;
            sum += (double) f.floats()[o * in * 9 + t] * x.floats()[at];
          }
          expected[i] = sum;
        });
    float[] packed = new float[f.size()];
    for (int o = 0; o < out; o++) {
      for (int t = 0; t < in * 9; t++) {
        packed[(o / 8 * in * 9 + t) * 8 + o % 8] = f.floats()[o * in * 9 + t];
      }
    }
    Attribute strides = new Attribute.IntsAttr(List.of((long) stride, (long) stride));
    return c.finish(
        "conv 3x3 stride " + stride + " " + in + "x" + out + "x" + height + "x" + width,
        c.graph.add(
            "Conv",
            Map.of("strides", strides),
            c.input("X", x),
            c.graph.constant("W", Constant.of(f)),
            c.graph.constant("bias", Constant.of(bias))),
        List.of(x.floats(), packed, bias.floats()),
        new int[] {in, out, height, width, rows, columns},
        Optional.empty(),
        stride == 1 ? "conv" : "conv_stride2",
        expected,
        1e-5);
  }

  private static KernelCase halfToFloat(int elements) {
    KernelCases c = new KernelCases();
    Tensor x = Tensor.zeros(DType.F16, elements);
    double[] expected = new double[elements];
    for (int i = 0; i < elements; i++) {
      x.shorts()[i] = Float.floatToFloat16((float) c.random.nextGaussian());
      expected[i] = 2 * Float.float16ToFloat(x.shorts()[i]);
    }
    Value wide =
        c.graph.add(
            "Cast",
            Map.of("to", new Attribute.IntAttr(TypeNumbers.number(DType.F32))),
            c.input("X", x));
    return c.finish(
        "f16 to f32, doubled " + elements,
        c.graph.add("Add", wide, wide),
        List.of(x.shorts()),
        new int[] {elements},
        Optional.of(VectorReference::halfToFloat),
        "half_to_float",
        expected,
        0);
  }

  private static KernelCase depthwise(int channels, int height, int width) {
    KernelCases c = new KernelCases();
    Tensor x = c.floats(1, channels, height + 2, width + 2);
    Tensor f = c.floats(channels, 1, 3, 3);
    Tensor bias = c.floats(channels);
    double[] expected = new double[channels * height * width];
    for (int i = 0; i < expected.length; i++) {
      int channel = i / (height * width);
      int h = i / width % height;
      double sum = bias.floats()[channel];
      for (int t = 0; t < 9; t++) {
        int at = (channel * (height + 2) + h + t / 3) * (width + 2) + i % width + t % 3;
        sum += (double) f.floats()[channel * 9 + t] * x.floats()[at];
      }
      expected[i] = sum;
    }
    Value y =
        c.graph.add(
            "Conv",
            Map.of("group", new Attribute.IntAttr(channels)),
            c.input("X", x),
            c.graph.constant("W", Constant.of(f)),
            c.graph.constant("bias", Constant.of(bias)));
    return c.finish(
        "depthwise 3x3 " + channels + "x" + height + "x" + width,
        y,
        List.of(x.floats(), f.floats(), bias.floats()),
        new int[] {channels, height, width},
        Optional.of(VectorReference::depthwise),
        "depthwise",
        expected,
        1e-6);
  }

  private static KernelCase maxPool(int channels, int height, int width) {
    KernelCases c = new KernelCases();
    Tensor x = c.floats(1, channels, 2L * height, 2L * width);
    double[] expected = new double[channels * height * width];
    for (int i = 0; i < expected.length; i++) {
      int at = i / width * 4 * width + i % width * 2;
      expected[i] =
          Math.max(
              Math.max(x.floats()[at], x.floats()[at + 1]),
              Math.max(x.floats()[at + 2 * width], x.floats()[at + 2 * width + 1]));
    }
    Attribute two = new Attribute.IntsAttr(List.of(2L, 2L));
    return c.finish(
        "maxpool 2x2 " + channels + "x" + height + "x" + width,
        c.graph.add("MaxPool", Map.of("kernel_shape", two, "strides", two), c.input("X", x)),
        List.of(x.floats()),
        new int[] {channels, height, width},
        Optional.of(VectorReference::maxPool),
        "max_pool",
        expected,
        0);
  }

  private static KernelCase addRelu(int elements) {
    KernelCases c = new KernelCases();
    Tensor x = c.floats(elements);
    Tensor y = c.floats(elements);
    double[] expected = new double[elements];
    for (int i = 0; i < elements; i++) {
      expected[i] = Math.max(x.floats()[i] + y.floats()[i], 0);
    }
    return c.finish(
        "add-relu " + elements,
        c.graph.add("Relu", c.graph.add("Add", c.input("X", x), c.input("Y", y))),
        List.of(x.floats(), y.floats()),
        new int[] {elements},
        Optional.of(VectorReference::addRelu),
        "add_relu",
        expected,
        0);
  }

  private static KernelCase rowSum(int rows, int columns) {
    KernelCases c = new KernelCases();
    Tensor x = c.floats(rows, columns);
    double[] expected = new double[rows];
    for (int i = 0; i < rows * columns; i++) {
      expected[i / columns] += x.floats()[i];
    }
    Value axes = c.graph.longs(1);
    return c.finish(
        "sum of rows " + rows + "x" + columns,
        c.graph.add(
            "ReduceSum", Map.of("keepdims", new Attribute.IntAttr(0)), c.input("X", x), axes),
        List.of(x.floats()),
        new int[] {rows, columns},
        Optional.of(VectorReference::rowSum),
        "row_sum",
        expected,
        1e-5);
  }

  private static KernelCase softmax(int rows, int columns) {
    KernelCases c = new KernelCases();
    Tensor x = c.floats(rows, columns);
    double[] expected = new double[rows * columns];
    for (int r = 0; r < rows; r++) {
      double sum = 0;
      for (int i = r * columns; i < (r + 1) * columns; i++) {
        expected[i] = Math.exp(x.floats()[i]);
        sum += expected[i];
      }
      for (int i = r * columns; i < (r + 1) * columns; i++) {
        expected[i] /= sum;
      }
    }
    return c.finish(
        "softmax " + rows + "x" + columns,
        c.graph.add("Softmax", c.input("X", x)),
        List.of(x.floats()),
        new int[] {rows, columns},
        Optional.of(VectorReference::softmax),
        "softmax",
        expected,
        1e-6);
  }
}
