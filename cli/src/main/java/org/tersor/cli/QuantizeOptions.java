package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.cli.data.Preprocess;
import org.tersor.cli.data.Samples;
import org.tersor.conformance.RandomInputs;
import org.tersor.ir.format.FormatFamily;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Registry;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.graph.LowerDecode;
import org.tersor.passes.quant.CalibrationCache;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.CostTable;
import org.tersor.passes.quant.Culprits;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.Diagnostician;
import org.tersor.passes.quant.Keep;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.RepairGoal;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.WholeFile;
import picocli.CommandLine.Option;

/** How a model is quantized, on the command line. */
final class QuantizeOptions {
  /** Samples that errors of layers are measured on. */
  private static final int FEW = 8;

  /** Layers that are written apart at most. */
  private static final int CULPRITS = 12;

  @Option(
      names = "--scheme",
      paramLabel = "FORMAT|WxAy",
      description = {
        "Number format of the weights; activations take the one that goes with it, or stay float.",
        "int8: u8 activations per tensor, s8 weights per channel. 'tersor plugins' lists formats.",
        "W8A8, W8A16, W6A6, W4A16, W4A8, W4A4, W3A16, W2A16: bits of weights and activations; A16 leaves them float."
      })
  Optional<String> scheme = Optional.empty();

  @Option(
      names = "--weights",
      paramLabel = "FORMAT",
      description = "Number format of the weights, where it is not that of --scheme.")
  Optional<String> weights = Optional.empty();

  @Option(
      names = "--activations",
      paramLabel = "FORMAT|none|dynamic_u8_tensor|dynamic_sN_row",
      description = {
        "Number format of the activations, or none: they stay float. dynamic: the grid of what a layer reads is chosen when the model",
        "runs, for the tensor or (matrix products) for each row, with N bits; it needs no calibration."
      })
  Optional<String> activations = Optional.empty();

  @Option(
      names = "--decode-floats",
      description =
          "In .onnx: write weights as decoded floats where ONNX cannot express their format.")
  boolean decodeFloats;

  @Option(
      names = "--matmul-nbits",
      description = {
        "In .onnx: products with weights in blocks of 16 to 256 (or rows of at most 256) as com.microsoft MatMulNBits",
        "of 2, 4 or 8 bits. ONNX Runtime knows it; codes, scales and zero points are the plan's."
      })
  boolean matMulNBits;

  @Option(
      names = "--int2",
      description =
          "In .onnx: codes of 2 bits as INT2 or UINT2 (opset 25), else they travel in 4 bits.")
  boolean int2;

  @Option(names = "--explain", description = "List every layer: what computes it, and why.")
  boolean explain;

  @Option(
      names = "--calibrate",
      paramLabel = "DIR|FILE.npz",
      description =
          "Calibration data: .npz with arrays [samples, ...] by input name, or a folder of .npz, .npy, pictures, or IDX files; or the word random.")
  Optional<Path> calibrate = Optional.empty();

  @Option(
      names = "--calibrator",
      description = {
        "minmax, average (moving), percentile:P (99.99), mse, or entropy:P, which clips at most",
        "P (0.1) percent of the numbers (default: ${DEFAULT-VALUE})."
      })
  String calibrator = "minmax";

  @Option(
      names = "--calibration-cache",
      paramLabel = "FILE",
      split = ",",
      description = {
        "Go on from what these files have seen, and write the first: calibration can stop and resume,",
        "and shards that were calibrated apart are joined. Needs no --calibrate if they hold samples."
      })
  List<Path> calibrationCache = new ArrayList<>();

  @Option(
      names = "--method",
      paramLabel = "METHOD[:option=value,...]",
      description = {
        "How codes of weights are chosen: rtn (nearest), mse (clipped range), clip (by the error of results, as AWQ does), gptq, hqq, seqmse, adaround (default: rtn).",
        "gptq: damping=0.01, order=natural|act, groups=current|static, grid=minmax|mse; adaround: iterations=1000, grid."
      })
  String method = "rtn";

  @Option(
      names = "--equalize",
      paramLabel = "none|awq|smooth[:ALPHA|:search]|cle[:absorb]",
      description =
          "Factors between channels, before weights are coded, that leave the float model as it is; cle:absorb moves high biases to the next layer, too (default: none).")
  String equalize = "none";

  @Option(
      names = "--bias-correction",
      paramLabel = "none|fast|full",
      description = {
        "Take the mean error of each channel out of the biases: fast measures each layer alone, full in the coded model,",
        "layer by layer. Where errors on the samples would grow the old biases stay (default: none)."
      })
  String biasCorrection = "none";

  @Option(
      names = "--keep",
      paramLabel = "REGEX|name:NAME|type:OPERATOR|value:REGEX",
      description = {
        "What stays float: layers whose names an expression finds, a layer or value of a name, all nodes of an operator,",
        "or values (activations) whose names an expression finds. Can be given more than once; names as --explain has them."
      })
  List<String> keep = new ArrayList<>();

  @Option(
      names = "--repair",
      paramLabel = "sqnr=DB[,as=FORMAT]",
      description = {
        "Take the codes of those activations away that cost the most, until the worst output has this signal to noise in dB",
        "on calibration samples; they stay float, or take FORMAT (e.g. u16_affine_tensor)."
      })
  Optional<String> repair = Optional.empty();

  @Option(
      names = "--calibration-samples",
      paramLabel = "N",
      defaultValue = "100",
      description = "Use at most the last N samples (default: ${DEFAULT-VALUE}).")
  int calibrationSamples;

  @Option(
      names = "--task",
      description =
          "mnist or images: what the calibration data is. mnist implies mean .1307, std .3081.")
  Optional<String> task = Optional.empty();

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      description = "Apply this plan instead of calibrating.")
  Optional<Path> plan = Optional.empty();

  @Option(
      names = "--save-plan",
      paramLabel = "FILE",
      description = "Write every decision as a text that can be read, edited and given to --plan.")
  Optional<Path> savePlan = Optional.empty();

  @Option(
      names = "--report",
      paramLabel = "FILE.html",
      description =
          "Write a page that shows each layer's noise, alone and accumulated, its distributions, and the likely causes. Needs --calibrate.")
  Optional<Path> report = Optional.empty();

  @Option(
      names = "--culprits",
      paramLabel = "DIR",
      description =
          "With --report: write each layer that it blames as a small .onnx with its quantizers, and its tensors as .npz.")
  Optional<Path> culprits = Optional.empty();

  @Option(
      names = "--data",
      paramLabel = "DIR|FILE.npz",
      description =
          "Other samples than those of --calibrate, to judge the result by: labelled with --task. Without it the calibration samples tell how far it agrees with the float model.")
  Optional<Path> data = Optional.empty();

  @Option(
      names = "--limit",
      paramLabel = "N",
      defaultValue = "1000",
      description = "Of --data the first N samples (default: ${DEFAULT-VALUE}).")
  int limit;

  @Option(
      names = "--no-timing",
      description = "Do not run the float and the quantized model, and ONNX Runtime, to time them.")
  boolean noTiming;

  /**
   * What came out, with errors by layer where there was calibration data.
   *
   * @param few calibration samples
   * @param predicted what layers take, each alone; empty without a table of costs
   */
  record Result(
      Quantizer.Quantized quantized,
      List<Quantizer.Layer> layers,
      List<Quantizer.LayerError> errors,
      List<String> choices,
      int samples,
      List<Map<String, Tensor>> few,
      Optional<Diagnosis> diagnosis,
      List<CostTable.Layer> predicted) {}

  boolean wanted() {
    return scheme.isPresent() || weights.isPresent() || plan.isPresent();
  }

  /** Settings of compilation that these options make. */
  CompileOptions compileOptions(CompileOptions options) {
    CompileOptions result = options;
    for (Map.Entry<String, Boolean> setting :
        Map.of(
                LowerDecode.FLOATS, decodeFloats,
                LowerDecode.PACKED, matMulNBits,
                LowerDecode.INT2, int2)
            .entrySet()) {
      result = setting.getValue() ? result.withSetting(setting.getKey(), "true") : result;
    }
    return result;
  }

  private Quantizer.Options options(Compiler compiler, ModelOptions model, CompileOptions compile) {
    Optional<FormatFamily.Scheme> named = scheme.flatMap(compiler.registry()::scheme);
    NumberFormat format =
        compiler
            .registry()
            .format(
                weights
                    .or(() -> named.map(FormatFamily.Scheme::weights))
                    .or(() -> scheme)
                    .orElse("int8"));
    Optional<String> coded =
        activations.isPresent()
            ? activations.filter(n -> !n.equals("none"))
            : named.isPresent() ? named.get().activations() : format.activation();
    return new Quantizer.Options(
        format.id(),
        coded,
        Calibrator.parse(calibrator),
        model.backend,
        compile,
        WeightMethod.parse(method),
        ChannelFactors.parse(equalize),
        Keep.parse(keep));
  }

  /**
   * Where integers will be slow is said before the work begins, on the error stream, and in notes.
   *
   * @param targets what the quantized model is meant for
   */
  Result quantize(Compiler compiler, Graph imported, ModelOptions model, List<Target> targets)
      throws IOException {
    CompileOptions compile = model.compileOptions(Optional.empty());
    Quantizer quantizer = new Quantizer(compiler);
    Quantizer.Options options = options(compiler, model, compile);
    Graph base = quantizer.base(imported, compile);
    if (plan.isEmpty() && options.activations().isPresent()) {
      for (Target target : targets) {
        slow(compiler, base, options, target)
            .ifPresent(why -> {
              model.note(why);
              model.common.warn(why);
            });
      }
    }
    Optional<RepairGoal> goal = repair.map(RepairGoal::parse);
    boolean corrects = plan.isEmpty() && !biasCorrection.equals("none");
    boolean calibrates = plan.isEmpty() && (options.needsData() || corrects);
    if (calibrates || calibrate.isPresent()) {
      warnIfInterpreted(compiler, model);
    }
    Optional<CalibrationCache> before = calibrated();
    boolean suffices =
        before.isPresent()
            && !options.method().needsInputs()
            && !options.equalization().needsInputs()
            && !corrects;
    Iterable<Map<String, Tensor>> samples =
        calibrate.isPresent() || (calibrates && !suffices) ? samples(base, model) : List.of();
    List<Map<String, Tensor>> few = new ArrayList<>();
    int[] count = {0};
    for (Map<String, Tensor> sample : samples) {
      if (count[0]++ < FEW) {
        few.add(sample);
      }
    }
    List<Quantizer.Decisions> made = new ArrayList<>();
    List<CalibrationCache> seen = new ArrayList<>();
    if (plan.isPresent()) {
      made.add(PlanFiles.read(plan.get()));
    } else {
      model.common.withProgress(
          "calibrating",
          count[0],
          step ->
              made.add(
                  quantizer.decide(
                      base,
                      () ->
                          java.util.stream.StreamSupport.stream(samples.spliterator(), false)
                              .peek(s -> step.run())
                              .iterator(),
                      options,
                      before,
                      seen::add)));
      if (!calibrationCache.isEmpty() && !seen.isEmpty()) {
        WholeFile.write(
            calibrationCache.getFirst(), file -> Files.writeString(file, seen.getFirst().text()));
      }
    }
    if (goal.isPresent() && plan.isEmpty() && options.activations().isPresent()) {
      Quantizer.Decisions whole = made.removeFirst();
      model.common.withProgress(
          "repairing",
          whole.plan().activations().size(),
          step ->
              made.add(
                  quantizer.repaired(
                      quantizer.equalized(base, whole), whole, few, goal.get(), options, step)));
    }
    Quantizer.Decisions decided =
        corrects
            ? quantizer.corrected(base, made.getFirst(), samples, biasCorrection, options)
            : made.getFirst();
    if (savePlan.isPresent()) {
      PlanFiles.write(decided, savePlan.get());
    }
    Graph equal = quantizer.equalized(base, decided);
    Quantizer.Quantized quantized =
        new Quantizer.Quantized(quantizer.apply(equal, decided, compile), equal, decided.plan());
    List<Quantizer.Layer> layers = quantizer.layers(quantized, compile);
    List<Quantizer.LayerError> errors =
        few.isEmpty() ? List.of() : quantizer.errors(quantized, few, options);
    Optional<Diagnosis> diagnosis = Optional.empty();
    if (report.isPresent() || culprits.isPresent()) {
      if (few.isEmpty()) {
        throw new TersorException(
            "TSR-0413",
            "--report and --culprits run the model on samples: give --calibrate DIR or FILE.npz");
      }
      diagnosis =
          Optional.of(
              new Diagnostician(compiler, quantized, options.backend(), compile)
                  .diagnose(few, errors));
    }
    if (culprits.isPresent() && diagnosis.isPresent()) {
      List<Path> files =
          CulpritFiles.write(
              compiler,
              compileOptions(compile),
              Culprits.of(
                  compiler, quantized, options.backend(), compile, few, diagnosis.get(), CULPRITS),
              culprits.get());
      model.common.say("culprits: %d models in %s", files.size(), culprits.get());
    }
    return new Result(
        quantized,
        layers,
        errors,
        decided.reports(),
        count[0],
        few,
        diagnosis,
        predicted(compiler, equal, layers, targets));
  }

  /** Why integers will be slow on a target: from measured costs, else from what it lacks. */
  private static Optional<String> slow(
      Compiler compiler, Graph base, Quantizer.Options options, Target target) {
    Optional<CostTable> costs = Costs.kept(target);
    if (costs.isEmpty()) {
      return target
          .slowIntegers()
          .map(why -> why + " (not measured here: 'tersor bench --costs' does it in a minute)");
    }
    return Costs.warning(target.name(), costs.get().predict(base, compiler, options.weights()));
  }

  private static List<CostTable.Layer> predicted(
      Compiler compiler, Graph base, List<Quantizer.Layer> layers, List<Target> targets) {
    Set<String> integer =
        layers.stream()
            .filter(l -> l.kernel().isPresent())
            .map(Quantizer.Layer::node)
            .collect(java.util.stream.Collectors.toSet());
    return targets.stream()
        .limit(1)
        .flatMap(target -> Costs.kept(target).stream())
        .flatMap(table ->
            table
                .predict(
                    base,
                    compiler.registry().operators(),
                    node -> integer.contains(Quantizer.name(base, node)))
                .stream())
        .toList();
  }

  /** What calibration files hold, joined; empty if there are none yet. */
  private Optional<CalibrationCache> calibrated() throws IOException {
    Optional<CalibrationCache> joined = Optional.empty();
    for (Path file : calibrationCache) {
      if (!Files.exists(file)) {
        continue;
      }
      CalibrationCache read = CalibrationCache.parse(Files.readString(file));
      if (joined.isPresent()) {
        joined.get().join(read);
      } else {
        joined = Optional.of(read);
      }
    }
    return joined;
  }

  /** Calibration by interpretation takes hours where compiled code takes seconds. */
  private static void warnIfInterpreted(Compiler compiler, ModelOptions model) {
    if (!model.backend.endsWith("interpreter")) {
      return;
    }
    List<String> compiled =
        compiler.registry().backends().stream()
            .map(Registry.Provided::provider)
            .filter(b ->
                b instanceof Backend.OfProgram p
                    && (p.artifacts().contains("jar") || p.artifacts().contains("so")))
            .filter(b -> b.unavailable().isEmpty())
            .map(Backend::id)
            .toList();
    if (!compiled.isEmpty()) {
      model.common.warn(
          "calibrating with backend '"
              + model.backend
              + "', which is slow on purpose; here --backend "
              + String.join(" or ", compiled)
              + " gives the same plan within rounding");
    }
  }

  private Iterable<Map<String, Tensor>> samples(Graph base, ModelOptions model) throws IOException {
    if (calibrate.isEmpty()) {
      throw new TersorException(
          "TSR-0413",
          "calibration data is needed for ranges of activations and for methods that look at inputs:"
              + " --calibrate DIR or FILE.npz (or --calibrate random, to time but not to use). Without"
              + " data there are weights alone (--activations none with --method rtn, mse or hqq and"
              + " --equalize cle), and activations coded when the model runs (--activations"
              + " dynamic_u8_tensor, or dynamic_s8_row for each token)");
    }
    return samples(base, model, calibrate.get(), calibrationSamples, task);
  }

  /**
   * Calls of a model for calibration.
   *
   * @param count at most the last so many samples
   */
  static Iterable<Map<String, Tensor>> samples(
      Graph base, ModelOptions model, Path data, int count, Optional<String> task)
      throws IOException {
    List<Port> ports = Ports.inputs(base);
    if (data.toString().equals("random")) {
      model.common.warn("calibrated on random inputs: good for timing, not for accuracy");
      List<Map<String, Tensor>> drawn = new ArrayList<>();
      for (int i = 0; i < Math.min(8, count); i++) {
        Map<String, Tensor> sample = new LinkedHashMap<>();
        RandomInputs.draw(base, ports, model.dims, model.seed + i)
            .forEach((name, d) -> sample.put(name, d.tensor()));
        drawn.add(sample);
      }
      return drawn;
    }
    Samples.Data all =
        Samples.calibration(data, task, ports, model.dims, model.preprocess.map(Preprocess::parse));
    return all.calls(Math.max(0, all.count() - count), all.count());
  }
}
