package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Tensor;

/**
 * Adagrad, Adam and Momentum of ai.onnx.preview.training (1): one step for any number of tensors.
 * Inputs: the learning rate R, the number T of steps done, then all tensors X, all gradients G, and
 * all of each kind of state; outputs: the new X and the new states, in the same order. G + norm * X
 * takes the place of G everywhere.
 */
final class Optimizer extends OpBase {
  static final String DOMAIN = "ai.onnx.preview.training";
  private static final int FIRST = 2;

  /** The rule of a step, and how many states a tensor has. */
  enum Kind {
    /** H += G^2; X -= R / (1 + T decay) G / (sqrt H + epsilon). */
    ADAGRAD("Adagrad", 1),
    /**
     * V = alpha V + (1 - alpha) G; H = beta H + (1 - beta) G^2; X -= R' V / (sqrt H + epsilon) with
     * R' = R sqrt(1 - beta^T) / (1 - alpha^T) after the first step; then X *= 1 - norm_post.
     */
    ADAM("Adam", 2),
    /** V = alpha V + beta G (G at the first step); X -= R V, or R (G + alpha V) by Nesterov. */
    MOMENTUM("Momentum", 1);

    private final String text;
    private final int states;

    Kind(String text, int states) {
      this.text = text;
      this.states = states;
    }
  }

  private final Kind kind;

  Optimizer(Kind kind) {
    super(schema(kind));
    this.kind = kind;
  }

  private static OpSchema.Builder schema(Kind kind) {
    OpSchema.Builder schema =
        OpSchema.of(DOMAIN, kind.text, 1)
            .input("R", "T1")
            .input("T", "T2")
            .variadic("inputs", "T3")
            .variadicOutput("outputs", "T3")
            .types("T1", Types.FLOATS)
            .types("T2", Types.I64)
            .types("T3", Types.FLOATS);
    return switch (kind) {
      case ADAGRAD ->
          schema
              .attribute("decay_factor", AttributeKind.FLOAT)
              .attribute("epsilon", AttributeKind.FLOAT)
              .attribute("norm_coefficient", AttributeKind.FLOAT);
      case ADAM ->
          schema
              .attribute("alpha", AttributeKind.FLOAT)
              .attribute("beta", AttributeKind.FLOAT)
              .attribute("epsilon", AttributeKind.FLOAT)
              .attribute("norm_coefficient", AttributeKind.FLOAT)
              .attribute("norm_coefficient_post", AttributeKind.FLOAT);
      case MOMENTUM ->
          schema
              .required("alpha", AttributeKind.FLOAT)
              .required("beta", AttributeKind.FLOAT)
              .required("mode", AttributeKind.STRING)
              .required("norm_coefficient", AttributeKind.FLOAT);
    };
  }

  /** Number of tensors that are optimized. */
  private int count(OpContext c) {
    int given = c.inputCount() - FIRST;
    int group = 2 + kind.states;
    if (given < group || given % group != 0) {
      throw c.error("TSR-0301", given + " inputs do not make groups of " + group);
    }
    int count = given / group;
    for (int i = 0; i < count; i++) {
      for (int g = 1; g < group && c.in(FIRST + i).isRanked(); g++) {
        int at = FIRST + g * count + i;
        if (c.in(at).isRanked() && c.rank(at) != c.rank(FIRST + i)) {
          throw c.error("TSR-0303", "input " + at + " must have the shape of its tensor");
        }
        for (int d = 0; c.in(at).isRanked() && d < c.rank(at); d++) {
          Shapes.agree(
              c, "dimension " + d + " of input " + at, c.dims(at).get(d), c.dims(FIRST + i).get(d));
        }
      }
    }
    return count;
  }

  private static boolean nesterov(OpContext c) {
    String mode = c.stringAttr("mode", "standard");
    return switch (mode) {
      case "standard" -> false;
      case "nesterov" -> true;
      default -> throw c.error("TSR-0304", "mode '" + mode + "' is not standard or nesterov");
    };
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    int count = count(c);
    nesterov(c);
    List<ValueType> types = new ArrayList<>();
    for (int i = 0; i < count * (1 + kind.states); i++) {
      types.add(c.in(FIRST + (i < count ? i : i + count)));
    }
    return types.subList(0, Math.min(types.size(), Math.max(1, c.outputCount())));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    int count = count(c);
    double rate = c.input(0).getDouble(0);
    long steps = c.input(1).getLong(0);
    List<Tensor> results = new ArrayList<>();
    for (int i = 0; i < count * (1 + kind.states); i++) {
      Tensor like = c.input(FIRST + (i < count ? i : i + count));
      results.add(Tensor.zeros(like.dtype(), like.shape()));
    }
    for (int i = 0; i < count; i++) {
      Tensor x = c.input(FIRST + i);
      for (int e = 0; e < x.size(); e++) {
        double before = x.getDouble(e);
        double g =
            c.input(FIRST + count + i).getDouble(e) + c.floatAttr("norm_coefficient", 0) * before;
        double first = c.input(FIRST + 2 * count + i).getDouble(e);
        double second = kind.states > 1 ? c.input(FIRST + 3 * count + i).getDouble(e) : 0;
        double[] after = step(c, rate, steps, before, g, first, second);
        for (int s = 0; s <= kind.states; s++) {
          results.get(s * count + i).setDouble(e, after[s]);
        }
      }
    }
    return results.subList(0, Math.min(results.size(), Math.max(1, c.outputCount())));
  }

  private double[] step(
      OpContext c, double rate, long steps, double x, double g, double first, double second) {
    double epsilon = c.floatAttr("epsilon", 0);
    return switch (kind) {
      case ADAGRAD -> {
        double h = first + g * g;
        double slower = rate / (1 + steps * (double) c.floatAttr("decay_factor", 0));
        yield new double[] {x - slower * g / (Math.sqrt(h) + epsilon), h};
      }
      case ADAM -> {
        double alpha = c.floatAttr("alpha", 0.9f);
        double beta = c.floatAttr("beta", 0.999f);
        double v = alpha * first + (1 - alpha) * g;
        double h = beta * second + (1 - beta) * g * g;
        double adjusted =
            steps > 0
                ? rate
                    * Math.sqrt(1 - Math.pow(beta, (double) steps))
                    / (1 - Math.pow(alpha, (double) steps))
                : rate;
        double moved = x - adjusted * v / (Math.sqrt(h) + epsilon);
        yield new double[] {moved * (1 - c.floatAttr("norm_coefficient_post", 0)), v, h};
      }
      case MOMENTUM -> {
        double alpha = c.floatAttr("alpha", 0);
        double v = alpha * first + (steps > 0 ? c.floatAttr("beta", 0) : 1) * g;
        yield new double[] {x - rate * (nesterov(c) ? g + alpha * v : v), v};
      }
    };
  }

  @Override
  Lowering code(OpContext c) {
    int count = count(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    for (int i = 0; i < count; i++) {
      List<Axis> axes = Shapes.axes("x" + i + "_", c.dims(FIRST + i));
      List<KExpr> at = Shapes.refs(axes);
      Scalar type = kernel.computeType(FIRST + i);
      Step step = new Step(c, kernel, type);
      KExpr x = kernel.value(FIRST + i, at);
      KExpr g =
          K.add(
              K.cast(type, kernel.value(FIRST + count + i, at)),
              K.mul(step.attribute("norm_coefficient", 0), x));
      List<KExpr> states = new ArrayList<>();
      for (int s = 0; s < kind.states; s++) {
        states.add(K.cast(type, kernel.value(FIRST + (2 + s) * count + i, at)));
      }
      List<KExpr> after =
          switch (kind) {
            case ADAGRAD -> step.adagrad(x, g, states.getFirst());
            case ADAM -> step.adam(x, g, states.getFirst(), states.getLast());
            case MOMENTUM -> step.momentum(x, g, states.getFirst(), nesterov(c));
          };
      for (int s = 0; s <= kind.states; s++) {
        if (c.hasOutput(s * count + i)) {
          kernel.stage(kernel.out(s * count + i), axes, after.get(s));
        }
      }
    }
    return kernel.build();
  }

  /** The rules as expressions. */
  private record Step(OpContext c, KernelBuilder kernel, Scalar type) {
    KExpr number(double value) {
      return K.literal(type, value);
    }

    KExpr attribute(String name, float otherwise) {
      return number(c.floatAttr(name, otherwise));
    }

    KExpr rate() {
      return kernel.scalar(0, type);
    }

    KExpr steps() {
      return kernel.scalar(1, type);
    }

    KExpr root(KExpr h) {
      return K.add(K.unary(UnaryOp.SQRT, h), attribute("epsilon", 0));
    }

    List<KExpr> adagrad(KExpr x, KExpr g, KExpr before) {
      KExpr h = K.add(before, K.mul(g, g));
      KExpr slower = K.div(rate(), K.add(number(1), K.mul(steps(), attribute("decay_factor", 0))));
      return List.of(K.sub(x, K.div(K.mul(slower, g), root(h))), h);
    }

    List<KExpr> adam(KExpr x, KExpr g, KExpr first, KExpr second) {
      double alpha = c.floatAttr("alpha", 0.9f);
      double beta = c.floatAttr("beta", 0.999f);
      KExpr v = K.add(K.mul(number(alpha), first), K.mul(number(1 - alpha), g));
      KExpr h = K.add(K.mul(number(beta), second), K.mul(number(1 - beta), K.mul(g, g)));
      KExpr later =
          K.div(
              K.mul(rate(), K.unary(UnaryOp.SQRT, K.sub(number(1), power(beta)))),
              K.sub(number(1), power(alpha)));
      KExpr adjusted = K.select(K.gt(steps(), number(0)), later, rate());
      KExpr moved = K.sub(x, K.div(K.mul(adjusted, v), root(h)));
      KExpr kept = K.sub(number(1), attribute("norm_coefficient_post", 0));
      return List.of(K.mul(moved, kept), v, h);
    }

    private KExpr power(double base) {
      return K.binary(BinaryOp.POW, number(base), steps());
    }

    List<KExpr> momentum(KExpr x, KExpr g, KExpr before, boolean nesterov) {
      KExpr alpha = attribute("alpha", 0);
      KExpr weight = K.select(K.gt(steps(), number(0)), attribute("beta", 0), number(1));
      KExpr v = K.add(K.mul(alpha, before), K.mul(weight, g));
      KExpr direction = nesterov ? K.add(g, K.mul(alpha, v)) : v;
      return List.of(K.sub(x, K.mul(rate(), direction)), v);
    }
  }
}
