package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * com.microsoft GroupQueryAttention: causal attention with a cache of keys and values [B, kv heads,
 * P, D], into which each sample writes behind its own past: seqlens_k [B] is the number of its keys
 * afterwards, less one. With total_sequence_length rows of query there is no past. Q, K and V may
 * lie side by side in query.
 */
final class GroupQueryAttention extends FunctionOperator {
  private static final int PAST_KEY = 3;
  private static final int LENGTHS = 5;
  private static final int TOTAL = 6;
  private static final int COS = 7;
  private static final int POSITIONS = 9;
  private static final int BIAS = 10;
  private static final int SINK = 11;

  GroupQueryAttention() {
    super(
        OpSchema.of(MICROSOFT, "GroupQueryAttention", 1)
            .sample(
                "num_heads=2; kv_num_heads=1..2; d=8; q=times(2, d); k=times(kv_num_heads, d); s=1..3; l=plus(s, -1); query[b s q]; key![b s k]; value![b s k]; past_key=-; past_value=-; outputs=3; seqlens_k[b]=l; total_sequence_length[]=s; cos_cache=-; sin_cache=-; position_ids=-; attention_bias=-; head_sink=-; do_rotary=-; local_window_size=-; qk_output=-; rotary_interleaved=-; scale=-; smooth_softmax=-; softcap=-")
            .input("query", "T")
            .optional("key", "T")
            .optional("value", "T")
            .optional("past_key", "T")
            .optional("past_value", "T")
            .input("seqlens_k", "M")
            .input("total_sequence_length", "M")
            .optional("cos_cache", "T")
            .optional("sin_cache", "T")
            .optional("position_ids", "I")
            .optional("attention_bias", "T")
            .optional("head_sink", "T")
            .output("output", "T")
            .optionalOutput("present_key", "T")
            .optionalOutput("present_value", "T")
            .types("T", Types.set(DType.F32, DType.F16, DType.BF16))
            .types("M", Types.set(DType.I32))
            .types("I", Types.I64)
            .required("num_heads", AttributeKind.INT)
            .required("kv_num_heads", AttributeKind.INT)
            .attribute("scale", AttributeKind.FLOAT)
            .attribute("softcap", AttributeKind.FLOAT)
            .attribute("local_window_size", AttributeKind.INT)
            .attribute("do_rotary", AttributeKind.INT)
            .attribute("rotary_interleaved", AttributeKind.INT)
            .attribute("smooth_softmax", AttributeKind.INT)
            .attribute("qk_output", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static boolean packed(OpContext c) {
    return !c.hasInput(1);
  }

  /** Elements of a head. */
  private static DimExpr size(OpContext c) {
    long heads = AttentionFunctions.heads(c, "num_heads");
    long kv = AttentionFunctions.heads(c, "kv_num_heads");
    if (heads % kv != 0) {
      throw c.error("TSR-0304", heads + " heads cannot share " + kv + " heads of keys");
    }
    return c.dims(0).getLast().floorDiv(packed(c) ? heads + 2 * kv : heads);
  }

  /** Rows of the cache afterwards: the larger of what there is and what is needed. */
  private static DimExpr rows(OpContext c) {
    DimExpr past = c.hasInput(PAST_KEY) ? c.dims(PAST_KEY).get(2) : DimExpr.ZERO;
    Optional<List<DimExpr>> total = c.symbolic(TOTAL);
    return total
        .filter(t -> t.size() == 1)
        .map(t -> past.max(t.getFirst()))
        .orElseGet(() -> unknown(c, 0));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (c.intAttr("smooth_softmax", 0) > 0 || c.hasInput(SINK) || c.intAttr("qk_output", 0) != 0) {
      throw c.error("TSR-0201", "smooth softmax, head sinks and outputs of scores are missing");
    }
    if (!c.in(0).isRanked() || (c.hasInput(PAST_KEY) && !c.in(PAST_KEY).isRanked())) {
      TensorType unknown = TensorType.unranked(c.dtype(0));
      return List.of(unknown, unknown, unknown);
    }
    if (c.rank(0) != 3) {
      throw c.error("TSR-0303", "query must be [B, S, heads * D]");
    }
    DimExpr heads = DimExpr.of(AttentionFunctions.heads(c, "num_heads"));
    DimExpr kv = DimExpr.of(AttentionFunctions.heads(c, "kv_num_heads"));
    DimExpr batch = c.dims(0).getFirst();
    TensorType present = AttentionFunctions.type(c.dtype(0), batch, kv, rows(c), size(c));
    return List.of(
        AttentionFunctions.type(c.dtype(0), batch, c.dims(0).get(1), heads.times(size(c))),
        present,
        present);
  }

  @Override
  List<Value> build(OpContext c, Parts b) {
    long heads = AttentionFunctions.heads(c, "num_heads");
    long kv = AttentionFunctions.heads(c, "kv_num_heads");
    List<Value> flat = new ArrayList<>();
    if (packed(c)) {
      if (!size(c).isConst()) {
        throw c.error("TSR-0303", "the size of the heads is not known");
      }
      long size = size(c).constValue();
      flat.addAll(
          b.all(
              "Split",
              Map.of("axis", integerAttr(-1)),
              3,
              b.in(0),
              b.longs(heads * size, kv * size, kv * size)));
    } else {
      flat.addAll(List.of(b.in(0), b.in(1), b.in(2)));
    }
    Value rows = b.dim(b.in(0), 1);
    Value total = b.reshape(b.cast(b.in(TOTAL), DType.I64), 1);
    Value lengths = b.add("Add", b.reshape(b.cast(b.in(LENGTHS), DType.I64), -1), b.integer(1));
    Value first = b.add("Equal", total, rows);
    Value past = b.add("Where", first, b.longs(0), b.add("Sub", lengths, rows));
    // Position of each row of a sample: [B, S].
    Value place = b.add("Add", b.unsqueeze(past, 1), b.unsqueeze(b.range(rows), 0));
    Value q = turned(c, b, AttentionFunctions.split(b, flat.get(0), heads), place);
    Value k = turned(c, b, AttentionFunctions.split(b, flat.get(1), kv), place);
    Value v = AttentionFunctions.split(b, flat.get(2), kv);
    Value keys = written(c, b, PAST_KEY, k, past, total, lengths);
    Value values = written(c, b, PAST_KEY + 1, v, past, total, lengths);
    Value mask = mask(c, b, place, b.dim(keys, 2));
    List<Value> results =
        AttentionFunctions.attention(c, b, List.of(q, keys, values), mask, false, List.of());
    return List.of(AttentionFunctions.merge(b, results.getFirst()), keys, values)
        .subList(0, c.outputCount());
  }

  private static Value turned(OpContext c, Parts b, Value x, Value place) {
    if (c.intAttr("do_rotary", 0) == 0) {
      return x;
    }
    Map<String, Attribute> attributes = new HashMap<>();
    attributes.put("interleaved", integerAttr(c.intAttr("rotary_interleaved", 0)));
    DimExpr half = c.dims(COS).getLast();
    if (half.isConst()) {
      attributes.put("rotary_embedding_dim", integerAttr(2 * half.constValue()));
    }
    Value position = c.hasInput(POSITIONS) ? b.in(POSITIONS) : place;
    return b.add("RotaryEmbedding", attributes, x, b.in(COS), b.in(COS + 1), position);
  }

  /**
   * The cache, enlarged to what is needed, with the new rows behind each sample's past and zeros
   * behind these.
   */
  private static Value written(
      OpContext c, Parts b, int pastInput, Value rows, Value past, Value total, Value lengths) {
    Value cache;
    if (c.hasInput(pastInput)) {
      Value there = b.dim(b.in(pastInput), 2);
      Value more = b.add("Sub", b.add("Max", there, total), there);
      Value zero = b.longs(0, 0);
      Value pads =
          b.add(
              "Concat",
              Map.of("axis", integerAttr(0)),
              b.longs(0, 0, 0, 0),
              zero,
              more,
              b.longs(0));
      cache = b.add("Pad", b.in(pastInput), pads);
    } else {
      Value shape =
          b.add(
              "Concat",
              Map.of("axis", integerAttr(0)),
              b.dim(rows, 0),
              b.dim(rows, 1),
              total,
              b.dim(rows, 3));
      cache = b.add("Expand", b.cast(b.builder().scalar(0), c.dtype(0)), shape);
    }
    Value all = b.add("TensorScatter", Map.of("axis", integerAttr(2)), cache, rows, past);
    Value place = b.unsqueeze(b.range(b.dim(all, 2)), 0, 1, 3);
    Value filled = b.add("Less", place, b.unsqueeze(lengths, 1, 2, 3));
    return b.add("Where", filled, all, b.cast(b.scalar(0), c.dtype(0)));
  }

  /** [B, 1, S, rows of the cache]: what is added to scores. */
  private static Value mask(OpContext c, Parts b, Value place, Value rows) {
    Value here = b.unsqueeze(place, 1, 3);
    Value key = b.unsqueeze(b.range(rows), 0, 1, 2);
    Value seen = b.add("LessOrEqual", key, here);
    long window = c.intAttr("local_window_size", -1);
    if (window > 0) {
      Value oldest = b.add("Sub", here, b.integer(window));
      seen = b.add("And", seen, b.add("Greater", key, oldest));
    }
    Value penalty = b.add("Where", seen, b.scalar(0), b.scalar(Float.NEGATIVE_INFINITY));
    return AttentionFunctions.sum(
        b, penalty, c.hasInput(BIAS) ? b.cast(b.in(BIAS), DType.F32) : Value.NONE);
  }
}
