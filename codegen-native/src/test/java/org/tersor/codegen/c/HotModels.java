package org.tersor.codegen.c;

import static org.tersor.codegen.c.RandomTensors.random;
import static org.tersor.codegen.c.RandomTensors.randomBytes;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Attribute.IntAttr;
import org.tersor.ir.graph.Attribute.IntsAttr;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** One layer each, of the kinds that models spend their time in, at sizes that fill a tile. */
enum HotModels {
  GEMM(Products.FLOATS) {
    @Override
    Value build(GraphBuilder b, String x) {
      Value in = b.input(x, TensorType.of(DType.F32, 98, 128));
      Value y = b.add("MatMul", in, b.constant(random(1, 128, 192)));
      return b.add("Relu", b.add("Add", y, b.constant(random(2, 192))));
    }
  },
  CONVOLUTION(Products.FLOATS) {
    @Override
    Value build(GraphBuilder b, String x) {
      return b.add("Relu", convolution(b, x, 32, 15, 64, 3, 2));
    }
  },
  /** By tiles of Winograd. */
  TILED_CONVOLUTION(Products.FLOATS) {
    @Override
    Value build(GraphBuilder b, String x) {
      return b.add("Relu", convolution(b, x, 64, 14, 64, 3, 1));
    }
  },
  POINTWISE(Products.FLOATS) {
    @Override
    Value build(GraphBuilder b, String x) {
      return convolution(b, x, 64, 14, 96, 1, 1);
    }
  },
  DEPTHWISE(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      Value in = b.input(x, TensorType.of(DType.F32, 1, 96, 14, 14));
      return b.add("Conv", window(3, 1, 96), in, b.constant(random(5, 96, 1, 3, 3)));
    }
  },
  BYTES_GEMM(Products.BYTES) {
    @Override
    Value build(GraphBuilder b, String x) {
      Value in = b.input(x, TensorType.of(DType.U8, 98, 128));
      Value zero = b.constant(new Tensor(DType.U8, new long[0], new byte[] {(byte) 128}));
      return b.add("MatMulInteger", in, b.constant(randomBytes(DType.I8, 128, 192)), zero);
    }
  },
  BYTES_CONVOLUTION(Products.BYTES) {
    @Override
    Value build(GraphBuilder b, String x) {
      return quantized(b, x, 32, 15, 64, 3, 2, 1);
    }
  },
  BYTES_POINTWISE(Products.BYTES) {
    @Override
    Value build(GraphBuilder b, String x) {
      return quantized(b, x, 64, 14, 96, 1, 1, 1);
    }
  },
  BYTES_DEPTHWISE(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      return quantized(b, x, 96, 14, 96, 3, 1, 96);
    }
  },
  /** One row with weights of 4 bits in blocks: exact activations. */
  BLOCKS(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      return blocks(b, x, 1, 0);
    }
  },
  /** Several rows with weights of 4 bits in blocks: activations are rounded to bytes. */
  BLOCKS_OF_BYTES(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      return blocks(b, x, 33, 4);
    }
  },
  SOFTMAX(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      return b.add("Softmax", b.input(x, TensorType.of(DType.F32, 9, 517)));
    }
  },
  LAYER_NORM(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      Value in = b.input(x, TensorType.of(DType.F32, 9, 384));
      return b.add(
          "LayerNormalization", in, b.constant(random(2, 384)), b.constant(random(3, 384)));
    }
  },
  ELEMENTWISE(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      Value in = b.input(x, TensorType.of(DType.F32, 5, 203));
      Value y = b.add("Tanh", b.add("Mul", in, b.constant(random(6, 203))));
      return b.add("Add", b.add("Erf", y), b.add("Sigmoid", in));
    }
  },
  POOLING(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      Value in = b.input(x, TensorType.of(DType.F32, 1, 37, 12, 14));
      Value y = b.add("MaxPool", window(3, 2, 1), in);
      return b.add("GlobalAveragePool", y);
    }
  },
  HALVES(Products.NONE) {
    @Override
    Value build(GraphBuilder b, String x) {
      Value in = b.input(x, TensorType.of(DType.F32, 7, 45));
      Value half = b.add("Cast", Map.of("to", new IntAttr(10)), in);
      Value turned = b.add("Transpose", Map.of("perm", new IntsAttr(List.of(1L, 0L))), half);
      return b.add("Cast", Map.of("to", new IntAttr(1)), turned);
    }
  };

  /** What the inner loops of its kernel are made of. */
  enum Products {
    FLOATS,
    BYTES,
    /** No register tile. */
    NONE
  }

  private final Products products;

  HotModels(Products products) {
    this.products = products;
  }

  abstract Value build(GraphBuilder b, String input);

  Products products() {
    return products;
  }

  Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17, "com.microsoft", 1), 0);
    b.output(build(b, "x"));
    return b.build("m", Map.of());
  }

  Program program(Target target) {
    Compiler compiler = Compiler.standard();
    CompileOptions options = CompileOptions.defaults();
    return compiler.model(compiler.prepare(graph(), options), target, options).single("a test");
  }

  /** All of them in one model, each with an input of its name and an output. */
  static Graph together() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17, "com.microsoft", 1), 0);
    for (HotModels model : values()) {
      Value output = b.value("of " + model.name(), ValueType.UNKNOWN);
      Value result = model.build(b, model.name());
      b.addNode("", "Identity", Map.of(), List.of(result), List.of(output));
      b.output(output);
    }
    return b.build("together", Map.of());
  }

  /** Inputs for a graph of constant shapes. */
  static Map<String, Tensor> inputs(Graph graph) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    graph
        .inputs()
        .forEach(value -> {
          TensorType type = (TensorType) graph.type(value);
          long[] shape =
              type.shape().orElseThrow().stream().mapToLong(DimExpr::constValue).toArray();
          inputs.put(
              value.name(),
              type.dtype() == DType.F32 ? random(7, shape) : randomBytes(type.dtype(), shape));
        });
    return inputs;
  }

  private static Map<String, Attribute> window(int size, int stride, int groups) {
    long pad = size / 2;
    return Map.of(
        "kernel_shape", new IntsAttr(List.of((long) size, (long) size)),
        "pads", new IntsAttr(List.of(pad, pad, pad, pad)),
        "strides", new IntsAttr(List.of((long) stride, (long) stride)),
        "group", new IntAttr(groups));
  }

  private static Value convolution(
      GraphBuilder b, String x, int channels, int extent, int out, int size, int stride) {
    Value in = b.input(x, TensorType.of(DType.F32, 1, channels, extent, extent));
    return b.add(
        "Conv",
        window(size, stride, 1),
        in,
        b.constant(random(3, out, channels, size, size)),
        b.constant(random(4, out)));
  }

  private static Value quantized(
      GraphBuilder b,
      String x,
      int channels,
      int extent,
      int out,
      int size,
      int stride,
      int groups) {
    Value in = b.input(x, TensorType.of(DType.U8, 1, channels, extent, extent));
    Value zero = b.constant(new Tensor(DType.U8, new long[0], new byte[] {113}));
    float[] scales = new float[out];
    byte[] zeros = new byte[out];
    int[] bias = new int[out];
    for (int i = 0; i < out; i++) {
      scales[i] = .01f + i * 1e-4f;
      bias[i] = 37 * i - 500;
    }
    return b.add(
        "QLinearConv",
        window(size, stride, groups),
        in,
        b.scalar(.02f),
        zero,
        b.constant(randomBytes(DType.I8, out, channels / groups, size, size)),
        b.constant(Tensor.of(scales, out)),
        b.constant(new Tensor(DType.I8, new long[] {out}, zeros)),
        b.scalar(.6f),
        zero,
        b.constant(Tensor.of(bias, out)));
  }

  private static Value blocks(GraphBuilder b, String x, int rows, int accuracy) {
    Value in = b.input(x, TensorType.of(DType.F32, rows, 256));
    Tensor scales = random(9, 160 * 8);
    for (int i = 0; i < scales.size(); i++) {
      scales.floats()[i] = .01f + Math.abs(scales.floats()[i]) * .01f;
    }
    return b.add(
        "com.microsoft",
        "MatMulNBits",
        Map.of(
            "K", new IntAttr(256),
            "N", new IntAttr(160),
            "bits", new IntAttr(4),
            "block_size", new IntAttr(32),
            "accuracy_level", new IntAttr(accuracy)),
        in,
        b.constant(randomBytes(DType.U8, 160, 8, 16)),
        b.constant(scales));
  }
}
