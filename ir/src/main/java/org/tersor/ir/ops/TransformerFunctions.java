package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
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
 * What transformers need around attention, as ONNX Runtime fuses it:
 * (Skip)SimplifiedLayerNormalization, EmbedLayerNormalization, BiasSplitGelu, RotaryEmbedding.
 */
final class TransformerFunctions {
  private static final Set<DType> REALS = Types.set(DType.F32, DType.F16, DType.BF16, DType.F64);

  private TransformerFunctions() {}

  static List<Operator> all() {
    return List.of(
        new SimplifiedLayerNormalization(),
        new SkipSimplifiedLayerNormalization(),
        new EmbedLayerNormalization(),
        new BiasSplitGelu(),
        new Rotary());
  }

  /** Skip connections have a smaller default. */
  private static float epsilon(OpContext c) {
    return c.floatAttr("epsilon", c.node().op().type().startsWith("Skip") ? 1e-12f : 1e-5f);
  }

  private static Value rms(FunctionOperator.Parts b, Value x, Value scale, long axis) {
    return b.add(
        "RMSNormalization",
        Map.of(
            "axis", FunctionOperator.integerAttr(axis),
            "epsilon", FunctionOperator.floatAttr(epsilon(b.c()))),
        x,
        scale);
  }

  /** 1 / sqrt(mean(x^2) + epsilon) over the axes from one on. */
  private static Value inverse(FunctionOperator.Parts b, Value x, long axis) {
    Value real = b.cast(x, DType.F32);
    int rank = b.c().rank(0);
    long[] axes = java.util.stream.LongStream.range(b.c().axis(axis, rank), rank).toArray();
    Value mean = b.add("ReduceMean", b.add("Mul", real, real), b.longs(axes));
    return b.add("Reciprocal", b.add("Sqrt", b.add("Add", mean, b.scalar(epsilon(b.c())))));
  }

  private static TensorType statistics(OpContext c, long axis) {
    if (!c.in(0).isRanked()) {
      return TensorType.unranked(DType.F32);
    }
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    for (int d = c.axis(axis, dims.size()); d < dims.size(); d++) {
      dims.set(d, DimExpr.ONE);
    }
    return TensorType.of(DType.F32, dims);
  }

  private static final class SimplifiedLayerNormalization extends FunctionOperator {
    SimplifiedLayerNormalization() {
      super(
          OpSchema.of("", "SimplifiedLayerNormalization", 1)
              .sample("X[a* n b*]; axis!=len(a); scale[n b*]; stash_type=-; epsilon=0.001..0.1")
              .input("X", "T")
              .input("scale", "V")
              .output("Y", "V")
              .optionalOutput("inv_std_var", "U")
              .types("T", REALS)
              .types("V", REALS)
              .types("U", Types.set(DType.F32))
              .attribute("axis", AttributeKind.INT)
              .attribute("epsilon", AttributeKind.FLOAT)
              .attribute("stash_type", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(c.in(0).withDtype(c.dtype(1)), statistics(c, c.intAttr("axis", -1)));
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      Value y = rms(b, b.in(0), b.in(1), c.intAttr("axis", -1));
      return c.outputCount() > 1
          ? List.of(y, inverse(b, b.in(0), c.intAttr("axis", -1)))
          : List.of(y);
    }
  }

  /** RMS normalization of input + skip + bias, which is an output, too. */
  private static final class SkipSimplifiedLayerNormalization extends FunctionOperator {
    SkipSimplifiedLayerNormalization() {
      super(
          OpSchema.of(MICROSOFT, "SkipSimplifiedLayerNormalization", 1)
              .sample("input[b s h]; skip[b s h]; gamma[h]; bias[h]; epsilon=0.001..0.1; outputs=1")
              .input("input", "T")
              .input("skip", "T")
              .input("gamma", "T")
              .optional("bias", "T")
              .output("output", "T")
              .optionalOutput("mean", "U")
              .optionalOutput("inv_std_var", "U")
              .optionalOutput("input_skip_bias_sum", "T")
              .types("T", REALS)
              .types("U", Types.set(DType.F32))
              .attribute("epsilon", AttributeKind.FLOAT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(c.in(0), statistics(c, -1), statistics(c, -1), c.in(0));
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      Value sum = b.add("Add", b.in(0), b.in(1));
      sum = c.hasInput(3) ? b.add("Add", sum, b.in(3)) : sum;
      List<Value> outputs = new ArrayList<>(List.of(rms(b, sum, b.in(2), -1)));
      for (int i = 1; i < c.outputCount(); i++) {
        if (!c.hasOutput(i)) {
          outputs.add(Value.NONE);
        } else if (i == 1) {
          outputs.add(b.add("ReduceMean", b.cast(sum, DType.F32), b.longs(-1)));
        } else {
          outputs.add(i == 2 ? inverse(b, sum, -1) : sum);
        }
      }
      return outputs;
    }
  }

  /**
   * Layer normalization of the sum of embeddings of words, positions and segments; the number of
   * masked-in positions of each row; the sum itself.
   */
  private static final class EmbedLayerNormalization extends FunctionOperator {
    EmbedLayerNormalization() {
      super(
          OpSchema.of(MICROSOFT, "EmbedLayerNormalization", 1)
              .sample(
                  "s=1..3; v=2..5; w=1..3; input_ids[b s]=below(v); segment_ids![b s]=below(w); word_embedding[v h]; position_embedding[4 h]; segment_embedding![w h]; gamma[h]; beta[h]; mask=-; position_ids=-; epsilon=0.001..0.1; mask_index_type=-; outputs=2")
              .input("input_ids", "M")
              .optional("segment_ids", "M")
              .input("word_embedding", "T")
              .input("position_embedding", "T")
              .optional("segment_embedding", "T")
              .input("gamma", "T")
              .input("beta", "T")
              .optional("mask", "M")
              .optional("position_ids", "M")
              .output("output", "T")
              .optionalOutput("mask_index", "M")
              .optionalOutput("embedding_sum", "T")
              .types("M", Types.set(DType.I32))
              .types("T", REALS)
              .attribute("epsilon", AttributeKind.FLOAT)
              .attribute("mask_index_type", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
    }

    @Override
    List<ValueType> types(OpContext c) {
      TensorType unknown = TensorType.unranked(c.dtype(2));
      if (!c.in(0).isRanked() || !c.in(2).isRanked()) {
        return List.of(unknown, TensorType.unranked(DType.I32), unknown);
      }
      if (c.rank(0) != 2 || c.rank(2) != 2) {
        throw c.error("TSR-0303", "input_ids [B, S] and word_embedding [words, D] are needed");
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      dims.add(c.dims(2).get(1));
      TensorType y = TensorType.of(c.dtype(2), dims);
      return List.of(y, TensorType.of(DType.I32, List.of(c.dims(0).getFirst())), y);
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      Value sum = b.add("Gather", b.in(2), b.in(0));
      Value positions =
          c.hasInput(8)
              ? b.add("Gather", b.in(3), b.in(8))
              : b.add("Gather", b.in(3), b.unsqueeze(b.range(b.dim(b.in(0), 1)), 0));
      sum = b.add("Add", sum, positions);
      if (c.hasInput(1)) {
        sum = b.add("Add", sum, b.add("Gather", b.in(4), b.in(1)));
      }
      Map<String, Attribute> attributes =
          Map.of("axis", integerAttr(-1), "epsilon", floatAttr(c.floatAttr("epsilon", 1e-12f)));
      List<Value> outputs =
          new ArrayList<>(List.of(b.add("LayerNormalization", attributes, sum, b.in(5), b.in(6))));
      if (c.outputCount() > 1) {
        Value count =
            c.hasInput(7)
                ? b.add(
                    "ReduceSum",
                    Map.of("keepdims", integerAttr(0)),
                    b.cast(b.add("Equal", b.in(7), one(b)), DType.I32),
                    b.longs(1))
                : b.add(
                    "Expand", b.builder().constant(Tensor.of(new int[] {0})), b.dim(b.in(0), 0));
        outputs.add(count);
      }
      if (c.outputCount() > 2) {
        outputs.add(sum);
      }
      return outputs;
    }

    private static Value one(Parts b) {
      return b.builder().constant(Tensor.of(new int[] {1}));
    }
  }

  /** (X + bias) in two halves along the last axis: left * gelu(right). */
  private static final class BiasSplitGelu extends FunctionOperator {
    BiasSplitGelu() {
      super(
          OpSchema.of(MICROSOFT, "BiasSplitGelu", 1)
              .sample("X[b s 2560]; bias[2560]")
              .input("X", "T")
              .input("bias", "T")
              .output("Y", "T")
              .types("T", REALS));
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (!c.in(0).isRanked()) {
        return List.of(c.in(0));
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      if (dims.isEmpty() || (dims.getLast().isConst() && dims.getLast().constValue() % 2 != 0)) {
        throw c.error("TSR-0303", "the last dimension of X must be even");
      }
      dims.set(dims.size() - 1, dims.getLast().floorDiv(2));
      return List.of(TensorType.of(c.dtype(0), dims));
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      List<Value> halves =
          b.all(
              "Split",
              Map.of("axis", integerAttr(-1), "num_outputs", integerAttr(2)),
              2,
              b.add("Add", b.in(0), b.in(1)));
      return List.of(b.add("Mul", halves.get(0), b.add("Gelu", halves.get(1))));
    }
  }

  /**
   * RotaryEmbedding of com.microsoft: position_ids are [B, S], or one number that the first row
   * has; the number of heads follows from the caches if it is not given.
   */
  private static final class Rotary extends FunctionOperator {
    Rotary() {
      super(
          OpSchema.of(MICROSOFT, "RotaryEmbedding", 1)
              .sample(
                  "s=1..3; d=1..3; num_heads=1..2; h=num_heads; e=times(2, d); m=3..5; input[b h s e]; position_ids[b s]=below(m); cos_cache[m d]=unit; sin_cache[m d]=unit; interleaved=0|1; is_packed_batching=-; num_heads=-; rotary_embedding_dim=-; scale=-")
              .input("input", "T")
              .input("position_ids", "M")
              .input("cos_cache", "T")
              .input("sin_cache", "T")
              .output("output", "T")
              .types("T", Types.set(DType.F32, DType.F16, DType.BF16))
              .types("M", Types.I64)
              .attribute("interleaved", AttributeKind.INT)
              .attribute("is_packed_batching", AttributeKind.INT)
              .attribute("num_heads", AttributeKind.INT)
              .attribute("rotary_embedding_dim", AttributeKind.INT)
              .attribute("scale", AttributeKind.FLOAT)
              .tolerance(OpSchema.Tolerance.ROUNDING));
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (c.intAttr("is_packed_batching", 0) != 0 || c.floatAttr("scale", 1) != 1) {
        throw c.error("TSR-0201", "packed batches and scales are not supported");
      }
      return List.of(c.in(0));
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      Map<String, Attribute> attributes = new HashMap<>();
      attributes.put("interleaved", integerAttr(c.intAttr("interleaved", 0)));
      attributes.put("rotary_embedding_dim", integerAttr(c.intAttr("rotary_embedding_dim", 0)));
      if (c.rank(0) == 3) {
        attributes.put("num_heads", integerAttr(heads(c)));
      }
      Value position = b.in(1);
      if (c.rank(1) < 2) {
        int rows = c.rank(0) == 3 ? 1 : 2;
        Value places = b.add("Add", b.reshape(position, 1), b.range(b.dim(b.in(0), rows)));
        Value shape =
            b.add(
                "Concat", Map.of("axis", integerAttr(0)), b.dim(b.in(0), 0), b.dim(b.in(0), rows));
        position = b.add("Expand", b.unsqueeze(places, 0), shape);
      }
      return List.of(b.add("RotaryEmbedding", attributes, b.in(0), b.in(2), b.in(3), position));
    }

    private static long heads(OpContext c) {
      long given = c.intAttr("num_heads", 0);
      if (given > 0) {
        return given;
      }
      DimExpr all = c.dims(0).getLast();
      DimExpr half = c.dims(2).getLast();
      if (!all.isConst() || !half.isConst() || half.isConst(0)) {
        throw c.error("TSR-0304", "num_heads is needed");
      }
      return all.constValue() / (2 * half.constValue());
    }
  }
}
