package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.tersor.cli.data.Preprocess;
import org.tersor.cli.data.Samples;
import org.tersor.cli.text.LanguageModel;
import org.tersor.cli.text.TextProtocol;
import org.tersor.cli.text.Tokenizers;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.Diagnostician;
import org.tersor.passes.quant.MixedSearch;
import org.tersor.passes.quant.OutputNoise;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.SampleSet;
import org.tersor.passes.quant.SearchProblem;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tersor search}: a number format for each layer; {@link MixedSearch} is its Java API. */
@Command(
    name = "search",
    description = {
      "Chooses the format of each layer's weights within a budget and writes a plan for 'quantize --plan'.",
      "Each layer is coded alone and the output compared; an integer program chooses; the combination is run and repaired."
    })
final class SearchCommand implements Callable<Integer> {
  @Mixin ModelOptions options;

  @Option(
      names = "--budget",
      required = true,
      paramLabel = "size=0.3x|latency=0.5x|drop=0.5pt",
      description = {
        "size: bytes of all constants, in parts of the float32 ones (x) or B, KB, MB.",
        "latency: sum of the layers' measured times on --backend, in parts of the float ones (x), or ms, us.",
        "drop: the smallest plan whose loss of accuracy (pt) or rise of perplexity (%) is below this with 95 %% confidence, by changed answers or by paired bootstrap over texts of --data."
      })
  String budget = "";

  @Option(
      names = {"-o", "--output"},
      paramLabel = "PLAN",
      required = true,
      description = "The plan file to write.")
  Path output = Path.of("");

  @Option(
      names = "--formats",
      split = ",",
      paramLabel = "FORMAT",
      description =
          "Formats of weights to choose from (default: ${DEFAULT-VALUE}); float: as they are.",
      defaultValue = "s4_symmetric_channel_restricted,s8_symmetric_channel_restricted")
  List<String> formats = List.of();

  @Option(
      names = "--activations",
      paramLabel = "FORMAT|none",
      defaultValue = "none",
      description = "Format of all activations (default: ${DEFAULT-VALUE}).")
  String activations = "none";

  @Option(names = "--calibrator", defaultValue = "minmax", description = "As of quantize.")
  String calibrator = "minmax";

  @Option(names = "--method", defaultValue = "rtn", description = "As of quantize.")
  String method = "rtn";

  @Option(
      names = "--calibrate",
      required = true,
      paramLabel = "DIR|FILE.npz|random",
      description = "Samples that the search runs and calibrates with.")
  Path calibrate = Path.of("");

  @Option(
      names = "--samples",
      defaultValue = "32",
      description =
          "At most the last N samples (texts: from the 200th on) (default: ${DEFAULT-VALUE}).")
  int count;

  @Option(names = "--task", description = "mnist, images or perplexity: what the data is.")
  Optional<String> task = Optional.empty();

  @Option(names = "--data", description = "drop: labelled data, or texts, to test on.")
  Optional<Path> data = Optional.empty();

  @Option(
      names = "--limit",
      defaultValue = "2000",
      description =
          "drop: the first N samples of --data; 60 texts at most (default: ${DEFAULT-VALUE}).")
  int limit;

  @Option(names = "--keep", paramLabel = "REGEX", description = "Layers that stay float.")
  Optional<String> keep = Optional.empty();

  @Option(
      names = "--criterion",
      description = "kl (of scores, the default with a task) or sqnr (of any first output).")
  Optional<String> criterion = Optional.empty();

  @Option(
      names = "--report",
      paramLabel = "FILE.html",
      description = "As of quantize, with the front.")
  Optional<Path> report = Optional.empty();

  private final List<String> steps = new ArrayList<>();

  @Override
  public Integer call() throws IOException {
    Compiler compiler = options.common.compiler();
    CompileOptions compile = options.compileOptions(Optional.empty());
    Quantizer quantizer = new Quantizer(compiler);
    Graph imported = options.read(compiler);
    Graph base = quantizer.base(imported, compile);
    double floatBytes = QuantizeCommand.floatBytes(base);
    Budget.parse(budget, 1, () -> 1); // a wrong one is refused before the work
    List<Map<String, Tensor>> samples = samples(compiler, imported, base);
    Map<String, Quantizer.Decisions> uniform = new LinkedHashMap<>();
    Quantizer.Options how =
        how(
            compiler,
            formats.stream()
                .filter(f -> !f.equals(MixedSearch.FLOAT))
                .findFirst()
                .orElseThrow(() ->
                    new TersorException("TSR-0906", "--formats needs a format besides float")),
            compile);
    options.common.withProgress(
        "coding",
        formats.size(),
        step -> {
          for (String format : formats) {
            if (!format.equals(MixedSearch.FLOAT)) {
              uniform.put(format, quantizer.decide(base, samples, how(compiler, format, compile)));
            }
            step.run();
          }
        });
    boolean distribution = criterion.map(c -> c.equalsIgnoreCase("kl")).orElseGet(task::isPresent);
    Pattern kept = pattern(keep.orElse("$^"));
    MixedSearch search =
        new MixedSearch(
            new SearchProblem(
                compiler,
                base,
                uniform,
                formats.contains(MixedSearch.FLOAT),
                name -> !kept.matcher(name).find(),
                how,
                distribution,
                samples));
    boolean times = budget.startsWith("latency");
    if (Budget.parse(budget, floatBytes, () -> 1) instanceof Budget.Size size
        && size.bytes() < search.sizes()[0]) {
      throw nothing(Common.bytes((long) size.bytes()), Common.bytes(search.sizes()[0]));
    }
    options.common.withProgress(
        "measuring", MixedSearch.steps(uniform), step -> search.measureItems(times, step));
    List<MixedSearch.Point> points = new ArrayList<>(search.uniform());
    points.addAll(search.front(12, points.stream().map(MixedSearch.Point::bytes).toList()));
    MixedSearch.Point chosen = choose(compiler, base, search, points, floatBytes, compile);
    points.add(chosen);
    Quantizer.Decisions decided = search.decisions(chosen);
    PlanFiles.write(decided, output);
    OutputNoise executed = search.executed(decided, samples);
    if (report.isPresent()) {
      report(compiler, quantizer, base, decided, how, samples, search, points, distribution);
    }
    print(search, points, chosen, executed, decided, floatBytes, distribution);
    return Exit.OK;
  }

  private static Pattern pattern(String text) {
    try {
      return Pattern.compile(text);
    } catch (PatternSyntaxException e) {
      throw new TersorException(
          "TSR-0906", "--keep is no regular expression: " + e.getMessage(), e);
    }
  }

  private Quantizer.Options how(Compiler compiler, String format, CompileOptions compile) {
    return new Quantizer.Options(
        compiler.registry().format(format).id(),
        Optional.of(activations).filter(a -> !a.equals("none")),
        Calibrator.parse(calibrator),
        options.backend,
        compile,
        WeightMethod.parse(method),
        new ChannelFactors.None());
  }

  private List<Map<String, Tensor>> samples(Compiler compiler, Graph imported, Graph base)
      throws IOException {
    List<Map<String, Tensor>> samples = new ArrayList<>();
    if (isText()) {
      texts(compiler, imported, base, TextProtocol.CALIBRATION.with("count=" + count), calibrate)
          .forEach(samples::add);
    } else {
      CalibrationData.samples(base, options, calibrate, count, task).forEach(samples::add);
    }
    return samples;
  }

  private boolean isText() {
    return task.filter(t -> t.equalsIgnoreCase("perplexity")).isPresent();
  }

  private List<Map<String, Tensor>> texts(
      Compiler compiler, Graph imported, Graph base, TextProtocol protocol, Path folder)
      throws IOException {
    LanguageModel calls = LanguageModel.of(Ports.inputs(base), Ports.outputs(base));
    return tokens(compiler, imported, protocol, folder).stream().map(calls::inputs).toList();
  }

  private List<int[]> tokens(Compiler compiler, Graph imported, TextProtocol protocol, Path folder)
      throws IOException {
    return protocol.tokens(
        folder, Tokenizers.of(compiler.registry(), imported.metadata(), options.model.toString()));
  }

  private MixedSearch.Point choose(
      Compiler compiler,
      Graph base,
      MixedSearch search,
      List<MixedSearch.Point> points,
      double floatBytes,
      CompileOptions compile)
      throws IOException {
    Budget asked = Budget.parse(budget, floatBytes, search::floatNanos);
    return switch (asked) {
      case Budget.Size size -> {
        MixedSearch.Point first =
            search
                .within("chosen", size.bytes(), false)
                .orElseThrow(() ->
                    nothing(Common.bytes((long) size.bytes()), Common.bytes(search.sizes()[0])));
        steps.add(described("integer program", first));
        yield search.repaired(first, size.bytes(), false, steps::add);
      }
      case Budget.Latency time -> {
        MixedSearch.Point first =
            search
                .within("chosen", time.nanos(), true)
                .orElseThrow(() -> nothing(time.nanos() / 1e6 + " ms", "more"));
        steps.add(described("integer program", first));
        yield search.repaired(first, time.nanos(), true, steps::add);
      }
      case Budget.Drop drop ->
          new DropSearch(search, loss(compiler, base, search, compile), steps::add)
              .smallest(
                  points.stream().filter(p -> p.name().equals("mixed")).toList(), drop.fraction());
    };
  }

  private TersorException nothing(String budget, String least) {
    return new TersorException(
        "TSR-0424",
        "no combination of these formats fits "
            + budget
            + ": the smallest takes "
            + least
            + "; give a larger budget or smaller --formats, or a shorter --keep");
  }

  private static String described(String what, MixedSearch.Point point) {
    return String.format(
        Locale.ROOT,
        "%s: %s, expected cost %.4g, measured %.4g",
        what,
        Common.bytes(point.bytes()),
        point.predicted(),
        point.cost());
  }

  private Function<MixedSearch.Point, PairedDrop> loss(
      Compiler compiler, Graph base, MixedSearch search, CompileOptions compile)
      throws IOException {
    Path folder =
        data.orElseThrow(() ->
            new TersorException(
                "TSR-0906", "a budget of drop is tested on --data DIR, with --task"));
    CompileOptions quiet = compile.withNote(note -> {});
    Executable reference = compiler.link(base, options.backend, quiet);
    Function<MixedSearch.Point, Executable> coded =
        point ->
            compiler.link(
                new Quantizer(compiler).apply(base, search.decisions(point), quiet),
                options.backend,
                quiet);
    if (isText()) {
      List<int[]> texts =
          tokens(compiler, base, TextProtocol.DEFAULT.with("count=" + Math.min(limit, 60)), folder);
      LanguageModel calls = LanguageModel.of(Ports.inputs(base), Ports.outputs(base));
      warnIfShared(search, texts.stream().map(calls::inputs).toList());
      return point -> DropSearch.perplexity(coded.apply(point), reference, texts);
    }
    Samples.Data labelled =
        Samples.task(
            task.orElse("images"),
            folder,
            reference.inputs(),
            options.dims,
            options.preprocess.map(Preprocess::parse));
    int n = Math.min(limit, labelled.count());
    warnIfShared(search, labelled.calls(0, n));
    return point -> DropSearch.accuracy(coded.apply(point), reference, labelled, n);
  }

  /** Samples that choose a plan should not judge it. */
  private void warnIfShared(MixedSearch search, Iterable<Map<String, Tensor>> test) {
    SampleSet judging = new SampleSet();
    test.forEach(judging::add);
    int shared = judging.sharedWith(search.samples().header());
    if (shared > 0) {
      options.common.warn(
          "at least "
              + shared
              + " of the "
              + judging.size()
              + " samples that test the plan choose it, too: its loss elsewhere is larger");
    }
  }

  private void report(
      Compiler compiler,
      Quantizer quantizer,
      Graph base,
      Quantizer.Decisions decided,
      Quantizer.Options how,
      List<Map<String, Tensor>> samples,
      MixedSearch search,
      List<MixedSearch.Point> points,
      boolean distribution)
      throws IOException {
    Quantizer.Quantized quantized =
        new Quantizer.Quantized(
            quantizer.apply(base, decided, how.compile()), base, decided.plan());
    List<Map<String, Tensor>> few = samples.subList(0, Math.min(8, samples.size()));
    Diagnosis diagnosis =
        new Diagnostician(compiler, quantized, options.backend, how.compile())
            .diagnose(few, quantizer.errors(quantized, few, how));
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("budget", budget);
    facts.put("formats", String.join(", ", formats));
    facts.put("samples", Integer.toString(samples.size()));
    HtmlReport.write(
        report.orElseThrow(),
        options.model.getFileName().toString(),
        decided.plan().hash(),
        facts,
        diagnosis,
        quantizer.layers(quantized, how.compile()),
        Optional.of(
            new HtmlReport.Front(
                distribution ? "KL divergence, nats" : "noise by signal", search.items(), points)));
    options.common.say("report: %s", report.get());
  }

  private void print(
      MixedSearch search,
      List<MixedSearch.Point> points,
      MixedSearch.Point chosen,
      OutputNoise executed,
      Quantizer.Decisions decided,
      double floatBytes,
      boolean distribution) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("plan", output.toString());
    json.put("sha256", decided.plan().hash());
    json.put("bytes", chosen.bytes());
    json.put("float32Bytes", (long) floatBytes);
    json.put("items", search.items());
    json.put("points", points);
    json.put("steps", steps);
    json.put("executedKl", executed.kl());
    json.put("executedSqnrDb", Math.min(executed.sqnr(), 1000));
    options.common.sayJson(json);
    options.common.say("layers, and the output if only they are coded:");
    for (int i = 0; i < search.items().size(); i++) {
      MixedSearch.Item item = search.items().get(i);
      options.common.say(
          "  %s%s: curvature %.3g",
          String.join(" ", item.layers()),
          item.tie().isEmpty() ? "" : " (" + item.tie() + ")",
          item.trace());
      for (int o = 0; o < item.options().size(); o++) {
        MixedSearch.Option option = item.options().get(o);
        options.common.say(
            "   %s %-34s %12s  KL %.3g nats  %.1f dB%s",
            chosen.chosen().get(i) == o ? "*" : " ",
            option.format(),
            Common.bytes(option.bytes()),
            option.kl(),
            option.sqnr(),
            option.nanos() > 0 ? "  " + Common.millis(option.nanos() / 1e6) : "");
      }
    }
    options.common.say(
        "combinations, all run (cost: %s):", distribution ? "KL, nats" : "noise by signal");
    for (MixedSearch.Point point : points) {
      options.common.say(
          "  %-34s %12s %5.3fx  cost %.4g (expected %.4g), %.1f dB%s",
          point.name(),
          Common.bytes(point.bytes()),
          point.bytes() / floatBytes,
          point.cost(),
          point.predicted(),
          point.sqnr(),
          point.nanos() > 0 ? "  " + Common.millis(point.nanos() / 1e6) : "");
    }
    steps.forEach(step -> options.common.say("  %s", step));
    options.common.say(
        "%s: %s of %s; as executed: KL %.4g nats, %.1f dB; tersor quantize %s --plan %s -o OUT",
        output,
        Common.bytes(chosen.bytes()),
        Common.bytes((long) floatBytes),
        executed.kl(),
        executed.sqnr(),
        options.model,
        output);
  }
}
