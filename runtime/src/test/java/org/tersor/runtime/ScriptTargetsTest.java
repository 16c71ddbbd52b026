package org.tersor.runtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.host.HostOps;

/** Results of a script go where the caller wants them, without copies where that is right. */
class ScriptTargetsTest {
  /** Adds a number; keeps what it was told to write into. */
  private static final class Adds implements Executable {
    private final float number;
    private final List<Map<String, Tensor>> targets = new ArrayList<>();

    Adds(float number) {
      this.number = number;
    }

    @Override
    public List<Port> inputs() {
      return List.of(new Port("in", DType.F32, List.of(DimExpr.of(2))));
    }

    @Override
    public List<Port> outputs() {
      return List.of(new Port("out", DType.F32, List.of(DimExpr.of(2))));
    }

    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
      targets.add(outputs);
      float[] in = Objects.requireNonNull(inputs.get("in")).floats();
      Tensor result = Tensor.of(new float[] {in[0] + number, in[1] + number}, 2);
      return Map.of(
          "out",
          Arguments.deliver(outputs().getFirst(), result, Optional.ofNullable(outputs.get("out"))));
    }
  }

  private static final int CONDITION = 0;
  private static final int STATE = 1;
  private static final int THEN = 2;
  private static final int OTHERWISE = 3;
  private static final int NEXT = 4;

  private final Adds one = new Adds(1);
  private final Adds ten = new Adds(10);

  /** An If with the state's new value in both branches. */
  private ScriptExecutable model() {
    List<DimExpr> two = List.of(DimExpr.of(2));
    Script script =
        new Script(
            "turns",
            List.of(
                new Port("condition", DType.BOOL, List.of()), new Port("state", DType.F32, two)),
            List.of(new Port("next", DType.F32, two)),
            List.of(
                new Script.Register("condition", List.of()),
                new Script.Register("state", two),
                new Script.Register("then", two),
                new Script.Register("otherwise", two),
                new Script.Register("next", two)),
            List.of(),
            new Script.Block(
                List.of(CONDITION, STATE),
                List.of(
                    new Script.Choose(
                        CONDITION, branch(0, THEN), branch(1, OTHERWISE), List.of(NEXT), "If")),
                List.of(NEXT)));
    return new ScriptExecutable(
        script,
        List.of(one, ten),
        List.of(),
        HostOps.standard(ScriptTargetsTest.class.getClassLoader()),
        Map.of());
  }

  private static Script.Block branch(int segment, int result) {
    return new Script.Block(
        List.of(),
        List.of(new Script.Run(segment, List.of(STATE), List.of(result), List.of(), List.of())),
        List.of(result));
  }

  private static Map<String, Tensor> inputs(boolean condition, Tensor state) {
    return Map.of(
        "condition",
        new Tensor(DType.BOOL, new long[0], new byte[] {(byte) (condition ? 1 : 0)}),
        "state",
        state);
  }

  @Test
  void theBranchThatIsTakenWritesTheTarget() {
    Tensor state = Tensor.of(new float[] {1, 2}, 2);
    Tensor target = Tensor.zeros(DType.F32, 2);
    ScriptExecutable model = model();
    assertSame(target, model.run(inputs(true, state), Map.of("next", target)).get("next"));
    assertEquals(List.of(Map.of("out", target)), one.targets);
    assertArrayEquals(new float[] {2, 3}, target.floats());
    model.run(inputs(false, state), Map.of("next", target));
    assertEquals(List.of(Map.of("out", target)), ten.targets);
    assertArrayEquals(new float[] {11, 12}, target.floats());
    assertArrayEquals(new float[] {1, 2}, state.floats());
  }

  /** Whoever reads the input later must find it: such a result is copied at the end. */
  @Test
  void aTargetThatIsAnInputIsWrittenLast() {
    Tensor state = Tensor.of(new float[] {1, 2}, 2);
    assertSame(state, model().run(inputs(true, state), Map.of("next", state)).get("next"));
    assertEquals(List.of(Map.of()), one.targets);
    assertArrayEquals(new float[] {2, 3}, state.floats());
  }

  @Test
  void aTargetOfAnotherShapeIsRefused() {
    Tensor state = Tensor.of(new float[] {1, 2}, 2);
    TersorException refused =
        assertThrows(
            TersorException.class,
            () -> model().run(inputs(true, state), Map.of("next", Tensor.zeros(DType.F32, 3))));
    assertEquals("TSR-0704", refused.code());
  }
}
