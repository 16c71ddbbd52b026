package org.tersor.conformance;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.tersor.conformance.Comparison.Rule;

/**
 * One case of the ONNX backend suite: a model and sets of inputs with expected outputs.
 *
 * @param name path below the suite's folder, e.g. {@code node/test_abs}
 * @param sets folders with input_N.pb and output_N.pb; empty for a light model
 * @param lightOutput the expected output of a light model, whose inputs are 0, 1/n, 2/n, ...
 */
public record SuiteCase(
    String name, Path model, List<Path> sets, Optional<Path> lightOutput, Rule.Close tolerance) {
  private static final Pattern NUMBER = Pattern.compile("\"(rtol|atol)\"\\s*:\\s*([0-9.eE+-]+)");
  private static final Pattern URL =
      Pattern.compile("\"url\"\\s*:\\s*\"[^\"]*/(light_[A-Za-z0-9_]+)\\.onnx\"");

  /** All cases below a folder: the suite's, one group's, or a single case's. Sorted by name. */
  public static List<SuiteCase> find(Path folder) {
    List<SuiteCase> cases = new ArrayList<>();
    collect(folder, folder, 0, cases);
    cases.sort(Comparator.comparing(SuiteCase::name));
    return cases;
  }

  private static void collect(Path root, Path folder, int depth, List<SuiteCase> cases) {
    Path model = folder.resolve("model.onnx");
    Path data = folder.resolve("data.json");
    if (Files.exists(model) || Files.exists(data)) {
      String name =
          folder.equals(root)
              ? folder.toAbsolutePath().normalize().getFileName().toString()
              : root.relativize(folder).toString();
      cases.add(of(name.replace('\\', '/'), folder, model, read(data)));
    } else if (depth < 3) {
      list(folder).filter(Files::isDirectory).forEach(sub -> collect(root, sub, depth + 1, cases));
    }
  }

  private static SuiteCase of(String name, Path folder, Path model, String json) {
    double rtol = 1e-3;
    double atol = 1e-7;
    for (Matcher m = NUMBER.matcher(json); m.find(); ) {
      double value = Double.parseDouble(m.group(2));
      rtol = m.group(1).equals("rtol") ? value : rtol;
      atol = m.group(1).equals("atol") ? value : atol;
    }
    Rule.Close tolerance = new Rule.Close(rtol, atol);
    Matcher url = URL.matcher(json);
    if (url.find() && !Files.exists(model)) {
      Path light = folder.toAbsolutePath().resolve("../../light").normalize();
      Path output = light.resolve(url.group(1) + "_output_0.pb");
      return new SuiteCase(
          name, light.resolve(url.group(1) + ".onnx"), List.of(), Optional.of(output), tolerance);
    }
    List<Path> sets =
        list(folder).filter(f -> f.getFileName().toString().startsWith("test_data_set_")).toList();
    return new SuiteCase(name, model, sets, Optional.empty(), tolerance);
  }

  private static Stream<Path> list(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList().stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String read(Path file) {
    try {
      return Files.exists(file) ? Files.readString(file) : "";
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
