package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Dropout (1, 6, 7, 10, 12, 13, 22). Inference, and training with ratio 0: the input, and a mask of
 * true. Training (input training_mode, from 12): element i stays, divided by 1 - ratio, where
 * number i of {@link MersenneTwister} of the seed is not below the ratio (0.5 unless given), else
 * it is 0. Without a seed the node's names give one. Training modes before 12 are refused.
 */
final class Dropout extends OpBase {
  private static final int RATIO = 1;
  private static final int TRAINING = 2;
  private static final int NUMBERS = 3;
  private static final long MAX_NUMBERS = 1 << 24;

  /** Whether this is the form whose input 3 holds the random numbers. */
  private final boolean own;

  Dropout(boolean own) {
    super(schema(own));
    this.own = own;
  }

  private static OpSchema.Builder schema(boolean own) {
    OpSchema.Builder schema =
        own
            ? OpSchema.of(OpKey.TERSOR, "Dropout", 1)
            : OpSchema.of("", "Dropout", 1, 6, 7, 10, 12, 13, 22)
                .sample(
                    "-6: -; data[d*]; ratio=-; training_mode=-; seed=-; is_test=-; consumed_inputs=-");
    schema
        .input("data", "T")
        .optional("ratio", "R")
        .optional("training_mode", "B")
        .output("output", "T")
        .optionalOutput("mask", "M")
        .types("T", Types.FLOATS)
        .types("R", Types.FLOATS)
        .types("B", Types.BOOL)
        .types("M", Types.union(Types.FLOATS, Types.BOOL))
        .attribute("ratio", OpSchema.AttributeKind.FLOAT)
        .attribute("is_test", OpSchema.AttributeKind.INT)
        .attribute("seed", OpSchema.AttributeKind.INT)
        .attribute("consumed_inputs", OpSchema.AttributeKind.INTS)
        .tolerance(OpSchema.Tolerance.ROUNDING);
    return own ? schema.optional("numbers", "N").types("N", Types.set(DType.F64)) : schema;
  }

  private DType mask(OpContext c) {
    return own || c.version() >= 10 ? DType.BOOL : c.dtype(0);
  }

  @Override
  List<ValueType> types(OpContext c) {
    if (!own && c.version() < 7 && c.intAttr("is_test", 0) == 0 && c.hasOutput(1)) {
      throw c.error("TSR-0201", "training is an input from version 12 on; this is before");
    }
    return List.of(c.in(0), c.in(0).withDtype(mask(c)));
  }

  private static int seed(OpContext c) {
    return c.has("seed")
        ? (int) c.intAttr("seed", 0)
        : 31 * c.node().name().hashCode() + c.node().output(0).name().hashCode();
  }

  /** Whether it is certain that the input passes unchanged. */
  private static boolean passes(OpContext c) {
    boolean never =
        !c.hasInput(TRAINING)
            || c.constant(TRAINING).map(t -> t.size() > 0 && t.getLong(0) == 0).orElse(false);
    Optional<Tensor> ratio = c.hasInput(RATIO) ? c.constant(RATIO) : Optional.empty();
    return never || ratio.map(t -> t.size() > 0 && t.getDouble(0) == 0).orElse(false);
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Tensor.zeros(x.dtype(), x.shape());
    Tensor mask = Tensor.zeros(mask(c), x.shape());
    boolean training = c.hasInput(TRAINING) && c.input(TRAINING).getLong(0) != 0;
    double ratio = !training ? 0 : c.hasInput(RATIO) ? c.input(RATIO).getDouble(0) : 0.5;
    MersenneTwister random = new MersenneTwister(seed(c));
    for (int i = 0; i < x.size(); i++) {
      if (ratio == 0) {
        Shapes.copy(x, i, y, i);
        mask.setDouble(i, 1);
      } else if (random.uniform() >= ratio) {
        y.setDouble(i, x.getDouble(i) / (1 - ratio));
        mask.setDouble(i, 1);
      }
    }
    return List.of(y, mask);
  }

  @Override
  Lowering code(OpContext c) {
    boolean passes = !own && passes(c);
    if (passes && !c.hasOutput(1)) {
      return new Lowering.View(0);
    }
    return own || passes ? kernel(c, passes) : numbered(c);
  }

  /** The numbers depend on seed and shape alone, so they are a constant. */
  private static Lowering numbered(OpContext c) {
    if (!c.in(0).isStatic() || c.in(0).elements().constValue() > MAX_NUMBERS) {
      throw notLowered(
          c, "training needs data of a known shape of at most " + MAX_NUMBERS + " elements");
    }
    Tensor numbers = Tensor.zeros(DType.F64, c.in(0).staticShape());
    MersenneTwister random = new MersenneTwister(seed(c));
    for (int i = 0; i < numbers.size(); i++) {
      numbers.setDouble(i, random.uniform());
    }
    return new Lowering.Decompose(b -> {
      List<Value> outputs =
          c.node().outputs().stream()
              .map(v -> v.isPresent() ? b.value("", ValueType.UNKNOWN) : Value.NONE)
              .toList();
      List<Value> inputs =
          List.of(
              c.node().input(0),
              c.node().input(RATIO),
              c.node().input(TRAINING),
              b.constant("", Constant.of(numbers)));
      b.addNode(OpKey.TERSOR, "Dropout", Map.of(), inputs, outputs);
      return outputs;
    });
  }

  private Lowering kernel(OpContext c, boolean passes) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    KExpr element = K.at(kernel.in(0), Shapes.refs(axes));
    KExpr kept = K.bool(true);
    if (passes) {
      kernel.stage(kernel.out(0), axes, element);
    } else {
      Scalar type = Scalar.F64;
      KExpr given = c.hasInput(RATIO) ? kernel.scalar(RATIO, type) : K.literal(type, 0.5);
      var training = kernel.in(TRAINING);
      KExpr trains = K.at(training, training.shape().stream().map(d -> K.index(0)).toList());
      KExpr ratio = K.select(trains, given, K.literal(type, 0.0));
      kept = K.ge(K.at(kernel.in(NUMBERS), Shapes.refs(axes)), ratio);
      KExpr x = K.cast(type, kernel.value(0, Shapes.refs(axes)));
      KExpr scaled = K.div(x, K.sub(K.literal(type, 1.0), ratio));
      kernel.stage(kernel.out(0), axes, K.select(kept, scaled, K.literal(type, 0.0)));
    }
    if (c.hasOutput(1)) {
      Scalar mask = kernel.out(1).element();
      kernel.stage(
          kernel.out(1),
          axes,
          kept instanceof KExpr.IntLit
              ? Moves.literal(mask, 1)
              : Moves.select(kept, Moves.literal(mask, 1), Moves.literal(mask, 0)));
    }
    return kernel.build();
  }
}
