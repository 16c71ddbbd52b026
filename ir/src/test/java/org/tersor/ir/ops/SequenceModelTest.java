package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Operators of sequence models: hand-computed cases, kernels against evaluation, refusals. */
class SequenceModelTest {
  private static Tensor f32(long seed, long... shape) {
    Tensor tensor = random(DType.F32, seed, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, tensor.getDouble(i) / 4);
    }
    return tensor;
  }

  private static String code(OperatorTestKit kit) {
    return assertThrows(TersorException.class, kit::eval).code();
  }

  @Test
  void rotaryEmbedding() {
    Tensor positions = Tensor.of(new long[] {2, 0, 1, 4, 3, 3}, 2, 3);
    for (int interleaved = 0; interleaved < 2; interleaved++) {
      for (int turned : new int[] {0, 4, 8}) {
        long half = turned == 4 ? 2 : 4;
        node("RotaryEmbedding", 23)
            .input(f32(1, 2, 4, 3, 8))
            .input(f32(2, 5, half))
            .input(f32(3, 5, half))
            .input(positions)
            .attr("interleaved", interleaved)
            .attr("rotary_embedding_dim", turned)
            .check();
        node("RotaryEmbedding", 23)
            .fixed(f32(1, 2, 3, 32))
            .fixed(f32(2, 2, 3, half))
            .fixed(f32(3, 2, 3, half))
            .attr("interleaved", interleaved)
            .attr("num_heads", 4)
            .attr("rotary_embedding_dim", turned)
            .check();
      }
    }
    Tensor y =
        node("RotaryEmbedding", 23)
            .input(Tensor.of(new float[] {3, 5}, 1, 1, 1, 2))
            .input(Tensor.of(new float[] {0.5f}, 1, 1, 1))
            .input(Tensor.of(new float[] {2}, 1, 1, 1))
            .check()
            .getFirst();
    assertArrayEquals(new float[] {1.5f - 10, 6 + 2.5f}, y.floats());
  }

  @Test
  void rotaryEmbeddingRefuses() {
    OperatorTestKit odd =
        node("RotaryEmbedding", 23)
            .input(f32(1, 1, 1, 1, 4))
            .input(f32(2, 1, 1, 2))
            .input(f32(3, 1, 1, 2))
            .attr("rotary_embedding_dim", 3);
    assertEquals("TSR-0304", code(odd));
    OperatorTestKit outside =
        node("RotaryEmbedding", 23)
            .input(f32(1, 1, 1, 1, 4))
            .input(f32(2, 3, 2))
            .input(f32(3, 3, 2))
            .input(Tensor.of(new long[] {3}, 1, 1));
    assertEquals("TSR-0705", code(outside));
  }

  @Test
  void tensorScatter() {
    Tensor cache = f32(1, 2, 3, 4, 5);
    Tensor update = f32(2, 2, 3, 2, 5);
    for (String mode : new String[] {"linear", "circular"}) {
      Tensor at = Tensor.of(new long[] {1, mode.equals("linear") ? 2 : 3}, 2);
      Tensor present =
          node("TensorScatter", 24)
              .input(cache)
              .input(update)
              .input(at)
              .attr("mode", mode)
              .check()
              .getFirst();
      // The second sample's second row follows its first, or is row 0 again.
      int row = mode.equals("linear") ? 3 : 0;
      assertEquals(update.getDouble((1 * 3 * 2 + 1) * 5), present.getDouble((1 * 3 * 4 + row) * 5));
    }
    node("TensorScatter", 24).input(cache).input(f32(2, 2, 3, 4, 2)).attr("axis", 3).check();
    OperatorTestKit beyond =
        node("TensorScatter", 24).input(cache).input(update).input(Tensor.of(new long[] {0, 3}, 2));
    assertEquals("TSR-0705", code(beyond));
    assertEquals(
        "TSR-0305", code(node("TensorScatter", 24).input(cache).input(update).attr("axis", 0)));
  }

  @Test
  void causalConvWithState() {
    for (String activation : new String[] {"none", "silu"}) {
      for (int taps : new int[] {1, 4}) {
        node("CausalConvWithState", 27)
            .input(f32(1, 2, 3, 5))
            .input(f32(2, 3, 1, taps))
            .outputs(2)
            .attr("activation", activation)
            .check();
        node("CausalConvWithState", 27)
            .fixed(f32(1, 2, 3, 5))
            .fixed(f32(2, 3, 1, taps))
            .fixed(f32(3, 3))
            .fixed(f32(4, 2, 3, taps - 1))
            .outputs(2)
            .attr("activation", activation)
            .check();
      }
    }
    assertArrayEquals(
        new float[] {1 * 7 + 10 * 2, 1 * 2 + 10 * 3},
        node("CausalConvWithState", 27)
            .input(Tensor.of(new float[] {2, 3}, 1, 1, 2))
            .input(Tensor.of(new float[] {1, 10}, 1, 1, 2))
            .absent()
            .input(Tensor.of(new float[] {7}, 1, 1, 1))
            .check()
            .getFirst()
            .floats());
  }

  @TestFactory
  Stream<DynamicTest> linearAttention() {
    return Stream.of("linear", "gated", "delta", "gated_delta")
        .map(rule -> DynamicTest.dynamicTest(rule, () -> linear(rule)));
  }

  private static void linear(String rule) {
    for (int variant = 0; variant < 4; variant++) {
      boolean shared = variant % 2 == 1;
      OperatorTestKit kit =
          node("LinearAttention", 27)
              .fixed(f32(1, 2, 3, 4 * 5))
              .fixed(f32(2, 2, 3, 2 * 5))
              .fixed(f32(3, 2, 3, 2 * 6))
              .attr("update_rule", rule)
              .attr("q_num_heads", 4)
              .attr("kv_num_heads", 2)
              .outputs(2);
      if (variant < 2) {
        kit.absent();
      } else {
        kit.fixed(f32(4, 2, 2, 5, 6)).attr("scale", 0.5f);
      }
      kit.fixed(f32(5, 2, 3, shared ? 2 : 10)).fixed(f32(6, 2, 3, shared ? 1 : 2)).check();
    }
  }

  @Test
  void linearAttentionByHand() {
    Tensor one = Tensor.of(new float[] {1}, 1, 1, 1);
    Tensor[] results =
        node("LinearAttention", 27)
            .input(Tensor.of(new float[] {3}, 1, 1, 1))
            .input(Tensor.of(new float[] {2}, 1, 1, 1))
            .input(Tensor.of(new float[] {5}, 1, 1, 1))
            .input(one.reshaped(1, 1, 1, 1))
            .absent()
            .input(Tensor.of(new float[] {0.5f}, 1, 1, 1))
            .attr("update_rule", "delta")
            .attr("q_num_heads", 1)
            .attr("kv_num_heads", 1)
            .outputs(2)
            .eval()
            .toArray(new Tensor[0]);
    // S = 1 + 2 * 0.5 * (5 - 1 * 2)
    assertEquals(4, results[1].getDouble(0), 1e-6);
    assertEquals(12, results[0].getDouble(0), 1e-6);
    OperatorTestKit noBeta =
        node("LinearAttention", 27)
            .input(one)
            .input(one)
            .input(one)
            .attr("update_rule", "delta")
            .attr("q_num_heads", 1)
            .attr("kv_num_heads", 1);
    assertEquals("TSR-0301", code(noBeta));
  }

  /** A query that attends to no key: the sum over nothing, on every target. */
  @Test
  void attentionOverNothing() {
    for (int causal = 0; causal < 2; causal++) {
      Tensor y =
          node("Attention", 23)
              .fixed(f32(1, 1, 2, 3, 4))
              .fixed(f32(2, 1, 2, 0, 4))
              .fixed(f32(3, 1, 2, 0, 5))
              .attr("is_causal", causal)
              .check()
              .getFirst();
      assertArrayEquals(new long[] {1, 2, 3, 5}, y.shape());
      assertEquals(Tensor.zeros(DType.F32, 1, 2, 3, 5), y);
    }
    Tensor flat =
        node("Attention", 23)
            .fixed(f32(1, 1, 3, 8))
            .fixed(f32(2, 1, 0, 8))
            .fixed(f32(3, 1, 0, 6))
            .attr("q_num_heads", 2)
            .attr("kv_num_heads", 2)
            .check()
            .getFirst();
    assertEquals(Tensor.zeros(DType.F32, 1, 3, 6), flat);
  }
}
