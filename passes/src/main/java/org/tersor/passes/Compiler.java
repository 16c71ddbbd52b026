package org.tersor.passes;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.schedule.Winograd;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.ir.spi.PluginPass;
import org.tersor.passes.eval.InterpreterBackend;
import org.tersor.passes.graph.Bodies;
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.graph.OpenDims;
import org.tersor.passes.graph.UpgradeOpset;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.Executable;
import org.tersor.runtime.ScriptExecutable;
import org.tersor.runtime.StatefulExecutable;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.host.HostOps;

/**
 * The compiler as an API: read, prepare, compile, write. Every command of the command line is a few
 * calls of this.
 */
public final class Compiler {
  /** Setting: {@code true} rounds float16 after every operator. */
  public static final String STRICT_TYPES = "strict-types";

  /**
   * Setting: which convolutions of 3 x 3 may be computed by tiles, which takes fewer
   * multiplications and rounds in another way; a {@link Winograd.Tiles}.
   */
  public static final String WINOGRAD = "winograd";

  /**
   * Setting: of several schedules for a shape the one of that number, or the last, instead of what
   * {@link CompileOptions#schedules} wants.
   */
  public static final String SCHEDULE = "schedule";

  /** Setting: what memory is worth, a {@link Memory}. */
  public static final String MEMORY = "memory";

  /**
   * Setting: states that calls append to have memory for so many entries, and are updated in place.
   */
  public static final String STATE_CAPACITY = "state-capacity";

  /**
   * A form that {@link PassManager.Debug#printAfter} may name beside passes: kernels, fused, in the
   * order in which they run.
   */
  public static final String KERNELS = "kernels";

  /** Likewise: loop functions, as backends get them. */
  public static final String LOOPS = "loops";

  /** What counts more, where weights in codes take less memory and numbers made once less time. */
  public enum Memory {
    FAST,
    SMALL;

    String text() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private final Registry registry;

  public Compiler(Registry registry) {
    this.registry = registry;
  }

  /** A compiler with what is on the class path. */
  public static Compiler standard() {
    return new Compiler(Registry.builtIn());
  }

  /** Version of this compiler, as artifacts tell it. */
  public static String version() {
    try (InputStream in = Compiler.class.getResourceAsStream("version.txt")) {
      return new String(Objects.requireNonNull(in).readAllBytes(), UTF_8).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Registry registry() {
    return registry;
  }

  /** Reads a model file. */
  public Graph read(Path file, Map<String, String> options) {
    return registry.frontend(file).read(file, options);
  }

  /**
   * What a model file declares about shapes and its own graph contradicts, one sentence each; the
   * inferred shapes are used. Empty if operators are not known.
   *
   * @param graph as it was read from the file
   */
  public List<String> contradictions(Graph graph, Path file) {
    Map<String, ValueType> declared = registry.frontend(file).declared(file);
    try {
      return declared.isEmpty()
          ? List.of()
          : TypeInference.contradictions(graph, declared, registry.operators());
    } catch (TersorException e) {
      return List.of(); // whoever prepares the graph reports it
    }
  }

  /** Writes a model file of the kind that its suffix names. */
  public void write(Graph graph, Path file, Map<String, String> options) {
    registry.frontend(file).write(graph, file, options);
  }

  /**
   * Binds dimensions, infers types, folds and simplifies; the result computes the same function.
   */
  public Graph prepare(Graph graph, CompileOptions options) {
    checkSupported(graph);
    return manager(options).run(canonicalise(options.dims()), graph);
  }

  /** The passes of {@link #prepare}, with those of plugins. */
  public List<Pass> canonicalise(Map<String, Long> dims) {
    return Pipelines.withPlugins(
        Pipelines.canonicalise(dims), registry.passes(PluginPass.Point.CANONICAL));
  }

  /** A runnable form of a model. */
  public Executable executable(Graph graph, String backendId, CompileOptions options) {
    return link(prepare(graph, options), backendId, options);
  }

  /** A runnable form of a prepared graph. */
  public Executable link(Graph prepared, String backendId, CompileOptions options) {
    Backend.Options backendOptions = new Backend.Options(options.threads(), options.settings());
    return switch (registry.backend(backendId)) {
      case InterpreterBackend interpreter ->
          StatefulExecutable.of(
              InterpreterBackend.load(prepared, registry.operators()),
              ModelMetadata.states(prepared));
      case Backend.OfGraph backend ->
          StatefulExecutable.of(
              backend.load(prepared, backendOptions), ModelMetadata.states(prepared));
      case Backend.OfProgram backend -> {
        ModelProgram model = model(prepared, target(backend, options), options);
        yield StatefulExecutable.of(load(backend, model, options), model.states());
      }
    };
  }

  /** A runnable form of a compiled model. */
  public static Executable load(
      Backend.OfProgram backend, ModelProgram model, CompileOptions compileOptions) {
    Backend.Options options =
        new Backend.Options(compileOptions.threads(), compileOptions.settings());
    if (model.script().isEmpty()) {
      return backend.load(model.segments().getFirst(), options);
    }
    List<Executable> segments =
        model.segments().stream().map(program -> backend.load(program, options)).toList();
    Map<String, String> facts = new TreeMap<>(model.facts());
    facts.put("backend", backend.id());
    facts.put("target", model.target().name());
    return new ScriptExecutable(
        model.script().get(),
        segments,
        model.constants().stream().map(Constant::load).toList(),
        HostOps.with(model.hostPacks()),
        facts);
  }

  /** Runs passes of the caller's choice, watched as the options say. */
  public Graph run(List<Pass> passes, Graph graph, CompileOptions options) {
    return manager(options).run(passes, graph);
  }

  /**
   * A graph of standard operators only, as other tools read it; its metadata tells the version that
   * made it.
   */
  public Graph exportable(Graph prepared, CompileOptions options) {
    Graph raised =
        run(
            List.of(new TypeInference(), UpgradeOpset.forExport(), new TypeInference()),
            prepared,
            options);
    return OpenDims.where(versioned(standard(raised, options)), registry.operators());
  }

  /** The same graph with standard operators, in bodies, too. */
  private Graph standard(Graph graph, CompileOptions options) {
    Graph inside =
        Bodies.map(graph, body -> Pipelines.isStandard(body) ? body : standard(body, options));
    Graph exported = run(Pipelines.export(), inside, options);
    return Boolean.parseBoolean(options.settings().getOrDefault(IntegerKernels.EXPORTED, "false"))
        ? run(Pipelines.integerOperators(), exported, options)
        : exported;
  }

  static Graph versioned(Graph graph) {
    return ModelMetadata.with(graph, ModelMetadata.TERSOR + "version", version());
  }

  /** Writes an artifact for the named targets, or for all that the backend's artifacts may hold. */
  public void artifact(
      Graph graph, String backendId, List<String> targets, Path file, CompileOptions options) {
    artifact(graph, backendId, targets, Optional.empty(), file, options);
  }

  /**
   * Writes an artifact.
   *
   * @param backendId whose artifact it is
   * @param targets what it is for; empty for all that it may hold
   * @param carried backend whose code runs instead where it can, for all its targets
   */
  public void artifact(
      Graph graph,
      String backendId,
      List<String> targets,
      Optional<String> carried,
      Path file,
      CompileOptions options) {
    Backend.OfProgram backend = writer(backendId);
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    if (backend.artifacts().stream().noneMatch(suffix -> name.endsWith("." + suffix))) {
      throw new TersorException(
          "TSR-0602",
          "backend '"
              + backendId
              + "' writes "
              + backend.artifacts()
              + ", not '"
              + file.getFileName()
              + "'");
    }
    Graph prepared = prepare(graph, options);
    List<Target> known = backend.artifactTargets();
    List<Target> all = Stream.concat(known.stream(), backend.namedTargets().stream()).toList();
    List<Target> wanted =
        targets.isEmpty()
            ? known
            : targets.stream().map(target -> find(all, target, backendId)).toList();
    ModelLowering lowered = ModelLowering.of(this, prepared, options);
    List<ModelProgram> programs = wanted.stream().map(target -> lowered.program(target)).toList();
    Backend.Options settings = new Backend.Options(options.threads(), options.settings());
    if (carried.isEmpty()) {
      backend.write(programs, file, settings);
      return;
    }
    Backend.OfProgram other = writer(carried.get());
    List<ModelProgram> carriedPrograms =
        other.artifactTargets().stream().map(target -> lowered.program(target)).toList();
    backend.write(programs, other.machineCode(carriedPrograms, settings), file, settings);
  }

  private Backend.OfProgram writer(String backendId) {
    if (registry.backend(backendId) instanceof Backend.OfProgram backend) {
      return backend;
    }
    throw new TersorException("TSR-0602", "backend '" + backendId + "' writes no artifacts");
  }

  /** Kernels, memory plans and script of a prepared graph for one target. */
  public ModelProgram model(Graph prepared, Target target, CompileOptions options) {
    return ModelLowering.of(this, prepared, options).program(target);
  }

  /** The target that the options name, or the backend's best for this machine. */
  public static Target target(Backend.OfProgram backend, CompileOptions options) {
    if (options.target().isEmpty()) {
      Target best = backend.targets().getFirst();
      backend
          .limited()
          .ifPresent(why ->
              options.note().accept(backend.id() + " runs code for " + best.name() + ": " + why));
      return best;
    }
    return find(backend.targets(), options.target().get(), backend.id());
  }

  private static Target find(List<Target> targets, String name, String backendId) {
    return targets.stream()
        .filter(target -> target.name().equals(name))
        .findFirst()
        .orElseThrow(() ->
            new TersorException(
                "TSR-0603",
                "backend '"
                    + backendId
                    + "' has no target '"
                    + name
                    + "'; it has "
                    + targets.stream().map(Target::name).toList()));
  }

  /** Reports every operator that is not known, with counts, bodies included. */
  public void checkSupported(Graph graph) {
    Map<String, Integer> unknown = new TreeMap<>();
    countUnknown(graph, unknown);
    if (!unknown.isEmpty()) {
      throw new TersorException(
          "TSR-0201",
          unknown.size()
              + " operator(s) of '"
              + graph.name()
              + "' are not supported: "
              + String.join(
                  ", ",
                  unknown.entrySet().stream()
                      .map(e -> e.getKey() + " (" + e.getValue() + " nodes)")
                      .toList())
              + "; a plugin can supply them");
    }
  }

  private void countUnknown(Graph graph, Map<String, Integer> unknown) {
    for (Node node : graph.nodes()) {
      if (registry.operators().find(node.op()).isEmpty()) {
        unknown.merge(node.op().toString(), 1, Integer::sum);
      }
      Graph.bodies(node).forEach(body -> countUnknown(body, unknown));
    }
  }

  PassManager manager(CompileOptions options) {
    return new PassManager(
        new PassContext(registry.operators(), options.settings(), options.note()), options.debug());
  }
}
