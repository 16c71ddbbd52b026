package org.tersor.conformance;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import org.tersor.conformance.Comparison.Rule;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Retype;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Judges results by another runtime's on the same inputs. */
public final class Verifier {
  private final Reference reference;
  private final Compiler compiler;
  private final boolean contradictory;
  private final boolean rounded;

  /** Four times the step of bfloat16 at the largest value. */
  private static final double ROUNDED_PART = 1.0 / 64;

  public Verifier(Reference reference, Compiler compiler) {
    this(reference, compiler, false, false);
  }

  private Verifier(Reference reference, Compiler compiler, boolean contradictory, boolean rounded) {
    this.reference = reference;
    this.compiler = compiler;
    this.contradictory = contradictory;
    this.rounded = rounded;
  }

  /**
   * The verdict; numbers are the worst of all outputs.
   *
   * @param rule in words, the tolerance that applied
   * @param actual what was judged, by output, where it is a tensor
   * @param expected the reference's results that are tensors
   * @param notes what is worth knowing about the reference's run
   */
  public record Report(
      boolean passed,
      double maxAbs,
      double maxRel,
      double cosine,
      String rule,
      List<Comparison> outputs,
      Map<String, Tensor> actual,
      Map<String, Tensor> expected,
      List<String> notes) {}

  /**
   * Runs the executable and the reference, compares every output.
   *
   * @param model the file that the reference runs
   * @param graph the same model with inferred types
   */
  public Report verify(
      Path model, Graph graph, Executable executable, Map<String, ? extends Datum> inputs) {
    return judge(model, graph, executable.call(inputs), inputs);
  }

  /**
   * The same for a file whose declared shapes its nodes contradict, see {@link ReferenceModels}.
   */
  public Verifier withContradictions(boolean newContradictory) {
    return new Verifier(reference, compiler, newContradictory, rounded);
  }

  /**
   * The same where factors of float32 products are rounded to bfloat16, see {@link
   * org.tersor.ir.spi.Program#ROUNDED}: floats may differ by {@value #ROUNDED_PART} of an output's
   * largest value.
   */
  public Verifier withRounded(boolean newRounded) {
    return new Verifier(reference, compiler, contradictory, newRounded);
  }

  /** Compares results with stored ones, by the rules for the model's outputs. */
  public static List<Comparison> compare(
      Graph graph, Map<String, Tensor> actual, Map<String, Tensor> stored) {
    List<Comparison> comparisons = new ArrayList<>();
    stored.forEach((name, expected) -> {
      Value output =
          graph.outputs().stream()
              .filter(v -> v.name().equals(name))
              .findFirst()
              .orElseThrow(() -> missing(name, "the model"));
      Tensor ours = actual.get(name);
      if (ours == null) {
        throw missing(name, "the results of Tersor");
      }
      comparisons.add(Comparison.of(name, ours, expected, Rules.of(graph, output, expected)));
    });
    return comparisons;
  }

  private static TersorException missing(String output, String where) {
    return new TersorException("TSR-0806", "output '" + output + "' is missing in " + where);
  }

  /** Compares results that are there already. */
  public Report judge(
      Path model,
      Graph graph,
      Map<String, ? extends Datum> actual,
      Map<String, ? extends Datum> inputs) {
    List<String> notes = new ArrayList<>();
    Map<String, Datum> expected;
    try (Reference.Session session =
        ReferenceModels.open(
            reference, model, Reference.Options.DEFAULT, contradictory, notes::add)) {
      expected = session.run(inputs);
    }
    boolean half = Retype.HALF_TO_FLOAT.changes(graph);
    Map<String, Tensor> truth = half ? float32(graph, inputs) : Map.of();
    List<Comparison> comparisons = new ArrayList<>();
    String text = "";
    for (Value output : graph.outputs()) {
      Datum theirs = expected.get(output.name());
      Datum ours = actual.get(output.name());
      if (theirs == null || ours == null) {
        throw missing(
            output.name(), "the results of " + (ours == null ? "Tersor" : "the reference"));
      }
      BiFunction<String, Tensor, Rule> rules =
          (leaf, tensor) -> {
            Tensor exact = truth.get(leaf);
            return exact != null && tensor.dtype().isFloat()
                ? new Rule.Half(exact)
                : rounded && tensor.dtype() == DType.F32
                    ? new Rule.Close(0, ROUNDED_PART * Comparison.largest(tensor))
                    : Rules.of(graph, output, tensor);
          };
      comparisons.addAll(Comparison.all(output.name(), ours, theirs, rules));
      if (theirs instanceof Tensor tensor) {
        text = describe(rules.apply(output.name(), tensor));
      }
    }
    return new Report(
        comparisons.stream().allMatch(Comparison::passed),
        comparisons.stream().mapToDouble(Comparison::maxAbs).max().orElse(0),
        comparisons.stream().mapToDouble(Comparison::maxRel).max().orElse(0),
        comparisons.stream().mapToDouble(Comparison::cosine).min().orElse(1),
        text,
        comparisons,
        Reference.tensors(actual),
        Reference.tensors(expected),
        notes);
  }

  private static String describe(Rule rule) {
    return switch (rule) {
      case Rule.Close close -> "rtol " + close.rtol() + ", atol " + close.atol();
      case Rule.Exact _ -> "equal";
      case Rule.Steps steps -> "within " + steps.max() + " quantization step of " + steps.step();
      case Rule.Half _ ->
          "float16: same top 5, cosine at least 0.9999, error at most twice the reference's";
    };
  }

  /** Outputs of the float32 form of a float16 model, by the reference. */
  private Map<String, Tensor> float32(Graph graph, Map<String, ? extends Datum> inputs) {
    Map<String, Datum> wide = new LinkedHashMap<>();
    inputs.forEach((name, datum) ->
        wide.put(name, datum instanceof Tensor t ? Retype.HALF_TO_FLOAT.tensor(t) : datum));
    try {
      Path folder = Files.createTempDirectory("tersor-float32");
      Path file = folder.resolve("float32.onnx");
      try {
        compiler.write(Retype.HALF_TO_FLOAT.graph(graph), file, Map.of());
        return Leaves.of(reference.call(file, wide, Reference.Options.DEFAULT));
      } finally {
        Files.deleteIfExists(file);
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
