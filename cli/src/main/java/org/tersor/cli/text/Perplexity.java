package org.tersor.cli.text;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * What a language model thinks of texts: every token but the first of each text is predicted from
 * those before it. Logarithms are natural and in double.
 *
 * @param loss mean of -ln p over all predicted tokens of all texts
 * @param error standard error of the perplexity, or with a reference of its difference to the
 *     reference's; texts are drawn, not tokens (clusters); NaN of one text
 */
public record Perplexity(
    double loss, int tokens, int texts, double error, Optional<Against> reference) {
  /**
   * Beside another model at the same positions.
   *
   * @param kl mean of sum p_other (ln p_other - ln p) in nats
   * @param agreement share of positions where both find the same token most likely
   * @param largestChange largest |ln p - ln p_other| of a predicted token
   */
  public record Against(double loss, double kl, double agreement, double largestChange) {
    public double perplexity() {
      return Math.exp(loss);
    }
  }

  /** Sums of one text. */
  private record Text(int tokens, double loss, double otherLoss) {}

  /** e to the mean loss. */
  public double perplexity() {
    return Math.exp(loss);
  }

  /**
   * Measures.
   *
   * @param step called after each text
   */
  public static Perplexity measure(
      Executable model, Optional<Executable> reference, List<int[]> texts, Runnable step) {
    LanguageModel calls = LanguageModel.of(model);
    Optional<LanguageModel> otherCalls = reference.map(r -> LanguageModel.of(r));
    List<Text> sums = new ArrayList<>();
    double kl = 0;
    long same = 0;
    double change = 0;
    for (int[] ids : texts) {
      Tensor logits = logits(model, calls, ids);
      Optional<Tensor> others = reference.map(r -> logits(r, otherCalls.orElseThrow(), ids));
      int vocabulary = (int) logits.shape()[2];
      if (others.isPresent() && others.get().size() != logits.size()) {
        throw new TersorException(
            "TSR-0906", "the models' vocabularies differ: " + logits + ", " + others.get());
      }
      double loss = 0;
      double otherLoss = 0;
      double[] p = new double[vocabulary];
      double[] q = new double[vocabulary];
      for (int t = 0; t + 1 < ids.length; t++) {
        int best = logProbabilities(logits, t, p);
        int next = ids[t + 1];
        loss -= p[next];
        if (others.isPresent()) {
          same += logProbabilities(others.get(), t, q) == best ? 1 : 0;
          otherLoss -= q[next];
          change = Math.max(change, Math.abs(p[next] - q[next]));
          for (int v = 0; v < vocabulary; v++) {
            kl += Math.exp(q[v]) * (q[v] - p[v]);
          }
        }
      }
      sums.add(new Text(ids.length - 1, loss, otherLoss));
      step.run();
    }
    return of(sums, reference.isPresent(), kl, same, change);
  }

  private static Perplexity of(
      List<Text> sums, boolean compared, double kl, long same, double change) {
    int n = sums.stream().mapToInt(Text::tokens).sum();
    double loss = sums.stream().mapToDouble(Text::loss).sum() / n;
    double other = sums.stream().mapToDouble(Text::otherLoss).sum() / n;
    // Each text's share in the first-order change of exp(mean), or of the difference of two.
    double squares = 0;
    for (Text text : sums) {
      double share = Math.exp(loss) * (text.loss() - text.tokens() * loss) / n;
      if (compared) {
        share -= Math.exp(other) * (text.otherLoss() - text.tokens() * other) / n;
      }
      squares += share * share;
    }
    int texts = sums.size();
    double error = texts < 2 ? Double.NaN : Math.sqrt(squares * texts / (texts - 1.0));
    return new Perplexity(
        loss,
        n,
        texts,
        error,
        compared
            ? Optional.of(new Against(other, kl / n, same / (double) n, change))
            : Optional.empty());
  }

  private static Tensor logits(Executable model, LanguageModel calls, int[] ids) {
    Tensor logits = model.run(calls.inputs(ids)).get(calls.logits().name());
    if (logits == null || logits.shape().length != 3 || logits.shape()[1] != ids.length) {
      throw new TersorException(
          "TSR-0909", "the logits are " + logits + " for " + ids.length + " tokens");
    }
    return logits;
  }

  /** Fills in ln p at a position; the most likely token. */
  private static int logProbabilities(Tensor logits, int position, double[] p) {
    int at = position * p.length;
    int best = 0;
    for (int v = 0; v < p.length; v++) {
      p[v] = logits.getDouble(at + v);
      best = p[v] > p[best] ? v : best;
    }
    double largest = p[best];
    double sum = 0;
    for (double x : p) {
      sum += Math.exp(x - largest);
    }
    double log = largest + Math.log(sum);
    for (int v = 0; v < p.length; v++) {
      p[v] -= log;
    }
    return best;
  }

  /** For {@code --json}. */
  public Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "perplexity");
    json.put("value", perplexity());
    json.put("loss", loss);
    json.put("tokens", tokens);
    json.put("texts", texts);
    if (reference.isEmpty() && texts > 1) {
      json.put("standardError", error);
    }
    reference.ifPresent(other -> {
      json.put("referencePerplexity", other.perplexity());
      json.put("difference", perplexity() - other.perplexity());
      if (texts > 1) {
        json.put("standardErrorOfDifference", error);
      }
      json.put("kl", other.kl());
      json.put("top1Agreement", other.agreement());
      json.put("largestChangeOfLogP", other.largestChange());
    });
    return json;
  }
}
