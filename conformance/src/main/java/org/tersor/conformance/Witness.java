package org.tersor.conformance;

import static java.util.stream.Collectors.toSet;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.eval.Evaluator;
import org.tersor.passes.graph.Retype;
import org.tersor.passes.graph.WidenToFloat64;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * A third opinion where two float32 implementations differ: the model as it was imported, run by
 * the interpreter in float64 throughout. It tells whose error is larger.
 */
public final class Witness {
  private Witness() {}

  /**
   * Distance of one side's output from the witness.
   *
   * @param maxAbs largest absolute error
   * @param rms root of the mean squared error
   * @param worst largest error as a multiple of what the tolerance of float32 models allows there
   * @param outside number of values outside that tolerance
   */
  public record Distance(double maxAbs, double rms, double worst, long outside) {
    boolean isNoFartherThan(Distance other) {
      return Double.isFinite(worst) && worst <= other.worst && outside <= other.outside;
    }
  }

  /** Both sides' distances of one output; the smaller {@code rms} is the more exact side. */
  public record Opinion(String output, Distance tersor, Distance reference) {}

  /**
   * Whether what failed against the reference is the reference's error: Tersor is nowhere farther
   * from the witness, neither by its worst value nor by the number of those outside the tolerance.
   * An output that failed without an opinion (integers, another shape) speaks against it.
   */
  public static boolean absolves(List<Opinion> opinions, List<Comparison> outputs) {
    Set<String> heard = opinions.stream().map(Opinion::output).collect(toSet());
    return outputs.stream().allMatch(output -> output.passed() || heard.contains(output.name()))
        && opinions.stream().allMatch(opinion -> opinion.tersor.isNoFartherThan(opinion.reference));
  }

  /** Outputs by name, in float64 where the model has floats. */
  public static Map<String, Tensor> run(
      Graph imported, OpRegistry operators, Map<String, Tensor> inputs) {
    Graph typed = TypeInference.infer(imported, operators, note -> {}).graph();
    List<Tensor> given = new ArrayList<>();
    for (var input : imported.inputs()) {
      Tensor tensor = inputs.get(input.name());
      if (tensor == null) {
        throw new TersorException("TSR-0701", "input '" + input.name() + "' is missing");
      }
      given.add(Retype.TO_DOUBLE.tensor(tensor));
    }
    List<Tensor> results = new Evaluator(WidenToFloat64.of(typed, operators), operators).run(given);
    Map<String, Tensor> byName = new LinkedHashMap<>();
    for (int i = 0; i < results.size(); i++) {
      byName.put(imported.outputs().get(i).name(), results.get(i));
    }
    return byName;
  }

  /** Judges the float outputs that both sides have in the witness's shape. */
  public static List<Opinion> judge(
      Map<String, Tensor> witness, Map<String, Tensor> tersor, Map<String, Tensor> reference) {
    List<Opinion> opinions = new ArrayList<>();
    witness.forEach((name, exact) -> {
      Tensor ours = tersor.get(name);
      Tensor theirs = reference.get(name);
      if (ours != null
          && theirs != null
          && exact.dtype().isFloat()
          && ours.size() == exact.size()
          && theirs.size() == exact.size()) {
        opinions.add(new Opinion(name, distance(ours, exact), distance(theirs, exact)));
      }
    });
    return opinions;
  }

  private static Distance distance(Tensor values, Tensor exact) {
    double max = 0;
    double squares = 0;
    double worst = 0;
    long outside = 0;
    Comparison.Rule.Close rule = Comparison.FLOAT32;
    for (int i = 0; i < exact.size(); i++) {
      double e = exact.getDouble(i);
      double v = values.getDouble(i);
      if (v == e || (Double.isNaN(v) && Double.isNaN(e))) {
        continue;
      }
      double error = Math.abs(v - e);
      error = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
      max = Math.max(max, error);
      squares += error * error;
      double allowed = rule.atol() + rule.rtol() * Math.abs(e);
      worst = Math.max(worst, Double.isFinite(error) ? error / allowed : error);
      outside += error <= allowed ? 0 : 1;
    }
    return new Distance(max, Math.sqrt(squares / Math.max(1, exact.size())), worst, outside);
  }
}
