package org.tersor.conformance.diff;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tersor.conformance.Reference;
import org.tersor.conformance.SeededRandom;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Random small graphs through Tersor and ONNX Runtime. */
public final class Differential implements AutoCloseable {
  private static final int MOST_CLEARINGS = 20;
  private static final Pattern NODE = Pattern.compile("\\b(n\\d+)\\b");

  private final Compiler compiler;
  private final Settings settings;
  private final GraphGenerator generator;
  private final Reference reference;
  private final Path folder;

  /** A killed run leaves nothing behind. */
  private final Thread end = new Thread(this::clearAtEnd, "difftest-folder");

  /**
   * How to run.
   *
   * @param backends with the number of graphs of which one is run by it
   * @param only operators to use; all if empty
   * @param seconds limit of one call of the reference
   * @param keep folder for models that show a disagreement
   */
  public record Settings(
      Map<String, Integer> backends, Set<String> only, int seconds, Optional<Path> keep) {}

  /**
   * Disagreements with one cause.
   *
   * @param known id of the known difference, see {@link KnownDifferences}; empty if none explains
   *     it
   * @param example detail of the first
   * @param file its model, if one was kept
   */
  public record Group(
      String kind,
      String backend,
      String operator,
      String type,
      int count,
      String known,
      long seed,
      String example,
      String file) {}

  /**
   * Totals.
   *
   * @param outcomes graphs by kind of outcome
   * @param chaotic graphs that were not compared, by the operator whose result depends on rounding
   * @param known disagreements that a known difference explains, by its id
   * @param versions nodes of graphs that agree, by operator and version
   * @param unexplained disagreements without explanation
   */
  public record Summary(
      int graphs,
      int nodes,
      Map<String, Integer> outcomes,
      Map<String, Integer> operators,
      Map<String, Integer> chaotic,
      Map<String, Integer> known,
      Map<String, Integer> versions,
      int unexplained,
      List<Group> groups) {}

  public Differential(Compiler compiler, Settings settings) {
    this.compiler = compiler;
    this.settings = settings;
    GraphGenerator.check(settings.only(), compiler.registry().operators());
    this.reference = new OrtWorker(Duration.ofSeconds(settings.seconds()));
    try {
      this.folder = Files.createTempDirectory("tersor-difftest");
      Runtime.getRuntime().addShutdownHook(end);
      this.generator =
          new GraphGenerator(
              compiler.registry().operators(),
              settings.only(),
              new ReferenceKernels(compiler, reference, folder.resolve("alone.onnx")));
      if (settings.keep().isPresent()) {
        Files.createDirectories(settings.keep().get());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Operators that can occur. */
  public List<String> operators() {
    return generator.names();
  }

  /** Runs graphs of seeds {@code seed}, {@code seed + 1}, ...; {@code progress} hears of each. */
  public Summary run(long seed, int graphs, Consumer<String> progress) {
    Map<String, Integer> outcomes = new TreeMap<>();
    Map<String, Integer> used = new TreeMap<>();
    Map<String, Integer> known = new TreeMap<>();
    Map<String, Integer> chaotic = new TreeMap<>();
    Map<String, Integer> versions = new TreeMap<>();
    Map<String, Group> groups = new LinkedHashMap<>();
    int nodes = 0;
    int unexplained = 0;
    for (int i = 0; i < graphs; i++) {
      DrawnGraph drawn = generator.draw(seed + i);
      nodes += drawn.graph().nodes().size();
      List<Finding> findings = attributed(drawn, judge(drawn, seed + i));
      Kind worst = Kind.AGREES;
      for (Finding finding : findings) {
        worst = finding.kind().compareTo(worst) > 0 ? finding.kind() : worst;
        if (finding.kind() == Kind.CHAOTIC) {
          chaotic.merge(finding.operator(), 1, Integer::sum);
        }
        if (finding.kind().isDisagreement()) {
          Optional<String> explained = KnownDifferences.explain(finding);
          explained.ifPresent(id -> known.merge(id, 1, Integer::sum));
          unexplained += explained.isPresent() ? 0 : 1;
          Group group = group(finding, explained);
          String key = finding.group() + " " + group.known();
          if (!groups.containsKey(key)) {
            group = kept(group, finding);
          }
          groups.merge(key, group, Differential::join);
        }
      }
      if (worst == Kind.AGREES) {
        countVersions(drawn.graph(), versions);
      }
      drawn.operators().forEach(name -> used.merge(name, 1, Integer::sum));
      outcomes.merge(worst.name(), 1, Integer::sum);
      progress.accept(worst.name());
    }
    List<Group> sorted = new ArrayList<>(groups.values());
    sorted.sort(
        java.util.Comparator.comparing((Group g) -> !g.known().isEmpty())
            .thenComparingInt(g -> -g.count()));
    return new Summary(
        graphs, nodes, outcomes, used, chaotic, known, versions, unexplained, sorted);
  }

  private void countVersions(Graph graph, Map<String, Integer> versions) {
    for (Node node : graph.nodes()) {
      String key =
          VersionsDocument.key(generator.operators().get(node).schema(), node.op().version());
      versions.merge(key, 1, Integer::sum);
      Graph.bodies(node).forEach(body -> countVersions(body, versions));
    }
  }

  /** The table of versions that runs compared. */
  public String versionsDocument(Tally tally) {
    return VersionsDocument.markdown(generator.operators(), tally, this::now);
  }

  /** What the rules of today say of one graph. */
  private String now(long seed) {
    Summary summary = run(seed, 1, outcome -> {});
    return summary.unexplained() > 0
        ? "no rule"
        : summary.known().isEmpty()
            ? String.join(", ", summary.outcomes().keySet())
            : String.join(", ", summary.known().keySet());
  }

  private static Group group(Finding finding, Optional<String> explained) {
    return new Group(
        finding.kind().name(),
        finding.backend(),
        finding.operator(),
        finding.type(),
        1,
        explained.orElse(""),
        finding.seed(),
        finding.detail(),
        "");
  }

  /** Writes the small model. */
  private Group kept(Group group, Finding finding) {
    if (settings.keep().isEmpty() || finding.small().isEmpty()) {
      return group;
    }
    String operators = finding.operator();
    String name =
        finding.kind()
            + "-"
            + operators.substring(0, Math.min(operators.length(), 60))
            + "-"
            + finding.seed();
    Path target =
        settings
            .keep()
            .get()
            .resolve(name.replaceAll("[^A-Za-z0-9_.-]+", "_").toLowerCase(Locale.ROOT) + ".onnx");
    Shrinker.write(compiler, finding.small().get(), target);
    return new Group(
        group.kind(),
        group.backend(),
        group.operator(),
        group.type(),
        group.count(),
        group.known(),
        group.seed(),
        group.example(),
        target.toString());
  }

  /** Disagreements with the smallest part of the graph that shows them. */
  private List<Finding> attributed(DrawnGraph drawn, List<Finding> findings) {
    List<Finding> attributed = new ArrayList<>();
    for (Finding finding : findings) {
      if (!finding.kind().isDisagreement()) {
        attributed.add(finding);
        continue;
      }
      // Where the reference refuses the whole plain graph, a part of it may show the same.
      DrawnGraph plain =
          same(drawn.plain(), finding).isPresent() || isRefused(drawn.plain(), finding.seed())
              ? drawn.plain()
              : drawn;
      DrawnGraph small =
          plain.equivalent().isPresent()
              ? plain
              : Shrinker.shrink(
                  plain,
                  candidate -> same(candidate, finding).isPresent(),
                  // What a refused node was evaluated to stays as it is, so it keeps its
                  // attributes.
                  candidate ->
                      finding.mismatch().isPresent()
                          && same(candidate, finding)
                              .filter(own -> own.kind() == finding.kind())
                              .isPresent());
      // What does not come again, as memory that was never written may not, stays as it was found.
      Optional<Finding> again = same(small, finding);
      DrawnGraph shown = again.isPresent() ? small : drawn;
      Finding own = again.orElse(finding);
      attributed.add(
          new Finding(
              finding.seed(),
              own.kind(),
              own.backend(),
              String.join("+", shown.operators()),
              own.type(),
              own.detail(),
              own.mismatch(),
              Optional.of(shown)));
    }
    return attributed;
  }

  private boolean isRefused(DrawnGraph candidate, long seed) {
    return judge(candidate, seed).stream().anyMatch(f -> f.kind() == Kind.REFERENCE_REFUSES);
  }

  private Optional<Finding> same(DrawnGraph candidate, Finding finding) {
    return judge(candidate, finding.seed()).stream()
        .filter(f -> f.kind().isLike(finding.kind()) && f.backend().equals(finding.backend()))
        .findFirst();
  }

  private static Group join(Group a, Group b) {
    return new Group(
        a.kind(),
        a.backend(),
        a.operator(),
        a.type(),
        a.count() + 1,
        a.known(),
        a.seed(),
        a.example(),
        a.file());
  }

  private List<Finding> judge(DrawnGraph drawn, long seed) {
    Graph graph = drawn.graph();
    Optional<Conditioning.Allowed> allowed = Optional.empty();
    Map<String, Tensor> inputs = drawn.inputs();
    if (drawn.refusal().isEmpty()) {
      DrawnGraph plain = drawn.plain();
      Conditioning.Verdict verdict = condition(plain.graph(), plain.values(), seed);
      allowed = verdict.allowed();
      if (allowed.isEmpty()) {
        return List.of(Finding.of(seed, Kind.CHAOTIC, verdict.decides()));
      }
    }
    Map<Value, DType> types = new HashMap<>();
    drawn.values().forEach((value, tensor) -> types.put(value, tensor.dtype()));
    Path file = folder.resolve("model.onnx");
    Path copy = folder.resolve("reference.onnx");
    compiler.write(graph, file, Map.of());
    Map<String, Tensor> fed = new LinkedHashMap<>();
    inputs.forEach((name, tensor) -> fed.put(name, Carriers.wrap(tensor)));
    Map<String, Datum> expected;
    try {
      compiler.write(Carriers.copy(graph, types, drawn.widened()), copy, Map.of());
      expected = called(copy, fed);
    } catch (TersorException e) {
      return List.of(refusal(drawn, seed, e));
    }
    if (allowed.isEmpty()) {
      String why = drawn.refusal().orElse("");
      Kind kind = why.startsWith("internal") ? Kind.INTERNAL_ERROR : Kind.WE_REFUSE;
      return List.of(finding(drawn, seed, kind, "interpreter", last(graph), why));
    }
    List<Finding> findings = new ArrayList<>();
    for (Map.Entry<String, Integer> backend : settings.backends().entrySet()) {
      if (seed % backend.getValue() == 0) {
        findings.addAll(compare(drawn, seed, backend.getKey(), file, expected, allowed.get()));
      }
    }
    return findings.isEmpty() ? List.of(Finding.of(seed, Kind.AGREES, "")) : findings;
  }

  /** A crash or a call that takes too long counts if it happens again: the machine may be busy. */
  private Map<String, Datum> called(Path model, Map<String, Tensor> fed) {
    Reference.Options options = new Reference.Options(Reference.Optimization.NONE, 1);
    try {
      return reference.call(model, fed, options);
    } catch (TersorException e) {
      if (e.code().equals("TSR-0802") || e.code().equals("TSR-0803")) {
        return reference.call(model, fed, options);
      }
      throw e;
    }
  }

  private Conditioning.Verdict condition(Graph graph, Map<Value, Tensor> values, long seed) {
    SeededRandom random = new SeededRandom(~seed);
    try {
      return new Conditioning(graph, generator.operators()).verdict(values, random);
    } catch (RuntimeException e) {
      // A move makes a size or an index impossible.
      return new Conditioning.Verdict(Optional.empty(), "a size");
    }
  }

  private static Node last(Graph graph) {
    return graph.nodes().getLast();
  }

  private Finding refusal(DrawnGraph drawn, long seed, TersorException e) {
    Graph graph = drawn.graph();
    String message = String.valueOf(e.getMessage());
    Matcher name = NODE.matcher(message);
    Optional<Node> named =
        name.find()
            ? graph.nodes().stream().filter(n -> n.name().equals(name.group(1))).findFirst()
            : Optional.empty();
    Node blamed = named.orElse(last(graph));
    if (e.code().equals("TSR-0802")) {
      return finding(drawn, seed, Kind.REFERENCE_CRASHES, "", blamed, message);
    }
    if (e.code().equals("TSR-0803")) {
      return finding(drawn, seed, Kind.REFERENCE_HANGS, "", blamed, message);
    }
    if (ReferenceKernels.lacks(message)) {
      return finding(drawn, seed, Kind.NO_KERNEL, "", blamed, message);
    }
    Kind kind = drawn.refusal().isPresent() ? Kind.BOTH_REFUSE : Kind.REFERENCE_REFUSES;
    return finding(drawn, seed, kind, "", blamed, message);
  }

  private static Finding finding(
      DrawnGraph drawn, long seed, Kind kind, String backend, Node node, String detail) {
    String signature = GraphGenerator.signature(node, drawn.values());
    int space = signature.indexOf(' ');
    return new Finding(
        seed,
        kind,
        backend,
        node.op().type(),
        space < 0 ? "" : signature.substring(space + 1),
        "version " + node.op().version() + " " + node.attributes() + ": " + detail,
        Optional.empty(),
        Optional.empty());
  }

  private List<Finding> compare(
      DrawnGraph drawn,
      long seed,
      String backend,
      Path file,
      Map<String, Datum> expected,
      Conditioning.Allowed allowed) {
    Graph graph = drawn.graph();
    Map<String, Tensor> ours;
    try {
      Graph read = compiler.read(file, Map.of());
      Executable executable = compiler.executable(read, backend, CompileOptions.defaults());
      ours = executable.run(drawn.inputs());
    } catch (TersorException e) {
      Kind kind =
          backend.equals("interpreter")
              ? Kind.WE_REFUSE
              : isLimit(e) ? Kind.BEYOND_COMPILATION : Kind.NOT_COMPILED;
      return List.of(
          finding(drawn, seed, kind, backend, blamed(graph, e), e.code() + " " + e.getMessage()));
    } catch (RuntimeException | StackOverflowError e) {
      String at = e.getStackTrace().length > 0 ? " at " + e.getStackTrace()[0] : "";
      return List.of(finding(drawn, seed, Kind.INTERNAL_ERROR, backend, last(graph), e + at));
    }
    for (int i = 0; i < graph.outputs().size(); i++) {
      Value output = graph.outputs().get(i);
      Tensor own = ours.get(output.name());
      Datum theirs = expected.get(output.name());
      if (!(theirs instanceof Tensor other)) {
        continue;
      }
      if (own == null) {
        String why = "there is no output '" + output.name() + "', but " + ours.keySet();
        return List.of(finding(drawn, seed, Kind.INTERNAL_ERROR, backend, last(graph), why));
      }
      double[] tolerance = allowed.tolerance().get(drawn.plain().graph().outputs().get(i));
      Optional<Mismatch> mismatch = Mismatch.of(i, Carriers.wrap(own), other, tolerance);
      if (mismatch.isPresent()) {
        Node node = graph.producer(output).orElse(last(graph));
        Mismatch found = mismatch.get();
        Finding finding = finding(drawn, seed, found.kind(), backend, node, found.text());
        return List.of(finding.withMismatch(found));
      }
    }
    return List.of();
  }

  /**
   * What compiled code does not do: outputs whose rank only the data tells, operators that only the
   * interpreter has (with so many steps), constant texts as outputs, ranks that the sizes of axes
   * decide.
   */
  private static boolean isLimit(TersorException e) {
    return e.code().equals("TSR-0501")
        || e.code().equals("TSR-0504")
        || (e.code().equals("TSR-0303") && String.valueOf(e.getMessage()).contains("the rank of "))
        || (e.code().equals("TSR-0703")
            && String.valueOf(e.getMessage()).contains("that compiled code keeps"));
  }

  private static Node blamed(Graph graph, TersorException e) {
    Matcher name = Pattern.compile("'(n\\d+)'").matcher(String.valueOf(e.getMessage()));
    return name.find()
        ? graph.nodes().stream()
            .filter(n -> n.name().equals(name.group(1)))
            .findFirst()
            .orElse(last(graph))
        : last(graph);
  }

  @Override
  public void close() {
    reference.close();
    clear();
    try {
      Runtime.getRuntime().removeShutdownHook(end);
    } catch (IllegalStateException e) {
      // The end has come already.
    }
  }

  /** The run may still write there: until the folder is gone. */
  private void clearAtEnd() {
    for (int attempt = 0; attempt < MOST_CLEARINGS && Files.exists(folder); attempt++) {
      try {
        clear();
      } catch (UncheckedIOException e) {
        // A file came in between.
      }
    }
  }

  private void clear() {
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.deleteIfExists(file);
      }
      Files.deleteIfExists(folder);
    } catch (NoSuchFileException e) {
      // cleared before
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
