package org.tersor.passes.equalize;

import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/** Divides channels of {@link ScaleGroup}s by given numbers and multiplies what reads them. */
public final class ScaleChannels implements Pass {
  private final Map<Value, double[]> scales;

  /**
   * @param scales positive numbers, one for each channel, by the value of a group
   */
  public ScaleChannels(Map<Value, double[]> scales) {
    this.scales = scales;
  }

  @Override
  public String id() {
    return "scale-channels";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    WeightEdits edits = new WeightEdits(graph);
    for (ScaleGroup group : ScaleGroup.find(graph, note -> {})) {
      double[] of = scales.get(group.value());
      if (of != null) {
        group.scale(edits, of);
      }
    }
    return edits.apply();
  }
}
