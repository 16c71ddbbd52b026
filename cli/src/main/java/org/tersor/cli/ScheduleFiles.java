package org.tersor.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.conformance.CostBench;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.ScheduleTuner;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Schedules;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.ScheduleTable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.WholeFile;

/** Tables of schedules as files, and {@code compile --tune}, which measures them. */
final class ScheduleFiles {
  /** A table of a model has a few hundred rows. */
  private static final long MOST_BYTES = 16 << 20;

  private ScheduleFiles() {}

  static ScheduleTable read(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new TersorException("TSR-0902", "there is no file " + file);
    }
    try {
      if (Files.size(file) > MOST_BYTES) {
        throw new TersorException(
            "TSR-0511",
            "this is no table of schedules: " + file + " has " + Files.size(file) + " bytes");
      }
      return ScheduleTable.parse(Files.readString(file));
    } catch (CharacterCodingException e) {
      throw new TersorException("TSR-0511", "this is no table of schedules: it is no text", e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Measures the targets that run here and puts their rows into the file, beside those of other
   * models.
   *
   * @param targets of the artifact; the best of them is measured unless they were named
   * @return for JSON: what was found for each target
   */
  static List<Map<String, Object>> tune(
      Compiler compiler,
      ModelOptions options,
      Graph graph,
      Backend.OfProgram backend,
      List<String> targets,
      CompileOptions how)
      throws IOException {
    Path file =
        options.scheduleFile.orElseThrow(() ->
            new TersorException(
                "TSR-0906", "--tune writes a table of schedules: name it with --schedules FILE"));
    List<Target> here =
        backend.targets().stream()
            .filter(target -> targets.contains(target.name()))
            .limit(options.target.isPresent() ? targets.size() : 1)
            .toList();
    if (here.isEmpty()) {
      throw new TersorException(
          "TSR-0603", "--tune runs what it measures: this machine runs none of " + targets);
    }
    ScheduleTable table = Files.exists(file) ? read(file) : ScheduleTable.EMPTY;
    List<Map<String, Object>> found = new ArrayList<>();
    for (Target target : here) {
      options.common.say("measuring schedules for %s", target.name());
      ScheduleTuner.Result result =
          ScheduleTuner.tune(
              compiler,
              graph,
              backend.id(),
              how.withTarget(target.name()).withSchedules(Schedules.RULE).withNote(note -> {}),
              model -> inputs(options, model),
              ScheduleTuner.Settings.of(target));
      table = table.with(target.name(), CostBench.processor(), result.shapes(), result.rows());
      found.add(report(options.common, target.name(), result));
    }
    String text = table.text();
    WholeFile.write(file, f -> Files.writeString(f, text));
    return found;
  }

  private static Map<String, Tensor> inputs(ModelOptions options, LoadedModel model) {
    try {
      return ModelOptions.tensors(options.inputs(model));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Map<String, Object> report(
      Common common, String target, ScheduleTuner.Result result) {
    result
        .rows()
        .forEach((shape, row) ->
            common.say(
                "  %s: %s, %.1f us instead of %.1f",
                shape, row.take(), row.micros(), row.ruleMicros()));
    common.say(
        "%s: %d of %d shapes have a faster schedule than the rule's; steps of a run take %.1f us instead of %.1f",
        target, result.rows().size(), result.shapes().size(), result.micros(), result.ruleMicros());
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("target", target);
    json.put("shapes", result.shapes().size());
    json.put("faster", result.rows().size());
    json.put("micros", result.micros());
    json.put("ruleMicros", result.ruleMicros());
    return json;
  }
}
