package org.tersor.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tersor.conformance.Duel;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.ArtifactInterface;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.StateMemory;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.ThreadChoice;
import org.tersor.runtime.machine.LargePages;
import org.tersor.runtime.machine.NativeStates;
import org.tersor.runtime.machine.PortMemory;

/**
 * A compiled shared library, called through its C interface as any program would. Of several calls
 * at once one has the threads, the others run alone.
 */
@SuppressWarnings("restricted") // the whole point: the native library is called
final class SoArtifact implements Executable, Duel.Placing {
  private static final Pattern DESCRIBE = Pattern.compile("\0([a-z][a-z0-9_]*)_describe\0");

  private static final VarHandle STOP = ValueLayout.JAVA_INT.varHandle();
  private static final int CANCELLED = -7;

  private final List<Port> inputs = new ArrayList<>();
  private final List<Port> outputs = new ArrayList<>();
  private final List<String> dims = new ArrayList<>();
  private final List<State> states = new ArrayList<>();
  private final List<String> targets = new ArrayList<>();
  private final String description;
  private final MethodHandle arenaSize;
  private final MethodHandle workerSize;
  private final MethodHandle run;
  private final MemorySegment packed;
  private final int threads;
  private final Optional<SoWorkers> workers;
  private final ConcurrentLinkedDeque<Memory> pool = new ConcurrentLinkedDeque<>();

  SoArtifact(Path file) throws IOException {
    this(file, 1);
  }

  SoArtifact(Path file, int threads) throws IOException {
    this.threads = threads;
    this.workers = threads > 1 ? Optional.of(new SoWorkers(threads)) : Optional.empty();
    Matcher symbol = DESCRIBE.matcher(ElfNames.of(file));
    if (!symbol.find()) {
      throw new TersorException(
          "TSR-0903", file + " is no library that tersor made: it has no ..._describe function");
    }
    String prefix = symbol.group(1);
    SymbolLookup symbols = SymbolLookup.libraryLookup(file.toAbsolutePath(), Arena.ofAuto());
    MethodHandle describe =
        function(
            symbols,
            prefix + "_describe",
            ValueLayout.JAVA_INT,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_LONG);
    description = describe(describe);
    JsonNode json = new ObjectMapper().readTree(description);
    ArtifactInterface.LIBRARY.check(
        file.toString(),
        Optional.of(json.path("interface").asText()).filter(number -> !number.isEmpty()));
    arenaSize =
        function(symbols, prefix + "_arena_size", ValueLayout.JAVA_LONG, ValueLayout.ADDRESS);
    workerSize =
        function(symbols, prefix + "_worker_size", ValueLayout.JAVA_LONG, ValueLayout.ADDRESS);
    run =
        function(
            symbols,
            prefix + "_run_cancellable",
            ValueLayout.JAVA_INT,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_LONG,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS);
    MethodHandle packedSize = function(symbols, prefix + "_packed_size", ValueLayout.JAVA_LONG);
    MethodHandle prepare =
        function(symbols, prefix + "_prepare", ValueLayout.JAVA_INT, ValueLayout.ADDRESS);
    json.path("levels").forEach(target -> targets.add(target.asText()));
    json.path("dims").forEach(dim -> dims.add(dim.asText()));
    ports(json.path("inputs"), inputs);
    ports(json.path("outputs"), outputs);
    json.path("states")
        .forEach(s ->
            states.add(
                new State(
                    s.path("output").asText(),
                    s.path("input").asText(),
                    s.has("growth")
                        ? Optional.of(Growth.parse(s.path("growth").asText()))
                        : Optional.empty())));
    packed =
        LargePages.allocate(Arena.ofAuto(), Math.max(64, check("packed_size", invoke(packedSize))));
    check("prepare", invoke(prepare, packed));
  }

  private static MethodHandle function(
      SymbolLookup symbols, String name, ValueLayout result, ValueLayout... arguments) {
    MemorySegment address =
        symbols
            .find(name)
            .orElseThrow(
                () -> new TersorException("TSR-0903", "the library has no function " + name));
    return Linker.nativeLinker().downcallHandle(address, FunctionDescriptor.of(result, arguments));
  }

  private static String describe(MethodHandle describe) {
    try (Arena arena = Arena.ofConfined()) {
      int length = (int) check("describe", invoke(describe, MemorySegment.NULL, 0L));
      MemorySegment text = arena.allocate(length + 1L);
      check("describe", invoke(describe, text, length + 1L));
      return text.getString(0);
    }
  }

  private static void ports(JsonNode json, List<Port> ports) {
    for (JsonNode port : json) {
      List<DimExpr> shape = new ArrayList<>();
      port.path("shape")
          .forEach(dim ->
              shape.add(dim.isNumber() ? DimExpr.of(dim.asLong()) : DimExpr.parse(dim.asText())));
      ports.add(
          new Port(
              port.path("name").asText(),
              DType.of(port.path("type").asText()),
              List.copyOf(shape)));
    }
  }

  private static long invoke(MethodHandle function, Object... arguments) {
    try {
      return ((Number) function.invokeWithArguments(arguments)).longValue();
    } catch (Throwable e) {
      throw new IllegalStateException("the library cannot be called", e);
    }
  }

  private static long check(String function, long result) {
    if (result < 0) {
      String why =
          switch ((int) result) {
            case -1 -> "a pointer is missing";
            case -2 -> "a dimension is negative, sizes contradict each other, or one overflows";
            case -3 -> "the arena is too small";
            case -4 ->
                "this processor can run none of the instruction sets that the library was compiled for";
            case CANCELLED -> "the call was cancelled";
            case -8 -> "an index in the data is out of the range of its tensor";
            case -6 -> "the inputs choose a branch that the model's shapes do not allow";
            default -> "error " + result;
          };
      throw new TersorException("TSR-0604", function + " of the library: " + why);
    }
    return result;
  }

  @Override
  public List<Port> inputs() {
    return List.copyOf(inputs);
  }

  @Override
  public List<Port> outputs() {
    return List.copyOf(outputs);
  }

  @Override
  public List<State> states() {
    return List.copyOf(states);
  }

  /** Names of the targets that it has code for. */
  List<String> targets() {
    return List.copyOf(targets);
  }

  @Override
  public String describe() {
    return description;
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> given, Map<String, Tensor> targets) {
    List<Tensor> tensors = Arguments.inputs(inputs, given);
    Map<String, Long> values = Arguments.bind(inputs, tensors);
    List<Tensor> results = Arguments.outputs(outputs, targets, values);
    Memory memory = pool.pollFirst();
    if (memory == null) {
      memory = new Memory();
    }
    memory.place(tensors, results);
    memory.call(values);
    for (int i = 0; i < results.size(); i++) {
      memory.ports.deliver(i, results.get(i));
    }
    pool.offerFirst(memory);
    return Arguments.byName(outputs, results);
  }

  @Override
  public Runnable placed(Map<String, Tensor> given) {
    List<Tensor> tensors = Arguments.inputs(inputs, given);
    Map<String, Long> values = Arguments.bind(inputs, tensors);
    Memory memory = new Memory();
    memory.place(tensors, Arguments.outputs(outputs, Map.of(), values));
    return () -> memory.call(values);
  }

  @Override
  public Optional<StateMemory> stateMemory(List<State> growing, Map<String, Long> dims) {
    Memory memory = new Memory();
    return NativeStates.of(inputs, outputs, growing, dims, memory.ports, memory::call);
  }

  /** What the caller of the library owns in one call at a time. */
  private final class Memory {
    private final Arena arena = Arena.ofAuto();
    private final PortMemory ports = new PortMemory(arena, inputs.size(), outputs.size());
    private final MemorySegment sizes =
        arena.allocate(ValueLayout.JAVA_LONG, Math.max(1, dims.size()));
    private final MemorySegment cancel = arena.allocate(ValueLayout.JAVA_INT);
    private MemorySegment scratch = MemorySegment.NULL;
    private final ThreadChoice choice = new ThreadChoice();

    void place(List<Tensor> tensors, List<Tensor> results) {
      for (int i = 0; i < tensors.size(); i++) {
        ports.stage(i, tensors.get(i));
      }
      for (int i = 0; i < results.size(); i++) {
        ports.prepare(i, results.get(i));
      }
    }

    void call(Map<String, Long> bound) {
      long[] extents = dims.stream().mapToLong(dim -> bound.getOrDefault(dim, 0L)).toArray();
      for (int i = 0; i < extents.length; i++) {
        sizes.setAtIndex(ValueLayout.JAVA_LONG, i, extents[i]);
      }
      boolean wanted = workers.isPresent() && choice.next(extents);
      Optional<SoWorkers> helpers = workers.filter(each -> wanted && each.take());
      long start = System.nanoTime();
      try {
        call(helpers);
        if (wanted == helpers.isPresent()) {
          choice.took(wanted, System.nanoTime() - start);
        }
      } finally {
        helpers.ifPresent(SoWorkers::release);
      }
    }

    private void call(Optional<SoWorkers> helpers) {
      long bytes;
      long each;
      try {
        bytes = (long) arenaSize.invokeExact(sizes);
        each = (long) workerSize.invokeExact(sizes);
      } catch (Throwable e) {
        throw new IllegalStateException("the library cannot be called", e);
      }
      check("arena_size", bytes);
      check("worker_size", each);
      if (helpers.isPresent()) {
        bytes = Math.addExact(bytes, Math.multiplyExact(each, threads - 1L));
      }
      Cancellation.allocate("the arena of the library", 0, bytes);
      scratch = PortMemory.room(scratch, bytes);
      int result;
      MemorySegment flag = Cancellation.isBound() ? cancel : MemorySegment.NULL;
      cancel.set(ValueLayout.JAVA_INT, 0, 0);
      try (Watch _ = new Watch(() -> STOP.setVolatile(cancel, 0L, 1))) {
        result =
            (int)
                run.invokeExact(
                    ports.inputs(),
                    ports.outputs(),
                    sizes,
                    packed,
                    scratch,
                    bytes,
                    helpers.map(SoWorkers::callback).orElse(MemorySegment.NULL),
                    MemorySegment.NULL,
                    flag);
      } catch (Throwable e) {
        throw new IllegalStateException("the library cannot be called", e);
      } finally {
        Reference.reachabilityFence(this);
        Reference.reachabilityFence(SoArtifact.this);
      }
      if (result == CANCELLED) {
        Cancellation.current().check("the end of the library's call");
      }
      check("run", result);
    }
  }
}
