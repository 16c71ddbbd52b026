package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import org.tersor.ir.dsl.KernelPrinter;
import org.tersor.ir.dsl.ScheduleHint;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Legalizer;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopVerifier;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.Tensor;

/**
 * Kernels with inputs, random or given, for tests of schedules and backends: the {@link
 * KernelInterpreter} says what they compute.
 *
 * @param dims values of the symbols
 * @param constants names of inputs that a schedule may treat as weights
 * @param inputs in the kernel's order
 * @param hint the schedule line to follow
 * @param schedules what is wanted of schedules without a line
 */
public record KernelTestKit(
    Kernel kernel,
    Map<String, Long> dims,
    Set<String> constants,
    List<Tensor> inputs,
    Optional<ScheduleHint> hint,
    Schedules schedules) {

  /** The kernel of a seed. */
  public static KernelTestKit random(long seed) {
    Random random = new Random(seed);
    if (seed % 5 == 4) {
      return RandomCodes.kit(random);
    }
    RandomKernel generator = new RandomKernel(random);
    List<Stage> stages = new ArrayList<>();
    List<Buf> outputs = new ArrayList<>();
    int count = random.nextInt(1, 4);
    for (int i = 0; i < count; i++) {
      boolean output = i == count - 1 || random.nextInt(3) == 0;
      Stage stage = generator.stage((output ? "out" : "temp") + i);
      stages.add(stage);
      if (output) {
        outputs.add(stage.target());
      }
    }
    Kernel kernel = new Kernel("random", generator.inputs(), outputs, stages);
    Set<String> constants = new HashSet<>();
    kernel.inputs().stream()
        .filter(b -> random.nextInt(3) == 0)
        .forEach(b -> constants.add(b.name()));
    return of(kernel, generator.dims(), constants, random);
  }

  /** A kernel with random inputs: small integers, of floats, too. */
  public static KernelTestKit of(
      Kernel kernel, Map<String, Long> dims, Set<String> constants, Random random) {
    List<Tensor> inputs = kernel.inputs().stream().map(b -> values(b, dims, random)).toList();
    return new KernelTestKit(
        kernel, Map.copyOf(dims), Set.copyOf(constants), inputs, Optional.empty(), Schedules.RULE);
  }

  /** The same with other inputs. */
  public KernelTestKit with(List<Tensor> values) {
    return new KernelTestKit(kernel, dims, constants, values, hint, schedules);
  }

  /** The same under a schedule line. */
  public KernelTestKit with(Optional<ScheduleHint> line) {
    return new KernelTestKit(kernel, dims, constants, inputs, line, schedules);
  }

  /** The same with other schedules. */
  public KernelTestKit with(Schedules wanted) {
    return new KernelTestKit(kernel, dims, constants, inputs, hint, wanted);
  }

  private static Tensor values(Buf buffer, Map<String, Long> dims, Random random) {
    int n = (int) size(buffer.elements(), dims);
    Tensor tensor = Tensor.zeros(buffer.element().dtype(), n);
    for (int i = 0; i < n; i++) {
      switch (buffer.element()) {
        case BOOL -> tensor.setLong(i, random.nextInt(2));
        case I8, U8, I16, U16, I32, U32, I64, U64, INDEX ->
            tensor.setLong(
                i,
                random.nextInt(4) == 0
                    ? random.nextLong()
                    : random.nextInt(buffer.element().isUnsigned() ? 0 : -6, 20));
        default -> tensor.setDouble(i, random.nextInt(-8, 9));
      }
    }
    return tensor;
  }

  private static long size(DimExpr dim, Map<String, Long> dims) {
    return dim.isConst() ? dim.constValue() : dim.eval(dims);
  }

  /** What the outputs are, by definition. */
  public List<Tensor> expected() {
    return KernelInterpreter.run(kernel, inputs, dims);
  }

  /**
   * Runs the kernel as scheduled and legalised for a target.
   *
   * @param compile of each loop function
   * @return the arrays of the outputs
   */
  public List<Object> run(Target target, Function<LoopFunction, KernelCode> compile) {
    Map<String, Object> arrays = new HashMap<>();
    for (int i = 0; i < inputs.size(); i++) {
      arrays.put(kernel.inputs().get(i).name(), inputs.get(i).array());
    }
    kernel.outputs().forEach(b -> arrays.put(b.name(), array(b.element(), b.elements())));
    Scheduled scheduled = scheduled(target);
    scheduled.temporaries().forEach(t -> arrays.put(t.name(), array(t.element(), t.elements())));
    for (List<Scheduled.Launch> launches : List.of(scheduled.load(), scheduled.run())) {
      for (Scheduled.Launch launch : launches) {
        LoopVerifier.check(launch.function());
        KernelCode code = compile.apply(Legalizer.legalize(launch.function(), target));
        Object[] buffers =
            launch.buffers().stream()
                .map(name -> Objects.requireNonNull(arrays.get(name), name))
                .toArray();
        int[] values = launch.dims().stream().mapToInt(d -> (int) size(d, dims)).toArray();
        code.run(buffers, new int[buffers.length], values, 0, (int) size(launch.tasks(), dims));
      }
    }
    return kernel.outputs().stream()
        .map(b -> Objects.requireNonNull(arrays.get(b.name())))
        .toList();
  }

  /** The functions that {@link #run} has compiled, in order. */
  public List<LoopFunction> functions(Target target) {
    Scheduled scheduled = scheduled(target);
    return Stream.concat(scheduled.load().stream(), scheduled.run().stream())
        .map(launch -> Legalizer.legalize(launch.function(), target))
        .toList();
  }

  /** The kernel's schedule. */
  public Scheduled scheduled(Target target) {
    return Scheduler.schedule(kernel, target, constants, hint, schedules);
  }

  private Object array(Scalar element, DimExpr elements) {
    return element.dtype().slot().newArray((int) size(elements, dims));
  }

  /**
   * Compares a run with the definition: all bits but the sign of zero.
   *
   * @throws AssertionError with the kernel's text if they differ or the run fails
   */
  public void check(Target target, Function<LoopFunction, KernelCode> compile) {
    check(target, compile, expected());
  }

  /** The same where it is known what the outputs are, as for several schedules. */
  public void check(
      Target target, Function<LoopFunction, KernelCode> compile, List<Tensor> expected) {
    List<Object> actual;
    try {
      actual = run(target, compile);
    } catch (RuntimeException e) {
      throw new AssertionError(describe(target) + e, e);
    }
    for (int i = 0; i < expected.size(); i++) {
      Tensor wanted = expected.get(i);
      Tensor got = new Tensor(wanted.dtype(), wanted.shape(), actual.get(i));
      for (int e = 0; e < wanted.size(); e++) {
        if (!same(wanted, got, e)) {
          throw new AssertionError(
              describe(target)
                  + kernel.outputs().get(i).name()
                  + " element "
                  + e
                  + ": expected "
                  + text(wanted, e)
                  + ", got "
                  + text(got, e));
        }
      }
    }
  }

  private static boolean same(Tensor a, Tensor b, int i) {
    if (!a.dtype().isFloat()) {
      return a.getLong(i) == b.getLong(i);
    }
    double x = a.getDouble(i);
    double y = b.getDouble(i);
    return x == y || (Double.isNaN(x) && Double.isNaN(y));
  }

  private static String text(Tensor t, int i) {
    return t.dtype().isFloat() ? Double.toString(t.getDouble(i)) : Long.toString(t.getLong(i));
  }

  private String describe(Target target) {
    return target.name()
        + ", "
        + dims
        + ", constant "
        + constants
        + "\n"
        + KernelPrinter.print(kernel);
  }
}
