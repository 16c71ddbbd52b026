package org.tersor.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.cli.data.Samples;
import org.tersor.conformance.Duel;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceExecutable;
import org.tersor.conformance.Verifier;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code tersor demo}: the whole way of one small model, with what the project ships; needs no
 * network.
 */
@Command(
    name = "demo",
    description = {
      "Takes the project's own digit classifier the whole way: inspect, fold, quantize to int8, compile to .jar, .so and .onnx, verify each against ONNX Runtime, measure accuracy and time.",
      "Its network and images were made by org.tersor.conformance.demo.TrainDigits."
    })
final class DemoCommand implements Callable<Integer> {
  private static final int CALIBRATION = 100;
  private static final List<String> FILES =
      List.of("digits.onnx", "digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz");

  @Mixin Common common;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "DIR",
      description = "Where the files go (default: ${DEFAULT-VALUE}).")
  Path folder = Path.of("tersor-demo");

  @Option(names = "--skip-bench", description = "Leave out the timing.")
  boolean skipBench;

  private final List<Map<String, Object>> facts = new ArrayList<>();
  private boolean failed;

  /** One part of the story; may throw. */
  private interface Part {
    void tell() throws IOException;
  }

  @Override
  public Integer call() throws IOException {
    long start = System.nanoTime();
    Files.createDirectories(folder);
    for (String file : FILES) {
      try (InputStream in =
          Objects.requireNonNull(DemoCommand.class.getResourceAsStream("demo/" + file))) {
        Files.copy(in, folder.resolve(file), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    Compiler compiler = common.compiler();
    Path model = folder.resolve("digits.onnx");
    Graph imported = compiler.read(model, Map.of());
    CompileOptions options = CompileOptions.defaults();
    Graph prepared = compiler.prepare(imported, options);
    Samples.Data data =
        Samples.task("mnist", folder, Ports.inputs(prepared), Map.of(), Optional.empty());
    int test = data.count() - CALIBRATION;
    title("1. The model");
    say(
        "%s: %d nodes, %s parameters, %s; %d nodes after folding",
        model,
        imported.nodes().size(),
        Common.count(parameters(imported)),
        Common.bytes(Files.size(model)),
        prepared.nodes().size());
    say(
        "%d images of digits that were drawn from strokes: the last %d calibrate, the first %d test",
        data.count(), CALIBRATION, test);
    try (Reference ort = new OrtWorker()) {
      List<Contender> contenders = new ArrayList<>();
      title(
          "2. As it is: compiled to bytecode and to native code, judged by ONNX Runtime on the same inputs");
      for (String backend : List.of("jvm", "native")) {
        part(
            "float, " + backend,
            () ->
                contend(
                    contenders,
                    "float, " + backend,
                    compiler,
                    LoadedModel.prepared(compiler, prepared, backend, options),
                    model,
                    ort,
                    data));
      }
      title("3. Quantized to int8: activations u8, weights s8 per output channel");
      List<Quantizer.Quantized> quantized = new ArrayList<>();
      Path small = folder.resolve("digits-int8.onnx");
      part("quantize", () -> quantized.add(quantize(compiler, imported, data, options, small)));
      if (!quantized.isEmpty()) {
        int8(
            compiler,
            compiler.prepare(quantized.getFirst().graph(), options),
            small,
            ort,
            data,
            options,
            contenders);
      }
      title("5. Accuracy on the " + test + " test images");
      for (Contender c : contenders) {
        part(c.name, () -> accuracy(c, data, test));
      }
      if (!skipBench) {
        title("6. Time of one image, one thread, in turns with ONNX Runtime on the same file");
        for (Contender c : contenders) {
          part(c.name, () -> time(c, ort, data));
        }
      }
    }
    say("");
    say(
        "%s in %.0f s. The files are in %s; try: ./tersor run %s --input image=random",
        failed ? "SOMETHING FAILED" : "Done", (System.nanoTime() - start) / 1e9, folder, model);
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("passed", !failed);
    json.put("facts", facts);
    common.sayJson(json);
    return failed ? Exit.CHECK_FAILED : Exit.OK;
  }

  /** Something that classifies digits, with the file that ONNX Runtime runs to judge it. */
  private record Contender(String name, Executable executable, Path judge) {}

  private void int8(
      Compiler compiler,
      Graph graph,
      Path small,
      Reference ort,
      Samples.Data data,
      CompileOptions options,
      List<Contender> contenders) {
    for (String backend : List.of("jvm", "native")) {
      part(
          "int8, " + backend,
          () ->
              contend(
                  contenders,
                  "int8, " + backend,
                  compiler,
                  LoadedModel.prepared(compiler, graph, backend, options),
                  small,
                  ort,
                  data));
    }
    title("4. Artifacts: what is shipped instead of a runtime");
    for (String suffix : List.of("jar", "so")) {
      Path file = folder.resolve("digits-int8." + suffix);
      part(
          "int8 ." + suffix,
          () -> {
            Optional<Backend.OfProgram> backend = writer(compiler, suffix);
            if (backend.isEmpty()) {
              throw new TersorException("TSR-0602", "no backend here writes ." + suffix);
            }
            List<String> targets = backend.get().targets().stream().map(Target::name).toList();
            compiler.artifact(
                graph,
                backend.get().id(),
                suffix.equals("jar") ? targets : targets.subList(0, 1),
                file,
                options);
            say("  %s: %s", file, Common.bytes(Files.size(file)));
            Executable artifact =
                suffix.equals("so") ? new SoArtifact(file) : JarArtifact.open(file, 1);
            contend(
                contenders,
                "int8 ." + suffix,
                compiler,
                new LoadedModel(graph, artifact, suffix, LoadedModel.Nodes.NONE),
                small,
                ort,
                data);
          });
    }
    part(
        "int8 .onnx in ONNX Runtime",
        () ->
            contenders.add(
                new Contender(
                    "int8 .onnx in ONNX Runtime",
                    new ReferenceExecutable(
                        "ONNX Runtime", ort.open(small, Reference.Options.DEFAULT)),
                    small)));
  }

  private static Optional<Backend.OfProgram> writer(Compiler compiler, String suffix) {
    return compiler.registry().backends().stream()
        .map(p -> p.provider())
        .filter(b -> b instanceof Backend.OfProgram p && p.artifacts().contains(suffix))
        .map(b -> (Backend.OfProgram) compiler.registry().backend(b.id()))
        .findFirst();
  }

  private Quantizer.Quantized quantize(
      Compiler compiler, Graph imported, Samples.Data data, CompileOptions options, Path small)
      throws IOException {
    Quantizer quantizer = new Quantizer(compiler);
    Quantizer.Options how = quantizer.options("int8", new Calibrator.MinMax(), "jvm", options);
    Iterable<Map<String, Tensor>> calls = data.calls(data.count() - CALIBRATION, data.count());
    Quantizer.Quantized quantized = quantizer.quantize(imported, calls, how);
    compiler.write(compiler.exportable(quantized.graph(), options), small, Map.of());
    say(
        "  %s: %s, was %s",
        small,
        Common.bytes(Files.size(small)),
        Common.bytes(Files.size(folder.resolve("digits.onnx"))));
    List<Quantizer.LayerError> errors =
        quantizer.errors(quantized, data.calls(data.count() - 8, data.count()), how);
    errors.stream()
        .limit(3)
        .forEach(e -> say("  signal to quantization noise %5.1f dB at %s", e.sqnr(), e.node()));
    return quantized;
  }

  private void contend(
      List<Contender> contenders,
      String name,
      Compiler compiler,
      LoadedModel loaded,
      Path judge,
      Reference ort,
      Samples.Data data) {
    Verifier.Report report =
        new Verifier(ort, compiler)
            .verify(judge, loaded.graph(), loaded.executable(), data.read(0, 1));
    say(
        "  %-12s %s: max abs difference %.3g, cosine %.7f (%s)",
        name,
        report.passed() ? "passed" : "FAILED",
        report.maxAbs(),
        report.cosine(),
        report.rule());
    fact(
        name,
        Map.of("passed", report.passed(), "maxAbs", report.maxAbs(), "cosine", report.cosine()));
    failed |= !report.passed();
    contenders.add(new Contender(name, loaded.executable(), judge));
  }

  private void accuracy(Contender c, Samples.Data data, int test) {
    EvalCommand.Result result = EvalCommand.top1(c.executable, data, test, 20, () -> {});
    say("  %-27s top-1 %.2f %%", c.name, 100 * result.value());
    fact(c.name, Map.of("top1", result.value(), "n", test));
    failed |= result.value() < .95; // far below what the float network reaches: something is broken
  }

  private void time(Contender c, Reference ort, Samples.Data data) {
    if (c.executable instanceof ReferenceExecutable) {
      return;
    }
    try (Reference.Session session = ort.open(c.judge, Reference.Options.DEFAULT)) {
      Duel.Result result =
          Duel.run(c.executable, session, data.read(0, 1), new Duel.Settings(1.5, 9, .03));
      say(
          "  %-27s %9s, ONNX Runtime %9s, ratio %.2f",
          c.name, Common.millis(result.tersorMs()), Common.millis(result.ortMs()), result.ratio());
      fact(
          c.name,
          Map.of("tersorMs", result.tersorMs(), "ortMs", result.ortMs(), "ratio", result.ratio()));
    }
  }

  /** Tells a part; what cannot be done here is said and left out. */
  private void part(String name, Part part) {
    try {
      part.tell();
    } catch (TersorException e) {
      say(
          "  %-12s not available here: %s %s",
          name, e.code(), String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
      fact(name, Map.of("unavailable", e.code() + " " + e.getMessage()));
      failed |= !(e.code().startsWith("TSR-06") || e.code().equals("TSR-0104"));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private void fact(String name, Map<String, Object> values) {
    Map<String, Object> entry = new LinkedHashMap<>();
    entry.put("name", name);
    entry.putAll(new java.util.TreeMap<>(values));
    facts.add(entry);
  }

  private void title(String text) {
    say("");
    say("%s", picocli.CommandLine.Help.Ansi.AUTO.string("@|bold " + text + "|@"));
  }

  @SuppressWarnings("AnnotateFormatMethod")
  private void say(String format, Object... arguments) {
    common.say("%s", String.format(Locale.ROOT, format, arguments));
  }

  private static long parameters(Graph graph) {
    return graph.constants().values().stream().mapToLong(Constant::elements).sum();
  }
}
