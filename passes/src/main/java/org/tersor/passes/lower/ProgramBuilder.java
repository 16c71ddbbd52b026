package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.IndexDemands;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.schedule.ScheduleChoice;
import org.tersor.ir.schedule.Scheduled;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.passes.eval.Ports;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Plan;
import org.tersor.runtime.TersorException;

/** Schedules the kernels of a lowered graph and plans buffers: the program of one target. */
public final class ProgramBuilder {
  private final LoweredGraph lowered;
  private final Target target;
  private final KernelSchedules schedules;
  private final FunctionTable functions;
  private final List<Port> inputs;
  private final List<Port> outputs;
  private final Set<String> dims = new TreeSet<>();
  private final List<Plan.Buffer> buffers = new ArrayList<>();
  private final Map<Value, Integer> bufferOf = new HashMap<>();
  private final Map<Value, Integer> outputOf = new HashMap<>();
  private final Map<Constant, Integer> constants = new LinkedHashMap<>();
  private final Map<Integer, Integer> constantBuffers = new HashMap<>();
  private final List<Plan.Call> loadSteps = new ArrayList<>();
  private final List<Plan.Call> runSteps = new ArrayList<>();
  private final Set<Plan.Check> checks = new LinkedHashSet<>();

  /** What load steps make for load steps. */
  private final Set<Integer> scratch = new TreeSet<>();

  private final Map<String, String> moreFacts = new TreeMap<>();
  private int rounded;
  private final Map<Plan.Call, ScheduleChoice> choices = new LinkedHashMap<>();
  private int foldedKernels;

  /**
   * @param symbols values of dimensions that the caller supplies beside the inputs
   * @param legalize makes a function fit for the target's backend
   */
  public ProgramBuilder(
      LoweredGraph lowered,
      Set<String> symbols,
      Target target,
      KernelScheduler scheduler,
      UnaryOperator<LoopFunction> legalize) {
    this.lowered = lowered;
    this.target = target;
    this.schedules = new KernelSchedules(scheduler, target, lowered);
    this.functions = new FunctionTable(legalize);
    this.inputs = Ports.inputs(lowered.graph());
    this.outputs = Ports.outputs(lowered.graph());
    inputs.forEach(port -> port.shape().forEach(dim -> dims.addAll(dim.symbols())));
    dims.addAll(symbols);
  }

  /** Adds something that descriptions of the program say. */
  public ProgramBuilder withFact(String name, String value) {
    moreFacts.put(name, value);
    return this;
  }

  public Program build() {
    List<Value> graphInputs = lowered.graph().inputs();
    for (int i = 0; i < graphInputs.size(); i++) {
      Port port = inputs.get(i);
      bufferOf.put(
          graphInputs.get(i),
          add(port.dtype(), DimExpr.product(port.shape()), Plan.Storage.INPUT, i));
    }
    checks.addAll(lowered.checks());
    List<Value> copied = claimOutputs();
    schedules.prepare();
    for (KernelCall call : lowered.calls()) {
      schedule(call);
    }
    deliver(copied);
    assignSlots();
    LoadMemory.numbers(buffers, scratch, loadSteps, runSteps).forEach(this::number);
    List<LoopFunction> legal = functions.legal();
    Plan plan =
        new Plan(
            lowered.graph().name(),
            List.copyOf(dims),
            inputs,
            outputs,
            List.copyOf(buffers),
            legal.stream().map(LoopFunction::name).toList(),
            List.copyOf(loadSteps),
            List.copyOf(runSteps),
            List.copyOf(checks));
    return new Program(
        plan,
        legal,
        List.copyOf(constants.keySet()),
        target,
        facts(),
        Collections.unmodifiableMap(choices));
  }

  /**
   * Kernels write straight into the caller's arrays where a value is one output and nothing else;
   * the rest is copied at the end.
   */
  private List<Value> claimOutputs() {
    Set<Value> written = new HashSet<>();
    for (KernelCall call : lowered.calls()) {
      if (!schedules.isFolded(call)) {
        written.addAll(call.writes());
      }
    }
    Set<Value> carried = new HashSet<>();
    lowered.calls().stream()
        .filter(KernelCall::carries)
        .forEach(call -> call.writes().forEach(value -> carried.add(lowered.root(value))));
    List<Value> copied = new ArrayList<>();
    List<Value> graphOutputs = lowered.graph().outputs();
    for (int i = 0; i < graphOutputs.size(); i++) {
      Value root = lowered.root(graphOutputs.get(i));
      boolean state =
          !carried.contains(root) && StateMemories.areReadLate(lowered, graphOutputs.get(i));
      if (written.contains(root) && !outputOf.containsKey(root) && !state) {
        outputOf.put(root, i);
        copied.add(Value.NONE);
      } else {
        copied.add(root);
      }
    }
    return copied;
  }

  private boolean isState(Value output) {
    return ModelMetadata.states(lowered.graph()).stream()
        .anyMatch(state -> state.output().equals(output.name()));
  }

  /**
   * Copies outputs that no kernel writes. State comes last, since it may be the memory of an input;
   * what is an input itself is read before the first state is written.
   */
  private void deliver(List<Value> copied) {
    List<Value> graphOutputs = lowered.graph().outputs();
    Map<Integer, Value> states = new TreeMap<>();
    for (int i = 0; i < copied.size(); i++) {
      Value root = copied.get(i);
      if (root.isPresent() && isState(graphOutputs.get(i))) {
        states.put(i, root);
      } else if (root.isPresent()) {
        copy(i, root, add(outputs.get(i), Plan.Storage.OUTPUT, i));
      }
    }
    Map<Integer, Integer> kept = new TreeMap<>();
    states.forEach((output, root) -> {
      if (lowered.graph().inputs().contains(root)) {
        int buffer = add(outputs.get(output), Plan.Storage.ARENA, -1);
        copy(output, root, buffer);
        kept.put(output, buffer);
      } else {
        kept.put(output, bufferFor(root, "output '" + outputs.get(output).name() + "'"));
      }
    });
    kept.forEach((output, source) ->
        copy(
            output,
            source,
            graphOutputs.get(output),
            add(outputs.get(output), Plan.Storage.OUTPUT, output)));
  }

  private int add(Port port, Plan.Storage storage, int index) {
    return add(port.dtype(), DimExpr.product(port.shape()), storage, index);
  }

  private void schedule(KernelCall call) {
    boolean folded = schedules.isFolded(call);
    foldedKernels += folded ? 1 : 0;
    Map<String, Integer> names = new HashMap<>();
    for (Buf buffer : call.kernel().inputs()) {
      int index = read(call, buffer);
      names.put(buffer.name(), index);
      fits(index, buffer.elements(), call.origin());
    }
    for (Buf buffer : call.kernel().outputs()) {
      Value value = lowered.root(call.operand(buffer));
      Integer begun = bufferOf.get(value);
      if (begun != null) { // a state, of which this writes what is new
        names.put(buffer.name(), begun);
        continue;
      }
      Integer output = folded ? null : outputOf.get(value);
      Plan.Storage storage =
          folded ? Plan.Storage.PACKED : output != null ? Plan.Storage.OUTPUT : Plan.Storage.ARENA;
      DType dtype = output != null ? outputs.get(output).dtype() : buffer.element().dtype();
      DimExpr elements =
          output != null ? DimExpr.product(outputs.get(output).shape()) : buffer.elements();
      int index = add(dtype, elements, storage, output != null ? output : -1);
      fits(index, buffer.elements(), call.origin());
      if (folded) {
        scratch.add(index);
      }
      bufferOf.put(value, index);
      names.put(buffer.name(), index);
    }
    checks.addAll(ReadExtents.of(call.kernel(), call.origin()));
    launch(call, schedules.of(call), names, folded);
  }

  /** What a kernel takes a buffer for must be in it, whatever the symbols turn out to be. */
  private void fits(int index, DimExpr wanted, String origin) {
    DimExpr elements = buffers.get(index).elements();
    if (!elements.equals(wanted) && !(elements.isConst() && wanted.isConst())) {
      checks.add(Plan.Check.fits(elements, wanted, origin));
    }
  }

  private void launch(
      KernelCall call, Scheduled scheduled, Map<String, Integer> names, boolean folded) {
    rounded += scheduled.rounded();
    for (Scheduled.Temporary temporary : scheduled.temporaries()) {
      boolean kept = temporary.packed() || folded;
      int buffer =
          add(
              temporary.element().dtype(),
              temporary.elements(),
              kept ? Plan.Storage.PACKED : Plan.Storage.ARENA,
              -1);
      if (folded && !temporary.packed()) {
        scratch.add(buffer);
      }
      names.put(temporary.name(), buffer);
    }
    for (Scheduled.Launch launch : scheduled.load()) {
      loadSteps.add(call(call, launch, names));
    }
    for (Scheduled.Launch launch : scheduled.run()) {
      Plan.Call step = call(call, launch, names);
      if (folded) {
        loadSteps.add(step);
      } else {
        runSteps.add(step);
        launch.choice().ifPresent(choice -> choices.put(step, choice));
      }
    }
    call.demand().ifPresent(demand -> demand(call, demand, names));
  }

  /** The last launch of a call gives the number that its demand is about. */
  private void demand(KernelCall call, IndexDemands.Demand demand, Map<String, Integer> names) {
    Plan.Call last = runSteps.removeLast();
    Integer result = names.get(call.kernel().outputs().getFirst().name());
    if (result == null || !last.tasks().isConst(1) || !last.buffers().contains(result)) {
      throw new TersorException(
          "TSR-0506",
          "the schedule of " + call.origin() + " gives no range: a bug of the scheduler");
    }
    runSteps.add(last.with(new Plan.Demand(result, demand.least(), demand.most(), demand.count())));
    // Of an empty range nothing may be read, which kernels that limit an index do not know.
    DimExpr extent = demand.most().minus(demand.least()).plus(DimExpr.ONE);
    if (!extent.isConst() || extent.constValue() <= 0) {
      checks.add(
          new Plan.Check(
              extent,
              demand.count().min(DimExpr.ONE),
              call.origin(),
              "indices are given for an axis without positions"));
    }
  }

  private Plan.Call call(KernelCall call, Scheduled.Launch launch, Map<String, Integer> names) {
    List<Integer> arguments = new ArrayList<>();
    for (String name : launch.buffers()) {
      Integer index = names.get(name);
      if (index == null) {
        throw new TersorException(
            "TSR-0506",
            "the schedule of "
                + call.origin()
                + " uses buffer '"
                + name
                + "', which the kernel does not have: a bug of the scheduler");
      }
      arguments.add(index);
    }
    for (DimExpr dim : launch.dims()) {
      check(dim, call.origin());
    }
    check(launch.tasks(), call.origin());
    Plan.Call step =
        new Plan.Call(
            functions.add(launch.function()),
            arguments,
            launch.dims(),
            launch.tasks(),
            call.origin());
    return call.carries() ? step.carrying() : step;
  }

  private void check(DimExpr dim, String origin) {
    for (String symbol : dim.symbols()) {
      if (!dims.contains(symbol)) {
        throw new TersorException(
            "TSR-0503",
            origin
                + " has a size that depends on data ("
                + dim
                + "): no input dimension says what "
                + symbol
                + " is. The interpreter backend runs such models; or make the size constant.");
      }
    }
  }

  private int read(KernelCall call, Buf buffer) {
    return bufferFor(lowered.root(call.operand(buffer)), call.origin());
  }

  private int bufferFor(Value root, String origin) {
    Integer known = bufferOf.get(root);
    if (known != null) {
      return known;
    }
    Constant constant = lowered.constants().get(root);
    if (constant == null) {
      throw new TersorException(
          "TSR-0507",
          origin + " reads value " + root + " '" + root.name() + "' before a kernel makes it");
    }
    if (constant.dtype() == DType.STRING) {
      throw new TersorException(
          "TSR-0504", origin + " reads strings, which compiled code cannot hold");
    }
    int number = constants.computeIfAbsent(constant, c -> constants.size());
    int index =
        constantBuffers.computeIfAbsent(
            number,
            n -> add(constant.dtype(), DimExpr.of(constant.elements()), Plan.Storage.CONSTANT, n));
    bufferOf.put(root, index);
    return index;
  }

  private void copy(int output, Value root, int target) {
    copy(output, bufferFor(root, "output '" + outputs.get(output).name() + "'"), root, target);
  }

  private void copy(int output, int source, Value root, int target0) {
    Port port = outputs.get(output);
    String origin = "output '" + port.name() + "'";
    fits(source, DimExpr.product(port.shape()), origin);
    DimExpr elements = DimExpr.product(port.shape()).times(port.dtype().slots());
    Scalar scalar = Scalar.of(port.dtype());
    Buf in = new Buf("in0", scalar, List.of(elements));
    Buf out = new Buf("out0", scalar, List.of(elements));
    Axis axis = new Axis("i", elements);
    Kernel kernel =
        new Kernel(
            "copy",
            List.of(in),
            List.of(out),
            List.of(Stage.of(out, List.of(axis), K.at(in, K.axis(axis)))));
    Map<String, Integer> names = new HashMap<>(Map.of("in0", source, "out0", target0));
    KernelCall call =
        new KernelCall(
            kernel,
            Map.of("in0", root, "out0", lowered.graph().outputs().get(output)),
            origin,
            false);
    launch(call, schedules.of(kernel, Set.of()), names, false);
  }

  private int add(DType dtype, DimExpr elements, Plan.Storage storage, int index) {
    buffers.add(new Plan.Buffer("b" + buffers.size(), dtype, elements, storage, index));
    return buffers.size() - 1;
  }

  private void assignSlots() {
    Map<Integer, int[]> spans = new TreeMap<>();
    for (int step = 0; step < runSteps.size(); step++) {
      for (int buffer : runSteps.get(step).buffers()) {
        spans.computeIfAbsent(buffer, b -> new int[] {Integer.MAX_VALUE, -1});
        spans.get(buffer)[0] = Math.min(spans.get(buffer)[0], step);
        spans.get(buffer)[1] = step;
      }
    }
    // Threads may look at such a number when others have gone on.
    for (Plan.Call call : runSteps) {
      call.demand()
          .flatMap(demand -> Optional.ofNullable(spans.get(demand.buffer())))
          .ifPresent(span -> span[1] = runSteps.size() - 1);
    }
    List<MemoryPlanner.Lifetime> lifetimes = new ArrayList<>();
    for (int b = 0; b < buffers.size(); b++) {
      Plan.Buffer buffer = buffers.get(b);
      if (buffer.storage() == Plan.Storage.ARENA) {
        check(buffer.elements(), "a value");
        int[] span = spans.getOrDefault(b, new int[] {0, 0});
        lifetimes.add(
            new MemoryPlanner.Lifetime(
                b, buffer.dtype().slot(), buffer.elements(), span[0], span[1]));
      }
    }
    MemoryPlanner.assign(lifetimes).forEach(this::number);
  }

  private void number(int buffer, int number) {
    Plan.Buffer old = buffers.get(buffer);
    buffers.set(
        buffer, new Plan.Buffer(old.name(), old.dtype(), old.elements(), old.storage(), number));
  }

  /** What tables have changed; nothing where nothing was wanted. */
  private Optional<String> wantedSchedules() {
    Set<ScheduleChoice> all = new LinkedHashSet<>(choices.values());
    List<String> wanted =
        all.stream()
            .filter(choice -> !choice.taken().equals(choice.rule()))
            .map(choice -> choice.shape() + ": " + choice.taken() + " instead of " + choice.rule())
            .toList();
    return wanted.isEmpty()
        ? Optional.empty()
        : Optional.of(
            "%d of %d chosen by a table: %s"
                .formatted(wanted.size(), all.size(), String.join("; ", wanted)));
  }

  private Map<String, String> facts() {
    Map<String, String> facts = new TreeMap<>(ModelMetadata.facts(lowered.graph()));
    Map<String, Integer> kinds = new TreeMap<>();
    lowered.graph().nodes().forEach(node -> kinds.merge(node.op().type(), 1, Integer::sum));
    facts.put("nodes", kinds.toString());
    facts.putAll(moreFacts);
    facts.put("runs on the host", "nothing");
    facts.put(
        "kernels",
        functions.size()
            + " functions, "
            + runSteps.size()
            + " launches a call, "
            + loadSteps.size()
            + " at load");
    wantedSchedules().ifPresent(text -> facts.put("schedules", text));
    if (rounded > 0) {
      facts.put(Program.ROUNDED, rounded + " products of float32");
    }
    facts.put("views", lowered.views().size() + " nodes without code");
    facts.put("folded", foldedKernels + " kernels computed at load");
    long weights =
        constants.keySet().stream().mapToLong(c -> c.elements() * c.dtype().memoryBytes()).sum();
    facts.put("weights", weights + " bytes in " + constants.size() + " constants");
    Map<Integer, Long> slots = new TreeMap<>();
    for (Plan.Buffer buffer : buffers) {
      if (buffer.storage() == Plan.Storage.ARENA) {
        long bytes = MemoryPlanner.nominal(buffer.elements()) * buffer.dtype().memoryBytes();
        slots.merge(buffer.index(), bytes, Math::max);
      }
    }
    facts.put(
        "arena",
        slots.values().stream().mapToLong(Long::longValue).sum()
            + " bytes"
            + (dims.isEmpty() ? "" : " at dimensions of " + MemoryPlanner.NOMINAL));
    return facts;
  }
}
