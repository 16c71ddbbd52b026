package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Target;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.CalibrationCache;
import org.tersor.passes.quant.CostTable;
import org.tersor.passes.quant.Culprits;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.Diagnostician;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.RepairGoal;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.WholeFile;

/**
 * What came out, with errors by layer where there was calibration data.
 *
 * @param few calibration samples, spread evenly
 * @param predicted what layers take, each alone; empty without a table of costs
 */
record Quantization(
    Quantizer.Quantized quantized,
    List<Quantizer.Layer> layers,
    List<Quantizer.LayerError> errors,
    List<String> choices,
    int samples,
    List<Map<String, Tensor>> few,
    Optional<Diagnosis> diagnosis,
    List<CostTable.Layer> predicted) {
  /**
   * Samples that errors of layers are measured on, from all of the data: its begin may be a pause.
   */
  private static final int FEW = 8;

  /** Layers that are written apart at most. */
  private static final int CULPRITS = 12;

  /**
   * Where integers will be slow is said before the work begins, on the error stream, and in notes.
   *
   * @param targets what the quantized model is meant for
   */
  static Quantization of(
      Compiler compiler,
      Graph imported,
      ModelOptions model,
      QuantizeOptions asked,
      List<Target> targets)
      throws IOException {
    CompileOptions compile = model.compileOptions(Optional.empty());
    CalibrationData data = new CalibrationData(asked, model);
    Quantizer quantizer = new Quantizer(compiler);
    Quantizer.Options options = asked.options(compiler, model, compile);
    Graph base = quantizer.base(imported, compile);
    if (asked.plan.isEmpty() && options.activations().isPresent()) {
      for (Target target : targets) {
        Costs.slow(compiler, base, options, target)
            .ifPresent(why -> {
              model.note(why);
              model.common.warn(why);
            });
      }
    }
    Optional<RepairGoal> goal = asked.repair.map(RepairGoal::parse);
    boolean corrects = asked.plan.isEmpty() && !asked.biasCorrection.equals("none");
    boolean calibrates = asked.plan.isEmpty() && (options.needsData() || corrects);
    if (calibrates || asked.calibrate.isPresent()) {
      data.warnIfInterpreted(compiler);
    }
    Optional<CalibrationCache> before = data.cached();
    boolean suffices =
        before.isPresent()
            && !options.method().needsInputs()
            && !options.equalization().needsInputs()
            && !corrects;
    Iterable<Map<String, Tensor>> samples =
        asked.calibrate.isPresent() || (calibrates && !suffices) ? data.samples(base) : List.of();
    Spread<Map<String, Tensor>> spread = new Spread<>(FEW);
    samples.forEach(spread::add);
    List<Map<String, Tensor>> few = spread.chosen();
    int count = spread.seen();
    List<Quantizer.Decisions> made = new ArrayList<>();
    List<CalibrationCache> seen = new ArrayList<>();
    if (asked.plan.isPresent()) {
      made.add(PlanFiles.read(asked.plan.get()));
    } else {
      model.common.withProgress(
          "calibrating",
          count,
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
      if (!asked.calibrationCache.isEmpty() && !seen.isEmpty()) {
        WholeFile.write(
            asked.calibrationCache.getFirst(),
            file -> Files.writeString(file, seen.getFirst().text()));
      }
    }
    if (goal.isPresent() && asked.plan.isEmpty() && options.activations().isPresent()) {
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
            ? quantizer.corrected(base, made.getFirst(), samples, asked.biasCorrection, options)
            : made.getFirst();
    if (asked.savePlan.isPresent()) {
      PlanFiles.write(decided, asked.savePlan.get());
    }
    Graph equal = quantizer.equalized(base, decided);
    Quantizer.Quantized quantized =
        new Quantizer.Quantized(quantizer.apply(equal, decided, compile), equal, decided.plan());
    List<Quantizer.Layer> layers = quantizer.layers(quantized, compile);
    List<Quantizer.LayerError> errors =
        few.isEmpty() ? List.of() : quantizer.errors(quantized, few, options);
    Optional<Diagnosis> diagnosis = Optional.empty();
    if (asked.report.isPresent() || asked.culprits.isPresent()) {
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
    if (asked.culprits.isPresent() && diagnosis.isPresent()) {
      List<Path> files =
          CulpritFiles.write(
              compiler,
              asked.compileOptions(compile),
              Culprits.of(
                  compiler, quantized, options.backend(), compile, few, diagnosis.get(), CULPRITS),
              asked.culprits.get());
      model.common.say("culprits: %d models in %s", files.size(), asked.culprits.get());
    }
    return new Quantization(
        quantized,
        layers,
        errors,
        decided.reports(),
        count,
        few,
        diagnosis,
        Costs.predicted(compiler, equal, layers, targets));
  }
}
