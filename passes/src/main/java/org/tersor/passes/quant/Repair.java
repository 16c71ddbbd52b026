package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.tersor.passes.quant.MixedSearch.Option;
import org.tersor.passes.quant.MixedSearch.Point;

/**
 * Mends a combination: costs that were measured alone do not add up, so its neighbours are run.
 *
 * @param nanos whether the budget is nanoseconds, not bytes
 */
record Repair(FormatCosts costs, double budget, boolean nanos) {
  /** Trials of one repair. */
  private static final int TRIALS = 24;

  /**
   * Changes one or two items at a time while the measured cost falls and the budget holds.
   *
   * @param said takes a sentence for each change that is kept
   */
  Point repaired(Point start, Consumer<String> said) {
    Point best = start;
    int trials = TRIALS;
    boolean better = true;
    while (better && trials > 0) {
      better = false;
      for (List<Integer> candidate : neighbours(best)) {
        if (trials-- <= 0) {
          break;
        }
        Point trial = costs.measure(start.name(), candidate);
        if (trial.cost() < best.cost() * 0.995) {
          said.accept(change(best, trial));
          best = trial;
          better = true;
          break;
        }
      }
    }
    return best;
  }

  private String change(Point from, Point to) {
    List<String> parts = new ArrayList<>();
    for (int i = 0; i < costs.items().size(); i++) {
      if (!from.chosen().get(i).equals(to.chosen().get(i))) {
        parts.add(
            String.join(" ", costs.items().get(i).layers())
                + " to "
                + costs.items().get(i).options().get(to.chosen().get(i)).format());
      }
    }
    return String.format(
        java.util.Locale.ROOT,
        "%s: measured cost %.4g instead of %.4g",
        String.join(", ", parts),
        to.cost(),
        from.cost());
  }

  /** One item raised, or one raised and one lowered, within the budget; by predicted cost. */
  private List<List<Integer>> neighbours(Point point) {
    Map<List<Integer>, Double> found = new LinkedHashMap<>();
    for (int i = 0; i < costs.items().size(); i++) {
      for (int o = 0; o < costs.items().get(i).options().size(); o++) {
        if (o == point.chosen().get(i)) {
          continue;
        }
        List<Integer> one = new ArrayList<>(point.chosen());
        one.set(i, o);
        offer(found, one);
        for (int j = 0; j < costs.items().size(); j++) {
          for (int q = 0; j != i && q < costs.items().get(j).options().size(); q++) {
            if (q != point.chosen().get(j)) {
              List<Integer> two = new ArrayList<>(one);
              two.set(j, q);
              offer(found, two);
            }
          }
        }
      }
    }
    return found.entrySet().stream()
        .sorted(Map.Entry.comparingByValue())
        .limit(TRIALS)
        .map(Map.Entry::getKey)
        .toList();
  }

  private void offer(Map<List<Integer>, Double> found, List<Integer> chosen) {
    double price = nanos ? 0 : costs.otherBytes();
    double cost = 0;
    for (int i = 0; i < costs.items().size(); i++) {
      Option option = costs.items().get(i).options().get(chosen.get(i));
      price += nanos ? option.nanos() : option.bytes();
      cost += option.cost();
    }
    if (price <= budget) {
      found.putIfAbsent(chosen, cost);
    }
  }
}
