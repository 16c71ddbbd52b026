package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.cli.data.Preprocess;
import org.tersor.cli.data.Samples;
import org.tersor.cli.text.TextProtocol;
import org.tersor.conformance.LoadedModel;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.SampleSet;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.WholeFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tersor eval}: accuracy on labelled data. */
@Command(
    name = "eval",
    description = {
      "Measures a model's accuracy, or how alike it answers to another.",
      "mnist: IDX files, pixels become (v/255 - .1307) / .3081 unless --preprocess says otherwise. images: pictures with labels.csv (file,label), else labels in the order of the file names.",
      "perplexity: of a language model on texts (.txt), e to the mean loss per token; with --reference also KL divergence and agreement.",
      "vad: speech in .wav files with .scv labels; samples in windows of the model's size, state as --state says. The value is the area under the ROC curve over frames.",
      "denoise: of models that take the noise from speech, NAME_noisy.wav beside NAME_clean.wav; the value is the mean scale-invariant signal to noise in dB.",
      "psnr: of a model that makes pictures larger, on the brightness of photos; the value is the mean peak signal to noise in dB.",
      "cosine: the angle between the first outputs of MODEL and --reference on samples without labels; the value is the least of all.",
      "  Also signal and peak to noise in dB, and the share of numbers that differ by at most a 255th of the output's range."
    })
final class EvalCommand implements Callable<Integer> {
  @Mixin ModelOptions options;

  @Option(
      names = "--task",
      required = true,
      description = "mnist, images, vad, denoise, psnr, perplexity or cosine.")
  String task = "";

  @Option(names = "--data", paramLabel = "DIR", required = true, description = "The data.")
  Path data = Path.of("");

  @Option(names = "--limit", paramLabel = "N", description = "Only the first N samples.")
  int limit = Integer.MAX_VALUE;

  @Option(
      names = "--batch",
      defaultValue = "20",
      description = "Samples a call, where the model leaves it free (default: ${DEFAULT-VALUE}).")
  int batch;

  @Option(
      names = "--predictions",
      paramLabel = "FILE",
      description = "Write the predicted class of each sample, one a line.")
  Optional<Path> predictions = Optional.empty();

  @Option(
      names = "--reference",
      paramLabel = "X.onnx",
      description = {
        "The model to compare with, on the same backend. mnist, images: flips between right and",
        "wrong with McNemar's test, and mean KL of its distribution to MODEL's; perplexity too; cosine needs it."
      })
  Optional<Path> reference = Optional.empty();

  @Option(
      names = "--logits",
      description = "cosine: compare what enters the Softmax at the end of both models.")
  boolean logits;

  @Option(
      names = "--protocol",
      paramLabel = "NAME=VALUE,...",
      description =
          "perplexity: which texts; separator=TEXT,longer=BYTES,first=N,count=N,context=TOKENS (default: <|endoftext|>, 100, 0, 60, 512). --limit sets count, too.")
  Optional<String> protocol = Optional.empty();

  @Option(
      names = "--tokenizer",
      paramLabel = "MODEL",
      description = "perplexity: a model that carries the tokenizer, where MODEL does not.")
  Optional<Path> tokenizer = Optional.empty();

  @Option(
      names = "--recipe",
      paramLabel = "FILE|WORDS",
      description =
          "perplexity: quantize the model first: equalize=HOW, weights=FORMAT, activations=FORMAT, calibrator=HOW, dynamic=BITS, keep=REGEX between blanks.")
  Optional<String> recipe = Optional.empty();

  @Option(
      names = "--calibration",
      paramLabel = "NAME=VALUE,...",
      description =
          "perplexity: texts of --data for calibration, as --protocol (default: first=200,count=128).")
  Optional<String> calibration = Optional.empty();

  @Option(
      names = "--save",
      paramLabel = "OUT.onnx",
      description = "perplexity: write the model that --recipe made.")
  Optional<Path> save = Optional.empty();

  @Option(
      names = "--then",
      paramLabel = "X.onnx",
      description = "denoise: a second model, which takes what MODEL makes, on the same backend.")
  Optional<Path> then = Optional.empty();

  @Option(
      names = "--save-calls",
      paramLabel = "FILE.npz",
      description = {
        "vad, denoise: write inputs of calls, state included, spread evenly over all of them, for --calibrate.",
        "Of MODEL; where there is --then, of that."
      })
  Optional<Path> saveCalls = Optional.empty();

  @Option(
      names = "--calls",
      paramLabel = "N",
      defaultValue = "200",
      description = "How many --save-calls writes at most (default: ${DEFAULT-VALUE}).")
  int calls;

  /** Share of samples whose largest score is the label's. */
  record Result(double value, int n, List<Integer> predicted) {}

  @Override
  public Integer call() throws IOException {
    Compiler compiler = options.common.compiler();
    if (task.equalsIgnoreCase("cosine")) {
      return cosine(compiler);
    }
    if (task.equalsIgnoreCase("perplexity")) {
      TextProtocol asked = protocol.map(TextProtocol.DEFAULT::with).orElse(TextProtocol.DEFAULT);
      TextProtocol limited =
          limit == Integer.MAX_VALUE
              ? asked
              : asked.with("count=" + Math.min(limit, asked.count()));
      return new PerplexityTask(
              options,
              compiler,
              data,
              limited,
              recipe.isPresent() ? Optional.of(Recipe.read(recipe.get())) : Optional.empty(),
              calibration.map(TextProtocol.CALIBRATION::with).orElse(TextProtocol.CALIBRATION),
              save)
          .run(tokenizer, reference);
    }
    LoadedModel loaded = options.load(compiler);
    SignalTasks signals = new SignalTasks(options, loaded, data, limit, saveCalls, calls);
    switch (task.toLowerCase(Locale.ROOT)) {
      case "vad" -> {
        return signals.voiceActivity();
      }
      case "denoise" -> {
        return signals.denoise(
            then.map(file ->
                (options.backend.equals("ort")
                        ? options.foreign(compiler, file)
                        : compiled(compiler, file, options.backend))
                    .executable()));
      }
      case "psnr" -> {
        return signals.pictures(reference, beside(compiler));
      }
      default -> {
        // one of classes
      }
    }
    SampleSet used = new SampleSet();
    Samples.Data samples =
        Samples.task(
                task,
                data,
                loaded.executable().inputs(),
                options.dims,
                options.preprocess.map(Preprocess::parse))
            .noting(used);
    int n = Math.min(limit, samples.count());
    Optional<Executable> beside = beside(compiler);
    PairedOutcomes paired = new PairedOutcomes();
    List<Result> results = new ArrayList<>();
    options.common.withProgress(
        "evaluating",
        n,
        step -> results.add(top1(loaded.executable(), beside, paired, samples, n, batch, step)));
    Result result = results.getFirst();
    if (predictions.isPresent()) {
      String lines =
          String.join("\n", result.predicted().stream().map(String::valueOf).toList()) + "\n";
      WholeFile.write(predictions.get(), file -> Files.writeString(file, lines));
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "top1");
    json.put("value", result.value());
    json.put("n", result.n());
    json.put("backend", loaded.backend());
    json.put("samples", Calibrated.warn(options, loaded, used));
    reference.ifPresent(r -> json.put("paired", paired.json()));
    options.common.sayJson(json);
    options.common.say(
        "%s on %s: top-1 %.2f %% of %d%s",
        options.model.getFileName(),
        loaded.backend(),
        100 * result.value(),
        result.n(),
        reference.map(r -> "; against " + r.getFileName() + ": " + paired).orElse(""));
    return Exit.OK;
  }

  /** The model of --reference. */
  private Optional<Executable> beside(Compiler compiler) {
    boolean foreign = options.isArtifact() || options.backend.equals("ort");
    return reference.map(
        file -> compiled(compiler, file, foreign ? "jvm" : options.backend).executable());
  }

  private int cosine(Compiler compiler) throws IOException {
    Path file =
        reference.orElseThrow(
            () -> new TersorException("TSR-0906", "--task cosine needs --reference X.onnx"));
    if (logits && (options.isArtifact() || options.backend.equals("ort"))) {
      throw new TersorException(
          "TSR-0906", "--logits looks into the model: give an .onnx and a backend of Tersor");
    }
    boolean foreign = options.isArtifact() || options.backend.equals("ort");
    LoadedModel model =
        foreign ? options.load(compiler) : compiled(compiler, options.model, options.backend);
    LoadedModel other =
        foreign ? besideForeign(compiler, file) : compiled(compiler, file, options.backend);
    SampleSet used = new SampleSet();
    Samples.Data samples =
        Samples.calibration(
                data,
                Optional.empty(),
                model.executable().inputs(),
                options.dims,
                options.preprocess.map(Preprocess::parse))
            .noting(used);
    int n = Math.min(limit, samples.count());
    List<Similarity> results = new ArrayList<>();
    options.common.withProgress(
        "comparing",
        n,
        step ->
            results.add(
                Similarity.measure(model.executable(), other.executable(), samples, n, step)));
    Similarity result = results.getFirst();
    Map<String, Object> json = result.json(model.backend());
    json.put("samples", Calibrated.warn(options, model, used));
    options.common.sayJson(json);
    options.common.say(
        "%s on %s and %s: cosine at least %.5f, %.5f on average, of %d; signal to noise %.1f dB, peak to noise"
            + " %.1f dB, %.3f %% of the numbers within a step of 8 bits",
        options.model.getFileName(),
        model.backend(),
        file.getFileName(),
        result.least(),
        result.mean(),
        n,
        result.sqnr(),
        result.psnr(),
        100 * result.within());
    return Exit.OK;
  }

  /** Beside a model that Tersor does not run: compiled, else by evaluation. */
  private LoadedModel besideForeign(Compiler compiler, Path file) {
    try {
      return compiled(compiler, file, "jvm");
    } catch (TersorException e) {
      if (!e.code().equals("TSR-0501")) {
        throw e;
      }
      options.common.warn(
          file.getFileName() + " cannot be compiled and is evaluated: " + e.getMessage());
      return compiled(compiler, file, "interpreter");
    }
  }

  private LoadedModel compiled(Compiler compiler, Path file, String backend) {
    Graph prepared = compiler.prepare(options.read(compiler, file), options.compileOptions());
    return LoadedModel.prepared(
        compiler,
        logits ? Similarity.beforeSoftmax(prepared) : prepared,
        backend,
        options.compileOptions());
  }

  /** Classifies the first {@code n} samples; the model's first output holds a score per class. */
  static Result top1(
      Executable executable, Samples.Data samples, int n, int freeBatch, Runnable step) {
    return top1(executable, Optional.empty(), new PairedOutcomes(), samples, n, freeBatch, step);
  }

  /** As before, beside another model. */
  static Result top1(
      Executable executable,
      Optional<Executable> reference,
      PairedOutcomes paired,
      Samples.Data samples,
      int n,
      int freeBatch,
      Runnable step) {
    DimExpr first =
        executable.inputs().getFirst().shape().isEmpty()
            ? DimExpr.ONE
            : executable.inputs().getFirst().shape().getFirst();
    int batch = first.isConst() ? (int) first.constValue() : Math.max(1, freeBatch);
    List<Integer> predicted = new ArrayList<>();
    int right = 0;
    for (int from = 0; from < n; from += batch) {
      int size = Math.min(batch, n - from);
      if (first.isConst() && size < batch) {
        throw new TersorException(
            "TSR-0906", "the model's batch is " + batch + "; --limit must be a multiple of it");
      }
      Map<String, Tensor> inputs = samples.read(from, size);
      Tensor scores = executable.run(inputs).values().iterator().next();
      Optional<Tensor> other = reference.map(r -> r.run(inputs).values().iterator().next());
      int classes = scores.size() / size;
      for (int i = 0; i < size; i++) {
        int best = PairedOutcomes.best(scores, i * classes, classes);
        if (other.isPresent()) {
          paired.add(scores, other.get(), i * classes, classes, samples.labels().get(from + i));
        }
        predicted.add(best);
        right += best == samples.labels().get(from + i) ? 1 : 0;
        step.run();
      }
    }
    return new Result(n == 0 ? 0 : right / (double) n, n, predicted);
  }
}
