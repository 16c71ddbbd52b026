package org.tersor.conformance;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.conformance.Comparison.Rule;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Judges results by another runtime's on the same inputs. */
public final class Verifier {
  private final Reference reference;
  private final Compiler compiler;

  public Verifier(Reference reference, Compiler compiler) {
    this.reference = reference;
    this.compiler = compiler;
  }

  /**
   * The verdict; numbers are the worst of all outputs.
   *
   * @param rule in words, the tolerance that applied
   */
  public record Report(
      boolean passed,
      double maxAbs,
      double maxRel,
      double cosine,
      String rule,
      List<Comparison> outputs) {}

  /**
   * Runs the executable and the reference, compares every output.
   *
   * @param model the file that the reference runs
   * @param graph the same model with inferred types
   */
  public Report verify(Path model, Graph graph, Executable executable, Map<String, Tensor> inputs) {
    return judge(model, graph, executable.run(inputs), inputs);
  }

  /** Compares results that are there already. */
  public Report judge(
      Path model, Graph graph, Map<String, Tensor> actual, Map<String, Tensor> inputs) {
    Map<String, Tensor> expected = reference.run(model, inputs, Reference.Options.DEFAULT);
    boolean half = HalfToFloat.usesHalf(graph);
    Map<String, Tensor> truth = half ? float32(graph, inputs) : Map.of();
    List<Comparison> comparisons = new ArrayList<>();
    String text = "";
    for (Value output : graph.outputs()) {
      Tensor theirs = expected.get(output.name());
      Tensor ours = actual.get(output.name());
      if (theirs == null || ours == null) {
        throw new TersorException(
            "TSR-0806",
            "output '"
                + output.name()
                + "' is missing in the results of "
                + (ours == null ? "Tersor" : "the reference"));
      }
      Tensor exact = truth.get(output.name());
      Rule rule =
          exact != null && theirs.dtype().isFloat()
              ? new Rule.Half(exact)
              : Rules.of(graph, output, theirs);
      comparisons.add(Comparison.of(output.name(), ours, theirs, rule));
      text = describe(rule);
    }
    return new Report(
        comparisons.stream().allMatch(Comparison::passed),
        comparisons.stream().mapToDouble(Comparison::maxAbs).max().orElse(0),
        comparisons.stream().mapToDouble(Comparison::maxRel).max().orElse(0),
        comparisons.stream().mapToDouble(Comparison::cosine).min().orElse(1),
        text,
        comparisons);
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
  private Map<String, Tensor> float32(Graph graph, Map<String, Tensor> inputs) {
    Map<String, Tensor> wide = new LinkedHashMap<>();
    inputs.forEach((name, tensor) -> wide.put(name, HalfToFloat.convert(tensor)));
    try {
      Path folder = Files.createTempDirectory("tersor-float32");
      Path file = folder.resolve("float32.onnx");
      try {
        compiler.write(HalfToFloat.convert(graph), file, Map.of());
        return reference.run(file, wide, Reference.Options.DEFAULT);
      } finally {
        Files.deleteIfExists(file);
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
