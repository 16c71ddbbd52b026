package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedDeque;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.Executable;
import org.tersor.runtime.MemoryUse;
import org.tersor.runtime.Plan;
import org.tersor.runtime.StateMemory;
import org.tersor.runtime.StepClock;
import org.tersor.runtime.Tensor;

/**
 * A plan whose steps are functions of a library: {@code P_layout}, {@code P_scratch}, {@code
 * P_tasks}, {@code P_step}, {@code P_steps}, {@code P_direct} and {@code P_work} for a prefix P, as
 * the C backend writes them. A call takes its memory from a pool.
 */
public final class NativeExecutable implements Executable {
  /**
   * Calls that take less time work on the caller's arrays in place; the garbage collector waits for
   * them.
   */
  private static final long IN_PLACE_NANOS = 1_000_000;

  /**
   * Longer calls do so too, up to this, where copies would take a fiftieth of them (an int8 matrix
   * product of 1024 is 5 MB of arguments and 2 ms).
   */
  private static final long LONGEST_IN_PLACE_NANOS = 10_000_000;

  /** Bytes that a copy moves in a nanosecond, about. */
  private static final int COPIED_PER_NANO = 10;

  private final Plan plan;
  private final String description;
  private final NativeCode code;

  /** Time of the last call. */
  private volatile long lastNanos = Long.MAX_VALUE;

  /** Weights live as long as this object. */
  private final Arena memory = Arena.ofAuto();

  private final List<MemorySegment> weights;
  private final MemorySegment constants;
  private final long packedBytes;
  private long weightBytes;
  private long keptBytes;
  private final ConcurrentLinkedDeque<NativeSession> pool = new ConcurrentLinkedDeque<>();

  /**
   * Binds the functions and runs the steps of the load.
   *
   * @param prefix what the functions' names begin with
   * @param weights the constants; each is free again after the load where no call reads it, if its
   *     memory lives as long as it is referred to
   */
  public NativeExecutable(
      Plan plan,
      Functions library,
      String prefix,
      List<MemorySegment> weights,
      int threads,
      String description) {
    this.plan = plan;
    this.description = description;
    this.weights = new ArrayList<>(weights);
    this.constants = memory.allocate(ADDRESS, Math.max(1, weights.size()));
    for (int i = 0; i < weights.size(); i++) {
      weightBytes += weights.get(i).byteSize();
      constants.setAtIndex(ADDRESS, i, weights.get(i));
    }
    this.packedBytes = PackedWeights.of(plan).bytes();
    Cancellation.allocate("packed weights of model " + plan.name(), 0, packedBytes);
    MemorySegment packed = LargePages.allocate(memory, Math.max(64, packedBytes));
    this.code = NativeCode.of(plan, library, prefix, threads, this.weights, constants, packed);
    new NativeSession(code, new long[plan.dims().size()], true).load();
    dropLoadedConstants();
  }

  /** What only steps of the load read is in its packed form now. */
  private void dropLoadedConstants() {
    Set<Integer> used = new TreeSet<>();
    plan.runSteps()
        .forEach(call ->
            call.buffers().stream()
                .map(plan.buffers()::get)
                .filter(buffer -> buffer.storage() == Plan.Storage.CONSTANT)
                .forEach(buffer -> used.add(buffer.index())));
    for (int i = 0; i < weights.size(); i++) {
      if (used.contains(i)) {
        keptBytes += weights.get(i).byteSize();
      } else {
        weights.set(i, MemorySegment.NULL);
        constants.setAtIndex(ADDRESS, i, MemorySegment.NULL);
      }
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
  public String describe() {
    return description + new MemoryUse(weightBytes, keptBytes, packedBytes).text();
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> given, Map<String, Tensor> targets) {
    return run(given, targets, Map.of());
  }

  @Override
  public Map<String, Tensor> run(
      Map<String, Tensor> given, Map<String, Tensor> targets, Map<String, Long> symbols) {
    List<Tensor> inputs = Arguments.named(plan.inputs(), given);
    Map<String, Long> bound = Arguments.bind(plan.inputs(), inputs, symbols);
    List<Tensor> results = Arguments.outputs(plan.outputs(), targets, bound);
    long[] dims = dims(bound);
    NativeSession session = session(dims, bound);
    boolean wanted = session.takesThreads();
    boolean together = false;
    long start = System.nanoTime();
    if (!wanted
        && code.inPlace()
        && isShort(inputs, results)
        && !Cancellation.isBound()
        && !StepClock.isRunning()
        && areDistinct(inputs, results)) {
      int from = plan.loadSteps().size();
      session.runInPlace(from, from + plan.runSteps().size(), inputs, results);
      session.look(bound);
    } else {
      for (int i = 0; i < inputs.size(); i++) {
        session.ports().stage(i, inputs.get(i));
      }
      for (int i = 0; i < results.size(); i++) {
        session.ports().prepare(i, results.get(i));
      }
      together = session.runAll(bound, wanted);
      for (int i = 0; i < results.size(); i++) {
        session.ports().deliver(i, results.get(i));
      }
    }
    lastNanos = System.nanoTime() - start;
    session.took(together, wanted, lastNanos);
    pool.offerFirst(session);
    return Arguments.byName(plan.outputs(), results);
  }

  private long[] dims(Map<String, Long> bound) {
    return plan.dims().stream().mapToLong(name -> bound.getOrDefault(name, 0L)).toArray();
  }

  @Override
  public Optional<StateMemory> stateMemory(List<State> growing, Map<String, Long> dims) {
    NativeSession session = new NativeSession(code, new long[plan.dims().size()], true);
    return NativeStates.of(
        plan.inputs(),
        plan.outputs(),
        growing,
        dims,
        session.ports(),
        bound -> {
          plan.check(bound);
          session.bind(dims(bound), false);
          boolean wanted = session.takesThreads();
          long start = System.nanoTime();
          boolean together = session.runAll(bound, wanted);
          session.took(together, wanted, System.nanoTime() - start);
        });
  }

  /** Whether the last call was so short that the arrays need not be copied. */
  private boolean isShort(List<Tensor> inputs, List<Tensor> results) {
    long last = lastNanos;
    if (last < IN_PLACE_NANOS || last >= LONGEST_IN_PLACE_NANOS) {
      return last < IN_PLACE_NANOS;
    }
    long bytes = 0;
    for (Tensor tensor : inputs) {
      bytes += (long) tensor.size() * tensor.dtype().memoryBytes();
    }
    for (Tensor tensor : results) {
      bytes += (long) tensor.size() * tensor.dtype().memoryBytes();
    }
    return bytes / COPIED_PER_NANO * 50 > last;
  }

  private NativeSession session(long[] dims, Map<String, Long> bound) {
    NativeSession idle = pool.pollFirst();
    if (idle != null && idle.fits(dims)) {
      return idle;
    }
    plan.check(bound);
    if (idle != null) {
      idle.bind(dims, false);
      return idle;
    }
    return new NativeSession(code, dims, false);
  }

  /** Whether no output shares its array with an input or another output. */
  @SuppressWarnings("ReferenceEquality") // whether it is the same array
  private static boolean areDistinct(List<Tensor> inputs, List<Tensor> results) {
    for (int i = 0; i < results.size(); i++) {
      Object array = results.get(i).array();
      for (Tensor input : inputs) {
        if (input.array() == array) {
          return false;
        }
      }
      for (int j = 0; j < i; j++) {
        if (results.get(j).array() == array) {
          return false;
        }
      }
    }
    return true;
  }
}
