package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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

/** com.microsoft Attention, QAttention and MultiHeadAttention, by the standard's Attention. */
final class AttentionFunctions {
  private static final Set<DType> REALS = Types.set(DType.F32, DType.F16, DType.BF16);

  private AttentionFunctions() {}

  static List<Operator> all() {
    return List.of(new Joined(false), new Joined(true), new MultiHeadAttention());
  }

  static long heads(OpContext c, String name) {
    long heads = c.intAttr(name, 0);
    if (heads < 1 || heads > 1 << 20) {
      throw c.error("TSR-0304", name + " is " + heads);
    }
    return heads;
  }

  static TensorType type(DType dtype, DimExpr... dims) {
    return TensorType.of(dtype, List.of(dims));
  }

  /** [B, S, heads * D] to [B, heads, S, D]. */
  static Value split(FunctionOperator.Parts b, Value x, long heads) {
    return b.transpose(b.reshape(x, 0, 0, heads, -1), 0, 2, 1, 3);
  }

  /** [B, heads, S, D] to [B, S, heads * D]. */
  static Value merge(FunctionOperator.Parts b, Value x) {
    return b.reshape(b.transpose(x, 0, 2, 1, 3), 0, 0, -1);
  }

  /** 0 where {@code seen}, else the number that scores of hidden keys get. */
  static Value penalty(OpContext c, FunctionOperator.Parts b, Value seen) {
    return b.add("Where", seen, b.scalar(0), b.scalar(c.floatAttr("mask_filter_value", -10000f)));
  }

  /**
   * What a mask input of BERT's kinds adds to scores, [B or 1, 1, S or 1, T]: [B] numbers of keys,
   * [2 B] numbers of keys and then first keys, [B, T] or [B, S, T] flags.
   */
  static Value mask(OpContext c, FunctionOperator.Parts b, int input, Value keys, DimExpr batch) {
    Value mask = b.in(input);
    int rank = c.rank(input);
    if (rank == 2 || rank == 3) {
      Value seen = b.cast(mask, DType.BOOL);
      return penalty(c, b, rank == 2 ? b.unsqueeze(seen, 1, 2) : b.unsqueeze(seen, 1));
    }
    DimExpr n = rank == 1 ? c.dims(input).getFirst() : DimExpr.ZERO;
    boolean both = n.equals(batch.times(DimExpr.of(2))) && !n.equals(batch);
    if (rank != 1 || (!both && n.isConst() && batch.isConst() && !n.equals(batch))) {
      throw c.error(
          "TSR-0201",
          "a mask of shape "
              + c.inputType(input)
              + " is not supported: [B], [2 B],"
              + " [B, T] and [B, S, T] are");
    }
    Value position = b.unsqueeze(b.range(keys), 0);
    Value bounds = b.cast(mask, DType.I64);
    Value ends = both ? b.add("Slice", bounds, b.longs(0), b.longs(half(c, batch))) : bounds;
    Value seen = b.add("Less", position, b.unsqueeze(ends, 1));
    if (both) {
      Value starts = b.add("Slice", bounds, b.longs(half(c, batch)), b.longs(Long.MAX_VALUE));
      seen = b.add("And", seen, b.add("GreaterOrEqual", position, b.unsqueeze(starts, 1)));
    }
    return penalty(c, b, b.unsqueeze(seen, 1, 2));
  }

  private static long half(OpContext c, DimExpr batch) {
    if (!batch.isConst()) {
      throw c.error("TSR-0303", "the batch size must be known with a mask of first and last keys");
    }
    return batch.constValue();
  }

  static Value sum(FunctionOperator.Parts b, Value x, Value y) {
    return x.isPresent() && y.isPresent() ? b.add("Add", x, y) : x.isPresent() ? x : y;
  }

  /**
   * The standard's Attention.
   *
   * @return result, keys, values; the first of rank 4 if {@code q} is
   */
  static List<Value> attention(
      OpContext c,
      FunctionOperator.Parts b,
      List<Value> operands,
      Value mask,
      boolean causal,
      List<Value> past) {
    Map<String, Attribute> attributes = new HashMap<>();
    attributes.put("is_causal", FunctionOperator.integerAttr(causal ? 1 : 0));
    if (c.floatAttr("scale", 0) != 0) {
      attributes.put("scale", FunctionOperator.floatAttr(c.floatAttr("scale", 0)));
    }
    if (c.floatAttr("softcap", 0) != 0) {
      attributes.put("softcap", FunctionOperator.floatAttr(c.floatAttr("softcap", 0)));
    }
    List<Value> inputs = new ArrayList<>(operands);
    inputs.add(mask.isPresent() ? b.cast(mask, c.dtype(valueInput(c))) : Value.NONE);
    inputs.addAll(past);
    return b.all("Attention", attributes, 3, inputs.toArray(new Value[0]));
  }

  /** An input whose type is that of the scores. */
  private static int valueInput(OpContext c) {
    return c.dtype(0).isFloat() ? 0 : 3;
  }

  /**
   * Attention: input [B, S, I] x weights [I, Q + K + V] + bias, Q, K and V in heads; past [2, B,
   * heads, P, D]. QAttention: the product of bytes.
   */
  private static final class Joined extends FunctionOperator {
    private final boolean quantized;

    Joined(boolean quantized) {
      super(
          (quantized ? bytes() : reals())
              .output("output", "T")
              .optionalOutput("present", "T")
              .types("T", REALS)
              .types("M", Types.set(DType.I32))
              .required("num_heads", AttributeKind.INT)
              .attribute("unidirectional", AttributeKind.INT)
              .attribute("qkv_hidden_sizes", AttributeKind.INTS)
              .attribute("do_rotary", AttributeKind.INT)
              .attribute("rotary_embedding_dim", AttributeKind.INT)
              .attribute("past_present_share_buffer", AttributeKind.INT)
              .attribute("scale", AttributeKind.FLOAT)
              .attribute("mask_filter_value", AttributeKind.FLOAT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
      this.quantized = quantized;
    }

    private static OpSchema.Builder reals() {
      return OpSchema.of(MICROSOFT, "Attention", 1)
          .sample(
              "num_heads=1..2; d=1..3; h=times(num_heads, d); t=times(3, h); input[b s i]; weights[i t]; bias![t]; mask_index=-; past=-; attention_bias=-; past_sequence_length=-; unidirectional=0|1; scale=-; do_rotary=-; qkv_hidden_sizes=-; mask_filter_value=-; past_present_share_buffer=-; rotary_embedding_dim=-")
          .input("input", "T")
          .input("weights", "T")
          .optional("bias", "T")
          .optional("mask_index", "M")
          .optional("past", "T")
          .optional("attention_bias", "T")
          .optional("past_sequence_length", "M");
    }

    private static OpSchema.Builder bytes() {
      return OpSchema.of(MICROSOFT, "QAttention", 1)
          .sample(
              "num_heads=1..2; d=1..3; h=times(num_heads, d); t=times(3, h); input[b s i]; weight[i t]; bias[t]; input_scale[]=prob; weight_scale[]=prob; mask_index=-; input_zero_point![]; weight_zero_point![]; past=-; unidirectional=0|1; scale=-; do_rotary=-; qkv_hidden_sizes=-; mask_filter_value=-; past_present_share_buffer=-; rotary_embedding_dim=-")
          .input("input", "T1")
          .input("weight", "T2")
          .input("bias", "T")
          .input("input_scale", "T")
          .input("weight_scale", "T")
          .optional("mask_index", "M")
          .optional("input_zero_point", "T1")
          .optional("weight_zero_point", "T2")
          .optional("past", "T")
          .types("T1", Types.set(DType.U8, DType.I8))
          .types("T2", Types.set(DType.U8, DType.I8));
    }

    private int pastInput() {
      return quantized ? 8 : 4;
    }

    /** Sizes of Q, K and V. */
    private static long[] sizes(OpContext c) {
      long heads = heads(c, "num_heads");
      DimExpr all = c.dims(1).getLast();
      long[] sizes =
          c.intsAttr("qkv_hidden_sizes")
              .filter(s -> s.length == 3)
              .orElseGet(() -> {
                if (!all.isConst()) {
                  throw c.error("TSR-0303", "the number of columns of the weights is not known");
                }
                long third = all.constValue() / 3;
                return new long[] {third, third, third};
              });
      for (long size : sizes) {
        if (size < 1 || size % heads != 0) {
          throw c.error("TSR-0303", size + " columns do not make " + heads + " heads");
        }
      }
      if ((all.isConst() && all.constValue() != sizes[0] + sizes[1] + sizes[2])
          || sizes[0] != sizes[1]) {
        throw c.error("TSR-0303", "the weights do not fit qkv_hidden_sizes");
      }
      return sizes;
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      if (c.intAttr("do_rotary", 0) != 0
          || c.intAttr("past_present_share_buffer", 0) != 0
          || (!quantized && c.hasInput(6))) {
        throw c.error("TSR-0201", "rotary embeddings and shared buffers are not supported here");
      }
      DType dtype = c.dtype(quantized ? 3 : 0);
      Optional<List<List<DimExpr>>> shapes = shapes(c, 0, 2);
      if (shapes.isEmpty()) {
        return List.of(TensorType.unranked(dtype), TensorType.unranked(dtype));
      }
      if (c.rank(0) != 3 || c.rank(1) != 2) {
        throw c.error("TSR-0303", "input [B, S, I] and weights [I, columns] are needed");
      }
      long heads = heads(c, "num_heads");
      long[] sizes = sizes(c);
      DimExpr rows = c.dims(0).get(1);
      DimExpr total = c.hasInput(pastInput()) ? rows.plus(c.dims(pastInput()).get(3)) : rows;
      return List.of(
          AttentionFunctions.type(dtype, c.dims(0).get(0), rows, DimExpr.of(sizes[2])),
          AttentionFunctions.type(
              dtype,
              DimExpr.of(2),
              c.dims(0).get(0),
              DimExpr.of(heads),
              total,
              DimExpr.of(sizes[1] / heads)));
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      long heads = heads(c, "num_heads");
      long[] sizes = sizes(c);
      Value all;
      if (quantized) {
        all =
            b.microsoft(
                "MatMulIntegerToFloat",
                Map.of(),
                b.in(0),
                b.in(1),
                b.in(3),
                b.in(4),
                b.in(6),
                b.in(7),
                b.in(2));
      } else {
        all = b.add("MatMul", b.in(0), b.in(1));
        all = c.hasInput(2) ? b.add("Add", all, b.in(2)) : all;
      }
      List<Value> operands =
          b.all("Split", Map.of("axis", integerAttr(-1)), 3, all, b.longs(sizes)).stream()
              .map(x -> split(b, x, heads))
              .toList();
      List<Value> past = List.of();
      Value keys = b.dim(b.in(0), 1);
      if (c.hasInput(pastInput())) {
        Value both = b.in(pastInput());
        past =
            List.of(
                b.add("Squeeze", b.slice(both, 0, 0, 1), b.longs(0)),
                b.add("Squeeze", b.slice(both, 0, 1, 2), b.longs(0)));
        keys = b.add("Add", keys, b.dim(both, 3));
      }
      int maskInput = quantized ? 5 : 3;
      Value mask =
          c.hasInput(maskInput) ? mask(c, b, maskInput, keys, c.dims(0).getFirst()) : Value.NONE;
      Value bias = quantized ? Value.NONE : b.in(5);
      List<Value> results =
          attention(c, b, operands, sum(b, mask, bias), c.intAttr("unidirectional", 0) != 0, past);
      List<Value> outputs = new ArrayList<>(List.of(merge(b, results.get(0))));
      if (c.hasOutput(1)) {
        outputs.add(
            b.add(
                "Concat",
                Map.of("axis", integerAttr(0)),
                b.unsqueeze(results.get(1), 0),
                b.unsqueeze(results.get(2), 0)));
      }
      return outputs;
    }
  }

  /**
   * MultiHeadAttention: query [B, S, heads * D]; key and value likewise or [B, heads, T, D]; or key
   * [B, T, heads, 2, D] holds both; or query [B, S, heads, 3, D] holds all.
   */
  private static final class MultiHeadAttention extends FunctionOperator {
    MultiHeadAttention() {
      super(
          OpSchema.of(MICROSOFT, "MultiHeadAttention", 1)
              .sample(
                  "num_heads=1..2; d=1..3; h=times(num_heads, d); query[b s h]; key![b t h]; value![b t h]; bias=-; key_padding_mask=-; attention_bias[1 num_heads s t]; past_key=-; past_value=-; past_sequence_length=-; cache_indirection=-; unidirectional=0; scale=-; mask_filter_value=-")
              .input("query", "T")
              .optional("key", "T")
              .optional("value", "T")
              .optional("bias", "T")
              .optional("key_padding_mask", "M")
              .optional("attention_bias", "T")
              .optional("past_key", "T")
              .optional("past_value", "T")
              .optional("past_sequence_length", "M")
              .optional("cache_indirection", "M")
              .output("output", "T")
              .optionalOutput("present_key", "T")
              .optionalOutput("present_value", "T")
              .types("T", REALS)
              .types("M", Types.set(DType.I32))
              .required("num_heads", AttributeKind.INT)
              .attribute("mask_filter_value", AttributeKind.FLOAT)
              .attribute("scale", AttributeKind.FLOAT)
              .attribute("unidirectional", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
    }

    private static boolean joint(OpContext c) {
      return c.rank(0) == 5;
    }

    /** Elements of a head of V. */
    private static DimExpr valueSize(OpContext c) {
      long heads = heads(c, "num_heads");
      if (joint(c)) {
        return c.dims(0).getLast();
      }
      if (!c.hasInput(1)) {
        throw c.error("TSR-0301", "a query of rank 3 needs a key");
      }
      if (c.rank(1) == 5) {
        return c.dims(1).getLast();
      }
      if (!c.hasInput(2)) {
        throw c.error("TSR-0301", "a key of rank " + c.rank(1) + " needs a value");
      }
      return c.rank(2) == 4 ? c.dims(2).getLast() : c.dims(2).getLast().floorDiv(heads);
    }

    private static DimExpr keyCount(OpContext c) {
      int from = joint(c) ? 0 : 1;
      DimExpr own = c.dims(from).get(c.rank(from) == 4 ? 2 : 1);
      return c.hasInput(6) ? own.plus(c.dims(6).get(2)) : own;
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      if (c.hasInput(8) || c.hasInput(9)) {
        throw c.error("TSR-0201", "shared buffers of a beam search are not supported");
      }
      for (int i = 0; i < 8; i++) {
        if (c.hasInput(i) && !c.in(i).isRanked()) {
          TensorType unknown = TensorType.unranked(c.dtype(0));
          return List.of(unknown, unknown, unknown);
        }
      }
      DimExpr heads = DimExpr.of(heads(c, "num_heads"));
      DimExpr value = valueSize(c);
      DimExpr size =
          joint(c) ? c.dims(0).getLast() : c.dims(0).getLast().floorDiv(heads.constValue());
      DimExpr batch = c.dims(0).getFirst();
      return List.of(
          AttentionFunctions.type(c.dtype(0), batch, c.dims(0).get(1), heads.times(value)),
          AttentionFunctions.type(c.dtype(0), batch, heads, keyCount(c), size),
          AttentionFunctions.type(c.dtype(0), batch, heads, keyCount(c), value));
    }

    @Override
    List<Value> build(OpContext c, Parts b) {
      List<Value> operands = operands(c, b);
      List<Value> past = c.hasInput(6) ? List.of(b.in(6), b.in(7)) : List.of();
      Value keys = b.dim(operands.get(1), 2);
      keys = c.hasInput(6) ? b.add("Add", keys, b.dim(b.in(6), 2)) : keys;
      Value mask = c.hasInput(4) ? mask(c, b, 4, keys, c.dims(0).getFirst()) : Value.NONE;
      List<Value> results =
          attention(
              c, b, operands, sum(b, mask, b.in(5)), c.intAttr("unidirectional", 0) != 0, past);
      List<Value> outputs = new ArrayList<>(results);
      outputs.set(0, merge(b, results.getFirst()));
      return outputs.subList(0, c.outputCount());
    }

    /** Q, K and V, each [B, heads, rows, D]. */
    private static List<Value> operands(OpContext c, Parts b) {
      long heads = heads(c, "num_heads");
      List<Value> flat = new ArrayList<>();
      if (joint(c)) {
        for (int i = 0; i < 3; i++) {
          flat.add(part(b, b.in(0), i));
        }
      } else if (c.rank(1) == 5) {
        flat.addAll(List.of(b.in(0), part(b, b.in(1), 0), part(b, b.in(1), 1)));
      } else {
        flat.addAll(List.of(b.in(0), b.in(1), b.in(2)));
      }
      List<Value> biases = biases(c, b, heads);
      List<Value> operands = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        boolean four = i > 0 && !joint(c) && c.rank(1) == 4;
        Value x = biases.isEmpty() ? flat.get(i) : b.add("Add", flat.get(i), biases.get(i));
        operands.add(four ? x : split(b, x, heads));
      }
      return operands;
    }

    /** One of the operands in [B, S, heads, n, D] as [B, S, heads * D]. */
    private static Value part(Parts b, Value all, int which) {
      return b.reshape(b.slice(all, 3, which, which + 1L), 0, 0, -1);
    }

    /** The parts of the bias [Q + K + V] that each operand gets. */
    private static List<Value> biases(OpContext c, Parts b, long heads) {
      if (!c.hasInput(3)) {
        return List.of();
      }
      if (!joint(c) && c.rank(1) == 4) {
        throw c.error("TSR-0303", "keys of rank 4 take no bias");
      }
      DimExpr size = joint(c) ? c.dims(0).getLast().times(DimExpr.of(heads)) : c.dims(0).getLast();
      if (!size.isConst()) {
        throw c.error("TSR-0303", "the size of the heads is not known");
      }
      long k = size.constValue();
      return List.of(
          b.slice(b.in(3), 0, 0, k),
          b.slice(b.in(3), 0, k, 2 * k),
          b.slice(b.in(3), 0, 2 * k, Long.MAX_VALUE));
    }
  }
}
