package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.RepeatedStages;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * LinearAttention (27): per head of keys a state S [d_k, d_v] that each token updates before it is
 * read: S = e^g S + k (x) beta (v - e^g S^T k), output = scale q^T S. Rules "linear" and "gated"
 * have no correction by S^T k and beta = 1; "linear" and "delta" have no decay (g = 0). Operands
 * are [B, T, heads * d]; several heads of queries may share a head of keys; the decay is per head
 * or per element of a key, beta per head or for all.
 */
final class LinearAttention extends OpBase {
  private static final int PAST = 3;
  private static final int DECAY = 4;
  private static final int BETA = 5;

  LinearAttention() {
    super(
        OpSchema.of("", "LinearAttention", 27)
            .sample(
                "h=1..2; d=1..3; e=1..3; k=times(h, d); v=times(h, e); query[b t k]; key[b t k]; value[b t v]; past_state[b h d e]; decay=-; beta=-; q_num_heads=h; kv_num_heads=h; update_rule!=linear; chunk_size=-; scale=0.25..1.0; outputs=2 || "
                    + "h=1..2; d=1..3; e=1..3; k=times(h, d); v=times(h, e); query[b t k]; key[b t k]; value[b t v]; past_state[b h d e]; decay![b t h]=prob; beta=-; q_num_heads=h; kv_num_heads=h; update_rule!=gated; chunk_size=-; scale=0.25..1.0; outputs=2 || "
                    + "h=1..2; d=1..3; e=1..3; k=times(h, d); v=times(h, e); query[b t k]; key[b t k]; value[b t v]; past_state[b h d e]; decay=-; beta![b t h]; q_num_heads=h; kv_num_heads=h; update_rule!=delta; chunk_size=-; scale=0.25..1.0; outputs=2 || "
                    + "h=1..2; d=1..3; e=1..3; k=times(h, d); v=times(h, e); query[b t k]; key[b t k]; value[b t v]; past_state[b h d e]; decay![b t h]=prob; beta![b t h]; q_num_heads=h; kv_num_heads=h; update_rule!=gated_delta; chunk_size=-; scale=0.25..1.0; outputs=2")
            .input("query", "T")
            .input("key", "T")
            .input("value", "T")
            .optional("past_state", "S")
            .optional("decay", "T")
            .optional("beta", "T")
            .output("output", "T")
            .optionalOutput("present_state", "S")
            .types("T", Types.FLOATS)
            .types("S", Types.FLOATS)
            .attribute("chunk_size", AttributeKind.INT)
            .required("kv_num_heads", AttributeKind.INT)
            .required("q_num_heads", AttributeKind.INT)
            .attribute("scale", AttributeKind.FLOAT)
            .attribute("update_rule", AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  /**
   * Shapes of one node.
   *
   * @param perElement whether the decay has a number for each element of a key
   * @param shared whether all heads have one beta
   */
  private record Plan(
      DimExpr batch,
      DimExpr time,
      int heads,
      int kvHeads,
      DimExpr keySize,
      DimExpr valueSize,
      boolean gated,
      boolean delta,
      boolean perElement,
      boolean shared) {}

  private static Plan plan(OpContext c) {
    String rule = c.stringAttr("update_rule", "gated_delta");
    boolean gated = rule.equals("gated") || rule.equals("gated_delta");
    boolean delta = rule.equals("delta") || rule.equals("gated_delta");
    if (!gated && !delta && !rule.equals("linear")) {
      throw c.error(
          "TSR-0304", "update_rule '" + rule + "' is not linear, gated, delta or gated_delta");
    }
    if ((gated && !c.hasInput(DECAY)) || (delta && !c.hasInput(BETA))) {
      throw c.error(
          "TSR-0301",
          "update_rule '" + rule + "' needs " + (gated && !c.hasInput(DECAY) ? "decay" : "beta"));
    }
    long heads = c.intAttr("q_num_heads", 0);
    long kvHeads = c.intAttr("kv_num_heads", 0);
    if (heads < 1 || kvHeads < 1 || heads > 1 << 20 || heads % kvHeads != 0) {
      throw c.error(
          "TSR-0304", heads + " heads of queries cannot share " + kvHeads + " heads of keys");
    }
    for (int i = 0; i < 6; i++) {
      if (c.hasInput(i) && c.rank(i) != (i == PAST ? 4 : 3)) {
        throw c.error("TSR-0303", "input " + i + " must have rank " + (i == PAST ? 4 : 3));
      }
    }
    DimExpr keySize = part(c, 0, heads);
    Shapes.agree(c, "elements of a key", part(c, 1, kvHeads), keySize);
    DimExpr valueSize = part(c, 2, kvHeads);
    DimExpr decay = gated ? c.dims(DECAY).getLast() : DimExpr.ONE;
    boolean perElement = gated && !decay.isConst(kvHeads);
    if (perElement) {
      Shapes.agree(c, "numbers of the decay", decay, keySize.times(kvHeads));
    }
    DimExpr beta = delta ? c.dims(BETA).getLast() : DimExpr.ONE;
    boolean shared = beta.isConst(1);
    if (!shared) {
      Shapes.agree(c, "numbers of beta", beta, DimExpr.of(kvHeads));
    }
    if (c.hasInput(PAST)) {
      Shapes.agree(c, "heads of past_state", c.dims(PAST).get(1), DimExpr.of(kvHeads));
      Shapes.agree(c, "rows of past_state", c.dims(PAST).get(2), keySize);
      Shapes.agree(c, "columns of past_state", c.dims(PAST).get(3), valueSize);
    }
    return new Plan(
        c.dims(0).get(0),
        c.dims(0).get(1),
        (int) heads,
        (int) kvHeads,
        keySize,
        valueSize,
        gated,
        delta,
        perElement,
        shared);
  }

  private static DimExpr part(OpContext c, int input, long heads) {
    DimExpr last = c.dims(input).getLast();
    if (last.isConst() && last.constValue() % heads != 0) {
      throw c.error("TSR-0303", last + " elements do not make " + heads + " heads");
    }
    return last.floorDiv(heads);
  }

  private static double scale(OpContext c, DimExpr keySize) {
    float given = c.floatAttr("scale", 0);
    return given != 0
        ? given
        : keySize.isConst() ? 1 / Math.sqrt((double) keySize.constValue()) : Double.NaN;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    boolean ranked = true;
    for (int i = 0; i < c.inputCount(); i++) {
      ranked &= !c.hasInput(i) || c.in(i).isRanked();
    }
    var stateType = c.hasInput(PAST) ? c.dtype(PAST) : c.dtype(0);
    List<TensorType> types;
    if (ranked) {
      Plan p = plan(c);
      types =
          List.of(
              TensorType.of(c.dtype(0), List.of(p.batch, p.time, p.valueSize.times(p.heads))),
              TensorType.of(
                  stateType, List.of(p.batch, DimExpr.of(p.kvHeads), p.keySize, p.valueSize)));
    } else {
      types = List.of(TensorType.unranked(c.dtype(0)), TensorType.unranked(stateType));
    }
    return types.subList(0, Math.clamp(c.outputCount(), 1, 2));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Plan p = plan(c);
    int batch = (int) p.batch.constValue();
    int time = (int) p.time.constValue();
    int dk = (int) p.keySize.constValue();
    int dv = (int) p.valueSize.constValue();
    int group = p.heads / p.kvHeads;
    double scale = scale(c, p.keySize);
    Tensor out = Shapes.allocate(c, c.dtype(0), batch, time, (long) p.heads * dv);
    Tensor present =
        Shapes.allocate(c, c.hasInput(PAST) ? c.dtype(PAST) : c.dtype(0), batch, p.kvHeads, dk, dv);
    for (int b = 0; b < batch; b++) {
      for (int g = 0; g < p.kvHeads; g++) {
        double[][] s = new double[dk][dv];
        int stateAt = (b * p.kvHeads + g) * dk * dv;
        for (int i = 0; c.hasInput(PAST) && i < dk * dv; i++) {
          s[i / dv][i % dv] = c.input(PAST).getDouble(stateAt + i);
        }
        for (int t = 0; t < time; t++) {
          int row = b * time + t;
          int keyAt = (row * p.kvHeads + g) * dk;
          if (p.gated) {
            for (int k = 0; k < dk; k++) {
              double rate =
                  c.input(DECAY).getDouble(p.perElement ? keyAt + k : row * p.kvHeads + g);
              for (int v = 0; v < dv; v++) {
                s[k][v] *= Math.exp(rate);
              }
            }
          }
          double beta = p.delta ? c.input(BETA).getDouble(p.shared ? row : row * p.kvHeads + g) : 1;
          for (int v = 0; v < dv; v++) {
            double wanted = c.input(2).getDouble((row * p.kvHeads + g) * dv + v);
            for (int k = 0; p.delta && k < dk; k++) {
              wanted -= s[k][v] * c.input(1).getDouble(keyAt + k);
            }
            for (int k = 0; k < dk; k++) {
              s[k][v] += beta * wanted * c.input(1).getDouble(keyAt + k);
            }
          }
          for (int h = g * group; h < (g + 1) * group; h++) {
            for (int v = 0; v < dv; v++) {
              double sum = 0;
              for (int k = 0; k < dk; k++) {
                sum += c.input(0).getDouble((row * p.heads + h) * dk + k) * s[k][v];
              }
              out.setDouble((row * p.heads + h) * dv + v, scale * sum);
            }
          }
        }
        for (int i = 0; i < dk * dv; i++) {
          present.setDouble(stateAt + i, s[i / dv][i % dv]);
        }
      }
    }
    return List.of(out, present).subList(0, Math.clamp(c.outputCount(), 1, 2));
  }

  @Override
  Lowering code(OpContext c) {
    return new Code(this, c).build();
  }

  /** The kernel: a turn for each token. */
  private static final class Code {
    private static final KExpr TOKEN = K.dim(RepeatedStages.TURN);

    private final OpContext c;
    private final Plan p;
    private final KernelBuilder kernel;
    private final Scalar type;
    private final Axis b;
    private final Axis g;
    private final Axis k;
    private final Axis v;
    private final List<Axis> cell;

    Code(LinearAttention operator, OpContext c) {
      this.c = c;
      p = plan(c);
      kernel = new KernelBuilder(operator, c);
      type = kernel.computeType(0);
      b = new Axis("b", p.batch);
      g = new Axis("g", DimExpr.of(p.kvHeads));
      k = new Axis("k", p.keySize);
      v = new Axis("v", p.valueSize);
      cell = List.of(b, g, k, v);
    }

    private KExpr packed(int input, KExpr head, Axis element) {
      KExpr at = K.add(K.mul(head, K.dim(element.extent())), K.axis(element));
      return kernel.value(input, K.axis(b), TOKEN, at);
    }

    Lowering build() {
      Buf state = temp("state", cell);
      kernel.stage(
          state,
          cell,
          c.hasInput(PAST)
              ? K.cast(type, kernel.value(PAST, Shapes.refs(cell)))
              : K.literal(type, 0.0));
      Axis r = new Axis("r", DimExpr.of(p.heads / p.kvHeads));
      KExpr head = K.add(K.mul(K.axis(g), K.dim(r.extent())), K.axis(r));
      KExpr scale =
          Double.isNaN(scale(c, p.keySize))
              ? K.div(K.literal(type, 1.0), K.unary(UnaryOp.SQRT, K.cast(type, K.dim(p.keySize))))
              : K.literal(type, scale(c, p.keySize));
      kernel.beginTurn(p.time);
      Buf after = step(state);
      KExpr read = K.sum(List.of(k), K.mul(packed(0, head, k), K.at(after, Shapes.refs(cell))));
      kernel.stage(
          kernel.out(0),
          List.of(b, g, r, v),
          List.of(K.axis(b), TOKEN, K.add(K.mul(head, K.dim(p.valueSize)), K.axis(v))),
          K.mul(read, scale));
      kernel.stage(state, cell, K.at(after, Shapes.refs(cell)));
      kernel.endTurn();
      if (c.hasOutput(1)) {
        kernel.stage(kernel.out(1), cell, K.at(state, Shapes.refs(cell)));
      }
      return kernel.build();
    }

    private Buf temp(String name, List<Axis> axes) {
      return kernel.temp(name, type, axes.stream().map(Axis::extent).toList());
    }

    private Buf step(Buf before) {
      KExpr old = K.at(before, Shapes.refs(cell));
      if (p.gated) {
        List<KExpr> at = new ArrayList<>(List.of(K.axis(b), TOKEN));
        at.add(p.perElement ? K.add(K.mul(K.axis(g), K.dim(p.keySize)), K.axis(k)) : K.axis(g));
        Buf decayed = temp("decayed", cell);
        kernel.stage(decayed, cell, K.mul(old, K.unary(UnaryOp.EXP, kernel.value(DECAY, at))));
        old = K.at(decayed, Shapes.refs(cell));
      }
      KExpr change = packed(2, K.axis(g), v);
      if (p.delta) {
        List<Axis> row = List.of(b, g, v);
        Buf error = temp("error", row);
        KExpr recalled = K.sum(List.of(k), K.mul(old, packed(1, K.axis(g), k)));
        KExpr beta = kernel.value(BETA, K.axis(b), TOKEN, p.shared ? K.index(0) : K.axis(g));
        kernel.stage(error, row, K.mul(beta, K.sub(change, recalled)));
        change = K.at(error, Shapes.refs(row));
      }
      Buf after = temp("after", cell);
      kernel.stage(after, cell, K.add(old, K.mul(packed(1, K.axis(g), k), change)));
      return after;
    }
  }
}
