package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Attention (23, 24): softmax(scale * Q K^T, capped, masked) V with grouped heads. Q, K, V are [B,
 * heads, S, D] or [B, S, heads * D]; past keys and values come before K and V. A query sees keys up
 * to its own position when is_causal; nonpad_kv_seqlen (24) tells how many keys of a sample are
 * real. A row without any key gives 0.
 */
final class Attention extends OpBase {
  static final int MASK = 3;
  static final int PAST_KEY = 4;
  static final int PAST_VALUE = 5;
  static final int LENGTHS = 6;

  Attention() {
    super(
        OpSchema.of("", "Attention", 23, 24, 25)
            .sample(
                "Q[b h s d]; K[b h t d]; V[b h t e]; attn_mask[s t]; past_key=-; past_value=-; nonpad_kv_seqlen=-; is_causal=0|1; scale=0.25..1.0; softcap=-; qk_matmul_output_mode=-; softmax_precision=-; q_num_heads=-; kv_num_heads=-; local_window_size=- || kv_num_heads=1..2; q_num_heads=2; d=1..3; e=1..3; q=times(2, d); k=times(kv_num_heads, d); v=times(kv_num_heads, e); Q[b s q]; K[b t k]; V[b t v]; attn_mask=-; past_key=-; past_value=-; nonpad_kv_seqlen=-; is_causal=0|1; scale=-; softcap=-|1.0..3.0; qk_matmul_output_mode=0; softmax_precision=-; local_window_size=- || Q[b h s d]; K[b h t d]; V[b h t e]; attn_mask=-; outputs=3; past_key![b h p d]; past_value![b h p e]; nonpad_kv_seqlen=-; is_causal=0|1; scale=-; softcap=-; qk_matmul_output_mode=-; softmax_precision=-; q_num_heads=-; kv_num_heads=-; local_window_size=-")
            .input("Q", "T1")
            .input("K", "T1")
            .input("V", "T2")
            .optional("attn_mask", "U")
            .optional("past_key", "T1")
            .optional("past_value", "T2")
            .optional("nonpad_kv_seqlen", "L")
            .output("Y", "T1")
            .optionalOutput("present_key", "T1")
            .optionalOutput("present_value", "T2")
            .optionalOutput("qk_matmul_output", "T1")
            .attribute("is_causal", AttributeKind.INT)
            .attribute("kv_num_heads", AttributeKind.INT)
            .attribute("local_window_size", AttributeKind.INT)
            .attribute("q_num_heads", AttributeKind.INT)
            .attribute("qk_matmul_output_mode", AttributeKind.INT)
            .attribute("scale", AttributeKind.FLOAT)
            .attribute("softcap", AttributeKind.FLOAT)
            .attribute("softmax_precision", AttributeKind.INT)
            .types("T1", Types.FLOATS)
            .types("T2", Types.FLOATS)
            .types("U", Types.NUMERIC_OR_BOOL)
            .types("L", Types.I64)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  /**
   * Shapes of one node.
   *
   * @param flat whether heads lie inside the last dimension
   * @param total past and new keys
   */
  record Plan(
      boolean flat,
      DimExpr batch,
      DimExpr heads,
      DimExpr kvHeads,
      DimExpr queries,
      DimExpr keys,
      DimExpr past,
      DimExpr total,
      DimExpr size,
      DimExpr valueSize,
      double scale,
      double softcap,
      boolean causal,
      int mode) {}

  static Plan plan(OpContext c) {
    int rank = c.rank(0);
    if ((rank != 3 && rank != 4) || c.rank(1) != rank || c.rank(2) != rank) {
      throw c.error("TSR-0303", "Q, K and V must all have rank 3 or all rank 4");
    }
    boolean flat = rank == 3;
    long given = c.intAttr("q_num_heads", 0);
    long kvGiven = c.intAttr("kv_num_heads", 0);
    if (flat && (given < 1 || kvGiven < 1 || given > 1 << 20 || kvGiven > 1 << 20)) {
      throw c.error("TSR-0304", "q_num_heads and kv_num_heads are needed with operands of rank 3");
    }
    DimExpr heads = flat ? DimExpr.of(given) : c.dims(0).get(1);
    DimExpr kvHeads = flat ? DimExpr.of(kvGiven) : c.dims(1).get(1);
    if (heads.isConst()
        && kvHeads.isConst()
        && (kvHeads.isConst(0) || heads.constValue() % kvHeads.constValue() != 0)) {
      throw c.error(
          "TSR-0303", heads + " heads of queries cannot share " + kvHeads + " heads of keys");
    }
    if (flat) {
      divides(c, "q_num_heads", given, c.dims(0).get(2));
      divides(c, "kv_num_heads", kvGiven, c.dims(1).get(2));
      divides(c, "kv_num_heads", kvGiven, c.dims(2).get(2));
    }
    long mode = c.intAttr("qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3) {
      throw c.error("TSR-0304", "qk_matmul_output_mode must be 0 to 3, not " + mode);
    }
    DimExpr size = flat ? c.dims(0).get(2).floorDiv(heads) : c.dims(0).get(3);
    DimExpr valueSize = flat ? c.dims(2).get(2).floorDiv(kvHeads) : c.dims(2).get(3);
    DimExpr keys = c.dims(1).get(flat ? 1 : 2);
    DimExpr past = c.hasInput(PAST_KEY) ? c.dims(PAST_KEY).get(2) : DimExpr.ZERO;
    double scale =
        c.has("scale")
            ? c.floatAttr("scale", 1)
            : size.isConst() ? 1 / Math.sqrt((double) size.constValue()) : Double.NaN;
    return new Plan(
        flat,
        c.dims(0).getFirst(),
        heads,
        kvHeads,
        c.dims(0).get(flat ? 1 : 2),
        keys,
        past,
        past.plus(keys),
        size,
        valueSize,
        scale,
        c.floatAttr("softcap", 0),
        c.intAttr("is_causal", 0) != 0,
        (int) mode);
  }

  private static void divides(OpContext c, String name, long heads, DimExpr hidden) {
    if (hidden.isConst() && hidden.constValue() % heads != 0) {
      throw c.error("TSR-0303", name + " is " + heads + ", which does not divide " + hidden);
    }
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (c.intAttr("local_window_size", -1) >= 0) {
      throw c.error("TSR-0304", "a local window is not supported; leave local_window_size out");
    }
    List<TensorType> types = new ArrayList<>();
    int count = Math.clamp(c.outputCount(), 1, 4);
    if (shapes(c, 0, 3).isEmpty() || (c.hasInput(PAST_KEY) && !c.in(PAST_KEY).isRanked())) {
      for (int i = 0; i < count; i++) {
        types.add(TensorType.unranked(c.dtype(i == 2 ? 2 : 0)));
      }
      return types;
    }
    Plan p = plan(c);
    List<DimExpr> y =
        p.flat
            ? List.of(p.batch, p.queries, p.heads.times(p.valueSize))
            : List.of(p.batch, p.heads, p.queries, p.valueSize);
    types.add(TensorType.of(c.dtype(0), y));
    types.add(TensorType.of(c.dtype(0), List.of(p.batch, p.kvHeads, p.total, p.size)));
    types.add(TensorType.of(c.dtype(2), List.of(p.batch, p.kvHeads, p.total, p.valueSize)));
    types.add(TensorType.of(c.dtype(0), List.of(p.batch, p.heads, p.queries, p.total)));
    return types.subList(0, count);
  }

  /** Position of an element of Q, K or V. */
  private static int at(Tensor tensor, boolean flat, int heads, int b, int h, int s, int d) {
    long[] shape = tensor.shape();
    if (flat) {
      long size = shape[2] / heads;
      return (int) ((b * shape[1] + s) * shape[2] + h * size + d);
    }
    return (int) (((b * shape[1] + h) * shape[2] + s) * shape[3] + d);
  }

  private static double element(
      EvalContext c, Plan p, int input, int pastInput, int b, int h, int t, int d) {
    int past = (int) p.past.constValue();
    return t < past
        ? c.input(pastInput).getDouble(at(c.input(pastInput), false, 0, b, h, t, d))
        : c.input(input)
            .getDouble(at(c.input(input), p.flat, (int) p.kvHeads.constValue(), b, h, t - past, d));
  }

  private static double mask(EvalContext c, Plan p, int b, int h, int s, int t) {
    double seen = 0;
    if (c.hasInput(LENGTHS) && t >= c.input(LENGTHS).getLong(b)) {
      seen = Double.NEGATIVE_INFINITY;
    }
    if (p.causal) {
      long offset =
          c.hasInput(LENGTHS)
              ? c.input(LENGTHS).getLong(b) - p.queries.constValue()
              : p.past.constValue();
      seen = t > s + offset ? Double.NEGATIVE_INFINITY : seen;
    }
    if (!c.hasInput(MASK)) {
      return seen;
    }
    Tensor mask = c.input(MASK);
    if (t >= mask.shape()[mask.rank() - 1] && mask.shape()[mask.rank() - 1] != 1) {
      return Double.NEGATIVE_INFINITY;
    }
    long[] steps = Shapes.broadcastStrides(mask.shape(), 4);
    double value =
        mask.getDouble((int) (b * steps[0] + h * steps[1] + s * steps[2] + t * steps[3]));
    if (mask.dtype() == DType.BOOL) {
      value = value != 0 ? 0 : Double.NEGATIVE_INFINITY;
    }
    return seen + value;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Plan p = plan(c);
    List<Tensor> out = new ArrayList<>();
    for (ValueType type : types(c)) {
      out.add(Shapes.allocate(c, type.tensor().dtype(), type.tensor().staticShape()));
    }
    int total = (int) p.total.constValue();
    int heads = (int) p.heads.constValue();
    int kvHeads = (int) p.kvHeads.constValue();
    for (int b = 0; b < p.batch.constValue(); b++) {
      for (int h = 0; h < heads; h++) {
        for (int s = 0; s < p.queries.constValue(); s++) {
          row(c, p, out, b, h, s, h / (heads / kvHeads));
        }
      }
      for (int h = 0; h < kvHeads; h++) {
        for (int t = 0; t < total; t++) {
          for (int d = 0; out.size() > 1 && d < p.size.constValue(); d++) {
            out.get(1)
                .setDouble(
                    at(out.get(1), false, 0, b, h, t, d), element(c, p, 1, PAST_KEY, b, h, t, d));
          }
          for (int d = 0; out.size() > 2 && d < p.valueSize.constValue(); d++) {
            out.get(2)
                .setDouble(
                    at(out.get(2), false, 0, b, h, t, d), element(c, p, 2, PAST_VALUE, b, h, t, d));
          }
        }
      }
    }
    return out;
  }

  private static void row(EvalContext c, Plan p, List<Tensor> out, int b, int h, int s, int kv) {
    int total = (int) p.total.constValue();
    double[][] stages = new double[4][total];
    double max = Double.NEGATIVE_INFINITY;
    for (int t = 0; t < total; t++) {
      double dot = 0;
      for (int d = 0; d < p.size.constValue(); d++) {
        dot +=
            c.input(0).getDouble(at(c.input(0), p.flat, (int) p.heads.constValue(), b, h, s, d))
                * element(c, p, 1, PAST_KEY, b, kv, t, d);
      }
      stages[0][t] = dot * p.scale;
      stages[1][t] = p.softcap > 0 ? p.softcap * Math.tanh(stages[0][t] / p.softcap) : stages[0][t];
      stages[2][t] = stages[1][t] + mask(c, p, b, h, s, t);
      max = Math.max(max, stages[2][t]);
    }
    double sum = 0;
    for (int t = 0; t < total; t++) {
      stages[3][t] = max == Double.NEGATIVE_INFINITY ? 0 : Math.exp(stages[2][t] - max);
      sum += stages[3][t];
    }
    for (int t = 0; t < total; t++) {
      stages[3][t] = sum == 0 ? 0 : stages[3][t] / sum;
      if (out.size() > 3) {
        out.get(3).setDouble(at(out.get(3), false, 0, b, h, s, t), stages[p.mode][t]);
      }
    }
    for (int d = 0; d < p.valueSize.constValue(); d++) {
      double value = 0;
      for (int t = 0; t < total; t++) {
        // A key that is not seen does not count, whatever its value is.
        value += stages[3][t] == 0 ? 0 : stages[3][t] * element(c, p, 2, PAST_VALUE, b, kv, t, d);
      }
      out.getFirst()
          .setDouble(at(out.getFirst(), p.flat, (int) p.heads.constValue(), b, h, s, d), value);
    }
  }

  @Override
  Lowering code(OpContext c) {
    return new AttentionKernel(this, c, plan(c)).build();
  }
}
