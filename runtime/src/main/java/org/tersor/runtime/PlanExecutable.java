package org.tersor.runtime;

import java.lang.reflect.Array;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Runs a {@link Plan} with the code of its kernels, whether generated, read from a jar or
 * interpreted.
 */
public final class PlanExecutable implements Executable {
  /** Layouts kept; a caller with ever new shapes must not fill the memory. */
  private static final int MAX_LAYOUTS = 64;

  /** Arenas kept for later calls. */
  private static final int MAX_ARENAS = 4;

  /** Parts of a kernel between which a call that can be cancelled looks whether it is. */
  private static final int TILES = 64;

  private final Plan plan;
  private final KernelCode[] kernels;
  private final Tensor[] constants;
  private final Object[] packed;
  private final TaskPool pool;
  private final Map<String, String> facts;
  private final Binding binding;
  private final int[] outputCopies;

  /** By output: the input that it may lie in the memory of. */
  private final Map<Integer, Integer> carried;

  private final ConcurrentHashMap<Map<String, Long>, Shapes> layouts = new ConcurrentHashMap<>();
  private final ArrayDeque<Map<DType.Slot, Object>> arenas = new ArrayDeque<>();
  private final long constantBytes;

  private record Shapes(PlanLayout layout, long[][] outputs) {}

  /** An output computed by kernels; others say which buffer they copy. */
  private static final int COMPUTED = -1;

  /**
   * Checks the plan and runs its load steps.
   *
   * @param kernels code of the plan's kernels, in order
   * @param constants tensors of {@link Plan.Storage#CONSTANT} buffers; those that only load steps
   *     need are not kept
   * @param threads tasks run at once, the caller's thread included
   * @param facts lines for {@link #describe}: backend, target, ...
   */
  public PlanExecutable(
      Plan plan,
      List<KernelCode> kernels,
      List<Tensor> constants,
      int threads,
      Map<String, String> facts) {
    this.plan = plan;
    this.kernels = kernels.toArray(KernelCode[]::new);
    this.constants = constants.toArray(Tensor[]::new);
    this.pool = new TaskPool(threads);
    this.facts = new LinkedHashMap<>(facts);
    this.binding = new Binding(plan.inputs(), plan.outputs());
    check();
    this.outputCopies = outputCopies();
    this.carried = plan.carried();
    this.constantBytes =
        constants.stream().mapToLong(t -> (long) t.size() * t.dtype().memoryBytes()).sum();
    this.packed =
        new Object
            [plan.buffers().stream()
                .filter(b -> b.storage() == Plan.Storage.PACKED)
                .mapToInt(b -> b.index() + 1)
                .max()
                .orElse(0)];
    Cancellation.frugal(() -> {
      load();
      return this;
    });
    dropLoaded();
  }

  private void check() {
    int kernelCount = plan.kernels().size();
    if (kernels.length != kernelCount) {
      throw damaged("it has " + kernelCount + " kernels, and code for " + kernels.length);
    }
    for (Plan.Buffer buffer : plan.buffers()) {
      int limit =
          switch (buffer.storage()) {
            case INPUT -> plan.inputs().size();
            case OUTPUT -> plan.outputs().size();
            case CONSTANT -> constants.length;
            case PACKED, ARENA -> Integer.MAX_VALUE;
          };
      if (buffer.index() < 0 || buffer.index() >= limit) {
        throw damaged("buffer " + buffer.name() + " is " + buffer.storage() + " " + buffer.index());
      }
    }
    for (List<Plan.Call> calls : List.of(plan.loadSteps(), plan.runSteps())) {
      for (Plan.Call call : calls) {
        if (call.kernel() < 0
            || call.kernel() >= kernelCount
            || call.buffers().stream().anyMatch(b -> b < 0 || b >= plan.buffers().size())
            || call.demand().filter(demand -> !isOneLong(demand, call)).isPresent()) {
          throw damaged(
              "step of "
                  + call.origin()
                  + " refers to kernel "
                  + call.kernel()
                  + " and buffers "
                  + call.buffers());
        }
      }
    }
  }

  private boolean isOneLong(Plan.Demand demand, Plan.Call call) {
    return call.buffers().contains(demand.buffer())
        && plan.buffers().get(demand.buffer()).dtype() == DType.I64;
  }

  private TersorException damaged(String why) {
    return new TersorException(
        "TSR-0707",
        "the plan of model " + plan.name() + " is damaged: " + why + "; compile the model again");
  }

  /** For outputs that no step writes: the input or constant of the same name. */
  private int[] outputCopies() {
    int[] copies = new int[plan.outputs().size()];
    Arrays.fill(copies, COMPUTED);
    for (int i = 0; i < copies.length; i++) {
      int output = i;
      if (plan.buffers().stream()
          .anyMatch(b -> b.storage() == Plan.Storage.OUTPUT && b.index() == output)) {
        continue;
      }
      String name = plan.outputs().get(i).name();
      for (int b = 0; b < plan.buffers().size(); b++) {
        Plan.Buffer buffer = plan.buffers().get(b);
        boolean same =
            buffer.storage() == Plan.Storage.INPUT
                ? plan.inputs().get(buffer.index()).name().equals(name)
                : buffer.name().equals(name);
        if (same && buffer.storage() != Plan.Storage.ARENA) {
          copies[i] = b;
        }
      }
      if (copies[i] == COMPUTED) {
        throw damaged("nothing gives output '" + name + "'");
      }
    }
    return copies;
  }

  private void load() {
    PlanLayout layout = PlanLayout.of(plan, plan.loadSteps(), Map.of());
    long[] sizes = new long[packed.length];
    DType.Slot[] kinds = new DType.Slot[packed.length];
    for (Plan.Buffer buffer : plan.buffers()) {
      if (buffer.storage() == Plan.Storage.PACKED) {
        long elements =
            Math.multiplyExact(buffer.elements().constValue(), (long) buffer.dtype().slots());
        sizes[buffer.index()] = Math.max(sizes[buffer.index()], elements);
        kinds[buffer.index()] = buffer.dtype().slot();
      }
    }
    for (int i = 0; i < packed.length; i++) {
      if (kinds[i] != null) {
        packed[i] = kinds[i].newArray(Math.toIntExact(sizes[i]));
      }
    }
    Map<DType.Slot, Object> arena = newArena(layout);
    execute(layout, Map.of(), new Tensor[0], new Object[0], arena);
  }

  /** What only load steps read is not needed any more, be it stored or made by them. */
  private void dropLoaded() {
    boolean[] stored = new boolean[constants.length];
    boolean[] made = new boolean[packed.length];
    for (Plan.Call call : plan.runSteps()) {
      for (int b : call.buffers()) {
        mark(stored, made, plan.buffers().get(b));
      }
    }
    for (int b : outputCopies) {
      if (b != COMPUTED) {
        mark(stored, made, plan.buffers().get(b));
      }
    }
    for (int i = 0; i < stored.length; i++) {
      if (!stored[i]) {
        constants[i] = Tensor.zeros(constants[i].dtype(), 0);
      }
    }
    for (Plan.Buffer buffer : plan.buffers()) {
      if (buffer.storage() == Plan.Storage.PACKED && !made[buffer.index()]) {
        packed[buffer.index()] = buffer.dtype().slot().newArray(0);
      }
    }
  }

  private static void mark(boolean[] stored, boolean[] made, Plan.Buffer buffer) {
    if (buffer.storage() == Plan.Storage.CONSTANT) {
      stored[buffer.index()] = true;
    } else if (buffer.storage() == Plan.Storage.PACKED) {
      made[buffer.index()] = true;
    }
  }

  @Override
  public List<Port> inputs() {
    return plan.inputs();
  }

  @Override
  public List<Port> outputs() {
    return plan.outputs();
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
    return run(inputs, outputs, Map.of());
  }

  @Override
  public Map<String, Tensor> run(
      Map<String, Tensor> inputs, Map<String, Tensor> outputs, Map<String, Long> symbols) {
    return Cancellation.frugal(() -> call(inputs, outputs, symbols));
  }

  @SuppressWarnings("ReferenceEquality") // whether it is the same array
  private Map<String, Tensor> call(
      Map<String, Tensor> inputs, Map<String, Tensor> outputs, Map<String, Long> symbols) {
    Map<String, Long> known = new HashMap<>(symbols);
    known.keySet().retainAll(plan.dims());
    Map<String, Long> bound = binding.bind(inputs, known);
    Shapes shapes = shapes(bound);
    binding.checkOutputs(outputs, shapes.outputs);
    Tensor[] in = plan.inputs().stream().map(p -> inputs.get(p.name())).toArray(Tensor[]::new);
    Tensor[] results = new Tensor[plan.outputs().size()];
    Object[] arrays = new Object[results.length];
    for (int i = 0; i < results.length; i++) {
      Port port = plan.outputs().get(i);
      Tensor given = outputs.get(port.name());
      results[i] = given != null ? given : Tensor.zeros(port.dtype(), shapes.outputs[i]);
      // An array that is read too, or written twice, gets its result at the end.
      boolean shared = given != null && isShared(given.array(), i, in, arrays);
      shared &= !isInPlace(i, results[i], in);
      arrays[i] =
          shared ? Tensor.zeros(port.dtype(), shapes.outputs[i]).array() : results[i].array();
    }
    Map<DType.Slot, Object> arena = takeArena(shapes.layout);
    execute(shapes.layout, bound, in, arrays, arena);
    giveArena(arena);
    Map<String, Tensor> named = new LinkedHashMap<>();
    for (int i = 0; i < results.length; i++) {
      Object source = arrays[i];
      if (outputCopies[i] != COMPUTED) {
        source = array(plan.buffers().get(outputCopies[i]), in, arrays, arena);
      }
      if (source != results[i].array()) {
        System.arraycopy(
            source,
            0,
            results[i].array(),
            0,
            java.lang.reflect.Array.getLength(results[i].array()));
      }
      named.put(plan.outputs().get(i).name(), results[i]);
    }
    return named;
  }

  @SuppressWarnings("ReferenceEquality") // whether it is the same array
  private static boolean isShared(Object array, int before, Tensor[] inputs, Object[] outputs) {
    return Arrays.stream(inputs).anyMatch(t -> t.array() == array)
        || Arrays.stream(outputs, 0, before).anyMatch(a -> a == array);
  }

  /** Whether an output is the array of the input that it goes on from, and of no other. */
  @SuppressWarnings("ReferenceEquality") // whether it is the same array
  private boolean isInPlace(int output, Tensor target, Tensor[] inputs) {
    Integer input = carried.get(output);
    return input != null
        && inputs[input].array() == target.array()
        && Arrays.stream(inputs).filter(t -> t.array() == target.array()).count() == 1;
  }

  private Shapes shapes(Map<String, Long> dims) {
    Shapes known = layouts.get(dims);
    if (known != null) {
      return known;
    }
    plan.check(dims);
    long[][] outputs = new long[plan.outputs().size()][];
    for (int i = 0; i < outputs.length; i++) {
      Port port = plan.outputs().get(i);
      outputs[i] = Binding.shape(port, dims);
      try {
        Math.toIntExact(Math.multiplyExact(Tensor.count(outputs[i]), (long) port.dtype().slots()));
      } catch (ArithmeticException e) {
        throw new TersorException(
            "TSR-0705",
            "output '"
                + port.name()
                + "' of shape "
                + Arrays.toString(outputs[i])
                + " does not fit a Java array; use smaller inputs",
            e);
      }
    }
    Shapes made = new Shapes(PlanLayout.of(plan, plan.runSteps(), dims), outputs);
    checkPorts(made, dims);
    if (layouts.size() >= MAX_LAYOUTS) {
      layouts.clear();
    }
    layouts.put(Map.copyOf(dims), made);
    return made;
  }

  /** Buffers that are the caller's arrays must not be larger than these. */
  private void checkPorts(Shapes shapes, Map<String, Long> dims) {
    for (int b = 0; b < plan.buffers().size(); b++) {
      Plan.Buffer buffer = plan.buffers().get(b);
      long actual =
          switch (buffer.storage()) {
            case INPUT -> Tensor.count(Binding.shape(plan.inputs().get(buffer.index()), dims));
            case OUTPUT -> Tensor.count(shapes.outputs[buffer.index()]);
            case CONSTANT, PACKED, ARENA -> Long.MAX_VALUE;
          };
      if (shapes.layout.elements[b] > actual) {
        throw damaged(
            "buffer "
                + buffer.name()
                + " has "
                + shapes.layout.elements[b]
                + " elements, its tensor "
                + actual);
      }
    }
  }

  private static Map<DType.Slot, Object> newArena(PlanLayout layout) {
    Map<DType.Slot, Object> arena = new EnumMap<>(DType.Slot.class);
    layout.arena.forEach((kind, size) -> arena.put(kind, kind.newArray(size)));
    return arena;
  }

  private Map<DType.Slot, Object> takeArena(PlanLayout layout) {
    if (layout.arena.isEmpty()) {
      return Map.of();
    }
    Map<DType.Slot, Object> arena;
    synchronized (arenas) {
      arena = arenas.pollFirst();
    }
    if (arena != null && fits(arena, layout)) {
      return arena;
    }
    Cancellation.allocate("the arena of model " + plan.name(), 0, layout.arenaBytes());
    return newArena(layout);
  }

  private static boolean fits(Map<DType.Slot, Object> arena, PlanLayout layout) {
    for (var need : layout.arena.entrySet()) {
      Object array = arena.get(need.getKey());
      if (array == null || java.lang.reflect.Array.getLength(array) < need.getValue()) {
        return false;
      }
    }
    return true;
  }

  private void giveArena(Map<DType.Slot, Object> arena) {
    if (!arena.isEmpty()) {
      synchronized (arenas) {
        if (arenas.size() < MAX_ARENAS) {
          arenas.addFirst(arena);
        }
      }
    }
  }

  private Object array(
      Plan.Buffer buffer, Tensor[] inputs, Object[] outputs, Map<DType.Slot, Object> arena) {
    return switch (buffer.storage()) {
      case INPUT -> inputs[buffer.index()].array();
      case OUTPUT -> outputs[buffer.index()];
      case CONSTANT -> constants[buffer.index()].array();
      case PACKED -> packed[buffer.index()];
      case ARENA -> {
        Object array = arena.get(buffer.dtype().slot());
        if (array == null) {
          throw new IllegalStateException(buffer.name());
        }
        yield array;
      }
    };
  }

  @SuppressWarnings("ReferenceEquality") // whether it is the same array
  private void execute(
      PlanLayout layout,
      Map<String, Long> dims,
      Tensor[] inputs,
      Object[] outputs,
      Map<DType.Slot, Object> arena) {
    boolean choice =
        pool.threads() > 1
            && !StepClock.isRunning()
            && layout.steps.stream().anyMatch(s -> s.tasks() > 1);
    boolean wanted = choice ? layout.threads.next() : pool.threads() > 1;
    boolean workers = wanted && pool.take();
    long start = System.nanoTime();
    Cancellation cancellation = Cancellation.current();
    boolean bound = Cancellation.isBound();
    try {
      for (PlanLayout.Step step : layout.steps) {
        cancellation.check(step.call().origin());
        int[] buffers = step.buffers();
        Object[] arrays = new Object[buffers.length];
        for (int i = 0; i < arrays.length; i++) {
          arrays[i] = array(plan.buffers().get(buffers[i]), inputs, outputs, arena);
        }
        if (step.call().carries() && arrays[0] == arrays[1]) {
          continue;
        }
        KernelCode kernel = kernels[step.call().kernel()];
        TaskPool.Tasks tasks =
            (from, to) -> kernel.run(arrays, step.offsets(), step.dims(), from, to);
        try {
          TaskPool.Tasks parts = bound ? inTiles(step, tasks, cancellation) : tasks;
          StepClock.time(plan, step.call(), dims, () -> pool.run(step.tasks(), workers, parts));
          if (step.call().demand().isPresent()) {
            look(step, step.call().demand().get(), arrays, dims);
          }
        } catch (TersorException e) {
          throw e;
        } catch (RuntimeException e) {
          throw new TersorException(
              "TSR-0708",
              "kernel "
                  + plan.kernels().get(step.call().kernel())
                  + " of "
                  + step.call().origin()
                  + " failed with dimensions "
                  + Arrays.toString(step.dims())
                  + ": "
                  + e
                  + ". This is a fault of the compiler; please report it with the model",
              e);
        }
      }
      if (choice && workers == wanted) {
        layout.threads.took(workers, System.nanoTime() - start);
      }
    } finally {
      if (workers) {
        pool.release();
      }
    }
  }

  private static void look(
      PlanLayout.Step step, Plan.Demand demand, Object[] arrays, Map<String, Long> dims) {
    for (int i = 0; i < arrays.length; i++) {
      if (step.buffers()[i] == demand.buffer()) {
        demand.require(((long[]) arrays[i])[step.offsets()[i]], dims, step.call().origin());
      }
    }
  }

  private static TaskPool.Tasks inTiles(
      PlanLayout.Step step, TaskPool.Tasks tasks, Cancellation cancellation) {
    int tile = Math.ceilDiv(step.tasks(), TILES);
    return (from, to) -> {
      for (int at = from; at < to; at += tile) {
        cancellation.check(step.call().origin());
        tasks.run(at, Math.min(to, at + tile));
      }
    };
  }

  @Override
  public String describe() {
    StringBuilder text = new StringBuilder();
    facts.forEach((name, value) -> line(text, name, value));
    line(text, "threads", Integer.toString(pool.threads()));
    line(
        text,
        "kernels",
        plan.kernels().size()
            + ", in "
            + plan.runSteps().size()
            + " steps per call and "
            + plan.loadSteps().size()
            + " at load");
    long packedBytes = 0;
    Set<Integer> counted = new HashSet<>();
    for (Plan.Buffer buffer : plan.buffers()) {
      if (buffer.storage() == Plan.Storage.PACKED && counted.add(buffer.index())) {
        packedBytes +=
            (long) Array.getLength(packed[buffer.index()]) * buffer.dtype().slot().bytes();
      }
    }
    long kept = 0;
    for (Tensor constant : constants) {
      kept += (long) constant.size() * constant.dtype().memoryBytes();
    }
    text.append(new MemoryUse(constantBytes, kept, packedBytes).text());
    if (plan.dims().isEmpty()) {
      line(text, "arena", MemoryUse.human(shapes(Map.of()).layout.arenaBytes()));
    } else {
      new TreeMap<>(byText())
          .forEach((dims, bytes) -> line(text, "arena", MemoryUse.human(bytes) + " for " + dims));
    }
    return text.toString();
  }

  private Map<String, Long> byText() {
    Map<String, Long> bytes = new TreeMap<>();
    layouts.forEach(
        (dims, shapes) -> bytes.put(new TreeMap<>(dims).toString(), shapes.layout.arenaBytes()));
    return bytes;
  }

  private static void line(StringBuilder text, String name, String value) {
    text.append(name).append(": ").append(value).append('\n');
  }
}
