package org.tersor.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.cli.data.CallRecorder;
import org.tersor.cli.data.Samples;
import org.tersor.cli.data.Speech;
import org.tersor.conformance.LoadedModel;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Executable.Port;

/** Tasks of {@code tersor eval} on sound and pictures, whose results are no classes. */
final class SignalTasks {
  private final ModelOptions options;
  private final LoadedModel loaded;
  private final Path data;
  private final int limit;
  private final Optional<Path> calls;
  private final int count;
  private final List<CallRecorder> recorders = new ArrayList<>();

  /**
   * @param limit of the data the first so many
   * @param calls where to write some of the model's calls
   * @param count how many of them
   */
  SignalTasks(
      ModelOptions options,
      LoadedModel loaded,
      Path data,
      int limit,
      Optional<Path> calls,
      int count) {
    this.options = options;
    this.loaded = loaded;
    this.data = data;
    this.limit = limit;
    this.calls = calls;
    this.count = count;
  }

  /** The model, or one that keeps its calls if they are asked for. */
  private Executable recorded(Executable model) {
    if (calls.isEmpty()) {
      return model;
    }
    CallRecorder recorder = new CallRecorder(model, count);
    recorders.add(recorder);
    return recorder;
  }

  private void writeCalls() throws IOException {
    for (CallRecorder recorder : recorders) {
      recorder.write(calls.orElseThrow());
    }
  }

  /** Measures something, a step of the progress at a time. */
  @FunctionalInterface
  private interface Measurement<T> {
    T take(Runnable step) throws IOException;
  }

  private <T> T measured(long steps, Measurement<T> measurement) {
    List<T> results = new ArrayList<>();
    options.common.withProgress(
        "evaluating",
        steps,
        step -> {
          try {
            results.add(measurement.take(step));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
    return results.getFirst();
  }

  /**
   * Speech without noise.
   *
   * @param then takes what the model gives; empty if the model does all
   */
  int denoise(Optional<Executable> then) throws IOException {
    List<Path> all = Enhancement.pairs(data);
    List<Path> files = all.subList(0, Math.min(limit, all.size()));
    List<Executable> stages = new ArrayList<>();
    stages.add(then.isPresent() ? loaded.executable() : recorded(loaded.executable()));
    then.ifPresent(second -> stages.add(recorded(second)));
    Enhancement result =
        measured(
            files.size(),
            step ->
                Enhancement.measure(stages, options.states(), dims(options, loaded), files, step));
    writeCalls();
    Map<String, Object> json = result.json();
    json.put("backend", loaded.backend());
    options.common.sayJson(json);
    options.common.say(
        "%s on %s: scale-invariant signal to noise %.3f dB, of the noisy recordings %.3f dB, mean of %d",
        options.model.getFileName(),
        loaded.backend(),
        result.mean(),
        result.noisyMean(),
        result.decibels().size());
    return Exit.OK;
  }

  /** Pictures that are made larger. */
  int pictures(Optional<Path> reference, Optional<Executable> beside) throws IOException {
    List<Path> all = Samples.pictures(data);
    List<Path> photos = all.subList(0, Math.min(limit, all.size()));
    List<Executable> models = new ArrayList<>(List.of(loaded.executable()));
    beside.ifPresent(models::add);
    List<PictureQuality> results =
        measured(
            (long) photos.size() * models.size(),
            step -> {
              List<PictureQuality> each = new ArrayList<>();
              for (Executable model : models) {
                each.add(PictureQuality.measure(model, dims(options, loaded), photos, step));
              }
              return each;
            });
    PictureQuality result = results.getFirst();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "psnr");
    json.put("value", result.mean());
    json.put("n", photos.size());
    json.put("backend", loaded.backend());
    json.put("perSample", result.decibels());
    String against = "";
    if (results.size() > 1) {
      PictureQuality other = results.getLast();
      double change = result.mean() - other.mean();
      json.put("reference", other.mean());
      json.put("change", change);
      json.put("standardError", result.errorAgainst(other));
      against =
          String.format(
              java.util.Locale.ROOT,
              "; %s %.3f dB, change %+.3f, standard error %.3f",
              reference.map(Path::getFileName).map(Path::toString).orElse(""),
              other.mean(),
              change,
              result.errorAgainst(other));
    }
    options.common.sayJson(json);
    options.common.say(
        "%s on %s: peak signal to noise %.3f dB, mean of %d photos%s",
        options.model.getFileName(), loaded.backend(), result.mean(), photos.size(), against);
    return Exit.OK;
  }

  /** Values of dimensions, also by the names that ONNX Runtime gives to those without any. */
  private static Map<String, Long> dims(ModelOptions options, LoadedModel loaded) {
    Map<String, Long> values = new LinkedHashMap<>(options.dims);
    for (Port port : loaded.executable().inputs()) {
      for (Value input : loaded.graph().inputs()) {
        if (input.name().equals(port.name())
            && loaded.graph().type(input) instanceof ValueType.TensorType type
            && type.isRanked()
            && type.rank() == port.shape().size()) {
          for (int d = 0; d < type.rank(); d++) {
            Long value = options.dims.get(type.dims().get(d).toString());
            if (value != null && port.shape().get(d).isSymbol()) {
              values.put(port.shape().get(d).toString(), value);
            }
          }
        }
      }
    }
    return values;
  }

  /** Where somebody speaks. */
  int voiceActivity() throws IOException {
    List<Path> all = Speech.files(data);
    List<Path> files = all.subList(0, Math.min(limit, all.size()));
    Executable model = recorded(loaded.executable());
    VoiceActivity result =
        measured(
            files.size(),
            step ->
                VoiceActivity.measure(model, options.states(), dims(options, loaded), files, step));
    writeCalls();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "auc");
    json.put("value", result.auc());
    json.put("accuracy", result.accuracy());
    json.put("n", result.n());
    json.put("backend", loaded.backend());
    options.common.sayJson(json);
    options.common.say(
        "%s on %s: area under the curve %.4f, accuracy %.1f %%, of %d frames",
        options.model.getFileName(),
        loaded.backend(),
        result.auc(),
        100 * result.accuracy(),
        result.n());
    return Exit.OK;
  }
}
