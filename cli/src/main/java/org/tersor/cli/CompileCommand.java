package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code tersor compile}: an artifact, quantized first if wanted; {@link Compiler#artifact} is its
 * Java API.
 */
@Command(
    name = "compile",
    description = {
      "Compiles a model to a jar, to a shared library with a C header, or to a simplified .onnx.",
      "With --scheme it is quantized first. A jar holds code for every vector width; a library for --target (default: this machine's best; several, as avx512vnni,avx2,scalar; or neon for AArch64, by a cross compiler).",
      "--backend jvm,native puts machine code for every processor into a jar; it runs where it can, else the bytecode does."
    })
final class CompileCommand implements Callable<Integer> {
  @Mixin ModelOptions options;
  @Mixin QuantizeOptions quantize;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "X.jar|X.so|X.onnx",
      required = true,
      description = "The file to write.")
  Path output = Path.of("");

  @Option(
      names = "--package",
      paramLabel = "NAME",
      description = "Java package of the jar's classes.")
  Optional<String> packageName = Optional.empty();

  @Option(names = "--runtime", description = "Of a jar: embedded (default) or external.")
  Optional<String> runtime = Optional.empty();

  @Option(
      names = "--tune",
      description =
          "Measure which schedules are the fastest for the model's shapes on this processor, first,"
              + " and put them into the table --schedules FILE.")
  boolean tune;

  private Optional<String> carried = Optional.empty();

  @Override
  public Integer call() throws IOException {
    takeCarried();
    options.tuning = tune;
    Compiler compiler = options.common.compiler();
    Graph imported = options.read(compiler);
    Graph graph = imported;
    long start = System.nanoTime();
    Optional<Quantization> quantized = Optional.empty();
    if (quantize.wanted()) {
      quantized =
          Optional.of(Quantization.of(compiler, graph, options, quantize, targets(compiler)));
      graph = quantized.get().quantized().graph();
    }
    List<Map<String, Object>> tuned = tune ? tune(compiler, graph) : List.of();
    options.tuning = false;
    List<String> targets = write(compiler, graph);
    double seconds = (System.nanoTime() - start) / 1e9;
    if (quantized.isPresent()) {
      boolean onnx = suffix().equals("onnx");
      new QuantizeReport(compiler, options, quantize, imported, quantized.get(), output)
          .print(
              onnx ? options.backend : backendFor(compiler, suffix()).id(),
              onnx ? Optional.of(output) : Optional.empty());
      return Exit.OK;
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("file", output.toString());
    json.put("bytes", Files.size(output));
    json.put("targets", targets);
    json.put("seconds", seconds);
    if (tune) {
      json.put("tuned", tuned);
    }
    json.put("notes", options.notes());
    options.common.sayJson(json);
    options.common.say(
        "%s: %s%s, compiled in %.1f s",
        output,
        Common.bytes(Files.size(output)),
        targets.isEmpty() ? "" : " for " + String.join(", ", targets),
        seconds);
    options.common.notes(options.notes());
    return Exit.OK;
  }

  /** {@code --backend WRITER,OTHER}: an artifact of the one with code of the other. */
  private void takeCarried() {
    List<String> names = List.of(options.backend.split(",", -1));
    if (names.size() == 1) {
      return;
    }
    if (names.size() > 2 || !suffix().equals("jar") || !names.getFirst().equals("jvm")) {
      throw new TersorException(
          "TSR-0906",
          "--backend "
              + options.backend
              + " -o "
              + output.getFileName()
              + ": two backends are for a jar, as --backend jvm,native");
    }
    options.backend = names.getFirst();
    carried = Optional.of(names.getLast());
  }

  private List<Map<String, Object>> tune(Compiler compiler, Graph graph) throws IOException {
    if (suffix().equals("onnx")) {
      throw new TersorException(
          "TSR-0906", "--tune -o " + output.getFileName() + ": an .onnx file has no schedules");
    }
    Backend.OfProgram backend = backendFor(compiler, suffix());
    return ScheduleFiles.tune(
        compiler,
        options,
        graph,
        backend,
        targetNames(backend, suffix()),
        quantize.compileOptions(options.compileOptions(Optional.empty())));
  }

  private List<String> write(Compiler compiler, Graph graph) {
    String suffix = suffix();
    CompileOptions compile = quantize.compileOptions(options.compileOptions(Optional.empty()));
    if (packageName.isPresent()) {
      compile = compile.withSetting("package", packageName.get());
    }
    if (runtime.isPresent()) {
      compile = compile.withSetting("runtime", runtime.get());
    }
    if (suffix.equals("onnx")) {
      compiler.write(
          compiler.exportable(compiler.prepare(graph, compile), compile), output, Map.of());
      return List.of();
    }
    Backend.OfProgram backend = backendFor(compiler, suffix);
    List<String> targets = targetNames(backend, suffix);
    compiler.artifact(graph, backend.id(), targets, carried, output, compile);
    return targets;
  }

  private String suffix() {
    String name = output.getFileName().toString().toLowerCase(Locale.ROOT);
    return name.substring(name.lastIndexOf('.') + 1);
  }

  /** What the artifact is for; of an .onnx nobody knows. */
  private List<Target> targets(Compiler compiler) {
    if (suffix().equals("onnx")) {
      return List.of();
    }
    Backend.OfProgram backend = backendFor(compiler, suffix());
    List<String> names = targetNames(backend, suffix());
    return Stream.concat(backend.artifactTargets().stream(), backend.namedTargets().stream())
        .filter(t -> names.contains(t.name()))
        .toList();
  }

  private List<String> targetNames(Backend.OfProgram backend, String suffix) {
    return options
        .target
        .map(t -> Arrays.asList(t.split(",", -1)))
        .orElseGet(() -> defaultTargets(backend, suffix));
  }

  private static List<String> defaultTargets(Backend.OfProgram backend, String suffix) {
    List<String> all = backend.targets().stream().map(Target::name).toList();
    return suffix.equals("jar") ? all : all.subList(0, 1);
  }

  private static Backend.OfProgram backendFor(Compiler compiler, String suffix) {
    for (var provided : compiler.registry().backends()) {
      if (provided.provider() instanceof Backend.OfProgram candidate
          && candidate.artifacts().contains(suffix)) {
        return (Backend.OfProgram) compiler.registry().backend(candidate.id());
      }
    }
    throw new TersorException(
        "TSR-0602",
        "nothing here writes files ending in ." + suffix + "; give -o X.jar, X.so or X.onnx");
  }
}
