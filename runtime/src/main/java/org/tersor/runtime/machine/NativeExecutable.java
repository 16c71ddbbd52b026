package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.MemoryUse;
import org.tersor.runtime.Plan;
import org.tersor.runtime.StateMemory;
import org.tersor.runtime.StepClock;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

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

  /** Parts of a step between which a call that may be cancelled looks. */
  private static final int PARTS = 16;

  /** More arguments would make the call itself slow. */
  private static final int IN_PLACE_PORTS = 16;

  private final Plan plan;
  private final String description;
  private final MethodHandle layout;
  private final MethodHandle scratch;
  private final MethodHandle tasks;
  private final MethodHandle steps;
  private final MethodHandle oneStep;
  private final MethodHandle direct;
  private final MethodHandle work;
  private final int slots;
  private final boolean inPlace;

  /** Time of the last call. */
  private volatile long lastNanos = Long.MAX_VALUE;

  private final int threads;

  /** Weights live as long as this object. */
  private final Arena memory = Arena.ofAuto();

  private final List<MemorySegment> weights;
  private final MemorySegment constants;
  private final MemorySegment packed;
  private final long packedBytes;
  private long weightBytes;
  private long keptBytes;
  private final ConcurrentLinkedDeque<Session> pool = new ConcurrentLinkedDeque<>();
  private final ThreadPoolExecutor helpers;

  /**
   * Binds the functions and runs the steps of the load.
   *
   * @param prefix what the functions' names begin with
   * @param weights the constants; each is free again after the load where no call reads it, if its
   *     memory lives as long as it is referred to
   */
  public NativeExecutable(
      Plan plan,
      SharedObject library,
      String prefix,
      List<MemorySegment> weights,
      int threads,
      String description) {
    this.plan = plan;
    this.description = description;
    this.threads = threads;
    this.slots = plan.arenaSlots();
    String p = prefix;
    this.layout =
        library.function(p + "_layout", FunctionDescriptor.of(JAVA_LONG, ADDRESS, ADDRESS));
    this.scratch = library.function(p + "_scratch", FunctionDescriptor.of(JAVA_LONG, ADDRESS));
    this.tasks = library.function(p + "_tasks", FunctionDescriptor.ofVoid(ADDRESS, ADDRESS));
    this.steps =
        library.function(p + "_steps", FunctionDescriptor.ofVoid(ADDRESS, JAVA_INT, JAVA_INT));
    this.oneStep =
        library.function(
            p + "_step",
            FunctionDescriptor.ofVoid(ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    int ports = plan.inputs().size() + plan.outputs().size();
    MemoryLayout[] arguments = new MemoryLayout[3 + ports];
    Arrays.fill(arguments, ADDRESS);
    arguments[1] = JAVA_INT;
    arguments[2] = JAVA_INT;
    this.inPlace = threads == 1 && ports <= IN_PLACE_PORTS;
    this.direct =
        inPlace
            ? library
                .critical(p + "_direct", FunctionDescriptor.ofVoid(arguments))
                .asSpreader(MemorySegment[].class, ports)
            : steps;
    this.work =
        library.function(
            p + "_work",
            FunctionDescriptor.ofVoid(
                ADDRESS, ADDRESS, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    // Idle threads end by themselves, so nothing needs closing.
    this.helpers =
        new ThreadPoolExecutor(
            0,
            Math.max(1, threads - 1),
            5,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            NativeExecutable::daemon,
            new ThreadPoolExecutor.DiscardPolicy());
    this.weights = new ArrayList<>(weights);
    this.constants = memory.allocate(ADDRESS, Math.max(1, weights.size()));
    for (int i = 0; i < weights.size(); i++) {
      weightBytes += weights.get(i).byteSize();
      constants.setAtIndex(ADDRESS, i, weights.get(i));
    }
    this.packedBytes = PackedWeights.of(plan).bytes();
    Cancellation.allocate("packed weights of model " + plan.name(), 0, packedBytes);
    this.packed = LargePages.allocate(memory, Math.max(64, packedBytes));
    Session session = new Session(new long[plan.dims().size()], true);
    session.run(0, plan.loadSteps().size());
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

  private static Thread daemon(Runnable body) {
    Thread thread = new Thread(body, "tersor-native");
    thread.setDaemon(true);
    return thread;
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
    long[] dims = plan.dims().stream().mapToLong(name -> bound.getOrDefault(name, 0L)).toArray();
    Session session = session(dims, bound);
    long start = System.nanoTime();
    if (inPlace
        && isShort(inputs, results)
        && !Cancellation.isBound()
        && !StepClock.isRunning()
        && areDistinct(inputs, results)) {
      int from = plan.loadSteps().size();
      session.runInPlace(from, from + plan.runSteps().size(), inputs, results);
      session.look(bound);
    } else {
      for (int i = 0; i < inputs.size(); i++) {
        session.stage(i, inputs.get(i));
      }
      for (int i = 0; i < results.size(); i++) {
        session.prepare(i, HeapSegments.of(results.get(i)).byteSize());
      }
      runStaged(session, bound);
      for (int i = 0; i < results.size(); i++) {
        session.deliver(i, results.get(i));
      }
    }
    lastNanos = System.nanoTime() - start;
    pool.offerFirst(session);
    return Arguments.byName(plan.outputs(), results);
  }

  /** All steps on the memory of a session. */
  private void runStaged(Session session, Map<String, Long> bound) {
    int from = plan.loadSteps().size();
    int to = from + plan.runSteps().size();
    if (Cancellation.isBound() || StepClock.isRunning()) {
      Cancellation cancellation = Cancellation.current();
      for (int step = from; step < to; step++) {
        Plan.Call call = plan.runSteps().get(step - from);
        int at = step;
        StepClock.time(plan, call, bound, () -> session.run(at, call.origin(), cancellation));
        session.look(bound);
      }
    } else {
      session.run(from, to);
      session.look(bound);
    }
  }

  @Override
  public Optional<StateMemory> stateMemory(List<State> growing) {
    return Optional.of(new Kept(growing));
  }

  /** States that stay in one place between calls. */
  private final class Kept implements StateMemory {
    private final Arena arena = Arena.ofAuto();
    private final Map<String, MemorySegment> memory = new LinkedHashMap<>();
    private final List<Integer> in = new ArrayList<>();
    private final List<Integer> out = new ArrayList<>();
    private final List<Port> given = new ArrayList<>();
    private final List<Port> made = new ArrayList<>();
    private final Session session = new Session(new long[plan.dims().size()], true);

    Kept(List<State> states) {
      for (int i = 0; i < plan.inputs().size(); i++) {
        Port port = plan.inputs().get(i);
        if (states.stream().anyMatch(state -> state.input().equals(port.name()))) {
          long bytes = HeapSegments.of(zeros(port)).byteSize();
          Cancellation.allocate("state '" + port.name() + "'", 0, bytes);
          MemorySegment segment = arena.allocate(Math.max(64, bytes), 64);
          memory.put(port.name(), segment);
          session.inputs.setAtIndex(ADDRESS, i, segment);
        } else {
          in.add(i);
          given.add(port);
        }
      }
      for (int i = 0; i < plan.outputs().size(); i++) {
        Port port = plan.outputs().get(i);
        Optional<State> state =
            states.stream().filter(s -> s.output().equals(port.name())).findFirst();
        if (state.isPresent()) {
          session.outputs.setAtIndex(ADDRESS, i, of(state.get().input()));
        } else {
          out.add(i);
          made.add(port);
        }
      }
    }

    private MemorySegment of(String input) {
      return Objects.requireNonNull(memory.get(input), input);
    }

    private static Tensor zeros(Port port) {
      return Tensor.zeros(
          port.dtype(), port.shape().stream().mapToLong(DimExpr::constValue).toArray());
    }

    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs) {
      List<Tensor> tensors = Arguments.named(given, inputs);
      Map<String, Long> bound = Arguments.bind(given, tensors);
      List<Tensor> results = Arguments.outputs(made, Map.of(), bound);
      long[] dims = plan.dims().stream().mapToLong(name -> bound.getOrDefault(name, 0L)).toArray();
      plan.check(bound);
      session.bind(dims, false);
      for (int i = 0; i < tensors.size(); i++) {
        session.stage(in.get(i), tensors.get(i));
      }
      for (int i = 0; i < results.size(); i++) {
        session.prepare(out.get(i), HeapSegments.of(results.get(i)).byteSize());
      }
      runStaged(session, bound);
      for (int i = 0; i < results.size(); i++) {
        session.deliver(out.get(i), results.get(i));
      }
      return Arguments.byName(made, results);
    }

    @Override
    public Tensor get(String input) {
      Tensor copy =
          zeros(
              plan.inputs().stream().filter(p -> p.name().equals(input)).findFirst().orElseThrow());
      MemorySegment target = HeapSegments.of(copy);
      target.copyFrom(of(input).asSlice(0, target.byteSize()));
      return copy;
    }

    @Override
    public void set(String input, Tensor value) {
      of(input).copyFrom(HeapSegments.of(value));
    }
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

  private Session session(long[] dims, Map<String, Long> bound) {
    Session idle = pool.pollFirst();
    if (idle != null && Arrays.equals(idle.dims, dims)) {
      return idle;
    }
    plan.check(bound);
    if (idle != null) {
      idle.bind(dims, false);
      return idle;
    }
    return new Session(dims, false);
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

  /**
   * Memory of one call at a time; it grows with the dimensions, and shrinks where much is spare.
   */
  private final class Session {
    /** Arenas that are this many times larger than needed are given back, beyond some size. */
    private static final int SPARE = 8;

    private static final long SMALL = 1 << 20;

    private final Arena arena = Arena.ofAuto();
    private long[] dims;
    private final MemorySegment call;
    private final MemorySegment sizes;
    private final MemorySegment offsets;
    private final MemorySegment extents;
    private final MemorySegment counters;

    /** Number of the step that found an index out of range, from 1, and what it found. */
    private final MemorySegment fault;

    private final MemorySegment inputs;
    private final MemorySegment outputs;
    private final MemorySegment[] in;
    private final MemorySegment[] out;
    private MemorySegment values = MemorySegment.NULL;
    private MemorySegment scratches = MemorySegment.NULL;

    Session(long[] dims, boolean loading) {
      int count = plan.loadSteps().size() + plan.runSteps().size();
      this.sizes = arena.allocate(JAVA_LONG, Math.max(1, dims.length));
      this.offsets = arena.allocate(JAVA_LONG, Math.max(1, slots));
      this.extents = arena.allocate(JAVA_LONG, Math.max(1, count));
      this.counters = arena.allocate(16L * Math.max(1, count), 64);
      this.inputs = arena.allocate(ADDRESS, Math.max(1, plan.inputs().size()));
      this.outputs = arena.allocate(ADDRESS, Math.max(1, plan.outputs().size()));
      this.in = new MemorySegment[plan.inputs().size()];
      this.out = new MemorySegment[plan.outputs().size()];
      Arrays.fill(in, MemorySegment.NULL);
      Arrays.fill(out, MemorySegment.NULL);
      // The last field but one, a flag for cancelling, stays null.
      this.call = arena.allocate(88, 64);
      this.fault = arena.allocate(16, 16);
      set(0, inputs);
      set(1, outputs);
      set(2, constants);
      set(3, packed);
      set(5, offsets);
      set(8, sizes);
      set(10, fault);
      this.dims = dims;
      bind(dims, loading);
    }

    /** Sizes and places for values of the dimensions that the plan's checks allow. */
    void bind(long[] wanted, boolean loading) {
      dims = wanted;
      for (int i = 0; i < dims.length; i++) {
        sizes.setAtIndex(JAVA_LONG, i, dims[i]);
      }
      try {
        long bytes = (long) layout.invokeExact(sizes, offsets);
        // Steps of the load know no dimensions and use no arena.
        if (bytes < 0 && !loading) {
          throw new TersorException(
              "TSR-0705",
              "the buffers of the model are too large at dimensions "
                  + plan.dims()
                  + " = "
                  + Arrays.toString(dims));
        }
        tasks.invokeExact(sizes, extents);
        long each = (long) scratch.invokeExact(sizes);
        if (!loading) {
          Cancellation.allocate("the arena of model " + plan.name(), 0, bytes);
        }
        values = room(values, Math.max(64, loading ? 64 : bytes));
        scratches = room(scratches, Math.multiplyExact(each, (long) threads));
        set(4, values);
        set(6, scratches);
        call.set(JAVA_LONG, 56, each);
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }

    /** Memory of so many bytes, the same where it does; half as much again where it grows. */
    private static MemorySegment room(MemorySegment old, long bytes) {
      long has = old.byteSize();
      if (has >= bytes && (has <= SMALL || has / SPARE <= bytes)) {
        return old;
      }
      boolean grows = has > 0 && has < bytes;
      long size = grows ? Math.max(bytes, has + has / 2) : bytes;
      return Arena.ofAuto().allocate(Math.max(64, size), 64);
    }

    private void set(int field, MemorySegment value) {
      call.set(ADDRESS, field * 8L, value);
    }

    /** A diagnostic if a step found an index out of range. */
    void look(Map<String, Long> dims) {
      long step = fault.getAtIndex(JAVA_LONG, 0);
      if (step != 0) {
        fault.setAtIndex(JAVA_LONG, 0, 0);
        Plan.Call call = plan.runSteps().get((int) step - 1 - plan.loadSteps().size());
        call.demand().orElseThrow().require(fault.getAtIndex(JAVA_LONG, 1), dims, call.origin());
      }
    }

    /** Copies an input to where the steps read it. */
    void stage(int input, Tensor given) {
      MemorySegment source = HeapSegments.of(given);
      in[input] = room(in[input], source.byteSize());
      in[input].copyFrom(source);
      inputs.setAtIndex(ADDRESS, input, in[input]);
    }

    /** Memory for an output. */
    void prepare(int output, long bytes) {
      out[output] = room(out[output], bytes);
      outputs.setAtIndex(ADDRESS, output, out[output]);
    }

    void deliver(int output, Tensor result) {
      MemorySegment target = HeapSegments.of(result);
      target.copyFrom(out[output].asSlice(0, target.byteSize()));
    }

    /** Runs on the caller's arrays. */
    void runInPlace(int from, int to, List<Tensor> given, List<Tensor> results) {
      MemorySegment[] ports = new MemorySegment[given.size() + results.size()];
      for (int i = 0; i < given.size(); i++) {
        ports[i] = HeapSegments.of(given.get(i));
      }
      for (int i = 0; i < results.size(); i++) {
        ports[given.size() + i] = HeapSegments.of(results.get(i));
      }
      try {
        direct.invokeExact(call, from, to, ports);
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      } finally {
        // Nothing may follow an address of a Java array after the call.
        for (int i = 0; i < in.length; i++) {
          inputs.setAtIndex(ADDRESS, i, in[i]);
        }
        for (int i = 0; i < out.length; i++) {
          outputs.setAtIndex(ADDRESS, i, out[i]);
        }
        Reference.reachabilityFence(NativeExecutable.this);
      }
    }

    void run(int from, int to) {
      try {
        if (threads == 1) {
          steps.invokeExact(call, from, to);
        } else {
          shared(from, to);
        }
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      } finally {
        Reference.reachabilityFence(NativeExecutable.this);
      }
    }

    /** One step, in parts with a look at the cancellation before each. */
    void run(int step, String origin, Cancellation cancellation) {
      long tasks = extents.getAtIndex(JAVA_LONG, step);
      long part = Math.max(1, Math.ceilDiv(tasks, PARTS * threads));
      try {
        for (long at = 0; at < Math.max(1, tasks); at += part) {
          cancellation.check(origin);
          long end = Math.min(tasks, at + part);
          if (threads == 1) {
            oneStep.invokeExact(call, step, at, end, 0);
          } else {
            // Threads claim tasks from where the first counter stands up to the extent.
            counters.setAtIndex(JAVA_LONG, 2L * step, at);
            counters.setAtIndex(JAVA_LONG, 2L * step + 1, at);
            extents.setAtIndex(JAVA_LONG, step, end);
            together(step, step + 1);
          }
        }
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      } finally {
        extents.setAtIndex(JAVA_LONG, step, tasks);
        Reference.reachabilityFence(NativeExecutable.this);
      }
    }

    private void shared(int from, int to) {
      counters.fill((byte) 0);
      together(from, to);
    }

    private void together(int from, int to) {
      Job job = new Job(this, from, to);
      for (int worker = 1; worker < threads; worker++) {
        int number = worker;
        helpers.execute(() -> job.help(number));
      }
      work(from, to, 0);
      job.close();
    }

    private void work(int from, int to, int worker) {
      try {
        work.invokeExact(call, counters, extents, from, to, worker, threads);
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** Helpers of one run: they may come late, and are gone before the session is used again. */
  private static final class Job {
    private final Session session;
    private final int from;
    private final int to;
    private int inside;
    private boolean closed;

    Job(Session session, int from, int to) {
      this.session = session;
      this.from = from;
      this.to = to;
    }

    void help(int worker) {
      synchronized (this) {
        if (closed) {
          return;
        }
        inside++;
      }
      try {
        session.work(from, to, worker);
      } finally {
        synchronized (this) {
          inside--;
          notifyAll();
        }
      }
    }

    /** Waits even when interrupted: helpers still write into the session. */
    synchronized void close() {
      closed = true;
      boolean interrupted = false;
      while (inside > 0) {
        try {
          wait();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
