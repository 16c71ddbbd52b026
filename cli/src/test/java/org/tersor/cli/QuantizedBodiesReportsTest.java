package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.Diagnostician;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.RepairGoal;

/** Repair and reports see layers in bodies. */
class QuantizedBodiesReportsTest extends QuantizedBodies {
  /** Codes in bodies cost the model's outputs like others: repair takes the worst of them away. */
  @Test
  void aRepairSwitchesQuantizersInBodies() {
    Quantizer.Decisions whole = quantizer.decide(base, samples, options());
    Set<String> all = whole.plan().activations().keySet();
    double before = decibels(quantizer.apply(base, whole, compile));
    int[] measured = {0};
    Quantizer.Decisions repaired =
        quantizer.repaired(
            base,
            whole,
            samples,
            RepairGoal.parse("sqnr=" + (before + 1.5)),
            options(),
            () -> measured[0]++);
    Set<String> left = new TreeSet<>(all);
    left.removeAll(repaired.plan().activations().keySet());
    assertTrue(left.stream().anyMatch(name -> name.contains("/")), left::toString);
    assertTrue(left.size() < all.size(), left::toString);
    double after = decibels(quantizer.apply(base, repaired, compile));
    assertTrue(after >= before + 1.4, () -> before + " dB, then " + after);
    String last = repaired.reports().getLast();
    assertTrue(last.contains(left.size() + " of " + measured[0] + " activations"), last);
    for (String body : List.of(THEN, ELSE, LOOP, INNER, SCAN)) {
      assertTrue(all.stream().anyMatch(name -> name.startsWith(body)), body);
    }
    assertTrue(measured[0] > 5, measured[0] + " are measured");
  }

  /** A report judges layers in bodies by calls that reach them, and draws them. */
  @Test
  void aReportSeesLayersInBodies() {
    Quantizer.Quantized quantized = quantizer.quantize(model, samples, options());
    List<Quantizer.LayerError> errors = quantizer.errors(quantized, samples, options());
    Diagnosis diagnosis =
        new Diagnostician(compiler, quantized, "interpreter", compile).diagnose(samples, errors);
    assertEquals(
        LAYERS, diagnosis.layers().stream().map(Diagnosis.Layer::node).collect(Collectors.toSet()));
    for (Diagnosis.Layer layer : diagnosis.layers()) {
      assertTrue(layer.isolated() > 20 && layer.isolated() < 80, layer::toString);
      assertTrue(layer.accumulated().isPresent(), layer::node);
    }
    List<Diagnosis.Box> boxes = diagnosis.boxes();
    for (int i = 0; i < boxes.size(); i++) {
      for (int from : boxes.get(i).from()) {
        assertTrue(from < i, boxes.get(i)::toString);
        assertEquals(path(boxes.get(from).name()), path(boxes.get(i).name()));
      }
    }
    assertEquals(samples.size(), diagnosis.samples().size());
  }

  private static String path(String name) {
    return name.substring(0, name.lastIndexOf('/') + 1);
  }
}
