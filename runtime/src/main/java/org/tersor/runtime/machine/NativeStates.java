package org.tersor.runtime.machine;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.StateMemory;
import org.tersor.runtime.Tensor;

/** States that stay in one place between calls. */
final class NativeStates implements StateMemory {
  private final Plan plan;
  private final Arena arena = Arena.ofAuto();
  private final Map<String, MemorySegment> memory = new LinkedHashMap<>();
  private final List<Integer> in = new ArrayList<>();
  private final List<Integer> out = new ArrayList<>();
  private final List<Executable.Port> given = new ArrayList<>();
  private final List<Executable.Port> made = new ArrayList<>();
  private final NativeSession session;

  NativeStates(NativeCode code, List<Executable.State> states) {
    this.plan = code.plan();
    this.session = new NativeSession(code, new long[plan.dims().size()], true);
    for (int i = 0; i < plan.inputs().size(); i++) {
      Executable.Port port = plan.inputs().get(i);
      if (states.stream().anyMatch(state -> state.input().equals(port.name()))) {
        long bytes = HeapSegments.of(zeros(port)).byteSize();
        Cancellation.allocate("state '" + port.name() + "'", 0, bytes);
        MemorySegment segment = arena.allocate(Math.max(64, bytes), 64);
        memory.put(port.name(), segment);
        session.place(i, segment);
      } else {
        in.add(i);
        given.add(port);
      }
    }
    for (int i = 0; i < plan.outputs().size(); i++) {
      Executable.Port port = plan.outputs().get(i);
      Optional<Executable.State> state =
          states.stream().filter(s -> s.output().equals(port.name())).findFirst();
      if (state.isPresent()) {
        session.placeOutput(i, of(state.get().input()));
      } else {
        out.add(i);
        made.add(port);
      }
    }
  }

  private MemorySegment of(String input) {
    return Objects.requireNonNull(memory.get(input), input);
  }

  private static Tensor zeros(Executable.Port port) {
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
    session.runAll(bound);
    for (int i = 0; i < results.size(); i++) {
      session.deliver(out.get(i), results.get(i));
    }
    return Arguments.byName(made, results);
  }

  @Override
  public Tensor get(String input) {
    Tensor copy =
        zeros(plan.inputs().stream().filter(p -> p.name().equals(input)).findFirst().orElseThrow());
    MemorySegment target = HeapSegments.of(copy);
    target.copyFrom(of(input).asSlice(0, target.byteSize()));
    return copy;
  }

  @Override
  public void set(String input, Tensor value) {
    of(input).copyFrom(HeapSegments.of(value));
  }
}
