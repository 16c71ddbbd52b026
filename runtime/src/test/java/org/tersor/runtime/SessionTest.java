package org.tersor.runtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Executable.State;

class SessionTest {
  /** Sums up what comes in. */
  private static final class Sum implements Executable {
    @Override
    public List<Port> inputs() {
      return List.of(port("x", DimExpr.of(2)), port("sum", DimExpr.of(2)));
    }

    @Override
    public List<Port> outputs() {
      return List.of(port("next", DimExpr.of(2)));
    }

    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
      float[] x = Arguments.inputs(inputs(), inputs).getFirst().floats();
      float[] sum = Arguments.inputs(inputs(), inputs).getLast().floats();
      Tensor result = Tensor.of(new float[] {x[0] + sum[0], x[1] + sum[1]}, 2);
      return Map.of(
          "next",
          Arguments.deliver(
              outputs().getFirst(), result, java.util.Optional.ofNullable(outputs.get("next"))));
    }

    @Override
    public List<State> states() {
      return List.of(new State("next", "sum"));
    }
  }

  /** Appends what comes in, as a cache of keys grows. */
  private static final class Append implements Executable {
    @Override
    public List<Port> inputs() {
      return List.of(port("x", DimExpr.of(1)), port("past", DimExpr.symbol("n")));
    }

    @Override
    public List<Port> outputs() {
      return List.of(port("present", DimExpr.symbol("n").plus(DimExpr.ONE)));
    }

    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
      List<Tensor> given = Arguments.inputs(inputs(), inputs);
      float[] past = given.getLast().floats();
      float[] all = java.util.Arrays.copyOf(past, past.length + 1);
      all[past.length] = given.getFirst().floats()[0];
      return Map.of("present", Tensor.of(all, all.length));
    }
  }

  private static Port port(String name, DimExpr dim) {
    return new Port(name, DType.F32, List.of(dim));
  }

  private static Map<String, Tensor> x(float... values) {
    return Map.of("x", Tensor.of(values, values.length));
  }

  private static Tensor of(Map<String, Tensor> tensors, String name) {
    return java.util.Objects.requireNonNull(tensors.get(name));
  }

  @Test
  void twoTensorsOfAStateOfOneShapeTakeTurns() {
    Session session = new Session(new Sum());
    Tensor first = of(session.state(), "sum");
    Tensor second = of(session.run(x(1, 2)), "next");
    assertNotSame(first, second);
    assertSame(second, session.state().get("sum"));
    assertArrayEquals(new float[] {0, 0}, first.floats(), "what the call read");
    assertSame(first, session.run(x(10, 20)).get("next"));
    assertArrayEquals(new float[] {11, 22}, first.floats());
    assertSame(second, session.run(x(0, 0)).get("next"));
    session.reset();
    assertArrayEquals(new float[] {1, 1}, of(session.run(x(1, 1)), "next").floats());
  }

  /** A state that is set may be the tensor which the next call would have written. */
  @Test
  void aStateThatIsSetIsReadBeforeItIsWritten() {
    Session session = new Session(new Sum());
    Tensor first = of(session.run(x(1, 2)), "next");
    Tensor second = of(session.run(x(10, 20)), "next");
    session.setState("sum", first);
    assertArrayEquals(new float[] {2, 3}, of(session.run(x(1, 1)), "next").floats());
    assertArrayEquals(new float[] {1, 2}, first.floats());
    session.setState("sum", second);
    assertArrayEquals(new float[] {12, 23}, of(session.run(x(1, 1)), "next").floats());
  }

  @Test
  void stateThatGrowsIsReplaced() {
    List<State> states = List.of(new State("present", "past"));
    Session session = new Session(new Append(), states, Map.of("n", 0L));
    session.run(x(1));
    session.run(x(2));
    assertArrayEquals(new float[] {1, 2}, of(session.state(), "past").floats());
    TersorException unknown =
        assertThrows(
            TersorException.class, () -> new Session(new Append(), states, Map.of("m", 0L)));
    assertEquals("TSR-0715", unknown.code());
  }

  @Test
  void stateThatTheModelCannotHaveIsRefused() {
    for (State state : List.of(new State("none", "sum"), new State("next", "none"))) {
      TersorException fault =
          assertThrows(
              TersorException.class, () -> new Session(new Sum(), List.of(state), Map.of()));
      assertEquals("TSR-0715", fault.code());
    }
    Session session = new Session(new Sum());
    assertThrows(TersorException.class, () -> session.setState("x", Tensor.zeros(DType.F32, 2)));
  }
}
