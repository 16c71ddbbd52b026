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
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** Small models with the kinds of kernel that real ones have, for tests of the CUDA backends. */
enum CudaModels {
  /** Sizes that no tile divides, and a weight, a bias and an activation. */
  MATMUL {
    @Override
    Value build(GraphBuilder b) {
      Value x =
          b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"), DimExpr.of(53))));
      Value y = b.add("MatMul", x, b.constant(random(1, 53, 70)));
      return b.add("Relu", b.add("Add", y, b.constant(random(2, 70))));
    }
  },
  /** Many outputs, for large tiles. */
  MATMUL_TO_MANY {
    @Override
    Value build(GraphBuilder b) {
      Value x =
          b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"), DimExpr.of(24))));
      return b.add("MatMul", x, b.constant(random(1, 24, 2050)));
    }
  },
  /** Few outputs of long sums, which are computed in parts. */
  MATMUL_IN_PARTS {
    @Override
    Value build(GraphBuilder b) {
      Value x = b.input("x", TensorType.of(DType.F32, 2, 19, 4096));
      Value y = b.add("MatMul", x, b.constant(random(1, 4096, 21)));
      return b.add("Relu", b.add("Add", y, b.constant(random(2, 21))));
    }
  },
  CONVOLUTION_IN_PARTS {
    @Override
    Value build(GraphBuilder b) {
      Map<String, Attribute> pads = Map.of("pads", new IntsAttr(List.of(1L, 1L, 1L, 1L)));
      Value x = b.input("x", TensorType.of(DType.F32, 1, 96, 5, 7));
      return b.add("Relu", b.add("Conv", pads, x, b.constant(random(3, 17, 96, 3, 3))));
    }
  },
  INTEGERS_IN_PARTS {
    @Override
    Value build(GraphBuilder b) {
      Value x = b.input("x", TensorType.of(DType.U8, 13, 8192));
      Value zero = b.constant(new Tensor(DType.U8, new long[0], new byte[] {(byte) 131}));
      return b.add("MatMulInteger", x, b.constant(randomBytes(DType.I8, 8192, 17)), zero);
    }
  },
  MATMUL_OF_INPUTS {
    @Override
    Value build(GraphBuilder b) {
      Value x = b.input("x", TensorType.of(DType.F32, 2, 67, 40));
      return b.add("MatMul", x, b.input("y", TensorType.of(DType.F32, 2, 40, 33)));
    }
  },
  MATMUL_INTEGER {
    @Override
    Value build(GraphBuilder b) {
      Value x = b.input("x", TensorType.of(DType.U8, 37, 131));
      Value zero = b.constant(new Tensor(DType.U8, new long[0], new byte[] {(byte) 128}));
      Value weights = b.constant(randomBytes(DType.I8, 131, 66));
      return b.add("MatMulInteger", x, weights, zero);
    }
  },
  CONVOLUTION {
    @Override
    Value build(GraphBuilder b) {
      Value x = b.input("x", TensorType.of(DType.F32, 2, 3, 15, 17));
      Value y =
          b.add(
              "Conv",
              Map.of(
                  "pads",
                  new IntsAttr(List.of(1L, 1L, 1L, 1L)),
                  "strides",
                  new IntsAttr(List.of(2L, 1L))),
              x,
              b.constant(random(3, 9, 3, 3, 3)),
              b.constant(random(4, 9)));
      return b.add("Relu", y);
    }
  },
  DEPTHWISE {
    @Override
    Value build(GraphBuilder b) {
      Map<String, Attribute> attributes =
          Map.of("group", new IntAttr(6), "pads", new IntsAttr(List.of(1L, 1L, 1L, 1L)));
      Value x = b.input("x", TensorType.of(DType.F32, 1, 6, 11, 13));
      return b.add("Conv", attributes, x, b.constant(random(5, 6, 1, 3, 3)));
    }
  },
  SOFTMAX {
    @Override
    Value build(GraphBuilder b) {
      Value x =
          b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"), DimExpr.of(517))));
      return b.add("Softmax", x);
    }
  },
  ELEMENTWISE {
    @Override
    Value build(GraphBuilder b) {
      Value x =
          b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"), DimExpr.of(1003))));
      Value y = b.add("Tanh", b.add("Mul", x, b.constant(random(6, 1003))));
      return b.add("Add", y, b.add("Exp", x));
    }
  },
  POOLING {
    @Override
    Value build(GraphBuilder b) {
      Value x = b.input("x", TensorType.of(DType.F32, 1, 5, 12, 14));
      Value y = b.add("MaxPool", Map.of("kernel_shape", new IntsAttr(List.of(3L, 3L))), x);
      return b.add("GlobalAveragePool", y);
    }
  };

  abstract Value build(GraphBuilder b);

  private static final List<DType> BYTES = List.of(DType.U8, DType.I8);

  Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    b.output(build(b));
    return b.build("m", Map.of());
  }

  Program program(Target target) {
    Compiler compiler = Compiler.standard();
    CompileOptions options = CompileOptions.defaults();
    return compiler.model(compiler.prepare(graph(), options), target, options).single("a test");
  }

  /** Inputs with that many rows where the number is free. */
  static Map<String, Tensor> inputs(List<Executable.Port> ports, long rows) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    for (Executable.Port port : ports) {
      long[] shape =
          port.shape().stream()
              .mapToLong(d -> d.substitute(_ -> DimExpr.of(rows)).constValue())
              .toArray();
      inputs.put(
          port.name(),
          BYTES.contains(port.dtype()) ? randomBytes(port.dtype(), shape) : random(7, shape));
    }
    return inputs;
  }
}
