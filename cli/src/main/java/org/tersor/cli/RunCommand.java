package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.conformance.Comparison;
import org.tersor.conformance.Leaves;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.RandomInputs;
import org.tersor.runtime.DType;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tersor run}: runs a model once. */
@Command(name = "run", description = "Runs a model once. Inputs that are not given are random.")
final class RunCommand implements Callable<Integer> {
  @Mixin ModelOptions options;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT.npz",
      description = "Write all outputs by name.")
  Optional<Path> output = Optional.empty();

  @Override
  public Integer call() throws IOException {
    LoadedModel loaded = options.load(options.common.compiler());
    Map<String, RandomInputs.Drawn> inputs = options.inputs(loaded);
    Map<String, Tensor> results = Leaves.of(loaded.executable().call(ModelOptions.data(inputs)));
    List<Map<String, Object>> outputs = new ArrayList<>();
    results.forEach((name, tensor) -> {
      outputs.add(summary(name, tensor));
      options.common.say("%s %s: %s", name, tensor, text(tensor));
    });
    if (output.isPresent()) {
      Npy.writeAll(results, output.get());
      options.common.say("wrote %s", output.get());
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("backend", loaded.backend());
    json.put("inputs", ModelOptions.describe(inputs));
    json.put("outputs", outputs);
    options.common.sayJson(json);
    return Exit.OK;
  }

  private static Map<String, Object> summary(String name, Tensor tensor) {
    Map<String, Object> entry = new LinkedHashMap<>();
    entry.put("name", name);
    entry.put("dtype", tensor.dtype().text());
    entry.put("shape", tensor.shape());
    if (tensor.dtype() == DType.STRING) {
      entry.put("values", Arrays.stream(tensor.strings()).limit(16).toList());
    } else {
      double[] values = Comparison.values(tensor);
      entry.put("min", Arrays.stream(values).min().orElse(0));
      entry.put("max", Arrays.stream(values).max().orElse(0));
      entry.put("mean", Arrays.stream(values).average().orElse(0));
      entry.put("top5", Comparison.top(values, 5));
      entry.put("values", Arrays.stream(values).limit(16).toArray());
    }
    return entry;
  }

  private static String text(Tensor tensor) {
    if (tensor.dtype() == DType.STRING) {
      return Arrays.stream(tensor.strings()).limit(16).toList().toString();
    }
    double[] values = Comparison.values(tensor);
    String first =
        Arrays.stream(values)
            .limit(10)
            .mapToObj(v -> String.format(Locale.ROOT, "%.5g", v))
            .toList()
            .toString();
    return values.length <= 10
        ? first
        : first + " ... top 5 at " + Arrays.toString(Comparison.top(values, 5));
  }
}
