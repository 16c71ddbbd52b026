package org.tersor.ir.ops;

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
import org.tersor.ir.op.StoredBias;
import org.tersor.ir.op.WeightLayout;
import org.tersor.ir.op.WeightVectors;
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
    long layout = c.intAttr("layout", 0);
    if (layout != 0 && layout != 1) {
      throw c.error("TSR-0304", "layout must be 0 or 1, not " + layout);
    }
    boolean batchFirst = layout == 1;
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

  /** Rows of W see the elements of the sequence, rows of R the states that the elements meet. */
  @Override
  public void storedVectors(EvalContext c, int input, WeightVectors vectors) {
    if (input == 1) {
      run(c, vectors).elements();
    } else if (input == 2) {
      run(c, vectors).values();
    }
  }

  /** B holds the numbers of W, then those of R, for each direction. */
  @Override
  public Optional<StoredBias> storedBias(OpContext c, int input) {
    List<DimExpr> shape = c.dims(input).subList(0, 2);
    if (!shape.stream().allMatch(DimExpr::isConst)) {
      return Optional.empty();
    }
    int rows = (int) shape.get(1).constValue();
    return Optional.of(
        new StoredBias(
            3,
            List.of(shape.getFirst().constValue(), 2L * rows),
            rows,
            2 * rows,
            (input - 1) * rows));
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

  @Override
  List<Tensor> values(EvalContext c) {
    return run(c, (group, groups, vector) -> {}).values();
  }

  private RecurrentRun run(EvalContext c, WeightVectors seen) {
    return new RecurrentRun(kind, quantizes, plan(c), types(c), c, seen);
  }

  @Override
  Lowering code(OpContext c) {
    return new RecurrentKernel(this, kind, c, plan(c), quantizes).build();
  }
}
