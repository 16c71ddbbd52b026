package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.graph.FoldBatchNorm;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Each case runs before and after on seeded inputs: {@link PassManager} compares them. */
class FoldBatchNormTest {
  private final Random random = new Random(3);
  private final GraphBuilder b = new GraphBuilder(Map.of("", 16), 0);
  private final List<String> notes = new ArrayList<>();

  private Value weights(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return b.constant("w", Constant.of(tensor));
  }

  private Value positive(long n) {
    Tensor tensor = Tensor.zeros(DType.F32, n);
    for (int i = 0; i < n; i++) {
      tensor.floats()[i] = 0.1f + random.nextFloat();
    }
    return b.constant("p", Constant.of(tensor));
  }

  private Value norm(Value x, long channels, boolean positive) {
    return b.add(
        "BatchNormalization",
        x,
        positive ? positive(channels) : weights(channels),
        weights(channels),
        weights(channels),
        positive(channels));
  }

  private Value conv(Value x, int padding, long... shape) {
    Map<String, Attribute> attributes = new HashMap<>();
    attributes.put(
        "pads", new Attribute.IntsAttr(java.util.Collections.nCopies(4, (long) padding)));
    return b.add("Conv", attributes, x, weights(shape), weights(shape[0]));
  }

  private Value image() {
    return b.input("x", TensorType.of(DType.F32, 1, 3, 5, 6));
  }

  private List<String> fold(Value output, Map<String, String> options) {
    b.output(output);
    PassContext context = new PassContext(OpRegistry.standard(), options, notes::add);
    Graph graph =
        new PassManager(context, PassManager.Debug.OFF.withVerifyNumerics())
            .run(
                List.of(new TypeInference(), new FoldBatchNorm(), new TypeInference()),
                b.build("g", Map.of()));
    return graph.nodes().stream().map(n -> n.op().type()).toList();
  }

  @Test
  void intoTheConvolutionBefore() {
    assertEquals(List.of("Conv"), fold(norm(conv(image(), 1, 4, 3, 3, 3), 4, false), Map.of()));
    assertTrue(notes.getFirst().contains("into the output axis of Conv"), notes.toString());
  }

  @Test
  void positiveGainsGoBackwardsThroughReluAndTheShiftForwards() {
    Value relu = b.add("Relu", conv(image(), 0, 4, 3, 3, 3));
    Value flat = b.add("Flatten", norm(relu, 4, true));
    Value out =
        b.add(
            "Gemm",
            Map.of("transB", new Attribute.IntAttr(1)),
            flat,
            weights(7, 4 * 3 * 4),
            weights(7));
    assertEquals(List.of("Conv", "Relu", "Flatten", "Gemm"), fold(out, Map.of("low-bit", "")));
    assertTrue(
        notes.getFirst().contains("backwards into the output axis of Conv"), notes.toString());
    assertTrue(notes.getFirst().contains("its shift into the bias of Gemm"), notes.toString());
  }

  @Test
  void negativeGainsDoNotPassARelu() {
    Value relu = b.add("Relu", conv(image(), 0, 4, 3, 3, 3));
    assertEquals(
        List.of("Conv", "Relu", "BatchNormalization"), fold(norm(relu, 4, false), Map.of()));
  }

  @Test
  void theShiftStaysWhereNothingTakesIt() {
    Value relu = b.add("Relu", conv(image(), 0, 4, 3, 3, 3));
    assertEquals(
        List.of("Conv", "Relu", "Add", "Relu"), fold(b.add("Relu", norm(relu, 4, true)), Map.of()));
  }

  @Test
  void forwardsIntoAConvolutionWithoutPadding() {
    assertEquals(List.of("Conv"), fold(conv(norm(image(), 3, false), 0, 4, 3, 3, 3), Map.of()));
    assertTrue(notes.getFirst().contains("forwards into the input axis"), notes.toString());
  }

  @Test
  void notForwardsWherePaddingOrFewBitsForbidIt() {
    assertEquals(
        List.of("BatchNormalization", "Conv"),
        fold(conv(norm(image(), 3, false), 1, 4, 3, 3, 3), Map.of()));
  }

  @Test
  void notForwardsWhereFewBitsFollow() {
    assertEquals(
        List.of("BatchNormalization", "Conv"),
        fold(conv(norm(image(), 3, false), 0, 4, 3, 3, 3), Map.of("low-bit", "")));
    assertTrue(notes.getFirst().contains("stays"), notes.toString());
  }

  @Test
  void intoGroupedConvolutions() {
    Value x = b.input("x", TensorType.of(DType.F32, 1, 4, 5, 5));
    Map<String, Attribute> groups = Map.of("group", new Attribute.IntAttr(2));
    Value grouped = b.add("Conv", groups, norm(x, 4, false), weights(6, 2, 3, 3));
    assertEquals(List.of("Conv"), fold(norm(grouped, 6, false), Map.of()));
  }

  @Test
  void intoMatMulWithAndWithoutBias() {
    Value x = b.input("x", TensorType.of(DType.F32, 2, 5));
    Value first = b.add("Add", b.add("MatMul", x, weights(5, 4)), weights(4));
    Value second = b.add("MatMul", norm(first, 4, false), weights(4, 3));
    assertEquals(List.of("MatMul", "Add", "MatMul", "Add"), fold(norm(second, 3, false), Map.of()));
  }
}
