package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable.Growth;
import org.tersor.runtime.Executable.State;
import org.tersor.runtime.Plan;
import org.tersor.runtime.TersorException;

/**
 * Gives states that calls append to (the output is the input with more behind it along an axis)
 * memory of a fixed size: input and output have the capacity as their extent on that axis, and
 * kernels find the same elements at other addresses. What copied the old entries becomes a step of
 * its own, which a run leaves out where input and output are one memory; the other steps write new
 * entries only. How many entries there are before a call is the extent of one more input.
 *
 * <p>Old entries stay where they are in such a call, so it does not matter who reads them when, and
 * a call that fails has changed nothing that counts.
 */
public final class GrowingStates {
  /**
   * A model whose states have a capacity.
   *
   * @param states all of the model, in the same order
   */
  public record Result(LoweredGraph lowered, List<State> states) {}

  /** A state that grows. */
  private record Growing(
      State state, Value input, Value output, int axis, DimExpr before, DimExpr after) {}

  private final LoweredGraph lowered;
  private final DimExpr capacity;
  private final List<KernelCall> calls;
  private final Map<Value, TensorType> ports = new HashMap<>();
  private final Map<String, Value> lengths = new LinkedHashMap<>();
  private final Set<Plan.Check> checks = new LinkedHashSet<>();
  private int nextValue;

  private GrowingStates(LoweredGraph lowered, long capacity) {
    this.lowered = lowered;
    this.capacity = DimExpr.of(capacity);
    this.calls = new ArrayList<>(lowered.calls());
    this.nextValue = lowered.graph().maxId() + 1;
    for (KernelCall call : calls) {
      call.operands().values().forEach(v -> nextValue = Math.max(nextValue, v.id() + 1));
    }
  }

  /**
   * Gives every state with a symbolic extent a capacity; a diagnostic (TSR-0512) if there is none
   * or one of them does not grow by appending.
   */
  public static Result apply(LoweredGraph lowered, List<State> states, long capacity) {
    return new GrowingStates(lowered, capacity).run(states);
  }

  private Result run(List<State> states) {
    List<State> all = new ArrayList<>();
    for (State state : states) {
      Value input = port(lowered.graph().inputs(), state.input());
      Value output = port(lowered.graph().outputs(), state.output());
      if (dims(input).stream().allMatch(DimExpr::isConst)) {
        all.add(state);
      } else {
        Growing growing = growing(state, input, output);
        change(growing);
        Value length = length(growing.before());
        all.add(
            new State(
                state.output(),
                state.input(),
                Optional.of(new Growth(growing.axis(), length.name(), growing.after()))));
      }
    }
    if (ports.isEmpty()) {
      throw new TersorException(
          "TSR-0512",
          "a capacity of "
              + capacity
              + " is wanted for states that grow, and the model declares none with a symbolic"
              + " extent; declare states with --state OUTPUT=INPUT");
    }
    List<Plan.Check> more = new ArrayList<>(lowered.checks());
    more.addAll(checks);
    return new Result(
        new LoweredGraph(graph(), calls, lowered.views(), lowered.constants(), more), all);
  }

  private static Value port(List<Value> ports, String name) {
    return ports.stream().filter(value -> value.name().equals(name)).findFirst().orElseThrow();
  }

  private List<DimExpr> dims(Value value) {
    return lowered.graph().type(value) instanceof TensorType tensor && tensor.isRanked()
        ? tensor.dims()
        : List.of();
  }

  private static TersorException refused(State state, String why) {
    return new TersorException(
        "TSR-0512",
        "state '"
            + state.input()
            + "' cannot have a capacity: "
            + why
            + "; without one it is copied by every call");
  }

  private Growing growing(State state, Value input, Value output) {
    List<DimExpr> before = dims(input);
    List<DimExpr> after = dims(output);
    List<Integer> axes =
        IntStream.range(0, Math.min(before.size(), after.size()))
            .filter(d -> !before.get(d).equals(after.get(d)))
            .boxed()
            .toList();
    if (before.size() != after.size() || axes.size() != 1) {
      throw refused(state, "it does not grow along one axis, from " + before + " to " + after);
    }
    int axis = axes.getFirst();
    if (!before.get(axis).isSymbol()) {
      throw refused(state, "its extent " + before.get(axis) + " is no symbol");
    }
    boolean shared =
        lowered.graph().outputs().stream()
                .filter(o -> lowered.root(o).equals(lowered.root(output)))
                .count()
            != 1;
    if (shared || !input.equals(lowered.root(input)) || isOutput(input)) {
      throw refused(state, "its memory is another output's, too");
    }
    return new Growing(state, input, output, axis, before.get(axis), after.get(axis));
  }

  private boolean isOutput(Value input) {
    return lowered.graph().outputs().stream().anyMatch(o -> lowered.root(o).equals(input));
  }

  /** Takes the copy out of the kernel that appends, and gives all kernels the other addresses. */
  private void change(Growing state) {
    Value output = lowered.root(state.output());
    boolean found = false;
    for (int i = 0; i < calls.size(); i++) {
      KernelCall call = calls.get(i);
      Optional<Stage> copy =
          call.kernel().stages().stream().filter(s -> copies(call, s, state)).findFirst();
      if (copy.isPresent()) {
        if (found) {
          throw refused(state.state(), "it is written twice");
        }
        found = true;
        calls.set(i, stored(without(call, copy.get()), state));
        calls.add(i, carry(call, copy.get(), state));
        i++;
      } else if (call.operands().values().stream()
          .map(lowered::root)
          .anyMatch(v -> v.equals(output) || v.equals(state.input()))) {
        calls.set(i, stored(call, state));
      }
    }
    if (!found) {
      throw refused(state.state(), "no operator appends to it");
    }
    ports.put(state.input(), withCapacity(state.input(), state.axis()));
    ports.put(state.output(), withCapacity(state.output(), state.axis()));
    checks.add(
        new Plan.Check(
            capacity,
            state.after(),
            "state '" + state.state().input() + "'",
            "its capacity is exceeded: it was compiled with --state-capacity " + capacity));
  }

  private TensorType withCapacity(Value port, int axis) {
    List<DimExpr> dims = new ArrayList<>(dims(port));
    dims.set(axis, capacity);
    return TensorType.of(((TensorType) lowered.graph().type(port)).dtype(), dims);
  }

  /** Whether a stage is the whole input at the beginning of the output. */
  private boolean copies(KernelCall call, Stage stage, Growing state) {
    if (!(stage.value() instanceof KExpr.At at)
        || !isBound(call, stage.target(), lowered.root(state.output()))
        || !isBound(call, at.buffer(), state.input())) {
      return false;
    }
    List<KExpr> places = stage.axes().stream().map(K::axis).toList();
    List<DimExpr> extents = stage.axes().stream().map(Axis::extent).toList();
    return at.index().equals(places)
        && stage.index().equals(places)
        && extents.equals(at.buffer().shape())
        && extents.equals(dims(state.input()));
  }

  private boolean isBound(KernelCall call, Buf buffer, Value root) {
    Value value = call.operands().get(buffer.name());
    return value != null && lowered.root(value).equals(root);
  }

  private static KernelCall without(KernelCall call, Stage copy) {
    Kernel kernel = call.kernel();
    List<Stage> stages = kernel.stages().stream().filter(s -> !s.equals(copy)).toList();
    Set<String> read = new LinkedHashSet<>();
    for (Stage stage : stages) {
      stage.index().forEach(e -> reads(e, read));
      reads(stage.value(), read);
    }
    List<Buf> inputs = kernel.inputs().stream().filter(b -> read.contains(b.name())).toList();
    Map<String, Value> operands = new TreeMap<>(call.operands());
    kernel.inputs().stream()
        .map(Buf::name)
        .filter(n -> !read.contains(n))
        .forEach(operands::remove);
    return new KernelCall(
        new Kernel(kernel.name(), inputs, kernel.outputs(), stages, kernel.program()),
        operands,
        call.origin(),
        false,
        call.demand());
  }

  private static void reads(KExpr expr, Set<String> names) {
    KExprs.all(expr, KExpr.At.class).forEach(at -> names.add(at.buffer().name()));
  }

  /** All of the memory, so that no element of an output is undefined. */
  private KernelCall carry(KernelCall call, Stage copy, Growing state) {
    DimExpr elements = DimExpr.product(withCapacity(state.input(), state.axis()).dims());
    Scalar scalar = copy.target().element();
    Buf in = new Buf("in0", scalar, List.of(elements));
    Buf out = new Buf("out0", scalar, List.of(elements));
    Axis axis = new Axis("i", elements);
    return new KernelCall(
        new Kernel(
            "carry",
            List.of(in),
            List.of(out),
            List.of(Stage.of(out, List.of(axis), K.at(in, K.axis(axis))))),
        Map.of("in0", state.input(), "out0", lowered.root(state.output())),
        call.origin() + " (old entries)",
        false,
        Optional.empty(),
        true);
  }

  /** The same kernel over buffers with the capacity. */
  private KernelCall stored(KernelCall call, Growing state) {
    Map<String, Buf> changed = new HashMap<>();
    List<Buf> buffers = new ArrayList<>(call.kernel().inputs());
    buffers.addAll(call.kernel().outputs());
    for (Buf buffer : buffers) {
      DimExpr extent =
          isBound(call, buffer, state.input())
              ? state.before()
              : isBound(call, buffer, lowered.root(state.output())) ? state.after() : DimExpr.ZERO;
      if (!extent.equals(DimExpr.ZERO)) {
        changed.put(
            buffer.name(),
            new Buf(buffer.name(), buffer.element(), shape(call, buffer, extent, state)));
      }
    }
    if (changed.isEmpty()) {
      return call;
    }
    if (call.kernel().program().isPresent()) {
      throw refused(state.state(), call.origin() + " reads it in an order of its own");
    }
    return call.with(
        new Kernel(
            call.kernel().name(),
            call.kernel().inputs().stream().map(b -> changed.getOrDefault(b.name(), b)).toList(),
            call.kernel().outputs().stream().map(b -> changed.getOrDefault(b.name(), b)).toList(),
            call.kernel().stages().stream().map(stage -> stage(stage, changed)).toList(),
            call.kernel().program()));
  }

  private static Stage stage(Stage stage, Map<String, Buf> changed) {
    return new Stage(
        changed.getOrDefault(stage.target().name(), stage.target()),
        stage.axes(),
        stage.index().stream().map(e -> value(e, changed)).toList(),
        value(stage.value(), changed));
  }

  private static KExpr value(KExpr expr, Map<String, Buf> changed) {
    return KExprs.rewrite(
        expr,
        e ->
            e instanceof KExpr.At at
                ? new KExpr.At(changed.getOrDefault(at.buffer().name(), at.buffer()), at.index())
                : e);
  }

  /** The shape under which a kernel sees the state, with the capacity in it. */
  private List<DimExpr> shape(KernelCall call, Buf buffer, DimExpr extent, Growing state) {
    List<DimExpr> own = dims(state.input());
    DimExpr outer = DimExpr.product(own.subList(0, state.axis()));
    DimExpr inner = DimExpr.product(own.subList(state.axis() + 1, own.size()));
    List<DimExpr> shape = buffer.shape();
    for (int d = 0; d < shape.size(); d++) {
      if (shape.get(d).equals(extent)
          && DimExpr.product(shape.subList(0, d)).equals(outer)
          && DimExpr.product(shape.subList(d + 1, shape.size())).equals(inner)) {
        List<DimExpr> with = new ArrayList<>(shape);
        with.set(d, capacity);
        return with;
      }
    }
    throw refused(
        state.state(), call.origin() + " takes it for " + shape + ", where entries are no axis");
  }

  /** The input whose extent is the number of entries before a call. */
  private Value length(DimExpr symbol) {
    return lengths.computeIfAbsent(
        symbol.toString(),
        name -> {
          String free = name;
          while (isPort(free)) {
            free += "_length";
          }
          return new Value(nextValue++, free);
        });
  }

  private boolean isPort(String name) {
    return lowered.graph().inputs().stream().anyMatch(v -> v.name().equals(name))
        || lowered.graph().outputs().stream().anyMatch(v -> v.name().equals(name));
  }

  private Graph graph() {
    Graph old = lowered.graph();
    List<Value> inputs = new ArrayList<>(old.inputs());
    Map<Value, ValueType> types = new LinkedHashMap<>(old.types());
    types.putAll(ports);
    lengths.forEach((symbol, value) -> {
      inputs.add(value);
      types.put(value, TensorType.of(DType.U8, List.of(DimExpr.symbol(symbol))));
    });
    return new Graph(
        old.name(),
        inputs,
        old.outputs(),
        old.nodes(),
        old.constants(),
        types,
        old.opsets(),
        old.metadata());
  }
}
