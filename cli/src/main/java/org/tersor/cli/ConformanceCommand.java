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
import org.tersor.conformance.ConformanceDocument;
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
      completionCandidates = BackendNames.class,
      description = "${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  String backend = "jvm";

  @Option(names = "--target", description = "Target of the backend.")
  Optional<String> target = Optional.empty();

  @Option(
      names = "--set",
      paramLabel = "NAME=VALUE",
      description =
          "A setting of a pass or backend, as schedule=N for the schedule of that number where there are several.")
  Map<String, String> settings = new LinkedHashMap<>();

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

  @Option(
      names = "--docs",
      paramLabel = "FOLDER",
      description =
          "Run every case on interpreter, jvm and native and write FOLDER/conformance.md, with the"
              + " reasons of FOLDER/conformance-reasons.txt; fails if a case fails without one.")
  Optional<Path> docs = Optional.empty();

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
    if (docs.isPresent()) {
      return document(cases, docs.get());
    }
    ConformanceRunner.Summary summary = run(cases, backend);
    print(summary);
    return summary.passed() >= minPassed.orElse(cases.size()) ? Exit.OK : Exit.CHECK_FAILED;
  }

  private ConformanceRunner.Summary run(List<SuiteCase> cases, String on) {
    CompileOptions options =
        target.map(CompileOptions.defaults()::withTarget).orElse(CompileOptions.defaults());
    for (Map.Entry<String, String> setting : settings.entrySet()) {
      options = options.withSetting(setting.getKey(), setting.getValue());
    }
    var runner =
        new ConformanceRunner(
            common.compiler(),
            new ConformanceRunner.Settings(on, options, Math.max(1, jobs), timeout));
    List<ConformanceRunner.Summary> result = new ArrayList<>();
    common.withProgress(
        "cases on " + on, cases.size(), step -> result.add(runner.run(cases, o -> step.run())));
    return result.getFirst();
  }

  private int document(List<SuiteCase> cases, Path into) {
    try {
      ConformanceDocument document =
          new ConformanceDocument(Files.readString(into.resolve("conformance-reasons.txt")));
      Map<String, ConformanceRunner.Summary> runs = new LinkedHashMap<>();
      for (String on : List.of("interpreter", "jvm", "native")) {
        runs.put(on, run(cases, on));
      }
      Map<String, Integer> others = new LinkedHashMap<>();
      Path ort = folder.resolve("ort-1.29-results.csv");
      if (Files.exists(ort)) {
        int passed =
            (int) Files.readString(ort).lines().filter(line -> line.endsWith(",pass")).count();
        others.put("ONNX Runtime 1.29, Java API", passed);
      }
      Files.writeString(into.resolve("conformance.md"), document.of(runs, others));
      List<String> unexplained = document.unexplained(runs);
      unexplained.forEach(name -> common.say("%s fails, and no reason is known", name));
      return unexplained.isEmpty() ? Exit.OK : Exit.CHECK_FAILED;
    } catch (IOException e) {
      throw new TersorException("TSR-0903", "the documents: " + e.getMessage(), e);
    }
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
    json.put("kernelNodes", summary.nodes().kernel());
    json.put("hostNodes", summary.nodes().host());
    json.put("foldedNodes", summary.nodes().folded());
    summary
        .cases()
        .forEach((by, count) -> json.put(by.name().toLowerCase(Locale.ROOT) + "Cases", count));
    json.put("backend", backend);
    if (list.isPresent()) {
      json.put("cases", listed);
    }
    common.sayJson(json);
    listed.forEach(
        o -> common.say("%s %s %s", o.passed() ? "ok  " : "FAIL", o.name(), o.message()));
    common.say(
        "%d of %d cases passed on %s (%.1f %%), %d failed; computed by generated code %d,"
            + " with the host %d, when compiled %d; %d nodes as kernels, %d on the host, %d folded",
        summary.passed(),
        summary.outcomes().size(),
        backend,
        100.0 * summary.passed() / summary.outcomes().size(),
        summary.failed(),
        summary.cases().getOrDefault(ConformanceRunner.Computed.KERNELS, 0L),
        summary.cases().getOrDefault(ConformanceRunner.Computed.HOST, 0L),
        summary.cases().getOrDefault(ConformanceRunner.Computed.FOLDED, 0L),
        summary.nodes().kernel(),
        summary.nodes().host(),
        summary.nodes().folded());
    if (!only.isEmpty() && list.isEmpty()) {
      summary.outcomes().stream()
          .filter(o -> !o.passed())
          .limit(10)
          .forEach(o -> common.say("FAIL %s: %s", o.name(), o.message()));
    }
  }
}
