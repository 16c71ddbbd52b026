package org.tersor.cli.text;

import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.tersor.runtime.Tensor;

/**
 * Chooses tokens by their logits.
 *
 * @param temperature 0: always the most likely one, the first of equals; else logits are divided by
 *     it
 * @param topP tokens beyond the most likely ones that have this probability together are left out
 */
public record Sampler(double temperature, double topP, SplittableRandom random) {

  /**
   * The next token by the logits of the last position.
   *
   * @param logits [1, sequence, vocabulary]
   */
  public int next(Tensor logits) {
    int vocabulary = (int) logits.shape()[2];
    int at = logits.size() - vocabulary;
    int best = 0;
    for (int v = 1; v < vocabulary; v++) {
      best = logits.getDouble(at + v) > logits.getDouble(at + best) ? v : best;
    }
    if (temperature == 0) {
      return best;
    }
    double largest = logits.getDouble(at + best);
    double[] weights = new double[vocabulary];
    double sum = 0;
    for (int v = 0; v < vocabulary; v++) {
      weights[v] = Math.exp((logits.getDouble(at + v) - largest) / temperature);
      sum += weights[v];
    }
    List<Integer> order =
        IntStream.range(0, vocabulary)
            .boxed()
            .sorted(Comparator.comparingDouble(v -> -weights[v]))
            .toList();
    int kept = 0;
    double share = 0;
    while (kept < vocabulary && (kept == 0 || share < topP * sum)) {
      share += weights[order.get(kept++)];
    }
    double left = random.nextDouble() * share;
    for (int i = 0; i < kept; i++) {
      left -= weights[order.get(i)];
      if (left < 0) {
        return order.get(i);
      }
    }
    return order.get(kept - 1);
  }
}
