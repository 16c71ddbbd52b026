package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.WeightLayout;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * RNN, GRU (1, 3, 7, 14, 22) and LSTM (1, 7, 14, 22). X [T, B, I], W [D, gates * H, I], R [D, gates
 * * H, H], B [D, 2 * gates * H], states [D, B, H], Y [T, D, B, H]; with layout 1 (from 14) the
 * batch comes first everywhere. Gates: LSTM i o f c, GRU z r h.
 */
final class Recurrent extends OpBase {
  enum Kind {
    RNN(1),
    GRU(3),
    LSTM(4);

    private final int gates;

    Kind(int gates) {
      this.gates = gates;
    }

    /** Activations unless told. */
    List<RnnFunction.Kind> functions() {
      return switch (this) {
        case RNN -> List.of(RnnFunction.Kind.TANH);
        case GRU -> List.of(RnnFunction.Kind.SIGMOID, RnnFunction.Kind.TANH);
        case LSTM ->
            List.of(RnnFunction.Kind.SIGMOID, RnnFunction.Kind.TANH, RnnFunction.Kind.TANH);
      };
    }

    private int[] versions() {
      return this == GRU ? new int[] {1, 3, 7, 14, 22} : new int[] {1, 7, 14, 22};
    }

    int gates() {
      return gates;
    }
  }

  private final Kind kind;

  private final boolean quantizes;

  Recurrent(Kind kind) {
    super(schema("", kind));
    this.kind = kind;
    this.quantizes = false;
  }

  private Recurrent() {
    super(schema(OpKey.TERSOR, Kind.LSTM));
    this.kind = Kind.LSTM;
    this.quantizes = true;
  }

  /**
   * The LSTM of domain org.tersor: before each step the hidden states of all samples are quantized
   * to U8, as DynamicQuantizeLinear does, and the product with R takes these. What leaves the step
   * and the initial state are real.
   */
  static Recurrent quantizing() {
    return new Recurrent();
  }

  private static OpSchema.Builder schema(String domain, Kind kind) {
    int[] versions = domain.isEmpty() ? kind.versions() : new int[] {1};
    OpSchema.Builder schema =
        OpSchema.of(domain, kind.name(), versions)
            .input("X", "T")
            .input("W", "T")
            .input("R", "T")
            .optional("B", "T")
            .optional("sequence_lens", "T1")
            .optional("initial_h", "T")
            .optionalOutput("Y", "T")
            .optionalOutput("Y_h", "T")
            .attribute("activation_alpha", AttributeKind.FLOATS)
            .attribute("activation_beta", AttributeKind.FLOATS)
            .attribute("activations", AttributeKind.STRINGS)
            .attribute("clip", AttributeKind.FLOAT)
            .attribute("direction", AttributeKind.STRING)
            .attribute("hidden_size", AttributeKind.INT)
            .attribute("layout", AttributeKind.INT)
            .attribute("output_sequence", AttributeKind.INT)
            .types("T", Types.FLOATS)
            .types("T1", Types.set(DType.I32))
            .tolerance(OpSchema.Tolerance.ACCUMULATION);
    if (domain.isEmpty()) {
      schema =
          schema.sample(
              sample(kind, 1, "forward|reverse") + " || " + sample(kind, 2, "bidirectional"));
    }
    return switch (kind) {
      case RNN -> schema;
      case GRU -> schema.attribute("linear_before_reset", AttributeKind.INT);
      case LSTM ->
          schema
              .optional("initial_c", "T")
              .optional("P", "T")
              .optionalOutput("Y_c", "T")
              .attribute("input_forget", AttributeKind.INT);
    };
  }

  private static String sample(Kind kind, int directions, String direction) {
    int gates =
        switch (kind) {
          case RNN -> 1;
          case GRU -> 3;
          case LSTM -> 4;
        };
    return "hidden_size=1..3; gates=G; twice=H; X[s b i]; W[D gates.hidden_size i];"
            .replace("G", Integer.toString(gates))
            .replace("H", Integer.toString(2 * gates))
            .replace("D", Integer.toString(directions))
        + " R[D gates.hidden_size hidden_size]; B[D twice.hidden_size]; initial_h[D b hidden_size];"
            .replace("D", Integer.toString(directions))
        + " direction="
        + direction
        + "; sequence_lens=-; layout=-; clip=-; output_sequence=-"
        + switch (kind) {
          case RNN -> "";
          case GRU -> "; -2: linear_before_reset=-; -2: outputs=2";
          case LSTM -> "; initial_c=-; P=-; input_forget=-";
        };
  }

  /**
   * One node.
   *
   * @param directions true: backward, one per direction
   */
  record Plan(
      DimExpr time,
      DimExpr batch,
      DimExpr input,
      int hidden,
      List<Boolean> directions,
      boolean batchFirst,
      List<RnnFunction> functions,
      double clip) {

    RnnFunction function(int direction, int number) {
      return functions.get(direction * functions.size() / directions.size() + number);
    }
  }

  Plan plan(OpContext c) {
    if (c.rank(0) != 3 || c.rank(1) != 3 || c.rank(2) != 3) {
      throw c.error("TSR-0303", "X, W and R must have rank 3");
    }
    boolean batchFirst = c.intAttr("layout", 0) != 0;
    List<DimExpr> x = c.dims(0);
    DimExpr hidden = c.dims(2).get(2);
    long size = c.intAttr("hidden_size", hidden.isConst() ? hidden.constValue() : 0);
    if (size < 1 || size > 1 << 24 || (hidden.isConst() && hidden.constValue() != size)) {
      throw c.error("TSR-0303", "hidden_size " + size + " does not fit R");
    }
    String direction = c.stringAttr("direction", "forward");
    List<Boolean> directions =
        switch (direction) {
          case "forward" -> List.of(false);
          case "reverse" -> List.of(true);
          case "bidirectional" -> List.of(false, true);
          default -> throw c.error("TSR-0304", "direction '" + direction + "' is not known");
        };
    for (int i = 1; i <= 2; i++) {
      DimExpr rows = c.dims(i).get(1);
      DimExpr count = c.dims(i).getFirst();
      if ((rows.isConst() && rows.constValue() != kind.gates * size)
          || (count.isConst() && count.constValue() != directions.size())) {
        throw c.error(
            "TSR-0303",
            "input " + i + " must be [" + directions.size() + ", " + kind.gates * size + ", ...]");
      }
    }
    return new Plan(
        x.get(batchFirst ? 1 : 0),
        x.get(batchFirst ? 0 : 1),
        x.get(2),
        (int) size,
        directions,
        batchFirst,
        RnnFunction.of(c, kind.functions(), directions.size()),
        c.floatAttr("clip", 0));
  }

  /** W and R, a row for each unit of each gate in each direction. */
  @Override
  public List<WeightLayout> stored(OpContext c) {
    return quantizes
        ? List.of()
        : IntStream.of(1, 2)
            .filter(i -> c.in(i).isRanked() && c.rank(i) == 3)
            .mapToObj(i -> WeightLayout.of(i, 3, 0, 1))
            .toList();
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    Optional<Plan> known = shapes(c, 0, 3).map(s -> plan(c));
    Optional<List<DimExpr>> all =
        known.map(p -> {
          DimExpr d = DimExpr.of(p.directions.size());
          DimExpr h = DimExpr.of(p.hidden);
          return p.batchFirst ? List.of(p.batch, p.time, d, h) : List.of(p.time, d, p.batch, h);
        });
    Optional<List<DimExpr>> last =
        known.map(p -> {
          DimExpr d = DimExpr.of(p.directions.size());
          DimExpr h = DimExpr.of(p.hidden);
          return p.batchFirst ? List.of(p.batch, d, h) : List.of(d, p.batch, h);
        });
    List<TensorType> types =
        List.of(type(c.dtype(0), all), type(c.dtype(0), last), type(c.dtype(0), last));
    return types.subList(0, Math.clamp(c.outputCount(), 1, kind == Kind.LSTM ? 3 : 2));
  }

  /** Values of a node during evaluation. */
  private final class Run {
    private final EvalContext c;
    private final Plan p;
    private final int time;
    private final int batch;
    private final int input;
    private final int hidden;
    private final double[] x;
    private final double[] w;
    private final double[] r;
    private final double[] bias;
    private final double[] peepholes;

    Run(EvalContext c) {
      this.c = c;
      p = plan(c);
      time = (int) p.time.constValue();
      batch = (int) p.batch.constValue();
      input = (int) p.input.constValue();
      hidden = p.hidden;
      x = Reals.of(c.input(0));
      w = Reals.of(c.input(1));
      r = Reals.of(c.input(2));
      int count = p.directions.size();
      bias = c.hasInput(3) ? Reals.of(c.input(3)) : new double[count * 2 * kind.gates * hidden];
      peepholes = c.hasInput(7) ? Reals.of(c.input(7)) : new double[count * 3 * hidden];
    }

    List<Tensor> values() {
      List<Tensor> out = new ArrayList<>();
      for (ValueType type : types(c)) {
        out.add(Shapes.allocate(c, c.dtype(0), type.tensor().staticShape()));
      }
      for (int d = 0; d < p.directions.size(); d++) {
        direction(d, out);
      }
      return out;
    }

    private int state(int d, int b) {
      return (p.batchFirst ? b * p.directions.size() + d : d * batch + b) * hidden;
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
        cell[b] = kind == Kind.LSTM ? initial(6, d, b) : new double[hidden];
      }
      for (int s = 0; s < time; s++) {
        double[][] seen = quantizes ? quantized(h) : h;
        for (int b = 0; b < batch; b++) {
          int length = length(b);
          if (s < length) {
            int t = p.directions.get(d) ? length - 1 - s : s;
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
          (p.batchFirst
                  ? (b * time + t) * p.directions.size() + d
                  : (t * p.directions.size() + d) * batch + b)
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

    private double fromInput(int d, int t, int b, int row) {
      int at = (p.batchFirst ? b * time + t : t * batch + b) * input;
      double sum = bias[d * 2 * kind.gates * hidden + row];
      for (int i = 0; i < input; i++) {
        sum += x[at + i] * w[(d * kind.gates * hidden + row) * input + i];
      }
      return sum;
    }

    private double fromState(int d, int row, double[] state) {
      double sum = bias[(d * 2 + 1) * kind.gates * hidden + row];
      for (int i = 0; i < hidden; i++) {
        sum += state[i] * r[(d * kind.gates * hidden + row) * hidden + i];
      }
      return sum;
    }

    private double act(int d, int function, double value) {
      double clipped = p.clip > 0 ? Math.max(-p.clip, Math.min(p.clip, value)) : value;
      return p.function(d, function).apply(clipped);
    }

    private double[] step(int d, int t, int b, double[] h, double[] cell) {
      double[] next = new double[hidden];
      double[] reset = new double[hidden];
      for (int i = 0; i < hidden && kind == Kind.GRU; i++) {
        reset[i] = act(d, 0, fromInput(d, t, b, hidden + i) + fromState(d, hidden + i, h));
      }
      double[] scaled = new double[hidden];
      java.util.Arrays.setAll(scaled, i -> reset[i] * h[i]);
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

  @Override
  List<Tensor> values(EvalContext c) {
    return new Run(c).values();
  }

  @Override
  Lowering code(OpContext c) {
    return new RecurrentKernel(this, kind, c, plan(c), quantizes).build();
  }
}
