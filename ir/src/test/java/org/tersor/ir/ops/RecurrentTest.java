package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Recurrent operators: a hand-computed step, kernels against evaluation. */
class RecurrentTest {
  private static Tensor small(long seed, long... shape) {
    Tensor tensor = random(DType.F32, seed, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, tensor.getDouble(i) / 4);
    }
    return tensor;
  }

  @TestFactory
  Stream<DynamicTest> kernelsAgree() {
    return Stream.of("RNN", "GRU", "LSTM")
        .flatMap(type ->
            Stream.of("forward", "reverse", "bidirectional")
                .map(direction ->
                    DynamicTest.dynamicTest(type + " " + direction, () -> check(type, direction))));
  }

  private static void check(String type, String direction) {
    int gates = type.equals("RNN") ? 1 : type.equals("GRU") ? 3 : 4;
    int d = direction.equals("bidirectional") ? 2 : 1;
    int hidden = 5;
    for (int layout = 0; layout < 2; layout++) {
      for (int variant = 0; variant < 2; variant++) {
        OperatorTestKit kit =
            node(type, 14)
                .fixed(layout == 0 ? small(1, 4, 2, 3) : small(1, 2, 4, 3))
                .fixed(small(2, d, (long) gates * hidden, 3))
                .fixed(small(3, d, (long) gates * hidden, hidden))
                .attr("hidden_size", hidden)
                .attr("direction", direction)
                .attr("layout", layout)
                .outputs(type.equals("LSTM") ? 3 : 2);
        if (variant == 1) {
          Tensor state = layout == 0 ? small(5, d, 2, hidden) : small(5, 2, d, hidden);
          kit.fixed(small(4, d, 2 * (long) gates * hidden))
              .fixed(Tensor.of(new int[] {2, 4}, 2))
              .fixed(state);
          switch (type) {
            case "LSTM" -> kit.fixed(state).fixed(small(6, d, 3L * hidden));
            case "GRU" -> kit.attr("linear_before_reset", 1);
            default -> kit.attr("clip", 0.5f);
          }
        }
        kit.check();
      }
    }
  }

  /** The last states are the first ones, and there is no output of a step. */
  @ParameterizedTest
  @ValueSource(strings = {"RNN", "GRU", "LSTM"})
  void noStep(String type) {
    int gates = type.equals("RNN") ? 1 : type.equals("GRU") ? 3 : 4;
    for (boolean lengths : new boolean[] {false, true}) {
      Tensor h = small(5, 2, 2, 3);
      Tensor cell = small(6, 2, 2, 3);
      OperatorTestKit kit =
          node(type, 14)
              .fixed(Tensor.zeros(DType.F32, 0, 2, 3))
              .fixed(small(2, 2, gates * 3L, 3))
              .fixed(small(3, 2, gates * 3L, 3))
              .fixed(small(4, 2, gates * 6L))
              .attr("hidden_size", 3)
              .attr("direction", "bidirectional")
              .outputs(type.equals("LSTM") ? 3 : 2);
      if (lengths) {
        kit.fixed(Tensor.of(new int[] {0, 0}, 2));
      } else {
        kit.absent();
      }
      kit.fixed(h);
      if (type.equals("LSTM")) {
        kit.fixed(cell);
      }
      List<Tensor> results = kit.check();
      assertArrayEquals(new long[] {0, 2, 2, 3}, results.getFirst().shape());
      assertArrayEquals(h.floats(), results.get(1).floats());
      if (type.equals("LSTM")) {
        assertArrayEquals(cell.floats(), results.get(2).floats());
      }
    }
  }

  @Test
  void oneStep() {
    Tensor y =
        node("RNN", 14)
            .fixed(Tensor.of(new float[] {0.5f}, 1, 1, 1))
            .fixed(Tensor.of(new float[] {2}, 1, 1, 1))
            .fixed(Tensor.of(new float[] {3}, 1, 1, 1))
            .fixed(Tensor.of(new float[] {0.25f, -0.5f}, 1, 2))
            .absent()
            .fixed(Tensor.of(new float[] {0.1f}, 1, 1, 1))
            .attr("hidden_size", 1)
            .outputs(1)
            .check()
            .getFirst();
    assertEquals(Math.tanh(2 * 0.5 + 0.25 + 3 * 0.1 - 0.5), y.floats()[0], 1e-6);
  }

  /** Sizes are known at run time only; the kit says so of the number of steps on CUDA. */
  @ParameterizedTest
  @ValueSource(strings = {"RNN", "GRU", "LSTM"})
  void unknownSteps(String type) {
    int gates = type.equals("RNN") ? 1 : type.equals("GRU") ? 3 : 4;
    for (boolean lengths : new boolean[] {false, true}) {
      OperatorTestKit kit =
          node(type, 14)
              .input(small(1, 7, 2, 3))
              .fixed(small(2, 2, (long) gates * 5, 3))
              .fixed(small(3, 2, (long) gates * 5, 5))
              .attr("hidden_size", 5)
              .attr("direction", "bidirectional")
              .outputs(2);
      if (lengths) {
        kit.absent().fixed(Tensor.of(new int[] {3, 7}, 2));
      }
      kit.check();
    }
  }
}
