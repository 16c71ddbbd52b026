package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.quant.CalibrationCache;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Keep;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.Tensor;

/**
 * Layers inside of If, Loop and Scan are quantized as those outside are: by what reaches them
 * there.
 */
class QuantizedBodiesTest extends QuantizedBodies {
  @Test
  void everyLayerHasANameOfItsOwnAndComputesWithIntegers() {
    Quantizer.Quantized quantized = quantizer.quantize(model, samples, options());
    assertEquals(LAYERS, quantized.plan().weights().keySet());
    List<Quantizer.Layer> layers = quantizer.layers(quantized, compile);
    // What a branch ends with leaves it as floats, as at the end of a model.
    Set<String> ends = Set.of(THEN + "two", ELSE + "two", INNER + "deep", "head");
    for (Quantizer.Layer layer : layers) {
      assertEquals(ends.contains(layer.node()), layer.kernel().isEmpty(), layer::toString);
      assertEquals(
          ends.contains(layer.node()) ? "its result leaves the model as floats" : "", layer.why());
    }
    assertTrue(decibels(quantized.graph()) > 20, () -> "" + decibels(quantized.graph()));
    Set<String> measured =
        quantizer.errors(quantized, samples, options()).stream()
            .map(Quantizer.LayerError::node)
            .collect(Collectors.toSet());
    assertEquals(LAYERS, measured);
  }

  /** What a loop carries is calibrated over all iterations, not over the first alone. */
  @Test
  void aLoopIsCalibratedInEveryIteration() {
    Quantizer.Decisions decisions = quantizer.decide(base, samples, options());
    QuantPlan.Activation seen =
        Objects.requireNonNull(decisions.plan().activations().get(LOOP + "state"));
    double low = 0;
    double high = 0;
    double first = 0;
    for (Map<String, Tensor> sample : samples) {
      Tensor state = part(sample, "chosen", Map.of());
      for (int trip = 0; trip < TRIPS; trip++) {
        for (int i = 0; i < state.size(); i++) {
          low = Math.min(low, state.getDouble(i));
          high = Math.max(high, state.getDouble(i));
          first = trip == 0 ? Math.max(first, Math.abs(state.getDouble(i))) : first;
        }
        state = part(sample, "looped", Map.of("again", trip + 1L));
      }
    }
    double scale = Objects.requireNonNull(seen.parameters().get("scale"));
    assertEquals((high - low) / 255, scale, 1e-5 * scale, first + " in the first iteration");
  }

  /** A value of the float model, with other trip counts of loops. */
  private Tensor part(Map<String, Tensor> sample, String value, Map<String, Long> trips) {
    List<Node> nodes = new ArrayList<>();
    Map<Value, Constant> constants = new java.util.LinkedHashMap<>(base.constants());
    Value found = Value.NONE;
    for (Node node : base.nodes()) {
      Long count = trips.get(node.name());
      if (count != null) {
        constants.put(node.input(0), Constant.of(Tensor.of(new long[] {count})));
      }
      nodes.add(node);
      for (Value output : node.outputs()) {
        found = output.name().equals(value) ? output : found;
      }
    }
    Graph cut =
        new Graph(
            "part",
            base.inputs(),
            List.of(found),
            nodes,
            constants,
            base.types(),
            base.opsets(),
            Map.of());
    return output(cut, "interpreter", sample);
  }

  @Test
  void aMethodThatLooksAtInputsSeesThoseOfTheBody() {
    Quantizer.Options four =
        quantizer
            .options(
                "s4_symmetric_channel_restricted", new Calibrator.MinMax(), "interpreter", compile)
            .with(WeightMethod.parse("gptq"), new ChannelFactors.None());
    Quantizer.Decisions decisions = quantizer.decide(base, samples, four);
    for (String layer : LAYERS) {
      List<String> told =
          decisions.reports().stream().filter(r -> r.startsWith(layer + ": s4")).toList();
      assertEquals(1, told.size(), layer);
      assertTrue(told.getFirst().contains("squared error of results"), told::toString);
    }
  }

  /** A branch that no sample takes has no ranges: its weights are coded, nothing is invented. */
  @Test
  void aBranchThatNoSampleTakesKeepsFloatActivations() {
    List<Map<String, Tensor>> one = samples.stream().filter(s -> isThen(s)).toList();
    Quantizer.Decisions decisions = quantizer.decide(base, one, options());
    assertEquals(LAYERS, decisions.plan().weights().keySet());
    Set<String> activations = decisions.plan().activations().keySet();
    assertTrue(activations.stream().anyMatch(n -> n.startsWith(THEN)), activations::toString);
    assertFalse(activations.stream().anyMatch(n -> n.startsWith(ELSE)), activations::toString);
    assertEquals(
        1,
        decisions.reports().stream()
            .filter(r -> r.startsWith(ELSE) && r.contains("no calibration sample reaches it"))
            .count(),
        decisions.reports()::toString);
  }

  private static boolean isThen(Map<String, Tensor> sample) {
    return Objects.requireNonNull(sample.get("c")).getLong(0) != 0;
  }

  @Test
  void dynamicGridsAndKeptLayersReachIntoBodies() {
    Quantizer.Options dynamic =
        new Quantizer.Options(
                options().weights(),
                Optional.of("dynamic_u8_tensor"),
                new Calibrator.MinMax(),
                "interpreter",
                compile)
            .keeping(Keep.parse(List.of("name:" + INNER + "deep", "^scan")));
    Quantizer.Quantized quantized = quantizer.quantize(model, List.of(), dynamic);
    Set<String> left = new TreeSet<>(LAYERS);
    left.removeAll(Set.of(INNER + "deep", SCAN + "in", SCAN + "rec"));
    assertEquals(left, quantized.plan().weights().keySet());
    assertTrue(decibels(quantized.graph()) > 20, () -> "" + decibels(quantized.graph()));
  }

  @Test
  void biasesAndFactorsOfBodiesAreInThePlan() {
    Quantizer.Decisions decisions =
        quantizer.decide(
            base,
            samples,
            options().with(WeightMethod.parse("rtn"), ChannelFactors.parse("smooth:0.5")));
    Graph equal = quantizer.equalized(base, decisions);
    for (Map<String, Tensor> sample : samples) {
      near(
          output(base, "interpreter", sample),
          output(equal, "interpreter", sample),
          1e-5,
          "factors leave the float model as it is");
    }
    Quantizer.Decisions corrected =
        quantizer.corrected(base, decisions, samples, "fast", options());
    assertTrue(
        corrected.reports().stream().anyMatch(r -> r.startsWith(THEN) && r.contains("bias")),
        corrected.reports()::toString);
  }

  /** What was seen in bodies is kept apart, and joined as one stream would have seen it. */
  @Test
  void shardsOfCalibrationJoinInBodiesToo() {
    List<CalibrationCache> seen = new ArrayList<>();
    Quantizer.Decisions whole =
        quantizer.decide(base, samples, options(), Optional.empty(), seen::add);
    quantizer.decide(base, samples.subList(0, 2), options(), Optional.empty(), seen::add);
    CalibrationCache half = CalibrationCache.parse(seen.get(1).text());
    assertEquals(seen.get(1).text(), half.text());
    Quantizer.Decisions resumed =
        quantizer.decide(base, samples.subList(2, 4), options(), Optional.of(half), seen::add);
    assertEquals(whole.plan().text(), resumed.plan().text());
    assertEquals(seen.get(0).text(), seen.get(2).text());
    Quantizer.Decisions without =
        quantizer.decide(base, List.of(), options(), Optional.of(seen.get(2)), c -> {});
    assertEquals(whole.plan().activations(), without.plan().activations());
  }
}
