package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.cli.data.Preprocess;
import org.tersor.cli.data.Samples;
import org.tersor.conformance.Duel;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.RandomInputs;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceModels;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.BindDims;
import org.tersor.passes.quant.CostTable;
import org.tersor.passes.quant.OutputNoise;
import org.tersor.passes.quant.SampleSet;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * A model and what quantization made of it: time, predicted and measured, and how well it still
 * answers.
 *
 * @param where backend, target and threads that were timed
 * @param inputs what they were timed on
 * @param before of the float model
 * @param after of the quantized one
 * @param predicted layers alone, from the table of costs; empty without one
 * @param judged how it answers; empty if there were no samples
 * @param untold what could not be measured, and why
 */
record BeforeAfter(
    String where,
    String inputs,
    Optional<Time> before,
    Optional<Time> after,
    List<CostTable.Layer> predicted,
    Optional<Judged> judged,
    List<String> untold) {

  /**
   * One call.
   *
   * @param ortMs the same file in ONNX Runtime, in turns
   */
  record Time(double ms, Optional<Double> ortMs, double warmupSeconds) {}

  /**
   * Answers.
   *
   * @param on which samples
   * @param text what came out
   */
  record Judged(String on, String text, Map<String, Object> json) {}

  static BeforeAfter measure(
      Compiler compiler,
      ModelOptions options,
      QuantizeOptions quantize,
      Graph imported,
      Quantization result,
      String backend,
      Optional<Path> exported)
      throws IOException {
    List<String> untold = new ArrayList<>();
    CompileOptions quiet = options.compileOptions().withNote(note -> {});
    boolean timed = !quantize.noTiming && !backend.endsWith("interpreter");
    boolean judges = quantize.data.isPresent() || !result.few().isEmpty();
    Optional<Time> before = Optional.empty();
    Optional<Time> after = Optional.empty();
    Optional<Judged> judged = Optional.empty();
    String where =
        Costs.here(compiler, backend, quiet).stream()
                .findFirst()
                .map(t -> backend + " (" + t.name() + ")")
                .orElse(backend)
            + ", "
            + options.threads
            + (options.threads == 1 ? " thread" : " threads");
    String inputs = "";
    try {
      if (timed || judges) {
        // The float model as it came, the quantized one as it was made.
        LoadedModel plain = LoadedModel.of(compiler, imported, backend, quiet);
        LoadedModel coded = coded(compiler, result.quantized().graph(), backend, quiet);
        if (judges) {
          judged =
              Optional.of(
                  quantize.data.isPresent()
                      ? judged(options, quantize, plain, coded, result)
                      : agreement(
                          plain,
                          coded,
                          result.few(),
                          result.few().size() + " samples that it was calibrated with"));
        }
        if (timed) {
          Map<String, Tensor> call =
              result.few().isEmpty()
                  ? ModelOptions.tensors(
                      RandomInputs.draw(
                          plain.graph(), plain.executable().inputs(), options.dims, options.seed))
                  : result.few().getFirst();
          inputs = result.few().isEmpty() ? "random inputs" : "a calibration sample";
          List<Time> times =
              inTurns(
                  options,
                  List.of(plain, coded),
                  List.of(Optional.of(options.model), exported),
                  call,
                  untold);
          before = Optional.of(times.getFirst());
          after = Optional.of(times.getLast());
        }
      }
    } catch (TersorException e) {
      untold.add("not measured: " + e.code() + " " + e.getMessage());
    }
    if (!judges) {
      untold.add(
          "how far it agrees with the float model was not measured: there are no samples"
              + " (--calibrate or --data)");
    }
    if (result.predicted().isEmpty() && timed) {
      untold.add("no prediction: 'tersor bench --costs=" + backend + "' measures what layers cost");
    }
    return new BeforeAfter(
        where, inputs, before, after, result.predicted(), judged, List.copyOf(untold));
  }

  /** The quantized graph; its dimensions may have their values already. */
  private static LoadedModel coded(
      Compiler compiler, Graph graph, String backend, CompileOptions options) {
    Map<String, Long> left = new TreeMap<>(options.dims());
    left.keySet().retainAll(BindDims.symbols(graph));
    CompileOptions open = options.withDims(left);
    return LoadedModel.prepared(compiler, compiler.prepare(graph, open), backend, open);
  }

  /** Times models, and ONNX Runtime on their files, each in turn with all others. */
  private static List<Time> inTurns(
      ModelOptions options,
      List<LoadedModel> models,
      List<Optional<Path>> files,
      Map<String, Tensor> call,
      List<String> untold) {
    List<Duel.Contender> contenders = new ArrayList<>();
    int[] own = new int[models.size()];
    int[] ort = new int[models.size()];
    try (Reference reference = new OrtWorker();
        Sessions sessions = new Sessions()) {
      for (int m = 0; m < own.length; m++) {
        own[m] = contenders.size();
        contenders.add(Duel.of(models.get(m).executable(), call));
        Optional<Path> onnx =
            files.get(m).filter(f -> f.toString().toLowerCase(Locale.ROOT).endsWith(".onnx"));
        ort[m] = -1;
        try {
          if (onnx.isPresent()) {
            contenders.add(Duel.of(sessions.open(reference, onnx.get(), options.threads), call));
            ort[m] = contenders.size() - 1;
          }
        } catch (TersorException e) {
          untold.add(
              "ONNX Runtime was not timed with "
                  + onnx.orElseThrow().getFileName()
                  + ": "
                  + e.code()
                  + " "
                  + String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
        }
      }
      List<Duel.Turn> turns = Duel.turns(contenders, new Duel.Settings(.5, 7, .03));
      List<Time> times = new ArrayList<>();
      for (int m = 0; m < own.length; m++) {
        Duel.Turn turn = turns.get(own[m]);
        times.add(
            new Time(
                turn.ms(),
                ort[m] < 0 ? Optional.empty() : Optional.of(turns.get(ort[m]).ms()),
                turn.warmupSeconds()));
      }
      return times;
    }
  }

  /** Sessions of the reference that are closed together. */
  private static final class Sessions implements AutoCloseable {
    private final List<Reference.Session> open = new ArrayList<>();

    Reference.Session open(Reference reference, Path file, int threads) {
      Reference.Session session =
          ReferenceModels.open(
              reference,
              file,
              new Reference.Options(Reference.Optimization.ALL, threads),
              false,
              note -> {});
      open.add(session);
      return session;
    }

    @Override
    public void close() {
      open.forEach(Reference.Session::close);
    }
  }

  private static Judged judged(
      ModelOptions options,
      QuantizeOptions quantize,
      LoadedModel plain,
      LoadedModel coded,
      Quantization result)
      throws IOException {
    Path data = quantize.data.orElseThrow();
    Samples.Data samples =
        Samples.calibration(
            data,
            quantize.task,
            plain.executable().inputs(),
            options.dims,
            options.preprocess.map(Preprocess::parse));
    int n = Math.min(quantize.limit, samples.count());
    SampleSet used = new SampleSet();
    samples.calls(0, n).forEach(used::add);
    int shared = used.sharedWith(result.quantized().plan().header());
    if (shared > 0) {
      String text =
          shared
              + " of the "
              + n
              + " samples of --data calibrated the model too: what it shows on them is better than"
              + " elsewhere";
      options.note(text);
      options.common.warn(text);
    }
    String on = "the first " + n + " samples of " + data;
    Judged found =
        samples.labels().isEmpty()
            ? agreement(plain, coded, samples.calls(0, n), on)
            : accuracy(plain.executable(), coded.executable(), samples, n, on);
    Map<String, Object> json = new LinkedHashMap<>(found.json());
    json.put("samples", n);
    json.put("sha256", used.sha256());
    json.put("sharedWithCalibration", shared);
    return new Judged(found.on(), found.text(), json);
  }

  private static Judged accuracy(
      Executable plain, Executable coded, Samples.Data samples, int n, String on) {
    PairedOutcomes paired = new PairedOutcomes();
    EvalCommand.Result result =
        EvalCommand.top1(coded, Optional.of(plain), paired, samples, n, 20, () -> {});
    double before = result.value() + (paired.goodToBad() - paired.badToGood()) / (double) n;
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "top1");
    json.put("float", before);
    json.put("quantized", result.value());
    json.put("paired", paired.json());
    return new Judged(
        on,
        String.format(
            Locale.ROOT,
            "top-1 %.2f %% in float, %.2f %% quantized: %s",
            100 * before,
            100 * result.value(),
            paired),
        json);
  }

  private static Judged agreement(
      LoadedModel plain, LoadedModel coded, Iterable<Map<String, Tensor>> samples, String on) {
    OutputNoise noise = new OutputNoise();
    double least = 1;
    int n = 0;
    for (Map<String, Tensor> sample : samples) {
      Tensor exact = plain.executable().run(sample).values().iterator().next();
      Tensor actual = coded.executable().run(sample).values().iterator().next();
      noise.add(exact, actual);
      least = Math.min(least, Similarity.cosine(exact, actual));
      n++;
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "agreement");
    json.put("samples", n);
    json.put("leastCosine", least);
    json.put("sqnrDb", Math.min(noise.sqnr(), 1000));
    return new Judged(
        on,
        String.format(
            Locale.ROOT,
            "first output against float: cosine at least %.5f, signal to noise %.1f dB",
            least,
            noise.sqnr()),
        json);
  }

  private Optional<Double> millis(boolean integers) {
    return predicted.isEmpty()
        ? Optional.empty()
        : Optional.of(
            predicted.stream().mapToDouble(l -> integers ? l.integerNanos() : l.floatNanos()).sum()
                / 1e6);
  }

  Map<String, Object> json(long bytes, long floatBytes) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("float", side(floatBytes, millis(false), before));
    json.put("quantized", side(bytes, millis(true), after));
    json.put("where", where);
    json.put("inputs", inputs);
    judged.ifPresent(j -> {
      Map<String, Object> answers = new LinkedHashMap<>(j.json());
      answers.put("on", j.on());
      json.put("answers", answers);
    });
    json.put("notMeasured", untold);
    return json;
  }

  private static Map<String, Object> side(
      long bytes, Optional<Double> predicted, Optional<Time> time) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("bytes", bytes);
    predicted.ifPresent(ms -> json.put("layersPredictedMs", ms));
    time.ifPresent(t -> {
      json.put("measuredMs", t.ms());
      json.put("warmupSeconds", t.warmupSeconds());
      t.ortMs().ifPresent(ms -> json.put("ortMs", ms));
    });
    return json;
  }

  /** The table, for people. */
  List<String> lines(long bytes, long floatBytes) {
    List<String> lines = new ArrayList<>();
    lines.add(
        String.format(
            Locale.ROOT,
            "  %-10s %12s %18s %14s %14s",
            "",
            "size",
            "layers, predicted",
            "measured",
            "ONNX Runtime"));
    lines.add(row("float", Common.bytes(floatBytes), millis(false), before));
    lines.add(row("quantized", Common.bytes(bytes), millis(true), after));
    lines.add(
        String.format(
            Locale.ROOT,
            "  %-10s %12s %18s %14s %14s",
            "faster by",
            String.format(Locale.ROOT, "(%.2f of it)", bytes / (double) Math.max(1, floatBytes)),
            ratio(millis(false), millis(true)),
            ratio(before.map(Time::ms), after.map(Time::ms)),
            ratio(before.flatMap(Time::ortMs), after.flatMap(Time::ortMs))));
    if (before.isPresent() && after.isPresent()) {
      lines.add(
          String.format(
              Locale.ROOT,
              "  measured: one call of the whole model on %s, on %s, after %.1f and %.1f s of warm-up",
              where,
              inputs,
              before.get().warmupSeconds(),
              after.get().warmupSeconds()));
    }
    if (!predicted.isEmpty()) {
      lines.add(
          "  predicted: sum of "
              + predicted.size()
              + " layers, each alone, from costs measured on this processor ('tersor bench --costs')");
    }
    judged.ifPresent(j -> lines.add("  " + j.text() + ", on " + j.on()));
    untold.forEach(what -> lines.add("  " + what));
    return lines;
  }

  private static String row(
      String name, String size, Optional<Double> predicted, Optional<Time> time) {
    return String.format(
        Locale.ROOT,
        "  %-10s %12s %18s %14s %14s",
        name,
        size,
        predicted.map(Common::millis).orElse("-"),
        time.map(t -> Common.millis(t.ms())).orElse("-"),
        time.flatMap(Time::ortMs).map(Common::millis).orElse("-"));
  }

  private static String ratio(Optional<Double> before, Optional<Double> after) {
    return before.isPresent() && after.isPresent()
        ? String.format(Locale.ROOT, "%.2f", before.get() / after.get())
        : "-";
  }

  /** The same for the page. */
  Map<String, String> facts(long bytes, long floatBytes) {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("size", Common.bytes(floatBytes) + " as float32, " + Common.bytes(bytes));
    before.ifPresent(b ->
        after.ifPresent(a ->
            facts.put(
                "one call on " + where,
                Common.millis(b.ms()) + " in float, " + Common.millis(a.ms()) + " quantized")));
    judged.ifPresent(j -> {
      facts.put("answers", j.text() + ", on " + j.on());
      Object sha256 = j.json().get("sha256");
      if (sha256 != null) {
        facts.put("evaluation.sha256", sha256.toString());
      }
    });
    return facts;
  }
}
