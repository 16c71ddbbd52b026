package org.tersor.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.tersor.cli.data.Preprocess;
import org.tersor.conformance.CostBench;
import org.tersor.conformance.Leaves;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.RandomInputs;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceExecutable;
import org.tersor.conformance.ReferenceModels;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.schedule.Schedules;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.onnx.OnnxTensors;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.PassManager;
import org.tersor.passes.Pipelines;
import org.tersor.passes.ScheduleTable;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Executable.State;
import org.tersor.runtime.Npy;
import org.tersor.runtime.StatefulExecutable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** A model on the command line, and how it is compiled and fed. */
final class ModelOptions {
  /** Setting: how hard ONNX Runtime optimises a model. */
  private static final String ORT_OPTIMIZATION = "ort-optimization";

  @Mixin Common common;

  @Mixin LimitOptions limits;

  @Parameters(
      paramLabel = "MODEL",
      description = "An .onnx or .gguf file, or an artifact: .jar, .so.")
  Path model;

  @Option(
      names = "--dim",
      paramLabel = "NAME=N",
      description = "Value of a symbolic dimension; others are 1 when inputs are drawn.")
  Map<String, Long> dims = new LinkedHashMap<>();

  @Option(
      names = "--state",
      paramLabel = "OUTPUT=INPUT",
      description =
          "An output that the next call gets as an input. A compiled model knows it (Executable.states, the header of a .so).")
  Map<String, String> states = new LinkedHashMap<>();

  @Option(
      names = "--input",
      paramLabel = "NAME=FILE",
      description =
          "An input: .npy, .npz (the array of that name, or the only one; the elements of a sequence), .pb (a TensorProto, SequenceProto, ...), .png or .jpg, .bin (raw little-endian), a number (for a scalar), or the word random.")
  Map<String, String> inputs = new LinkedHashMap<>();

  @Option(names = "--inputs", paramLabel = "X.npz", description = "All inputs by name.")
  Optional<Path> archive = Optional.empty();

  @Option(
      names = "--preprocess",
      paramLabel = "HOW",
      description =
          "For pictures: raw, or mean=A[:B:C],std=A[:B:C],layout=nchw|nhwc,order=rgb|bgr,scale=S.")
  Optional<String> preprocess = Optional.empty();

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Seed of random inputs (default: ${DEFAULT-VALUE}).")
  long seed;

  @Option(
      names = "--backend",
      completionCandidates = BackendNames.class,
      description = "${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  String backend = "jvm";

  @Option(
      names = "--target",
      description =
          "Target of the backend, e.g. jvm256, avx2; by default the best for this machine.")
  Optional<String> target = Optional.empty();

  @Option(
      names = "--threads",
      defaultValue = "1",
      description = "Threads (default: ${DEFAULT-VALUE}).")
  int threads;

  @Option(
      names = "--strict-types",
      description =
          "Round float16 after every operator, as the model's types say; else values between operators stay float32.")
  boolean strictTypes;

  @Option(
      names = "--winograd",
      paramLabel = "auto|small|off",
      description =
          "Float convolutions of 3 x 3 with fewer multiplications, where that is faster: by tiles of 2 x 2 or 4 x 4"
              + " results (auto), of 2 x 2 alone, which round no worse than plain sums (small), or never (off). Tiles"
              + " of 4 x 4 have rounding errors about ten times as large (default: auto).")
  Optional<String> winograd = Optional.empty();

  @Option(
      names = "--memory",
      paramLabel = "fast|small",
      description =
          "Weights in codes: as numbers made once at load where that is faster (fast), or as they are (small)."
              + " --describe says what is held (default: fast).")
  Optional<String> memory = Optional.empty();

  @Option(
      names = "--state-capacity",
      paramLabel = "N",
      description =
          "Memory for N entries in each state that calls append to (a cache of keys and values), which is then updated in"
              + " place; a further input tells by its length how many entries there are. By default each call copies such a"
              + " state; generate takes what its tokens need.")
  Optional<Integer> stateCapacity = Optional.empty();

  @Option(
      names = "--schedules",
      paramLabel = "FILE",
      description =
          "A table of schedules that 'compile --tune' has measured; what it does not name is left to the rule.")
  Optional<Path> scheduleFile = Optional.empty();

  @Option(
      names = "--set",
      paramLabel = "NAME=VALUE",
      description = "A setting of a pass or backend.")
  Map<String, String> settings = new LinkedHashMap<>();

  @Option(
      names = "--print-ir-after",
      paramLabel = "PASS",
      split = ",",
      description =
          "Print the graph to standard error after these passes; * for every one that changed it;"
              + " kernels or loops for what is compiled, fused and scheduled.")
  Set<String> printAfter = new LinkedHashSet<>();

  @Option(
      names = "--stop-after",
      paramLabel = "PASS",
      description = "End the pipeline after this pass.")
  Optional<String> stopAfter = Optional.empty();

  @Option(
      names = "--verify-numerics",
      description = "Evaluate the graph before and after every pass and compare.")
  boolean verifyNumerics;

  @Option(
      names = "--external-data-root",
      paramLabel = "DIR",
      description = "Another folder that external data may lie in, after links are followed.")
  Optional<Path> externalDataRoot = Optional.empty();

  @Option(
      names = "--allow-hard-links",
      description = "Read external data that has several hard links.")
  boolean allowHardLinks;

  private final List<String> notes = new ArrayList<>();
  private Optional<Schedules> schedules = Optional.empty();

  /** Whether the table is being made, so that there is nothing to read yet. */
  boolean tuning;

  private List<String> contradictions = List.of();

  /** What {@code --state} declares. */
  List<State> states() {
    return states.entrySet().stream().map(e -> new State(e.getKey(), e.getValue())).toList();
  }

  /** What compilation reported so far. */
  List<String> notes() {
    return notes;
  }

  /** Adds a note unless it is there. */
  void note(String text) {
    if (!notes.contains(text)) {
      notes.add(text);
    }
  }

  Graph read(Compiler compiler) {
    return read(compiler, model);
  }

  Graph read(Compiler compiler, Path file) {
    if (!Files.exists(file)) {
      throw new TersorException("TSR-0902", "there is no file " + file);
    }
    Map<String, String> options = new LinkedHashMap<>();
    externalDataRoot.ifPresent(root -> options.put("external-data-root", root.toString()));
    options.putAll(limits.reading());
    if (allowHardLinks) {
      options.put("allow-hard-links", "true");
    }
    Graph graph = ModelMetadata.withStates(compiler.read(file, options), states());
    contradictions = compiler.contradictions(graph, file);
    if (!contradictions.isEmpty()) {
      common.warn(
          contradictions.getFirst()
              + ", which is used"
              + (contradictions.size() == 1
                  ? ""
                  : " ("
                      + (contradictions.size() - 1)
                      + " more contradictions; `tersor inspect` lists them)"));
    }
    return graph;
  }

  /** What {@code --schedules} wants. */
  private Schedules schedules() {
    if (tuning) {
      return Schedules.RULE;
    }
    if (schedules.isEmpty()) {
      schedules =
          scheduleFile.map(file -> {
            ScheduleTable table = ScheduleFiles.read(file);
            table.warnings(CostBench.processor()).forEach(common::warn);
            return table;
          });
    }
    return schedules.orElse(Schedules.RULE);
  }

  private void checkPass(String id, Set<String> more) {
    Set<String> known = new TreeSet<>(Pipelines.ids());
    common.registry().passes().forEach(pass -> known.add(pass.provider().id()));
    known.addAll(more);
    if (!known.contains(id)) {
      throw new TersorException(
          "TSR-0906", "there is no pass '" + id + "'; there are " + String.join(", ", known));
    }
  }

  CompileOptions compileOptions() {
    return compileOptions(target);
  }

  CompileOptions compileOptions(Optional<String> target) {
    Consumer<String> note = this::note;
    PassManager.Debug off = PassManager.Debug.OFF;
    stopAfter.ifPresent(id -> checkPass(id, Set.of()));
    printAfter.forEach(id -> checkPass(id, Set.of("*", Compiler.KERNELS, Compiler.LOOPS)));
    PassManager.Debug debug =
        new PassManager.Debug(
            printAfter,
            stopAfter,
            verifyNumerics,
            off.limit(),
            (form, text) -> {
              common.err().println("// after " + form);
              common.err().println(text);
            },
            off.verifier());
    Map<String, String> all = new LinkedHashMap<>(settings);
    if (strictTypes) {
      all.put(Compiler.STRICT_TYPES, "true");
    }
    winograd.ifPresent(tiles -> all.put(Compiler.WINOGRAD, tiles));
    stateCapacity.ifPresent(n -> all.put(Compiler.STATE_CAPACITY, Integer.toString(n)));
    memory.ifPresent(worth -> all.put(Compiler.MEMORY, worth));
    return new CompileOptions(dims, threads, target, all, debug, note, schedules());
  }

  /** The target of {@code --backend}, if it generates code. */
  List<Target> targets(Compiler compiler) {
    return compiler.registry().backend(backend) instanceof Backend.OfProgram program
        ? List.of(Compiler.target(program, compileOptions()))
        : List.of();
  }

  /** Whether MODEL is something that was compiled before. */
  boolean isArtifact() {
    return suffix().equals("jar") || suffix().equals("so");
  }

  private String suffix() {
    String name = model.getFileName().toString();
    return name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
  }

  LoadedModel load(Compiler compiler) {
    return load(compiler, Optional.empty());
  }

  /**
   * @param source the model that an artifact was compiled from, for what the artifact does not tell
   */
  LoadedModel load(Compiler compiler, Optional<Path> source) {
    if (!isArtifact() && !backend.equals("ort")) {
      LoadedModel loaded = LoadedModel.of(compiler, read(compiler), backend, compileOptions());
      return loaded.with(limits.limited(loaded.executable()));
    }
    if (!isArtifact()) {
      return foreign(compiler, model);
    }
    checkExists(model);
    Graph graph =
        source
            .map(file -> compiler.prepare(read(compiler, file), compileOptions()))
            .orElseGet(ModelOptions::unknown);
    return new LoadedModel(graph, limits.limited(artifact()), suffix(), LoadedModel.Nodes.NONE);
  }

  /** A model as ONNX Runtime runs it, which may know operators that are not known here. */
  LoadedModel foreign(Compiler compiler, Path file) {
    checkExists(file);
    Graph graph = read(compiler, file);
    OrtWorker worker = new OrtWorker(); // ends with this process
    Reference.Options how = new Reference.Options(optimization(), threads);
    Executable executable =
        new ReferenceExecutable(
            worker.name(),
            ReferenceModels.open(worker, file, how, !contradictions.isEmpty(), common::warn));
    return new LoadedModel(
        graph,
        limits.limited(StatefulExecutable.of(executable, ModelMetadata.states(graph))),
        "ort",
        LoadedModel.Nodes.NONE);
  }

  private static void checkExists(Path file) {
    if (!Files.exists(file)) {
      throw new TersorException("TSR-0902", "there is no file " + file);
    }
  }

  private Executable artifact() {
    try {
      return suffix().equals("so")
          ? new SoArtifact(model, threads)
          : JarArtifact.open(model, threads);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** How hard ONNX Runtime optimises, from a setting: its fusions round differently. */
  private Reference.Optimization optimization() {
    String name = settings.getOrDefault(ORT_OPTIMIZATION, Reference.Optimization.ALL.name());
    return java.util.Arrays.stream(Reference.Optimization.values())
        .filter(o -> o.name().equalsIgnoreCase(name))
        .findFirst()
        .orElseThrow(() ->
            new TersorException(
                "TSR-0608",
                "setting "
                    + ORT_OPTIMIZATION
                    + " is '"
                    + name
                    + "'; it may be none, basic, float or all"));
  }

  private static Graph unknown() {
    return new Graph("", List.of(), List.of(), List.of(), Map.of(), Map.of(), Map.of(), Map.of());
  }

  /** The inputs given, and random ones for the others. */
  Map<String, RandomInputs.Drawn> inputs(LoadedModel loaded) throws IOException {
    List<Port> ports = loaded.executable().inputs();
    Map<String, RandomInputs.Drawn> drawn = RandomInputs.draw(loaded.graph(), ports, dims, seed);
    Map<String, RandomInputs.Drawn> result = new LinkedHashMap<>(drawn);
    if (archive.isPresent()) {
      Npy.readAll(archive.get())
          .forEach((name, tensor) ->
              result.put(name, new RandomInputs.Drawn(name, tensor, archive.get().toString())));
    }
    for (Map.Entry<String, String> entry : inputs.entrySet()) {
      Port port =
          ports.stream()
              .filter(p -> p.name().equals(entry.getKey()))
              .findFirst()
              .orElseThrow(() ->
                  new TersorException(
                      "TSR-0702",
                      "the model has no input '"
                          + entry.getKey()
                          + "'; its inputs are "
                          + ports.stream().map(Port::name).toList()));
      Optional<Tensor> literal = InputFiles.literal(port, entry.getValue());
      if (literal.isPresent()) {
        result.put(
            port.name(), new RandomInputs.Drawn(port.name(), literal.get(), entry.getValue()));
      } else if (!entry.getValue().equals("random")) {
        result.put(
            port.name(),
            new RandomInputs.Drawn(
                port.name(), read(loaded, port, Path.of(entry.getValue())), entry.getValue()));
      }
    }
    return result;
  }

  /** What the file last read declares about shapes and its own graph contradicts. */
  List<String> contradictions() {
    return contradictions;
  }

  static Map<String, Tensor> tensors(Map<String, RandomInputs.Drawn> drawn) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    drawn.forEach((name, d) -> tensors.put(name, d.tensor()));
    return tensors;
  }

  static Map<String, Datum> data(Map<String, RandomInputs.Drawn> drawn) {
    Map<String, Datum> data = new LinkedHashMap<>();
    drawn.forEach((name, d) -> data.put(name, d.value()));
    return data;
  }

  /** For JSON: name, type, shape and origin of every input, and of what it is made of. */
  static List<Map<String, Object>> describe(Map<String, RandomInputs.Drawn> drawn) {
    List<Map<String, Object>> list = new ArrayList<>();
    drawn
        .values()
        .forEach(d -> {
          Leaves.of(d.name(), d.value())
              .forEach((name, tensor) -> {
                Map<String, Object> entry = new LinkedHashMap<>();
                entry.put("name", name);
                entry.put("dtype", tensor.dtype().text());
                entry.put("shape", tensor.shape());
                entry.put("from", d.from());
                list.add(entry);
              });
        });
    return list;
  }

  /** Whatever the port takes; a sequence from the arrays of an archive in their order. */
  private Datum read(LoadedModel loaded, Port port, Path file) throws IOException {
    if (port.isTensor()) {
      return new InputFiles(dims, preprocess.map(Preprocess::parse)).read(port, file);
    }
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    if (name.endsWith(".pb")) {
      return OnnxTensors.read(
          file,
          loaded.graph().inputs().stream()
              .filter(value -> value.name().equals(port.name()))
              .findFirst()
              .map(loaded.graph()::type)
              .orElse(ValueType.UNKNOWN));
    }
    if (name.endsWith(".npz") && port.wraps().equals(List.of(Executable.Wrap.SEQUENCE))) {
      return new Datum.Sequence(List.copyOf(Npy.readAll(file).values()));
    }
    throw new TersorException(
        "TSR-0903",
        "input '"
            + port.name()
            + "' is no tensor: give a .pb file of it, as the ONNX suite has,"
            + " or an .npz of the elements of a sequence");
  }
}
