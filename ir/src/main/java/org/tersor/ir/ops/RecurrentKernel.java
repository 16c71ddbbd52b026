package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.RepeatedStages;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * The kernel of {@link Recurrent}: per direction one product of the whole input with W, then for
 * each step a product with R and the gates. Steps are turns of the kernel, unless there is one.
 */
final class RecurrentKernel {
  private final OpContext context;
  private final Recurrent.Kind kind;
  private final Recurrent.Plan plan;
  private final KernelBuilder kernel;
  private final Scalar type;
  private final Axis b;
  private final Axis h;
  private final Axis k;
  private final boolean quantizes;
  private final boolean repeats;

  /** The number of the present step. */
  private final KExpr turn;

  RecurrentKernel(
      OpBase operator,
      Recurrent.Kind kind,
      OpContext context,
      Recurrent.Plan plan,
      boolean quantizes) {
    this.quantizes = quantizes;
    this.context = context;
    this.kind = kind;
    this.plan = plan;
    repeats = !plan.time().isConst(1);
    turn = repeats ? K.dim(RepeatedStages.TURN) : K.index(0);
    kernel = new KernelBuilder(operator, context);
    type = kernel.computeType(0);
    b = new Axis("b", plan.batch());
    h = new Axis("h", DimExpr.of(plan.hidden()));
    k = new Axis("k", DimExpr.of(plan.hidden()));
  }

  /** State after a step; absent: all zero. */
  private record State(Optional<Buf> h, Optional<Buf> c) {}

  /**
   * What a direction needs in every step.
   *
   * @param input rows of the product with W
   * @param history states of all steps, where their place in the output depends on lengths
   * @param state before the present step
   */
  private record Direction(int d, boolean backward, Buf input, Buf history, State state) {}

  Lowering build() {
    List<Direction> directions = new ArrayList<>();
    for (int d = 0; d < plan.directions().size(); d++) {
      directions.add(begin(d, plan.directions().get(d)));
    }
    if (repeats) {
      kernel.beginTurn(plan.time());
    }
    List<State> ends = directions.stream().map(this::turn).toList();
    if (repeats) {
      kernel.endTurn();
    }
    for (int d = 0; d < ends.size(); d++) {
      end(directions.get(d), ends.get(d));
    }
    return kernel.build();
  }

  private Buf temp(String name, DimExpr... shape) {
    return kernel.temp(name, type, List.of(shape));
  }

  private KExpr zero() {
    return K.literal(type, 0.0);
  }

  private List<KExpr> stateIndex(int d, KExpr unit) {
    return plan.batchFirst()
        ? List.of(K.axis(b), K.index(d), unit)
        : List.of(K.index(d), K.axis(b), unit);
  }

  private Optional<Buf> initial(String name, int operand, int d) {
    if (!context.hasInput(operand)) {
      return Optional.empty();
    }
    Buf state = temp(name + d, plan.batch(), h.extent());
    kernel.stage(state, List.of(b, h), kernel.value(operand, stateIndex(d, K.axis(h))));
    return Optional.of(state);
  }

  /** The state before the first step. One that is repeated has a place in any case. */
  private Optional<Buf> start(String name, int operand, int d) {
    Optional<Buf> given = initial(name, operand, d);
    if (given.isPresent() || !repeats) {
      return given;
    }
    Buf state = temp(name + d, plan.batch(), h.extent());
    kernel.stage(state, List.of(b, h), zero());
    return Optional.of(state);
  }

  private Direction begin(int d, boolean backward) {
    DimExpr rows = DimExpr.of((long) kind.gates() * plan.hidden());
    Axis t = new Axis("t", plan.time());
    Axis g = new Axis("g", rows);
    Axis i = new Axis("i", plan.input());
    List<KExpr> at =
        plan.batchFirst()
            ? List.of(K.axis(b), K.axis(t), K.axis(i))
            : List.of(K.axis(t), K.axis(b), K.axis(i));
    KExpr product =
        K.sum(
            List.of(i),
            K.mul(kernel.value(0, at), kernel.value(1, K.index(d), K.axis(g), K.axis(i))));
    if (context.hasInput(3)) {
      product = K.add(product, kernel.value(3, K.index(d), K.axis(g)));
    }
    Buf input = temp("input" + d, plan.time(), plan.batch(), rows);
    kernel.stage(input, List.of(t, b, g), product);
    return new Direction(
        d,
        backward,
        input,
        temp("history" + d, plan.time(), plan.batch(), h.extent()),
        new State(
            start("stateH", 5, d),
            kind == Recurrent.Kind.LSTM ? start("stateC", 6, d) : Optional.empty()));
  }

  /** One step: the state after it. */
  private State turn(Direction direction) {
    int d = direction.d();
    KExpr last = K.dim(plan.time().minus(DimExpr.ONE));
    KExpr position = direction.backward() ? K.sub(last, turn) : turn;
    KExpr active = K.bool(true);
    boolean lengths = context.hasInput(4);
    if (lengths) {
      active = K.lt(turn, length());
      // Beyond the end any row will do: what it gives is not used.
      position =
          direction.backward()
              ? K.max(K.sub(K.sub(length(), turn), K.index(1)), K.index(0))
              : position;
    }
    State after = step(d, direction.input(), position, active, direction.state());
    KExpr value = K.at(after.h.orElseThrow(), K.axis(b), K.axis(h));
    if (lengths) {
      kernel.stage(direction.history(), List.of(b, h), List.of(turn, K.axis(b), K.axis(h)), value);
    } else if (context.hasOutput(0)) {
      kernel.stage(kernel.out(0), List.of(b, h), outIndex(d, position), value);
    }
    if (!repeats) {
      return after;
    }
    keep(after.h, direction.state().h);
    keep(after.c, direction.state().c);
    return direction.state();
  }

  /** What the next step finds. */
  private void keep(Optional<Buf> now, Optional<Buf> state) {
    now.ifPresent(
        from -> kernel.stage(state.orElseThrow(), List.of(b, h), K.at(from, K.axis(b), K.axis(h))));
  }

  private void end(Direction direction, State state) {
    int d = direction.d();
    if (context.hasInput(4) && context.hasOutput(0)) {
      Axis t = new Axis("t", plan.time());
      KExpr step = direction.backward() ? K.sub(K.sub(length(), K.index(1)), K.axis(t)) : K.axis(t);
      KExpr value =
          K.select(
              K.lt(K.axis(t), length()),
              K.at(direction.history(), step, K.axis(b), K.axis(h)),
              zero());
      kernel.stage(kernel.out(0), List.of(t, b, h), outIndex(d, K.axis(t)), value);
    }
    last(1, d, state.h);
    last(2, d, state.c);
  }

  private KExpr length() {
    return K.cast(Scalar.INDEX, K.at(kernel.in(4), K.axis(b)));
  }

  private List<KExpr> outIndex(int d, KExpr t) {
    return plan.batchFirst()
        ? List.of(K.axis(b), t, K.index(d), K.axis(h))
        : List.of(t, K.index(d), K.axis(b), K.axis(h));
  }

  private void last(int output, int d, Optional<Buf> state) {
    if (context.hasOutput(output)) {
      KExpr value = state.<KExpr>map(s -> K.at(s, K.axis(b), K.axis(h))).orElse(zero());
      kernel.stage(kernel.out(output), List.of(b, h), stateIndex(d, K.axis(h)), value);
    }
  }

  private static KExpr read(Optional<Buf> state, KExpr batch, KExpr unit, KExpr zero) {
    return state.<KExpr>map(s -> K.at(s, batch, unit)).orElse(zero);
  }

  /**
   * Rows {@code from} to {@code to} (in units of H) of the state's product with R plus its bias, as
   * a temporary.
   */
  private Buf recurrent(String name, int d, int from, int to, Optional<Buf> state) {
    Axis g = new Axis("g", DimExpr.of((long) (to - from) * plan.hidden()));
    KExpr row = K.add(K.axis(g), K.index((long) from * plan.hidden()));
    Buf result = temp(name, plan.batch(), g.extent());
    Optional<Buf> seen = quantizes ? state.map(s -> quantized(name, s)) : state;
    KExpr value =
        seen.<KExpr>map(s ->
                K.sum(
                    List.of(k),
                    K.mul(
                        K.at(s, K.axis(b), K.axis(k)),
                        kernel.value(2, K.index(d), row, K.axis(k)))))
            .orElse(zero());
    if (context.hasInput(3)) {
      KExpr at = K.add(row, K.index((long) kind.gates() * plan.hidden()));
      KExpr bias = kernel.value(3, K.index(d), at);
      value = state.isPresent() ? K.add(value, bias) : bias;
    }
    kernel.stage(result, List.of(b, g), value);
    return result;
  }

  /** A state as 8 bits over the range of all samples hold it. */
  private Buf quantized(String name, Buf state) {
    KExpr value = K.at(state, K.axis(b), K.axis(h));
    List<Axis> all = List.of(b, h);
    KExpr min = scalar(name + "least", K.min(K.fold(ReduceOp.MIN, all, value), zero()));
    KExpr max = scalar(name + "most", K.max(K.fold(ReduceOp.MAX, all, value), zero()));
    KExpr range = K.div(K.sub(max, min), K.literal(type, 255.0));
    KExpr scale = scalar(name + "scale", K.select(K.eq(max, min), K.literal(type, 1.0), range));
    KExpr zero = K.cast(Scalar.I32, Quant.saturated(DType.U8, K.div(K.neg(min), scale), K.i32(0)));
    KExpr code = K.cast(Scalar.I32, Quant.saturated(DType.U8, K.div(value, scale), zero));
    Buf result = temp(name + "seen", plan.batch(), h.extent());
    kernel.stage(result, all, K.mul(K.cast(type, K.sub(code, zero)), scale));
    return result;
  }

  private KExpr scalar(String name, KExpr value) {
    Buf one = temp(name);
    kernel.stage(one, List.of(), value);
    return K.at(one);
  }

  private KExpr gate(Buf buffer, int number) {
    return K.at(buffer, K.axis(b), K.add(K.index((long) number * plan.hidden()), K.axis(h)));
  }

  private KExpr act(int d, int function, KExpr value) {
    KExpr clipped = value;
    if (plan.clip() > 0) {
      clipped = K.max(K.literal(type, -plan.clip()), K.min(K.literal(type, plan.clip()), value));
    }
    return plan.function(d, function).apply(clipped);
  }

  private KExpr peephole(int d, int number, KExpr cell, KExpr value) {
    return context.hasInput(7)
        ? K.add(
            value,
            K.mul(
                kernel.value(
                    7, K.index(d), K.add(K.index((long) number * plan.hidden()), K.axis(h))),
                cell))
        : value;
  }

  private State step(int d, Buf input, KExpr position, KExpr active, State before) {
    String suffix = Integer.toString(d);
    KExpr old = read(before.h, K.axis(b), K.axis(h), zero());
    boolean splits = kind == Recurrent.Kind.GRU && context.intAttr("linear_before_reset", 0) == 0;
    Buf r = recurrent("recurrent" + suffix, d, 0, splits ? 2 : kind.gates(), before.h);
    List<KExpr> gates = new ArrayList<>();
    for (int n = 0; n < kind.gates(); n++) {
      KExpr x =
          K.at(input, position, K.axis(b), K.add(K.index((long) n * plan.hidden()), K.axis(h)));
      boolean separate = kind == Recurrent.Kind.GRU && n == 2;
      gates.add(separate ? x : K.add(x, gate(r, n)));
    }
    Optional<Buf> cell = Optional.empty();
    KExpr next =
        switch (kind) {
          case RNN -> act(d, 0, gates.getFirst());
          case GRU -> {
            KExpr z = act(d, 0, gates.get(0));
            KExpr reset = act(d, 0, gates.get(1));
            KExpr fresh;
            if (splits) {
              Buf scaled = temp("reset" + suffix, plan.batch(), h.extent());
              kernel.stage(scaled, List.of(b, h), K.mul(reset, old));
              fresh =
                  gate(
                      recurrent(
                          "fresh" + suffix,
                          d,
                          2,
                          3,
                          before.h.isPresent() ? Optional.of(scaled) : Optional.empty()),
                      0);
            } else {
              fresh = K.mul(reset, gate(r, 2));
            }
            KExpr candidate = act(d, 1, K.add(gates.get(2), fresh));
            yield K.add(K.mul(K.sub(K.literal(type, 1.0), z), candidate), K.mul(z, old));
          }
          case LSTM -> {
            KExpr oldCell = read(before.c, K.axis(b), K.axis(h), zero());
            KExpr in = act(d, 0, peephole(d, 0, oldCell, gates.get(0)));
            KExpr forget =
                context.intAttr("input_forget", 0) != 0
                    ? K.sub(K.literal(type, 1.0), in)
                    : act(d, 0, peephole(d, 2, oldCell, gates.get(2)));
            KExpr newCell = K.add(K.mul(forget, oldCell), K.mul(in, act(d, 1, gates.get(3))));
            Buf c = temp("c" + suffix, plan.batch(), h.extent());
            kernel.stage(c, List.of(b, h), K.select(active, newCell, oldCell));
            cell = Optional.of(c);
            KExpr now = K.at(c, K.axis(b), K.axis(h));
            yield K.mul(
                act(d, 0, peephole(d, 1, now, gates.get(1))), plan.function(d, 2).apply(now));
          }
        };
    Buf result = temp("h" + suffix, plan.batch(), h.extent());
    kernel.stage(result, List.of(b, h), K.select(active, next, old));
    return new State(Optional.of(result), cell);
  }
}
