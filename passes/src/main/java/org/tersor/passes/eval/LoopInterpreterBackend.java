package org.tersor.passes.eval;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;

/**
 * {@code --backend loop-interpreter}: runs the scheduled kernels of any target through the
 * interpreter that defines the loop IR, over plain arrays and the memory plan of the program. For
 * small shapes.
 */
public final class LoopInterpreterBackend implements Backend.OfProgram {
  @Override
  public String id() {
    return "loop-interpreter";
  }

  @Override
  public List<Target> targets() {
    return List.of(
        Target.jvm(0),
        Target.jvm(64),
        Target.jvm(32),
        Target.jvm(16),
        Target.nativeTarget("avx512vnni"),
        Target.nativeTarget("avx512"),
        Target.nativeTarget("avx2"),
        Target.nativeTarget("scalar"),
        Target.cuda());
  }

  @Override
  public Executable load(Program program, Options options) {
    return new Interpreted(program);
  }

  private static final class Interpreted implements Executable {
    private final Program program;
    private final Plan plan;
    private final List<KernelCode> kernels;
    private final Map<Integer, Object> kept = new HashMap<>();

    Interpreted(Program program) {
      this.program = program;
      this.plan = program.plan();
      this.kernels = program.kernels().stream().map(LoopInterpreter::compile).toList();
      for (int b = 0; b < plan.buffers().size(); b++) {
        Plan.Buffer buffer = plan.buffers().get(b);
        switch (buffer.storage()) {
          case CONSTANT -> {
            Constant constant = program.constants().get(buffer.index());
            kept.put(b, constant.load().array());
          }
          case PACKED -> kept.put(b, newArray(buffer, Map.of()));
          case INPUT, OUTPUT, ARENA -> {}
        }
      }
      plan.loadSteps().forEach(step -> run(step, kept, Map.of()));
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
    public Map<String, Tensor> run(Map<String, Tensor> given, Map<String, Tensor> targets) {
      return run(given, targets, Map.of());
    }

    @Override
    public Map<String, Tensor> run(
        Map<String, Tensor> given, Map<String, Tensor> targets, Map<String, Long> symbols) {
      List<Tensor> inputs = Arguments.named(plan.inputs(), given);
      Map<String, Long> dims = Arguments.bind(plan.inputs(), inputs, symbols);
      plan.check(dims);
      List<Tensor> results = new ArrayList<>();
      for (Port port : plan.outputs()) {
        results.add(
            Tensor.zeros(
                port.dtype(), port.shape().stream().mapToLong(dim -> dim.eval(dims)).toArray()));
      }
      Map<Integer, Object> arrays = new HashMap<>(kept);
      Map<Integer, Object> slots = slots(dims);
      for (int b = 0; b < plan.buffers().size(); b++) {
        Plan.Buffer buffer = plan.buffers().get(b);
        switch (buffer.storage()) {
          case INPUT -> arrays.put(b, inputs.get(buffer.index()).array());
          case OUTPUT -> arrays.put(b, results.get(buffer.index()).array());
          case ARENA -> arrays.put(b, slots.get(buffer.index()));
          case CONSTANT, PACKED -> {}
        }
      }
      for (Plan.Call step : plan.runSteps()) {
        run(step, arrays, dims);
        step.demand()
            .ifPresent(demand -> {
              Tensor number =
                  new Tensor(
                      DType.I64,
                      new long[] {1},
                      Objects.requireNonNull(arrays.get(demand.buffer())));
              demand.require(number.getLong(0), dims, step.origin());
            });
      }
      Map<String, Tensor> byName = new LinkedHashMap<>();
      for (int i = 0; i < results.size(); i++) {
        Port port = plan.outputs().get(i);
        byName.put(
            port.name(),
            Arguments.deliver(port, results.get(i), Optional.ofNullable(targets.get(port.name()))));
      }
      return byName;
    }

    /** One array per slot, as large as its largest buffer. */
    private Map<Integer, Object> slots(Map<String, Long> dims) {
      Map<Integer, Plan.Buffer> largest = new HashMap<>();
      for (Plan.Buffer buffer : plan.buffers()) {
        if (buffer.storage() == Plan.Storage.ARENA) {
          largest.merge(
              buffer.index(),
              buffer,
              (a, b) -> a.elements().eval(dims) >= b.elements().eval(dims) ? a : b);
        }
      }
      Map<Integer, Object> slots = new HashMap<>();
      largest.forEach((slot, buffer) -> slots.put(slot, newArray(buffer, dims)));
      return slots;
    }

    private static Object newArray(Plan.Buffer buffer, Map<String, Long> dims) {
      return buffer
          .dtype()
          .slot()
          .newArray(Math.toIntExact(buffer.elements().eval(dims) * buffer.dtype().slots()));
    }

    private void run(Plan.Call call, Map<Integer, Object> arrays, Map<String, Long> dims) {
      Object[] arguments = call.buffers().stream().map(arrays::get).toArray();
      int[] values =
          call.dims().stream().mapToInt(dim -> Math.toIntExact(dim.eval(dims))).toArray();
      kernels
          .get(call.kernel())
          .run(
              arguments,
              new int[arguments.length],
              values,
              0,
              Math.toIntExact(call.tasks().eval(dims)));
    }

    @Override
    public String describe() {
      return "backend loop-interpreter, kernels for "
          + program.target().name()
          + "; "
          + program.facts();
    }
  }
}
