package org.tersor.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.conformance.ConformanceRunner;
import org.tersor.conformance.SuiteCase;
import org.tersor.passes.CompileOptions;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * {@code tersor conformance}: the ONNX backend suite; {@link ConformanceRunner} is its Java API.
 */
@Command(
    name = "conformance",
    description = {
      "Runs the ONNX backend suite, or part of it.",
      "DIR holds node/, simple/, pytorch-converted/, pytorch-operator/, real/ with light/, any of these, or is one of them. Tolerances are the suite's: rtol 1e-3, atol 1e-7. A case that cannot run has failed."
    })
final class ConformanceCommand implements Callable<Integer> {
  /** What to list. */
  enum Listing {
    FAILURES,
    ALL
  }

  @Mixin Common common;

  @Parameters(paramLabel = "DIR", description = "The suite, e.g. onnx/backend/test/data.")
  Path folder;

  @Option(
      names = "--case",
      paramLabel = "NAME",
      description = "Only this case: node/test_abs or test_abs; * matches anything.")
  List<String> only = new ArrayList<>();

  @Option(names = "--list", description = "failures or all: one line a case.")
  Optional<Listing> list = Optional.empty();

  @Option(
      names = "--backend",
      description =
          "jvm, native, interpreter, loop-interpreter, cuda, cuda-emulated"
              + " (default: ${DEFAULT-VALUE}).")
  String backend = "jvm";

  @Option(names = "--target", description = "Target of the backend.")
  Optional<String> target = Optional.empty();

  @Option(names = "--jobs", description = "Cases at once; by default one per core.")
  int jobs = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "120",
      description = "Time limit of a case (default: ${DEFAULT-VALUE}).")
  long timeout;

  @Option(
      names = "--min-passed",
      paramLabel = "N",
      description = "Exit with 0 if at least so many pass, instead of all.")
  Optional<Integer> minPassed = Optional.empty();

  @Override
  public Integer call() {
    if (!Files.isDirectory(folder)) {
      throw new TersorException(
          "TSR-0902",
          folder + " is no folder; the suite is onnx/backend/test/data of the onnx repository");
    }
    List<SuiteCase> cases = SuiteCase.find(folder).stream().filter(c -> wanted(c.name())).toList();
    if (cases.isEmpty()) {
      throw new TersorException(
          "TSR-0902", "no case " + (only.isEmpty() ? "" : only + " ") + "in " + folder);
    }
    CompileOptions options =
        target.map(CompileOptions.defaults()::withTarget).orElse(CompileOptions.defaults());
    var runner =
        new ConformanceRunner(
            common.compiler(),
            new ConformanceRunner.Settings(backend, options, Math.max(1, jobs), timeout));
    List<ConformanceRunner.Summary> result = new ArrayList<>();
    common.withProgress(
        "cases", cases.size(), step -> result.add(runner.run(cases, outcome -> step.run())));
    ConformanceRunner.Summary summary = result.getFirst();
    print(summary);
    return summary.passed() >= minPassed.orElse(cases.size()) ? Exit.OK : Exit.CHECK_FAILED;
  }

  private boolean wanted(String name) {
    String last = name.substring(name.lastIndexOf('/') + 1);
    return only.isEmpty()
        || only.stream()
            .map(pattern -> java.util.regex.Pattern.quote(pattern).replace("*", "\\E.*\\Q"))
            .anyMatch(regex -> name.matches(regex) || last.matches(regex));
  }

  private void print(ConformanceRunner.Summary summary) {
    List<ConformanceRunner.Outcome> listed =
        list.isEmpty()
            ? List.of()
            : summary.outcomes().stream()
                .filter(o -> list.get() == Listing.ALL || !o.passed())
                .toList();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("passed", summary.passed());
    json.put("failed", summary.failed());
    json.put("skipped", summary.skipped());
    json.put("kernelNodes", summary.kernelNodes());
    json.put("hostNodes", summary.hostNodes());
    json.put("backend", backend);
    if (list.isPresent()) {
      json.put("cases", listed);
    }
    common.sayJson(json);
    listed.forEach(
        o -> common.say("%s %s %s", o.passed() ? "ok  " : "FAIL", o.name(), o.message()));
    common.say(
        "%d of %d cases passed on %s (%.1f %%), %d failed; %d nodes as kernels, %d on the host",
        summary.passed(),
        summary.outcomes().size(),
        backend,
        100.0 * summary.passed() / summary.outcomes().size(),
        summary.failed(),
        summary.kernelNodes(),
        summary.hostNodes());
    if (!only.isEmpty() && list.isEmpty()) {
      summary.outcomes().stream()
          .filter(o -> !o.passed())
          .limit(10)
          .forEach(o -> common.say("FAIL %s: %s", o.name(), o.message()));
    }
  }
}
