package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Products and look-ups with weights of few bits in blocks that have scales of their own:
 * com.microsoft MatMulNBits, MatMulBnb4, GatherBlockQuantized. Products are those of float32, but
 * for MatMulNBits of accuracy_level 4.
 */
final class BlockWeights {
  private static final Set<DType> REALS = Types.set(DType.F32, DType.F16, DType.BF16);

  private BlockWeights() {}

  static List<Operator> all() {
    return List.of(
        new UnpackBits(), new MatMulNBits(), new MatMulBnb4(), new GatherBlockQuantized());
  }

  private static Value unpack(FunctionOperator.Parts b, Value bytes, long bits, boolean highFirst) {
    return bits == 8
        ? bytes
        : b.builder()
            .add(
                OpKey.TERSOR,
                UnpackBits.NAME,
                Map.of(
                    "bits", FunctionOperator.integerAttr(bits),
                    "high_first", FunctionOperator.integerAttr(highFirst ? 1 : 0)),
                bytes);
  }

  private static long positive(OpContext c, String name) {
    long value = c.intAttr(name, 0);
    if (value < 1 || value > Integer.MAX_VALUE) {
      throw c.error("TSR-0304", name + " is " + value);
    }
    return value;
  }

  private static void checkBlock(OpContext c, long size) {
    if (size < 16 || Long.bitCount(size) != 1) {
      throw c.error("TSR-0304", "block_size " + size + " is no power of two from 16 on");
    }
  }

  private static List<ValueType> rows(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    dims.set(dims.size() - 1, DimExpr.of(positive(c, "N")));
    return List.of(TensorType.of(c.dtype(0), dims));
  }

  /** Y = A x W' + bias in float32, as A's type. */
  private static Value product(
      OpContext c, FunctionOperator.Parts b, Value weights, boolean transposed, int bias) {
    return product(c, b, b.cast(b.in(0), DType.F32), weights, transposed, bias);
  }

  private static Value product(
      OpContext c, FunctionOperator.Parts b, Value x, Value weights, boolean transposed, int bias) {
    Value w = transposed ? b.transpose(weights, 1, 0) : weights;
    Value y = b.add("MatMul", x, w);
    if (bias >= 0 && c.hasInput(bias)) {
      y = b.add("Add", y, b.cast(b.in(bias), DType.F32));
    }
    return b.cast(y, c.dtype(0));
  }

  /**
   * Y [.., N] = A [.., K] x W', where W [N, K] = (code - zero) * scale with codes of 2, 4 or 8 bits
   * in B [N, blocks, block_size * bits / 8], scales [N, blocks], zero points packed like the codes
   * or as reals (2^(bits - 1) if absent). g_idx [K] says the block of each k. With accuracy_level 4
   * each block of a row of A is rounded to 255 levels first, as ONNX Runtime does it: the model's
   * author allows it, and products of bytes take a fraction of the time. Codes of 2 bits, zero
   * points as reals and g_idx keep A as it is, there too.
   */
  private static final class MatMulNBits extends FunctionOperator {
    MatMulNBits() {
      super(
          OpSchema.of(MICROSOFT, "MatMulNBits", 1)
              .sample(
                  "l=1..2; k=times(16, l); K=k; n=1..4; N=n; bits=4; block_size=16; A[m k]; B[n l 8]; scales[n l]=positive; zero_points=-; g_idx=-; bias=-; accuracy_level=0|4 || l=1..2; k=times(16, l); K=k; n=1..4; N=n; bits!=8; block_size=16; A[m k]; B[n l 16]; scales[n l]=positive; zero_points=-; g_idx=-; bias=-; accuracy_level=0")
              .input("A", "T1")
              .input("B", "T2")
              .input("scales", "T1")
              .optional("zero_points", "T3")
              .optional("g_idx", "T4")
              .optional("bias", "T1")
              .output("Y", "T1")
              .types("T1", REALS)
              .types("T2", Types.set(DType.U8))
              .types("T3", Types.union(REALS, Types.set(DType.U8)))
              .types("T4", Types.set(DType.I32))
              .required("K", AttributeKind.INT)
              .required("N", AttributeKind.INT)
              .required("block_size", AttributeKind.INT)
              .attribute("bits", AttributeKind.INT)
              .attribute("accuracy_level", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
    }

    @Override
    List<ValueType> types(OpContext c) {
      long bits = c.intAttr("bits", 4);
      if (bits != 2 && bits != 4 && bits != 8) {
        throw c.error("TSR-0304", "weights of " + bits + " bits; 2, 4 and 8 are defined");
      }
      long size = positive(c, "block_size");
      long n = positive(c, "N");
      long blocks = (positive(c, "K") + size - 1) / size;
      checkBlock(c, size);
      expect(c, 1, n * blocks * (size * bits / 8));
      expect(c, 2, n * blocks);
      if (c.hasInput(3)) {
        expect(c, 3, c.dtype(3) == DType.U8 ? n * ((blocks * bits + 7) / 8) : n * blocks);
      }
      if (c.in(0).isRanked()
          && c.dims(0).getLast().isConst()
          && !c.dims(0).getLast().isConst(positive(c, "K"))) {
        throw c.error("TSR-0303", "the last dimension of A is not K = " + positive(c, "K"));
      }
      return rows(c);
    }

    private static void expect(OpContext c, int input, long elements) {
      if (c.in(input).isStatic() && c.in(input).elements().constValue() != elements) {
        throw c.error("TSR-0303", "input " + input + " must have " + elements + " elements");
      }
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      long bits = c.intAttr("bits", 4);
      long size = positive(c, "block_size");
      long n = positive(c, "N");
      long k = positive(c, "K");
      long blocks = (k + size - 1) / size;
      Value codes = unpack(b, b.reshape(b.in(1), n, blocks, size * bits / 8), bits, false);
      Value reals = b.cast(codes, DType.F32);
      Value scales = b.cast(b.reshape(b.in(2), n, blocks), DType.F32);
      Value zeros = zeros(c, b, bits, n, blocks);
      boolean each = c.hasInput(3);
      if (roundsActivations(c, bits)) {
        Value centered = b.add("Sub", reals, each ? b.unsqueeze(zeros, 2) : zeros);
        Value all = b.add("Mul", centered, b.unsqueeze(scales, 2));
        Value x = rounded(b, c.in(0).rank(), k, blocks, size);
        return List.of(product(c, b, x, b.reshape(all, n, blocks * size), true, 5));
      }
      Value weights;
      if (c.hasInput(4)) {
        Value block = b.slice(b.in(4), 0, 0, k);
        reals = b.slice(b.reshape(reals, n, blocks * size), 1, 0, k);
        weights =
            b.add(
                "Mul",
                b.add("Sub", reals, each ? perColumn(b, zeros, block) : zeros),
                perColumn(b, scales, block));
      } else {
        Value centered = b.add("Sub", reals, each ? b.unsqueeze(zeros, 2) : zeros);
        Value all = b.add("Mul", centered, b.unsqueeze(scales, 2));
        weights = b.slice(b.reshape(all, n, blocks * size), 1, 0, k);
      }
      return List.of(product(c, b, weights, true, 5));
    }

    private static boolean roundsActivations(OpContext c, long bits) {
      boolean integerZeros = !c.hasInput(3) || c.dtype(3) == DType.U8;
      return c.intAttr("accuracy_level", 0) == 4
          && bits != 2
          && integerZeros
          && !c.hasInput(4)
          && c.in(0).isRanked();
    }

    /**
     * A [.., blocks * size], zero beyond K, in multiples of a 127th of the largest number of its
     * block.
     */
    private static Value rounded(Parts b, int rank, long k, long blocks, long size) {
      Value x = b.cast(b.in(0), DType.F32);
      if (blocks * size > k) {
        long[] pads = new long[2 * rank];
        pads[2 * rank - 1] = blocks * size - k;
        x = b.add("Pad", x, b.longs(pads));
      }
      long[] split = new long[rank + 1];
      split[rank - 1] = blocks;
      split[rank] = size;
      Value parts = b.reshape(x, split);
      Value largest = b.add("ReduceMax", b.add("Abs", parts), b.longs(-1));
      Value zero = b.scalar(0);
      Value perUnit =
          b.add("Where", b.add("Equal", largest, zero), zero, b.add("Div", b.scalar(127), largest));
      Value codes = b.cast(b.add("Round", b.add("Mul", parts, perUnit)), DType.I8);
      Value step = b.add("Div", largest, b.scalar(127));
      long[] joined = new long[rank];
      joined[rank - 1] = blocks * size;
      return b.reshape(b.add("Mul", b.cast(codes, DType.F32), step), joined);
    }

    private static Value perColumn(Parts b, Value blocks, Value which) {
      return b.add("Gather", Map.of("axis", integerAttr(1)), blocks, which);
    }

    /** [N, blocks], or one number if there is no input. */
    private static Value zeros(OpContext c, Parts b, long bits, long n, long blocks) {
      if (!c.hasInput(3)) {
        return b.scalar((float) (1L << (bits - 1)));
      }
      if (c.dtype(3) != DType.U8) {
        return b.cast(b.reshape(b.in(3), n, blocks), DType.F32);
      }
      Value codes = unpack(b, b.reshape(b.in(3), n, (blocks * bits + 7) / 8), bits, false);
      return b.cast(b.slice(codes, 1, 0, blocks), DType.F32);
    }
  }

  /**
   * Y [.., N] = A [.., K] x W', with W [N, K] in 4-bit codes of the tables FP4 or NF4 of
   * bitsandbytes, the first of two in the high bits, times absmax of each block_size of them.
   */
  @SuppressWarnings("FloatingPointLiteralPrecision") // as published
  private static final class MatMulBnb4 extends FunctionOperator {
    private static final float[] FP4 = {
      0,
      5.208333333e-03f,
      0.66666667f,
      1,
      0.33333333f,
      0.5f,
      0.16666667f,
      0.25f,
      -0f,
      -5.208333333e-03f,
      -0.66666667f,
      -1,
      -0.33333333f,
      -0.5f,
      -0.16666667f,
      -0.25f
    };

    /** Quantiles of the normal distribution: Dettmers et al., QLoRA, appendix E. */
    private static final float[] NF4 = {
      -1,
      -0.6961928009986877f,
      -0.5250730514526367f,
      -0.39491748809814453f,
      -0.28444138169288635f,
      -0.18477343022823334f,
      -0.09105003625154495f,
      0,
      0.07958029955625534f,
      0.16093020141124725f,
      0.24611230194568634f,
      0.33791524171829224f,
      0.44070982933044434f,
      0.5626170039176941f,
      0.7229568362236023f,
      1
    };

    MatMulBnb4() {
      super(
          OpSchema.of(MICROSOFT, "MatMulBnb4", 1)
              .sample(
                  "l=1..2; k=times(16, l); K=k; n=1..4; N=n; j=times(n, l, 8); i=times(n, l); block_size=16; quant_type=0|1; transB=-; training_mode=-; A[m k]; B[j]; absmax[i]=positive")
              .input("A", "T1")
              .input("B", "T2")
              .input("absmax", "T1")
              .output("Y", "T1")
              .types("T1", REALS)
              .types("T2", Types.set(DType.U8))
              .required("K", AttributeKind.INT)
              .required("N", AttributeKind.INT)
              .required("block_size", AttributeKind.INT)
              .required("quant_type", AttributeKind.INT)
              .attribute("training_mode", AttributeKind.INT)
              .attribute("transB", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
    }

    @Override
    List<ValueType> types(OpContext c) {
      long type = c.intAttr("quant_type", 0);
      if (type != 0 && type != 1) {
        throw c.error("TSR-0304", "quant_type " + type + " is neither 0 (FP4) nor 1 (NF4)");
      }
      positive(c, "block_size");
      return rows(c);
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      long n = positive(c, "N");
      long k = positive(c, "K");
      long size = positive(c, "block_size");
      long blocks = (n * k + size - 1) / size;
      Value codes = b.slice(unpack(b, b.reshape(b.in(1), -1), 4, true), 0, 0, n * k);
      float[] levels = c.intAttr("quant_type", 0) == 0 ? FP4 : NF4;
      Value table = b.builder().constant(Tensor.of(levels.clone(), levels.length));
      Value values = b.add("Gather", table, b.cast(codes, DType.I32));
      Value repeated =
          b.add("Expand", b.reshape(b.cast(b.in(2), DType.F32), blocks, 1), b.longs(blocks, size));
      Value scales = b.slice(b.reshape(repeated, blocks * size), 0, 0, n * k);
      boolean transposed = c.intAttr("transB", 1) != 0;
      Value weights =
          b.reshape(b.add("Mul", values, scales), transposed ? n : k, transposed ? k : n);
      return List.of(product(c, b, weights, transposed, -1));
    }
  }

  /**
   * Rows of a table whose elements are codes of 4 or 8 bits with a scale and zero point for each
   * block of an axis. Codes in U8 of 4 bits lie two in a byte along the last axis.
   */
  private static final class GatherBlockQuantized extends FunctionOperator {
    GatherBlockQuantized() {
      super(
          OpSchema.of(MICROSOFT, "GatherBlockQuantized", 1)
              .sample(
                  "l=1..2; k=times(16, l); data[n k]; indices[i*0-2]=index(n); scales[n l]=positive; zero_points[n l]; block_size!=16; quantize_axis!=1; gather_axis!=0; bits=-")
              .input("data", "T1")
              .input("indices", "I")
              .input("scales", "T2")
              .optional("zero_points", "T1")
              .output("output", "T2")
              .types("T1", Types.set(DType.U4, DType.I4, DType.U8))
              .types("I", Types.INDICES)
              .types("T2", REALS)
              .attribute("bits", AttributeKind.INT)
              .attribute("block_size", AttributeKind.INT)
              .attribute("gather_axis", AttributeKind.INT)
              .attribute("quantize_axis", AttributeKind.INT));
    }

    private static int axis(OpContext c, String name, int otherwise) {
      return c.axis(c.intAttr(name, otherwise), c.rank(0));
    }

    private static boolean packed(OpContext c) {
      return c.dtype(0) == DType.U8 && c.intAttr("bits", 4) == 4;
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (!c.in(0).isRanked() || !c.in(1).isRanked()) {
        return List.of(TensorType.unranked(c.dtype(2)));
      }
      int gather = axis(c, "gather_axis", 0);
      int quantize = axis(c, "quantize_axis", 1);
      checkBlock(c, c.intAttr("block_size", 128));
      if (gather == quantize) {
        throw c.error("TSR-0305", "gather_axis and quantize_axis are both " + gather);
      }
      if (packed(c) && quantize != c.rank(0) - 1) {
        throw c.error("TSR-0305", "codes in bytes are quantized along the last axis only");
      }
      List<DimExpr> data = new ArrayList<>(c.dims(0));
      if (packed(c)) {
        data.set(data.size() - 1, data.getLast().times(DimExpr.of(2)));
      }
      List<DimExpr> dims = new ArrayList<>(data.subList(0, gather));
      dims.addAll(c.dims(1));
      dims.addAll(data.subList(gather + 1, data.size()));
      return List.of(TensorType.of(c.dtype(2), dims));
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      int gather = axis(c, "gather_axis", 0);
      int quantize = axis(c, "quantize_axis", 1);
      boolean packed = packed(c);
      Value codes = rows(b, b.in(0), gather);
      Value scales = rows(b, b.in(2), gather);
      codes = packed ? unpack(b, codes, 4, false) : codes;
      int axis = quantize < gather ? quantize : quantize + c.rank(1) - 1;
      Value zeros = Value.NONE;
      if (c.hasInput(3)) {
        zeros = rows(b, b.in(3), gather);
        if (packed) {
          Value all = unpack(b, zeros, 4, false);
          zeros = b.add("Slice", all, b.longs(0), b.dim(scales, axis), b.longs(axis));
        }
      } else if (c.dtype(0) == DType.U8) {
        Tensor middle = Tensor.zeros(DType.U8);
        middle.setLong(0, packed ? 8 : 128);
        zeros = b.add("Expand", b.builder().constant(middle), b.add("Shape", scales));
      }
      return List.of(
          b.add(
              "DequantizeLinear",
              Map.of(
                  "axis", integerAttr(axis),
                  "block_size", integerAttr(c.intAttr("block_size", 128))),
              codes,
              scales,
              zeros));
    }

    private static Value rows(Parts b, Value table, int axis) {
      return b.add("Gather", Map.of("axis", integerAttr(axis)), table, b.in(1));
    }
  }
}
