package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.conformance.Comparison;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.RandomInputs;
import org.tersor.conformance.Reference;
import org.tersor.conformance.Verifier;
import org.tersor.conformance.Witness;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code tersor verify}: the same inputs through Tersor and ONNX Runtime; {@link Verifier} is its
 * Java API.
 */
@Command(
    name = "verify",
    description = {
      "Compares a model's results with ONNX Runtime's on the same inputs.",
      "float32: rtol 1e-3, atol 1e-5; with products rounded to bfloat16 (--target avx512bf16) a 64th of the largest value. float16: same top 5, cosine 0.9999, error at most twice ONNX Runtime's. Integers: equal, or one quantization step apart."
    })
final class VerifyCommand implements Callable<Integer> {
  @Mixin ModelOptions options;

  @Option(
      names = "--reference",
      paramLabel = "X.onnx",
      description = "The model that ONNX Runtime runs, if it is not MODEL itself.")
  Optional<Path> reference = Optional.empty();

  @Option(
      names = "--reference-timeout",
      paramLabel = "SECONDS",
      defaultValue = "300",
      description = "Time limit of ONNX Runtime (default: ${DEFAULT-VALUE}).")
  long timeout;

  @Option(
      names = "--expect",
      paramLabel = "[NAME=]FILE",
      description =
          "Compare an output with a stored one too: .pb (a TensorProto), .npy or .npz; without NAME the first output.")
  List<String> expect = new ArrayList<>();

  @Option(
      names = "--witness",
      description =
          "Run the model in float64 in the interpreter too, and tell how far each side is from it. Where the tolerance"
              + " fails, it decides: passed if Tersor is on no output farther from it than ONNX Runtime, by the worst"
              + " value and by the number of values outside the tolerance. Slow.")
  boolean witness;

  @Override
  public Integer call() throws IOException {
    Compiler compiler = options.common.compiler();
    if (options.isArtifact() && reference.isEmpty()) {
      throw new TersorException(
          "TSR-0906", "an artifact is judged against its model: give --reference X.onnx");
    }
    LoadedModel loaded = options.load(compiler, reference);
    Map<String, RandomInputs.Drawn> inputs = options.inputs(loaded);
    try (Reference ort = new OrtWorker(Duration.ofSeconds(timeout))) {
      Path judge = judge(compiler, loaded);
      Verifier.Report report =
          new Verifier(ort, compiler)
              .withContradictions(!options.contradictions().isEmpty())
              .withRounded(rounds(compiler, loaded))
              .verify(judge, loaded.graph(), loaded.executable(), ModelOptions.data(inputs));
      List<Comparison> stored =
          Verifier.compare(loaded.graph(), report.actual(), stored(loaded.graph()));
      List<Witness.Opinion> opinions =
          witness
              ? Witness.judge(
                  Witness.run(
                      options.read(compiler, judge),
                      compiler.registry().operators(),
                      ModelOptions.tensors(inputs)),
                  report.actual(),
                  report.expected())
              : List.of();
      boolean absolved =
          witness && !report.passed() && Witness.absolves(opinions, report.outputs());
      boolean passed =
          (report.passed() || absolved) && stored.stream().allMatch(Comparison::passed);
      print(passed, absolved, report, stored, opinions, ort.name(), loaded, inputs);
      return passed ? Exit.OK : Exit.CHECK_FAILED;
    }
  }

  /** Whether it runs code for a target that rounds; not by what the model says of itself. */
  private boolean rounds(Compiler compiler, LoadedModel loaded) {
    List<String> names =
        loaded.executable() instanceof SoArtifact library
            ? library.targets()
            : options.target.stream().toList();
    return compiler.registry().backends().stream()
        .filter(each -> each.provider() instanceof Backend.OfProgram)
        .map(each -> (Backend.OfProgram) each.provider())
        .flatMap(backend -> backend.namedTargets().stream())
        .filter(target -> target.has(Target.Feature.BF16_DOT))
        .anyMatch(target -> names.contains(target.name()));
  }

  /** What ONNX Runtime runs: of a file that it cannot read, our export. */
  private Path judge(Compiler compiler, LoadedModel loaded) throws IOException {
    Path given = reference.orElse(options.model);
    if (given.toString().toLowerCase(Locale.ROOT).endsWith(".onnx")) {
      return given;
    }
    Path folder = Files.createTempDirectory("tersor-verify");
    Path export = folder.resolve("export.onnx");
    folder.toFile().deleteOnExit(); // the other way round when the time has come
    export.toFile().deleteOnExit();
    compiler.write(compiler.exportable(loaded.graph(), options.compileOptions()), export, Map.of());
    options.common.warn(
        "ONNX Runtime cannot read "
            + given.getFileName()
            + "; it runs Tersor's export of the same graph, so this does not check the reader");
    return export;
  }

  /** The outputs that --expect names. */
  private Map<String, Tensor> stored(Graph graph) throws IOException {
    Map<String, Tensor> stored = new LinkedHashMap<>();
    for (String text : expect) {
      int equals = text.indexOf('=');
      String name = equals > 0 ? text.substring(0, equals) : graph.outputs().getFirst().name();
      Path file = Path.of(text.substring(equals + 1));
      stored.put(
          name,
          InputFiles.stored(name, file)
              .orElseThrow(() ->
                  new TersorException(
                      "TSR-0903", "--expect takes .pb, .npy or .npz, not " + file)));
    }
    return stored;
  }

  private void print(
      boolean passed,
      boolean absolved,
      Verifier.Report report,
      List<Comparison> stored,
      List<Witness.Opinion> opinions,
      String judge,
      LoadedModel loaded,
      Map<String, RandomInputs.Drawn> inputs) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("passed", passed);
    json.put("maxAbs", report.maxAbs());
    json.put("maxRel", report.maxRel());
    json.put("cosine", report.cosine());
    json.put("backend", loaded.backend());
    json.put("reference", judge);
    json.put("rule", report.rule());
    json.put("seed", options.seed);
    json.put("inputs", ModelOptions.describe(inputs));
    json.put("outputs", describe(report.outputs()));
    if (!stored.isEmpty()) {
      json.put("expected", describe(stored));
    }
    if (witness) {
      json.put("witness", opinions);
      json.put("withinTolerance", report.passed());
      json.put("passedByWitness", absolved);
    }
    List<String> notes = new ArrayList<>(options.notes());
    notes.addAll(report.notes());
    json.put("notes", notes);
    options.common.sayJson(json);
    options.common.say(
        "%s: %s on %s against %s (%s)",
        passed ? "passed" : "FAILED",
        options.model.getFileName(),
        loaded.backend(),
        judge,
        report.rule());
    report.outputs().forEach(c -> say("", c));
    stored.forEach(c -> say("stored ", c));
    for (Witness.Opinion o : opinions) {
      options.common.say("  float64 witness of %s:", o.output());
      say("Tersor", o.tersor());
      say("reference", o.reference());
    }
    if (witness && !report.passed()) {
      options.common.say(
          absolved
              ? "  outside the tolerance, passed by the float64 witness: on every output Tersor is no farther from it than %s"
              : "  outside the tolerance, and by the float64 witness not through %s alone",
          judge);
    }
    options.common.notes(notes);
  }

  private void say(String side, Witness.Distance d) {
    options.common.say(
        "    %-9s max abs %.3g, rms %.3g, worst %.3g times the tolerance, %d outside rtol %s, atol %s",
        side,
        d.maxAbs(),
        d.rms(),
        d.worst(),
        d.outside(),
        Comparison.FLOAT32.rtol(),
        Comparison.FLOAT32.atol());
  }

  private void say(String what, Comparison c) {
    options.common.say(
        "  %s%s %s%s: max abs %.3g, max rel %.3g, cosine %.8f%s",
        what,
        c.name(),
        c.dtype().text(),
        java.util.Arrays.toString(c.shape()),
        c.maxAbs(),
        c.maxRel(),
        c.cosine(),
        c.note().isEmpty() ? "" : "; " + c.note());
  }

  private static List<Map<String, Object>> describe(List<Comparison> comparisons) {
    List<Map<String, Object>> outputs = new ArrayList<>();
    for (Comparison c : comparisons) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("name", c.name());
      entry.put("dtype", c.dtype().text());
      entry.put("shape", c.shape());
      entry.put("passed", c.passed());
      entry.put("maxAbs", c.maxAbs());
      entry.put("maxRel", c.maxRel());
      entry.put("cosine", c.cosine());
      entry.put("differing", c.differing());
      entry.put("note", c.note());
      outputs.add(entry);
    }
    return outputs;
  }
}
