package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.schedule.Scheduler;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.passes.eval.InterpreterBackend;
import org.tersor.passes.eval.LoopInterpreterBackend;
import org.tersor.passes.infer.TypeInference;
import org.tersor.passes.lower.KernelScheduler;
import org.tersor.passes.lower.ProgramBuilder;
import org.tersor.passes.lower.ScriptBuilder;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class ProgramBuilderTest {
  private static final List<DimExpr> SHAPE = List.of(DimExpr.symbol("N"), DimExpr.of(5));

  /** A chain of adds and relus; outputs: the end, the input itself, a constant, the end again. */
  private static Graph chain() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, SHAPE));
    Value c = b.constant(Tensor.of(large(), 5000));
    Value sum = b.add("Add", c, c);
    Value v = x;
    for (int i = 0; i < 6; i++) {
      v = b.add(i % 2 == 0 ? "Add" : "Mul", v, x);
    }
    v = b.add("Identity", b.add("Relu", v));
    b.output(v);
    b.output(x);
    b.output(sum);
    b.output(b.add("Identity", v));
    return TypeInference.infer(b.build("chain", Map.of()), TestOps.registry(), note -> {}).graph();
  }

  /** Too large for inference to follow. */
  private static float[] large() {
    float[] values = new float[5000];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    return values;
  }

  private static Program program(Graph graph, Target target) {
    return program(graph, target, Scheduler::schedule);
  }

  private static Program program(Graph graph, Target target, KernelScheduler scheduler) {
    return new ProgramBuilder(
            ScriptBuilder.cut(graph, TestOps.registry(), body -> body)
                .segments()
                .getFirst()
                .lowered(),
            Set.of(),
            target,
            scheduler,
            UnaryOperator.identity())
        .build();
  }

  @Test
  void programsOfEveryTargetAgreeWithTheReference() {
    Graph graph = chain();
    Tensor x = Tensor.of(new float[] {1, -2, 3, 0, .5f, 4, -1, 2, 7, -3, 1, 1, 1, 1, 1}, 3, 5);
    Executable reference = InterpreterBackend.load(graph, TestOps.registry());
    List<Tensor> expected = List.copyOf(reference.run(Map.of("x", x)).values());
    for (Target target : new LoopInterpreterBackend().targets()) {
      Executable compiled =
          new LoopInterpreterBackend().load(program(graph, target), Backend.Options.threads(1));
      List<Tensor> actual = List.copyOf(compiled.run(Map.of("x", x)).values());
      for (int i = 0; i < expected.size(); i++) {
        assertArrayEquals(
            expected.get(i).floats(), actual.get(i).floats(), target.name() + " output " + i);
      }
    }
  }

  @Test
  void scratchIsSharedFunctionsAreSharedAndConstantsAreComputedAtLoad() {
    Plan plan = program(chain(), Target.jvm(0)).plan();
    long slots =
        plan.buffers().stream()
            .filter(b -> b.storage() == Plan.Storage.ARENA)
            .mapToInt(Plan.Buffer::index)
            .distinct()
            .count();
    assertEquals(2, slots, "a chain needs two slots");
    assertEquals(1, plan.loadSteps().size());
    assertEquals(List.of("N"), plan.dims());
    long adds = plan.kernels().stream().filter(name -> name.endsWith("_add")).count();
    assertTrue(adds <= 2, "equal kernels are one function: " + plan.kernels());
    assertEquals(
        plan, program(chain(), Target.jvm(0)).plan(), "compiling twice gives the same plan");
  }

  @Test
  void equalKernelsAreScheduledOnceAndNoneInVain() {
    Queue<List<Object>> asked = new ConcurrentLinkedQueue<>();
    Program program =
        program(
            chain(),
            Target.jvm(0),
            (kernel, target, constants) -> {
              asked.add(List.of(kernel, constants));
              return Scheduler.schedule(kernel, target, constants);
            });
    assertEquals(Set.copyOf(asked).size(), asked.size(), "asked twice for the same");
    int launches = program.plan().loadSteps().size() + program.plan().runSteps().size();
    assertTrue(asked.size() < launches, asked.size() + " schedules, " + launches + " launches");
    assertEquals(
        program.kernels().size(), asked.size(), "a kernel was scheduled for inputs it has not");
  }

  @Test
  void everythingThatCannotBeLoweredIsReportedAtOnce() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, SHAPE));
    b.output(b.add("Twice", x));
    b.output(b.add("Unheard", b.add("Twice", x)));
    Graph graph =
        TypeInference.infer(b.build("g", Map.of()), TestOps.registry(), note -> {}).graph();
    TersorException fault =
        assertThrows(
            TersorException.class,
            () -> ScriptBuilder.cut(graph, TestOps.registry(), body -> body));
    assertEquals("TSR-0501", fault.code());
    assertTrue(fault.getMessage().contains("3 node(s)"), fault.getMessage());
    assertTrue(fault.getMessage().contains("Unheard"), fault.getMessage());
  }
}
