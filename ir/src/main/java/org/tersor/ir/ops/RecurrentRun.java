package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.WeightVectors;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Evaluates an RNN, GRU or LSTM step by step. */
final class RecurrentRun {
  private final Recurrent.Kind kind;
  private final boolean quantizes;
  private final List<? extends ValueType> types;
  private final EvalContext c;
  private final Recurrent.Plan p;
  private final int time;
  private final int batch;
  private final int input;
  private final int hidden;
  private final double[] x;
  private final double[] w;
  private final double[] r;
  private final double[] bias;
  private final double[] peepholes;
  private final WeightVectors seen;

  /**
   * @param seen takes vectors on the way
   */
  RecurrentRun(
      Recurrent.Kind kind,
      boolean quantizes,
      Recurrent.Plan p,
      List<? extends ValueType> types,
      EvalContext c,
      WeightVectors seen) {
    this.kind = kind;
    this.quantizes = quantizes;
    this.p = p;
    this.types = types;
    this.c = c;
    this.seen = seen;
    time = (int) p.time().constValue();
    batch = (int) p.batch().constValue();
    input = (int) p.input().constValue();
    hidden = p.hidden();
    x = Reals.of(c.input(0));
    w = Reals.of(c.input(1));
    r = Reals.of(c.input(2));
    int count = p.directions().size();
    bias = c.hasInput(3) ? Reals.of(c.input(3)) : new double[count * 2 * kind.gates() * hidden];
    peepholes = c.hasInput(7) ? Reals.of(c.input(7)) : new double[count * 3 * hidden];
  }

  /** What rows of W are multiplied with, in order of time. */
  void elements() {
    for (int d = 0; d < p.directions().size(); d++) {
      for (int s = 0; s < time; s++) {
        for (int b = 0; b < batch; b++) {
          if (s < length(b)) {
            int from = element(p.directions().get(d) ? length(b) - 1 - s : s, b);
            seen.add(d, p.directions().size(), floats(Arrays.copyOfRange(x, from, from + input)));
          }
        }
      }
    }
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  /** What rows of R are multiplied with; of a GRU each gate's rows are a group. */
  private void seen(int d, double[] h, double[] scaled) {
    boolean apart = kind == Recurrent.Kind.GRU && c.intAttr("linear_before_reset", 0) == 0;
    int each = apart ? kind.gates() : 1;
    for (int g = 0; g < each; g++) {
      seen.add(d * each + g, each * p.directions().size(), floats(g == 2 ? scaled : h));
    }
  }

  List<Tensor> values() {
    List<Tensor> out = new ArrayList<>();
    for (ValueType type : types) {
      out.add(Shapes.allocate(c, c.dtype(0), type.tensor().staticShape()));
    }
    for (int d = 0; d < p.directions().size(); d++) {
      direction(d, out);
    }
    return out;
  }

  private int state(int d, int b) {
    return (p.batchFirst() ? b * p.directions().size() + d : d * batch + b) * hidden;
  }

  private double[] initial(int operand, int d, int b) {
    double[] state = new double[hidden];
    for (int h = 0; c.hasInput(operand) && h < hidden; h++) {
      state[h] = c.input(operand).getDouble(state(d, b) + h);
    }
    return state;
  }

  private int length(int b) {
    return c.hasInput(4) ? Math.clamp(c.input(4).getLong(b), 0, time) : time;
  }

  private void direction(int d, List<Tensor> out) {
    double[][] h = new double[batch][];
    double[][] cell = new double[batch][];
    for (int b = 0; b < batch; b++) {
      h[b] = initial(5, d, b);
      cell[b] = kind == Recurrent.Kind.LSTM ? initial(6, d, b) : new double[hidden];
    }
    for (int s = 0; s < time; s++) {
      double[][] seen = quantizes ? quantized(h) : h;
      for (int b = 0; b < batch; b++) {
        int length = length(b);
        if (s < length) {
          int t = p.directions().get(d) ? length - 1 - s : s;
          h[b] = step(d, t, b, seen[b], cell[b]);
          deliver(d, t, b, h[b], out.getFirst());
        }
      }
    }
    for (int b = 0; b < batch; b++) {
      for (int i = 0; i < hidden; i++) {
        if (out.size() > 1) {
          out.get(1).setDouble(state(d, b) + i, h[b][i]);
        }
        if (out.size() > 2) {
          out.get(2).setDouble(state(d, b) + i, cell[b][i]);
        }
      }
    }
  }

  private void deliver(int d, int t, int b, double[] h, Tensor out) {
    int at =
        (p.batchFirst()
                ? (b * time + t) * p.directions().size() + d
                : (t * p.directions().size() + d) * batch + b)
            * hidden;
    for (int i = 0; i < hidden; i++) {
      out.setDouble(at + i, h[i]);
    }
  }

  /** To 8 bits over the range of all, and back. */
  private double[][] quantized(double[][] h) {
    double[][] result = new double[batch][hidden];
    float min = 0;
    float max = 0;
    for (double[] state : h) {
      for (double value : state) {
        min = Math.min(min, (float) value);
        max = Math.max(max, (float) value);
      }
    }
    float scale = max == min ? 1 : (max - min) / 255;
    long zero = Quant.saturate(DType.U8, -min / scale, 0);
    for (int b = 0; b < batch; b++) {
      for (int i = 0; i < hidden; i++) {
        long code = Quant.saturate(DType.U8, (float) h[b][i] / scale, zero);
        result[b][i] = (double) (code - zero) * scale;
      }
    }
    return result;
  }

  private int element(int t, int b) {
    return (p.batchFirst() ? b * time + t : t * batch + b) * input;
  }

  private double fromInput(int d, int t, int b, int row) {
    int at = element(t, b);
    double sum = bias[d * 2 * kind.gates() * hidden + row];
    for (int i = 0; i < input; i++) {
      sum += x[at + i] * w[(d * kind.gates() * hidden + row) * input + i];
    }
    return sum;
  }

  private double fromState(int d, int row, double[] state) {
    double sum = bias[(d * 2 + 1) * kind.gates() * hidden + row];
    for (int i = 0; i < hidden; i++) {
      sum += state[i] * r[(d * kind.gates() * hidden + row) * hidden + i];
    }
    return sum;
  }

  private double act(int d, int function, double value) {
    double clipped = p.clip() > 0 ? Math.max(-p.clip(), Math.min(p.clip(), value)) : value;
    return p.function(d, function).apply(clipped);
  }

  private double[] step(int d, int t, int b, double[] h, double[] cell) {
    double[] next = new double[hidden];
    double[] reset = new double[hidden];
    for (int i = 0; i < hidden && kind == Recurrent.Kind.GRU; i++) {
      reset[i] = act(d, 0, fromInput(d, t, b, hidden + i) + fromState(d, hidden + i, h));
    }
    double[] scaled = new double[hidden];
    Arrays.setAll(scaled, i -> reset[i] * h[i]);
    seen(d, h, scaled);
    for (int i = 0; i < hidden; i++) {
      double first = fromInput(d, t, b, i) + fromState(d, i, h);
      switch (kind) {
        case RNN -> next[i] = act(d, 0, first);
        case GRU -> {
          double z = act(d, 0, first);
          int row = 2 * hidden + i;
          double fresh =
              c.intAttr("linear_before_reset", 0) != 0
                  ? reset[i] * fromState(d, row, h)
                  : fromState(d, row, scaled);
          next[i] = (1 - z) * act(d, 1, fromInput(d, t, b, row) + fresh) + z * h[i];
        }
        case LSTM -> {
          int peephole = d * 3 * hidden + i;
          double in = act(d, 0, first + peepholes[peephole] * cell[i]);
          int f = 2 * hidden + i;
          double forget =
              act(
                  d,
                  0,
                  fromInput(d, t, b, f)
                      + fromState(d, f, h)
                      + peepholes[peephole + 2 * hidden] * cell[i]);
          forget = c.intAttr("input_forget", 0) != 0 ? 1 - in : forget;
          int g = 3 * hidden + i;
          cell[i] = forget * cell[i] + in * act(d, 1, fromInput(d, t, b, g) + fromState(d, g, h));
          int o = hidden + i;
          double open =
              act(
                  d,
                  0,
                  fromInput(d, t, b, o)
                      + fromState(d, o, h)
                      + peepholes[peephole + hidden] * cell[i]);
          next[i] = open * p.function(d, 2).apply(cell[i]);
        }
      }
    }
    return next;
  }
}
