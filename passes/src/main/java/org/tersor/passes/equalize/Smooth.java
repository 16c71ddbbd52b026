package org.tersor.passes.equalize;

import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/**
 * SmoothQuant (Xiao et al., arXiv 2211.10438): channel j of what layers read is divided by {@code
 * max|X_j|^alpha / max|W_j|^(1 - alpha)}, their rows are multiplied by it. The divisors go into the
 * gains of the norm before, or, where asked for, into the layer whose result is a factor of the
 * value.
 */
public final class Smooth implements Pass {
  private static final double FLOOR = 1e-5;

  private final double alpha;
  private final boolean products;
  private final Map<Value, double[]> largest;

  /**
   * @param products whether values that are products are smoothed too
   * @param largest the largest magnitude of each channel of a value
   */
  public Smooth(double alpha, boolean products, Map<Value, double[]> largest) {
    this.alpha = alpha;
    this.products = products;
    this.largest = largest;
  }

  @Override
  public String id() {
    return "smooth";
  }

  @Override
  public java.util.Set<String> needs() {
    return java.util.Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Consumer<String> report = text -> context.note().accept("smooth: " + text);
    WeightEdits edits = new WeightEdits(graph);
    int norms = 0;
    int others = 0;
    int left = 0;
    for (ScaleGroup group : ScaleGroup.find(graph, report)) {
      Optional<double[]> range = Optional.ofNullable(largest.get(group.value()));
      if (range.isEmpty() || (!group.ofNorm() && !products)) {
        left++;
        continue;
      }
      group.scale(edits, scales(group, edits, range.get()));
      if (group.ofNorm()) {
        norms++;
      } else {
        others++;
      }
    }
    report.accept(
        norms
            + " norms and "
            + others
            + " products are smoothed with alpha "
            + alpha
            + (left == 0 ? "" : "; " + left + " values that could be are left out"));
    return edits.apply();
  }

  private double[] scales(ScaleGroup group, WeightEdits edits, double[] range) {
    double[] scales = new double[group.width(edits)];
    for (int j = 0; j < scales.length; j++) {
      double weight = 0;
      for (Node reader : group.readers()) {
        WeightEdits.Matrix w = edits.matrix(reader);
        for (int n = 0; n < w.out(); n++) {
          weight = Math.max(weight, Math.abs(w.value(j, n)));
        }
      }
      scales[j] =
          Math.pow(Math.max(range[j], FLOOR), alpha) / Math.pow(Math.max(weight, FLOOR), 1 - alpha);
    }
    return scales;
  }
}
