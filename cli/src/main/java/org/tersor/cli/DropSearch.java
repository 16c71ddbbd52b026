package org.tersor.cli;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import org.tersor.cli.data.Samples;
import org.tersor.cli.text.Perplexity;
import org.tersor.passes.quant.MixedSearch;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * The smallest combination whose loss is within an allowance, by a test on paired outcomes.
 *
 * @param loss of a combination, run as it would be deployed
 * @param said takes a sentence for each test
 */
record DropSearch(
    MixedSearch search, Function<MixedSearch.Point, PairedDrop> loss, Consumer<String> said) {

  /**
   * Halves the front, then raises what is next smaller item by item.
   *
   * @param front smallest first
   */
  MixedSearch.Point smallest(List<MixedSearch.Point> front, double allowed) {
    int low = 0;
    int high = front.size();
    while (low < high) {
      int middle = (low + high) / 2;
      if (passes(front.get(middle), allowed)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    if (high == front.size()) {
      throw new TersorException(
          "TSR-0424",
          String.format(
              Locale.ROOT,
              "no combination loses less than %.3g with 95 %% confidence; allow more, add larger"
                  + " --formats or float, or test on more --data",
              allowed));
    }
    MixedSearch.Point best = front.get(high);
    if (high > 0) {
      Optional<List<Integer>> raised = search.raised(front.get(high - 1));
      while (raised.isPresent()) {
        MixedSearch.Point at = search.measure("mixed", raised.get());
        if (at.bytes() >= best.bytes()) {
          break;
        }
        if (passes(at, allowed)) {
          best = at;
          break;
        }
        raised = search.raised(at);
      }
    }
    return search.measure("chosen", best.chosen());
  }

  private boolean passes(MixedSearch.Point point, double allowed) {
    PairedDrop drop = loss.apply(point);
    said.accept(
        String.format(
            Locale.ROOT,
            "%s: loses %.3f %%, below %.3f %% with 95 %% confidence: %s",
            Common.bytes(point.bytes()),
            100 * drop.value(),
            100 * drop.upper(),
            drop.within(allowed) ? "passes" : "does not pass"));
    return drop.within(allowed);
  }

  /** Relative rise of the perplexity; texts are drawn, not tokens. */
  static PairedDrop perplexity(Executable model, Executable reference, List<int[]> texts) {
    double[] losses = new double[texts.size()];
    double[] sizes = new double[texts.size()];
    for (int i = 0; i < losses.length; i++) {
      Perplexity one =
          Perplexity.measure(model, Optional.of(reference), List.of(texts.get(i)), () -> {});
      losses[i] = (one.loss() - one.reference().orElseThrow().loss()) * one.tokens();
      sizes[i] = one.tokens();
    }
    PairedDrop mean = PairedDrop.of(losses, sizes);
    return new PairedDrop(Math.expm1(mean.value()), Math.expm1(mean.upper()));
  }

  /** Share of the samples that became wrong, less those that became right. */
  static PairedDrop accuracy(Executable model, Executable reference, Samples.Data labelled, int n) {
    int goodToBad = 0;
    int badToGood = 0;
    for (int i = 0; i < n; i++) {
      Map<String, Tensor> call = labelled.read(i, 1);
      Tensor here = model.run(call).values().iterator().next();
      Tensor there = reference.run(call).values().iterator().next();
      int label = labelled.labels().get(i);
      boolean right = PairedOutcomes.best(here, 0, here.size()) == label;
      boolean wasRight = PairedOutcomes.best(there, 0, there.size()) == label;
      goodToBad += wasRight && !right ? 1 : 0;
      badToGood += right && !wasRight ? 1 : 0;
    }
    return PairedDrop.ofFlips(goodToBad, badToGood, n);
  }
}
