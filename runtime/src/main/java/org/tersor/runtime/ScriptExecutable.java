package org.tersor.runtime;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tersor.runtime.host.HostCall;
import org.tersor.runtime.host.HostOp;
import org.tersor.runtime.host.HostOps;

/** Runs a {@link Script} with executables of its segments, of whatever backend. Thread-safe. */
public final class ScriptExecutable implements Executable {
  /**
   * Elements of tensors that become sizes are cut off here, so that kernels can compute with them
   * in 32 bits; no tensor is that large.
   */
  private static final long FAR = 1L << 30;

  private final Script script;
  private final List<? extends Executable> segments;
  private final List<Tensor> constants;
  private final Map<String, HostOp> hostOps = new HashMap<>();
  private final Map<String, String> facts;
  private final Binding binding;
  private final Map<Script.Step, List<Integer>> ends;
  private final String where;

  /**
   * @param segments by number
   * @param constants by number
   * @param hostOps operations of the host that the script may name
   * @param facts lines for {@link #describe}
   */
  public ScriptExecutable(
      Script script,
      List<? extends Executable> segments,
      List<Tensor> constants,
      HostOps hostOps,
      Map<String, String> facts) {
    this.script = script;
    this.segments = List.copyOf(segments);
    this.constants = List.copyOf(constants);
    this.facts = new LinkedHashMap<>(facts);
    this.where = "a step of model " + script.name();
    this.binding =
        new Binding(script.inputs().stream().filter(Port::isTensor).toList(), script.outputs());
    // One that is missing is told now.
    script.hostOps().forEach(id -> this.hostOps.put(id, hostOps.get(id)));
    prepare(script.main());
    this.ends = ScriptLiveness.of(script);
  }

  private void prepare(Script.Block block) {
    for (Script.Step step : block.steps()) {
      switch (step) {
        case Script.Run run -> {
          if (run.segment() < 0 || run.segment() >= segments.size()) {
            throw new TersorException(
                "TSR-0707",
                "the script of model " + script.name() + " is damaged: segment " + run.segment());
          }
        }
        case Script.Choose choose -> {
          prepare(choose.then());
          prepare(choose.otherwise());
        }
        case Script.Iterate iterate -> prepare(iterate.body());
        case Script.Host _, Script.Fail _ -> {}
      }
    }
  }

  @Override
  public List<Port> inputs() {
    return script.inputs();
  }

  @Override
  public List<Port> outputs() {
    return script.outputs();
  }

  @Override
  public String describe() {
    StringBuilder text = new StringBuilder();
    facts.forEach((name, value) -> text.append(name).append(": ").append(value).append('\n'));
    for (int i = 0; i < segments.size(); i++) {
      text.append("segment ").append(i).append('\n');
      segments
          .get(i)
          .describe()
          .lines()
          .forEach(line -> text.append("  ").append(line).append('\n'));
    }
    return text.toString();
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
    Map<String, Tensor> results = new LinkedHashMap<>();
    Map<String, Datum> all = Cancellation.within(() -> within(inputs, outputs));
    // A result that is an input's tensor must be read before another result is written there.
    for (Map.Entry<String, Datum> entry : all.entrySet()) {
      if (entry.getValue() instanceof Tensor result
          && isTarget(result, outputs)
          && !isArray(result, Optional.ofNullable(outputs.get(entry.getKey())))) {
        Tensor copy = Tensor.zeros(result.dtype(), result.shape());
        System.arraycopy(
            result.array(), 0, copy.array(), 0, result.size() * result.dtype().slots());
        entry.setValue(copy);
      }
    }
    for (Port port : script.outputs()) {
      Datum datum = all.get(port.name());
      if (datum == null) {
        throw new IllegalStateException(port.name());
      }
      results.put(
          port.name(),
          Arguments.deliver(
              port,
              datum.tensor("output '" + port.name() + "'"),
              Optional.ofNullable(outputs.get(port.name()))));
    }
    return results;
  }

  @SuppressWarnings("ReferenceEquality") // whether it is the same array
  private static boolean isTarget(Tensor result, Map<String, Tensor> outputs) {
    return outputs.values().stream().anyMatch(target -> target.array() == result.array());
  }

  @SuppressWarnings("ReferenceEquality") // whether it is the same array
  private static boolean isArray(Tensor tensor, Optional<Tensor> other) {
    return other.isPresent() && tensor.array() == other.get().array();
  }

  @Override
  public Map<String, Datum> call(Map<String, ? extends Datum> given) {
    return Cancellation.within(() -> within(given, Map.of()));
  }

  private Map<String, Datum> within(
      Map<String, ? extends Datum> given, Map<String, Tensor> targets) {
    List<Datum> data = Arguments.data(script.inputs(), given);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (int i = 0; i < data.size(); i++) {
      if (script.inputs().get(i).isTensor()) {
        tensors.put(script.inputs().get(i).name(), data.get(i).tensor("an input"));
      }
    }
    Map<String, Long> symbols = binding.bind(tensors);
    Frame frame = new Frame(symbols, new ScriptTargets(script, tensors.values(), targets, symbols));
    List<Datum> results = frame.block(script.main(), data);
    frame.end();
    Map<String, Datum> named = new LinkedHashMap<>();
    for (int i = 0; i < results.size(); i++) {
      named.put(script.outputs().get(i).name(), results.get(i));
    }
    return named;
  }

  /** One call. */
  private final class Frame {
    private final @Nullable Datum[] registers = new @Nullable Datum[script.registers().size()];
    private final Map<String, Long> symbols;
    private final Cancellation cancellation = Cancellation.current();
    private final ScriptTargets targets;

    Frame(Map<String, Long> symbols, ScriptTargets targets) {
      this.symbols = new HashMap<>(symbols);
      this.targets = targets;
      for (int i = 0; i < constants.size(); i++) {
        registers[script.constants().get(i)] = constants.get(i);
      }
    }

    List<Datum> block(Script.Block block, List<? extends Datum> arguments) {
      for (int i = 0; i < block.parameters().size(); i++) {
        put(block.parameters().get(i), arguments.get(i));
      }
      for (Script.Step step : block.steps()) {
        cancellation.check(where);
        switch (step) {
          case Script.Run run -> run(run);
          case Script.Choose choose -> {
            boolean condition = condition(choose.condition(), choose.origin());
            Script.Block chosen = condition ? choose.then() : choose.otherwise();
            targets.hand(choose.outputs(), chosen);
            List<Datum> results = block(chosen, List.of());
            for (int i = 0; i < choose.outputs().size(); i++) {
              put(choose.outputs().get(i), results.get(i));
            }
          }
          case Script.Iterate iterate -> iterate(iterate);
          case Script.Host host -> host(host);
          case Script.Fail fail -> throw new TersorException(fail.code(), fail.message());
        }
        ends.getOrDefault(step, List.of()).forEach(this::drop);
      }
      return block.results().stream().map(this::get).toList();
    }

    /** Nothing reads the register after this. */
    private void drop(int register) {
      Datum datum = registers[register];
      if (datum != null) {
        cancellation.release(datum);
        registers[register] = null;
      }
    }

    void end() {
      for (Datum datum : registers) {
        if (datum != null) {
          cancellation.release(datum);
        }
      }
    }

    private Datum get(int register) {
      Datum datum = registers[register];
      if (datum == null) {
        throw new TersorException(
            "TSR-0707",
            "the script of model "
                + script.name()
                + " is damaged: '"
                + script.registers().get(register).name()
                + "' is read before it is made");
      }
      return datum;
    }

    private Tensor tensor(int register) {
      return get(register).tensor("'" + script.registers().get(register).name() + "'");
    }

    private void put(int register, Datum datum) {
      if (register == Script.ABSENT) {
        return;
      }
      Datum before = registers[register];
      cancellation.hold(datum);
      if (before != null) {
        cancellation.release(before);
      }
      registers[register] = datum;
      Script.Register declared = script.registers().get(register);
      if (datum instanceof Tensor tensor && tensor.rank() == declared.dims().size()) {
        for (int d = 0; d < tensor.rank(); d++) {
          DimExpr dim = declared.dims().get(d);
          if (dim.isSymbol()) {
            symbols.put(dim.toString(), tensor.shape()[d]);
          }
        }
      }
    }

    private void run(Script.Run run) {
      for (Script.Element element : run.elements()) {
        Tensor source = tensor(element.register());
        if (element.index() >= source.size()) {
          throw new TersorException(
              "TSR-0703",
              "'"
                  + script.registers().get(element.register()).name()
                  + "' "
                  + source
                  + " has no element "
                  + element.index());
        }
        symbols.put(
            element.symbol(), Math.max(-FAR, Math.min(FAR, source.getLong(element.index()))));
      }
      for (Script.Derived derived : run.derived()) {
        try {
          symbols.put(derived.symbol(), derived.value().eval(symbols));
        } catch (ArithmeticException e) {
          throw new TersorException(
              "TSR-0705",
              "a size that depends on data overflows or divides by zero: " + derived.value(),
              e);
        }
      }
      Executable segment = segments.get(run.segment());
      Map<String, Tensor> inputs = new LinkedHashMap<>();
      for (int i = 0; i < run.inputs().size(); i++) {
        inputs.put(segment.inputs().get(i).name(), tensor(run.inputs().get(i)));
      }
      Map<String, Tensor> results = segment.run(inputs, targets.of(run, segment), symbols);
      for (int i = 0; i < run.outputs().size(); i++) {
        Tensor result = results.get(segment.outputs().get(i).name());
        if (result == null) {
          throw new IllegalStateException(segment.outputs().get(i).name());
        }
        put(run.outputs().get(i), result);
      }
    }

    private boolean condition(int register, String origin) {
      return condition(get(register), origin);
    }

    private static boolean condition(Datum datum, String origin) {
      Tensor tensor = datum.tensor("the condition of " + origin);
      if (tensor.dtype() != DType.BOOL || tensor.size() != 1) {
        throw new TersorException(
            "TSR-0303", origin + ": a condition must be one boolean, not " + tensor);
      }
      return tensor.getLong(0) != 0;
    }

    private void iterate(Script.Iterate step) {
      long trips = Long.MAX_VALUE;
      if (step.tripCount() != Script.ABSENT) {
        Tensor count = tensor(step.tripCount());
        if (count.size() != 1) {
          throw new TersorException(
              "TSR-0303", step.origin() + ": the trip count must be one element, not " + count);
        }
        trips = count.getLong(0);
      }
      for (Script.Scanned scanned : step.scanned()) {
        long own = Slices.count(get(scanned.register()), scanned.axis());
        if (trips != Long.MAX_VALUE && trips != own && step.tripCount() == Script.ABSENT) {
          throw new TersorException(
              "TSR-0303",
              step.origin() + ": scanned inputs have " + trips + " and " + own + " slices");
        }
        trips = own;
      }
      boolean condition =
          step.condition() == Script.ABSENT || condition(step.condition(), step.origin());
      List<Datum> state = new ArrayList<>(step.initial().stream().map(this::get).toList());
      List<List<Datum>> stacks = new ArrayList<>();
      step.stacked().forEach(s -> stacks.add(new ArrayList<>()));
      int head = step.counted() ? 1 : 0;
      for (long trip = 0; trip < trips && condition; trip++) {
        List<Datum> arguments = new ArrayList<>();
        if (step.counted()) {
          cancellation.trip(step.origin());
          arguments.add(Tensor.of(new long[] {trip}));
          arguments.add(new Tensor(DType.BOOL, new long[0], new byte[] {1}));
        }
        arguments.addAll(state);
        for (Script.Scanned scanned : step.scanned()) {
          long at = scanned.reverse() ? trips - 1 - trip : trip;
          arguments.add(Slices.get(get(scanned.register()), scanned.axis(), at));
        }
        List<Datum> results = block(step.body(), arguments);
        condition = !step.counted() || condition(results.getFirst(), step.origin());
        state = new ArrayList<>(results.subList(head, head + state.size()));
        for (int i = 0; i < stacks.size(); i++) {
          Datum slice = results.get(head + state.size() + i);
          cancellation.hold(slice);
          stacks.get(i).add(slice);
        }
      }
      List<Datum> outputs = new ArrayList<>(state);
      for (int i = 0; i < stacks.size(); i++) {
        Script.Stacked form = step.stacked().get(i);
        List<Datum> slices = form.reverse() ? stacks.get(i).reversed() : stacks.get(i);
        outputs.add(
            form.axis() < 0
                ? new Datum.Sequence(slices)
                : Slices.stack(slices, form, symbols, step.origin()));
        slices.forEach(cancellation::release);
      }
      for (int i = 0; i < step.outputs().size(); i++) {
        put(step.outputs().get(i), outputs.get(i));
      }
    }

    private void host(Script.Host step) {
      List<Optional<Datum>> inputs = new ArrayList<>();
      for (int register : step.inputs()) {
        inputs.add(register == Script.ABSENT ? Optional.empty() : Optional.of(get(register)));
      }
      HostOp op = hostOps.get(step.op());
      if (op == null) {
        throw new IllegalStateException(step.op());
      }
      List<Datum> results =
          op.run(new HostCall(step.origin(), inputs, step.settings(), step.outputs().size()));
      for (int i = 0; i < step.outputs().size(); i++) {
        put(step.outputs().get(i), results.get(i));
      }
    }
  }
}
