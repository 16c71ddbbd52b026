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
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.tersor.conformance.diff.Differential;
import org.tersor.conformance.diff.Tally;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tersor difftest}: random small graphs; {@link Differential} is its Java API. */
@Command(
    name = "difftest",
    description = {
      "Makes up small graphs and compares results with ONNX Runtime.",
      "Graphs come from the schemas of the operators. A graph whose result depends on how operators round is not compared. Known differences (docs/differences.md) are counted; any other ends with exit code 1."
    })
final class DifftestCommand implements Callable<Integer> {
  @Mixin Common common;

  @Option(
      names = "--graphs",
      paramLabel = "N",
      defaultValue = "1000",
      description = "Number of graphs (default: ${DEFAULT-VALUE}).")
  int graphs;

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Seed of the first graph; the next ones have the next numbers.")
  long seed;

  @Option(
      names = "--backend",
      paramLabel = "NAME[=N]",
      split = ",",
      description = "Backends, each for every Nth graph (default: interpreter,jvm=4,native=200).")
  List<String> backends = new ArrayList<>(List.of("interpreter", "jvm=4", "native=200"));

  @Option(
      names = "--op",
      paramLabel = "NAME",
      split = ",",
      description = "Use these operators only.")
  Set<String> only = new TreeSet<>();

  @Option(
      names = "--reference-timeout",
      paramLabel = "SECONDS",
      defaultValue = "20",
      description = "Time limit of ONNX Runtime (default: ${DEFAULT-VALUE}).")
  int seconds;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "DIR",
      description = "Write a small model and its inputs for every group of disagreements.")
  Optional<Path> output = Optional.empty();

  @Option(
      names = "--docs",
      paramLabel = "DIR",
      description = "Write versions.md there: which versions of operators were compared.")
  Optional<Path> docs = Optional.empty();

  @Option(
      names = "--tally",
      paramLabel = "FILE",
      description =
          "Add the counts to those of earlier runs in FILE; --docs tells of all (with --graphs 0 of the earlier ones).")
  Optional<Path> tally = Optional.empty();

  @Override
  public Integer call() {
    Map<String, Integer> every = new LinkedHashMap<>();
    for (String backend : backends) {
      int equals = backend.indexOf('=');
      try {
        every.put(
            equals < 0 ? backend : backend.substring(0, equals),
            equals < 0 ? 1 : Math.max(1, Integer.parseInt(backend.substring(equals + 1))));
      } catch (NumberFormatException e) {
        throw new TersorException("TSR-0906", "--backend takes NAME or NAME=N, not " + backend, e);
      }
    }
    // Read first: nothing is gained by a long run whose result has no place.
    Tally earlier = tally.map(Tally::read).orElseGet(Tally::none);
    docs.ifPresent(DifftestCommand::create);
    List<Differential.Summary> result = new ArrayList<>();
    try (Differential differential =
        new Differential(
            common.compiler(), new Differential.Settings(every, only, seconds, output))) {
      common.say("seed %d, %d graphs, %d operators", seed, graphs, differential.operators().size());
      common.withProgress(
          "graphs",
          graphs,
          step -> result.add(differential.run(seed, graphs, outcome -> step.run())));
      writeDocs(differential, earlier, result.getFirst());
    }
    Differential.Summary summary = result.getFirst();
    print(summary);
    return summary.unexplained() == 0 ? Exit.OK : Exit.CHECK_FAILED;
  }

  private static void create(Path folder) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new TersorException("TSR-0906", "cannot make the folder " + folder + ": " + e, e);
    }
  }

  private void writeDocs(Differential differential, Tally earlier, Differential.Summary summary) {
    Tally sum = earlier.plus(Tally.of(seed, summary));
    tally.ifPresent(sum::write);
    if (docs.isEmpty()) {
      return;
    }
    try {
      Files.writeString(docs.get().resolve("versions.md"), differential.versionsDocument(sum));
    } catch (IOException e) {
      throw new TersorException("TSR-0906", "cannot write into " + docs.get() + ": " + e, e);
    }
  }

  private void print(Differential.Summary summary) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("seed", seed);
    json.put("graphs", summary.graphs());
    json.put("nodes", summary.nodes());
    json.put("outcomes", summary.outcomes());
    json.put("unexplained", summary.unexplained());
    json.put("known", summary.known());
    json.put("versions", summary.versions());
    json.put("operators", summary.operators());
    json.put("chaotic", summary.chaotic());
    json.put("groups", summary.groups());
    common.sayJson(json);
    summary
        .groups()
        .forEach(g ->
            common.say(
                "%5d %s %s %s (%s)%s%n      seed %d: %s%s",
                g.count(),
                g.kind(),
                g.backend(),
                g.operator(),
                g.type(),
                g.known().isEmpty() ? "" : " known: " + g.known(),
                g.seed(),
                g.example(),
                g.file().isEmpty() ? "" : "\n      " + g.file()));
    common.say("not compared, rounding decides: %s", summary.chaotic());
    common.say(
        "%d graphs of %d nodes: %s; %d disagreements unexplained",
        summary.graphs(), summary.nodes(), summary.outcomes(), summary.unexplained());
  }
}
