package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
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
 * CausalConvWithState (27): a depthwise convolution along time that sees the present and the past.
 * With the line that past_state [B, C, k - 1] (or zeros) and X [B, C, L] make together, Y[b, c, t]
 * = act(bias[c] + sum over j of W[c, 0, j] * line[t + j]); the last k - 1 elements of the line are
 * the present_state.
 */
final class CausalConvWithState extends OpBase {
  private static final int WEIGHT = 1;
  private static final int BIAS = 2;
  private static final int PAST = 3;

  CausalConvWithState() {
    super(
        OpSchema.of("", "CausalConvWithState", 27)
            .sample(
                "k=1..3; p=plus(k, -1); input[b c l]; weight[c 1 k]; bias[c]; past_state[b c p]; activation=none|silu; outputs=2")
            .input("input", "T")
            .input("weight", "T")
            .optional("bias", "T")
            .optional("past_state", "T")
            .output("output", "T")
            .optionalOutput("present_state", "T")
            .types("T", Types.FLOATS)
            .attribute("activation", AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static boolean silu(OpContext c) {
    String name = c.stringAttr("activation", "none");
    return switch (name) {
      case "none" -> false;
      case "silu", "swish" -> true;
      default -> throw c.error("TSR-0304", "activation '" + name + "' is not none, silu or swish");
    };
  }

  /** Elements of the past that are kept. */
  private static DimExpr past(OpContext c) {
    List<DimExpr> x = c.dims(0);
    List<DimExpr> w = c.dims(WEIGHT);
    if (x.size() != 3 || w.size() != 3 || (w.get(1).isConst() && !w.get(1).isConst(1))) {
      throw c.error("TSR-0303", "X must be [B, C, L] and the weights [C, 1, k]");
    }
    Shapes.agree(c, "channels of the weights", w.get(0), x.get(1));
    if (w.get(2).isConst() && w.get(2).constValue() < 1) {
      throw c.error("TSR-0303", "the weights have no taps");
    }
    if (c.hasInput(BIAS) && c.in(BIAS).isRanked()) {
      if (c.rank(BIAS) != 1) {
        throw c.error("TSR-0303", "the bias must be [C]");
      }
      Shapes.agree(c, "numbers of the bias", c.dims(BIAS).getFirst(), x.get(1));
    }
    DimExpr past = w.get(2).minus(1);
    if (c.hasInput(PAST) && c.in(PAST).isRanked()) {
      if (c.rank(PAST) != 3) {
        throw c.error("TSR-0303", "past_state must be [B, C, k - 1]");
      }
      Shapes.agree(c, "samples of past_state", c.dims(PAST).get(0), x.get(0));
      Shapes.agree(c, "channels of past_state", c.dims(PAST).get(1), x.get(1));
      Shapes.agree(c, "elements of past_state", c.dims(PAST).get(2), past);
    }
    return past;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    silu(c);
    TensorType state =
        shapes(c, 0, 2).isPresent()
            ? TensorType.of(c.dtype(0), List.of(c.dims(0).get(0), c.dims(0).get(1), past(c)))
            : TensorType.unranked(c.dtype(0));
    return List.of(c.in(0), state).subList(0, Math.clamp(c.outputCount(), 1, 2));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    int past = (int) past(c).constValue();
    boolean silu = silu(c);
    Tensor x = c.input(0);
    Tensor y = Tensor.zeros(x.dtype(), x.shape());
    Tensor state = Shapes.allocate(c, x.dtype(), x.shape()[0], x.shape()[1], past);
    int channels = (int) x.shape()[1];
    int length = (int) x.shape()[2];
    double[] line = new double[past + length];
    for (int row = 0; row < x.shape()[0] * channels; row++) {
      int channel = row % channels;
      for (int i = 0; i < line.length; i++) {
        line[i] =
            i >= past
                ? x.getDouble(row * length + i - past)
                : c.hasInput(PAST) ? c.input(PAST).getDouble(row * past + i) : 0;
      }
      for (int t = 0; t < length; t++) {
        double sum = c.hasInput(BIAS) ? c.input(BIAS).getDouble(channel) : 0;
        for (int j = 0; j <= past; j++) {
          sum += c.input(WEIGHT).getDouble(channel * (past + 1) + j) * line[t + j];
        }
        y.setDouble(row * length + t, silu ? sum / (1 + Math.exp(-sum)) : sum);
      }
      for (int i = 0; i < past; i++) {
        state.setDouble(row * past + i, line[length + i]);
      }
    }
    return List.of(y, state).subList(0, Math.clamp(c.outputCount(), 1, 2));
  }

  @Override
  Lowering code(OpContext c) {
    DimExpr past = past(c);
    List<DimExpr> x = c.dims(0);
    KernelBuilder kernel = new KernelBuilder(this, c);
    Scalar type = kernel.computeType(0);
    Axis b = new Axis("b", x.get(0));
    Axis ch = new Axis("c", x.get(1));
    Buf line = kernel.temp("line", type, List.of(x.get(0), x.get(1), past.plus(x.get(2))));
    if (!past.isConst(0)) {
      Axis p = new Axis("p", past);
      kernel.stage(
          line,
          List.of(b, ch, p),
          c.hasInput(PAST)
              ? kernel.value(PAST, K.axis(b), K.axis(ch), K.axis(p))
              : K.literal(type, 0.0));
    }
    Axis t = new Axis("t", x.get(2));
    kernel.stage(
        line,
        List.of(b, ch, t),
        List.of(K.axis(b), K.axis(ch), K.add(K.axis(t), K.dim(past))),
        kernel.value(0, K.axis(b), K.axis(ch), K.axis(t)));
    Axis j = new Axis("j", past.plus(1));
    KExpr product =
        K.mul(
            K.at(line, K.axis(b), K.axis(ch), K.add(K.axis(t), K.axis(j))),
            kernel.value(WEIGHT, K.axis(ch), K.index(0), K.axis(j)));
    KExpr sum = K.sum(j.extent().isConst(1) ? List.of() : List.of(j), product);
    if (c.hasInput(BIAS)) {
      sum = K.add(sum, kernel.value(BIAS, K.axis(ch)));
    }
    List<Axis> axes = List.of(b, ch, t);
    if (silu(c)) {
      Buf linear = kernel.temp("linear", type, x);
      kernel.stage(linear, axes, sum);
      KExpr value = K.at(linear, Shapes.refs(axes));
      sum = K.mul(value, K.unary(UnaryOp.SIGMOID, value));
    }
    kernel.stage(kernel.out(0), axes, sum);
    if (c.hasOutput(1)) {
      Axis p = new Axis("q", past);
      kernel.stage(
          kernel.out(1),
          List.of(b, ch, p),
          K.at(line, K.axis(b), K.axis(ch), K.add(K.dim(x.get(2)), K.axis(p))));
    }
    return kernel.build();
  }
}
