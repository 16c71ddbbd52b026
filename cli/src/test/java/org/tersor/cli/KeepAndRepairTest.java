package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.Keep;
import org.tersor.passes.quant.OutputNoise;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.RepairGoal;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * What stays float: because somebody says so, or because codes of it cost the outputs too much. One
 * channel between the first layer and the second is two hundred times larger than the others, which
 * alone matter to the second; it passes a SiLU, which no factor does.
 */
class KeepAndRepairTest {
  private static final int WIDTH = 16;
  private static final float LOUD = 200;

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Random random = new Random(5);
  private final GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
  private final Graph base = quantizer.base(graph(), compile);
  private final List<Map<String, Tensor>> samples =
      List.of(Map.of("x", normal(8, WIDTH)), Map.of("x", normal(8, WIDTH)));

  private Tensor normal(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  private Value node(String name, String type, Value... inputs) {
    Value output = b.value(name + "_out", ValueType.UNKNOWN);
    b.addNode(name, "", type, Map.of(), List.of(inputs), List.of(output));
    return output;
  }

  private Value layer(String name, Value x, Tensor weight) {
    return node(name, "MatMul", x, b.constant(name + "_w", Constant.of(weight)));
  }

  private Graph graph() {
    Tensor up = normal(WIDTH, WIDTH);
    Tensor down = normal(WIDTH, WIDTH);
    for (int i = 0; i < down.size(); i++) {
      down.floats()[i] /= WIDTH; // the tanh behind is not saturated
    }
    for (int i = 0; i < WIDTH; i++) {
      up.floats()[i * WIDTH + 3] *= LOUD;
      down.floats()[3 * WIDTH + i] = 0;
    }
    Value first = layer("first", b.input("x", TensorType.of(DType.F32, 8, WIDTH)), up);
    Value silu = node("mul", "Mul", first, node("sigmoid", "Sigmoid", first));
    Value second = layer("second", silu, down);
    b.output(layer("third", node("tanh", "Tanh", second), normal(WIDTH, 4)));
    return b.build("g", Map.of());
  }

  private Quantizer.Options options(String... kept) {
    return quantizer
        .options("s8_symmetric_channel_restricted", new Calibrator.MinMax(), "interpreter", compile)
        .keeping(Keep.parse(List.of(kept)));
  }

  private Quantizer.Decisions decide(String... kept) {
    return quantizer.decide(base, samples, options(kept));
  }

  private double decibels(Quantizer.Decisions decisions) {
    Graph coded = quantizer.apply(base, decisions, compile);
    OutputNoise noise = new OutputNoise();
    for (Map<String, Tensor> sample : samples) {
      noise.add(output(base, sample), output(coded, sample));
    }
    return noise.sqnr();
  }

  private Tensor output(Graph graph, Map<String, Tensor> sample) {
    return compiler.link(graph, "interpreter", compile).run(sample).values().iterator().next();
  }

  private static Set<String> missing(Quantizer.Decisions all, Quantizer.Decisions some) {
    Set<String> missing = new TreeSet<>(all.plan().activations().keySet());
    missing.removeAll(some.plan().activations().keySet());
    return missing;
  }

  @Test
  void layersAreKeptByNameTypeOrExpression() {
    Set<String> all = Set.of("first", "second", "third");
    assertEquals(all, decide().plan().weights().keySet());
    assertEquals(Set.of("first", "third"), decide("name:second").plan().weights().keySet());
    assertEquals(Set.of("second"), decide("^(fir|thi)").plan().weights().keySet());
    assertEquals(Set.of("first"), decide("second", "name:third").plan().weights().keySet());
    assertEquals(
        "TSR-0412", assertThrows(TersorException.class, () -> decide("type:MatMul")).code());
  }

  @Test
  void modelsOfCodesAreRefusedWithTheReason() {
    GraphBuilder coded = new GraphBuilder(Map.of("", 17), 0);
    Value x = coded.input("x", TensorType.of(DType.U8, 2, 4));
    Value w = coded.constant("w", Constant.of(Tensor.zeros(DType.I8, 4, 3)));
    coded.output(coded.add("MatMulInteger", x, w));
    Graph model = quantizer.base(coded.build("g", Map.of()), compile);
    TersorException refused =
        assertThrows(TersorException.class, () -> quantizer.decide(model, List.of(), options()));
    assertEquals("TSR-0412", refused.code());
    assertTrue(
        String.valueOf(refused.getMessage()).contains("are codes already"), refused.toString());
  }

  @Test
  void whatOnlyAKeptLayerWantsHasNoCodes() {
    Quantizer.Decisions whole = decide();
    assertEquals(
        Set.of("x", "first_out", "mul_out", "second_out", "tanh_out"),
        whole.plan().activations().keySet());
    assertEquals(Set.of("second_out", "mul_out"), missing(whole, decide("name:second")));
    assertEquals(Set.of("mul_out"), missing(whole, decide("value:^mul")));
    assertEquals(Set.of("mul_out"), missing(whole, decide("name:mul_out")));
    assertEquals(whole.plan().weights(), decide("value:^mul").plan().weights());
  }

  @Test
  void whatIsKeptMustBeThere() {
    for (String wrong : List.of("name:fist", "type:Conv", "value:^z", "nothing")) {
      assertEquals("TSR-0427", assertThrows(TersorException.class, () -> decide(wrong)).code());
    }
    assertEquals("TSR-0906", assertThrows(TersorException.class, () -> decide("(")).code());
  }

  @Test
  void theLoudValuesLoseTheirCodesAndNoOthers() {
    Quantizer.Decisions whole = decide();
    double before = decibels(whole);
    double goal = 20;
    assertTrue(before < goal - 5, "one scale for all channels: " + before);
    List<String> steps = new ArrayList<>();
    Quantizer.Decisions repaired =
        quantizer.repaired(
            base,
            whole,
            samples,
            new RepairGoal(goal, Optional.empty()),
            options(),
            () -> {
              steps.add("step");
            });
    assertEquals(Set.of("first_out", "mul_out"), missing(whole, repaired));
    assertEquals(whole.plan().weights(), repaired.plan().weights());
    assertTrue(decibels(repaired) >= goal, "after the repair: " + decibels(repaired));
    assertEquals(5, steps.size());
    assertTrue(
        repaired.reports().getLast().contains("2 of 5 activations stay float"),
        repaired.reports().getLast());
  }

  @Test
  void moreBitsRepairToo() {
    Quantizer.Decisions whole = decide();
    Quantizer.Decisions repaired =
        quantizer.repaired(
            base,
            whole,
            samples,
            RepairGoal.parse("sqnr=20,as=u16_affine_tensor"),
            options(),
            () -> {});
    assertEquals(whole.plan().activations().keySet(), repaired.plan().activations().keySet());
    for (String name : List.of("first_out", "mul_out")) {
      assertEquals(
          "u16_affine_tensor",
          Objects.requireNonNull(repaired.plan().activations().get(name)).format());
    }
    assertTrue(decibels(repaired) >= 20, "after the repair: " + decibels(repaired));
  }

  @Test
  void whatIsGoodEnoughStaysAndWhatCannotBeReachedIsRefused() {
    Quantizer.Decisions whole = decide();
    RepairGoal low = new RepairGoal(1, Optional.empty());
    assertEquals(
        whole.plan(), quantizer.repaired(base, whole, samples, low, options(), () -> {}).plan());
    RepairGoal high = new RepairGoal(90, Optional.empty());
    TersorException refused =
        assertThrows(
            TersorException.class,
            () -> quantizer.repaired(base, whole, samples, high, options(), () -> {}));
    assertEquals("TSR-0426", refused.code());
    for (String wrong : List.of("", "sqnr", "sqnr=x", "as=u8_affine_tensor", "sqnr=1,2")) {
      assertEquals(
          "TSR-0906", assertThrows(TersorException.class, () -> RepairGoal.parse(wrong)).code());
    }
    assertFalse(RepairGoal.parse("sqnr=12").format().isPresent());
  }
}
