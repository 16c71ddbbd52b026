package org.tersor.runtime.machine;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Executable.State;
import org.tersor.runtime.StateMemory;
import org.tersor.runtime.Tensor;

/** States that stay in one place between calls of machine code. */
public final class NativeStates implements StateMemory {
  private final PortMemory ports;
  private final Consumer<Map<String, Long>> call;
  private final Arena arena = Arena.ofAuto();
  private final Map<String, Port> states = new LinkedHashMap<>();
  private final Map<String, MemorySegment> memory = new LinkedHashMap<>();
  private final List<Integer> in = new ArrayList<>();
  private final List<Integer> out = new ArrayList<>();
  private final List<Port> given = new ArrayList<>();
  private final List<Port> made = new ArrayList<>();

  /** Values of the symbols in the shapes of states. */
  private final Map<String, Long> fixed = new TreeMap<>();

  /**
   * Memory for states; empty if a symbol without a value decides the size of one.
   *
   * @param states inputs, and outputs that are written where they are
   * @param dims values of symbols in their shapes; may hold others
   * @param ports of the calls of this stream alone
   * @param call on that memory, given the values of dimensions
   */
  public static Optional<StateMemory> of(
      List<Port> inputs,
      List<Port> outputs,
      List<State> states,
      Map<String, Long> dims,
      PortMemory ports,
      Consumer<Map<String, Long>> call) {
    boolean hasSize =
        inputs.stream()
            .filter(port -> states.stream().anyMatch(s -> s.input().equals(port.name())))
            .allMatch(port ->
                port.shape().stream().allMatch(dim -> dims.keySet().containsAll(dim.symbols())));
    return hasSize
        ? Optional.of(new NativeStates(inputs, outputs, states, dims, ports, call))
        : Optional.empty();
  }

  private NativeStates(
      List<Port> inputs,
      List<Port> outputs,
      List<State> states,
      Map<String, Long> dims,
      PortMemory ports,
      Consumer<Map<String, Long>> call) {
    this.ports = ports;
    this.call = call;
    for (int i = 0; i < inputs.size(); i++) {
      Port port = inputs.get(i);
      if (states.stream().anyMatch(state -> state.input().equals(port.name()))) {
        for (DimExpr dim : port.shape()) {
          dim.symbols().forEach(symbol -> fixed.put(symbol, dims.getOrDefault(symbol, 0L)));
        }
        long bytes = HeapSegments.of(zeros(port)).byteSize();
        Cancellation.allocate("state '" + port.name() + "'", 0, bytes);
        MemorySegment segment = arena.allocate(Math.max(64, bytes), 64);
        this.states.put(port.name(), port);
        memory.put(port.name(), segment);
        ports.place(i, segment);
      } else {
        in.add(i);
        given.add(port);
      }
    }
    for (int i = 0; i < outputs.size(); i++) {
      Port port = outputs.get(i);
      Optional<State> state =
          states.stream().filter(s -> s.output().equals(port.name())).findFirst();
      if (state.isPresent()) {
        ports.placeOutput(i, of(state.get().input()));
      } else {
        out.add(i);
        made.add(port);
      }
    }
  }

  private MemorySegment of(String input) {
    return Objects.requireNonNull(memory.get(input), input);
  }

  private Tensor zeros(Port port) {
    return Tensor.zeros(
        port.dtype(), port.shape().stream().mapToLong(dim -> dim.eval(fixed)).toArray());
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> inputs) {
    List<Tensor> tensors = Arguments.named(given, inputs);
    Map<String, Long> bound = Arguments.bind(given, tensors, fixed);
    List<Tensor> results = Arguments.outputs(made, Map.of(), bound);
    for (int i = 0; i < tensors.size(); i++) {
      ports.stage(in.get(i), tensors.get(i));
    }
    for (int i = 0; i < results.size(); i++) {
      ports.prepare(out.get(i), results.get(i));
    }
    try {
      call.accept(bound);
    } finally {
      Reference.reachabilityFence(this);
    }
    for (int i = 0; i < results.size(); i++) {
      ports.deliver(out.get(i), results.get(i));
    }
    return Arguments.byName(made, results);
  }

  @Override
  public Tensor get(String input) {
    Tensor copy = zeros(Objects.requireNonNull(states.get(input), input));
    MemorySegment target = HeapSegments.of(copy);
    target.copyFrom(of(input).asSlice(0, target.byteSize()));
    return copy;
  }

  @Override
  public void set(String input, Tensor value) {
    of(input).copyFrom(HeapSegments.of(value));
  }
}
