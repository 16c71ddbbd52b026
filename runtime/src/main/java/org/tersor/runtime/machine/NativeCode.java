package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tersor.runtime.Plan;
import org.tersor.runtime.TaskPool;

/**
 * The functions of a library for a plan, what they read of the model, and the threads that run
 * them. Memory of constants and packed weights lives as long as this is referred to.
 *
 * @param layout {@code P_layout}, as the C backend writes them for a prefix P
 * @param scratch {@code P_scratch}
 * @param tasks {@code P_tasks}
 * @param steps {@code P_steps}
 * @param oneStep {@code P_step}
 * @param direct {@code P_direct}, on arrays of the caller; {@code steps} if {@code inPlace} is
 *     false
 * @param work {@code P_work}; without it {@link SharedSteps} does the same by {@code oneStep}
 * @param weights what {@code constants} point to, which lives as long as it is referred to
 * @param inPlace whether calls may work on arrays of the caller
 */
record NativeCode(
    Plan plan,
    MethodHandle layout,
    MethodHandle scratch,
    MethodHandle tasks,
    MethodHandle steps,
    MethodHandle oneStep,
    MethodHandle direct,
    Optional<MethodHandle> work,
    boolean inPlace,
    TaskPool pool,
    List<MemorySegment> weights,
    MemorySegment constants,
    MemorySegment packed) {
  /** More arguments would make the call itself slow. */
  private static final int IN_PLACE_PORTS = 16;

  static NativeCode of(
      Plan plan,
      Functions library,
      String prefix,
      int threads,
      List<MemorySegment> weights,
      MemorySegment constants,
      MemorySegment packed) {
    MethodHandle steps =
        library.function(prefix + "_steps", FunctionDescriptor.ofVoid(ADDRESS, JAVA_INT, JAVA_INT));
    int ports = plan.inputs().size() + plan.outputs().size();
    boolean inPlace = ports <= IN_PLACE_PORTS;
    return new NativeCode(
        plan,
        library.function(prefix + "_layout", FunctionDescriptor.of(JAVA_LONG, ADDRESS, ADDRESS)),
        library.function(prefix + "_scratch", FunctionDescriptor.of(JAVA_LONG, ADDRESS)),
        library.function(prefix + "_tasks", FunctionDescriptor.ofVoid(ADDRESS, ADDRESS)),
        steps,
        library.function(
            prefix + "_step",
            FunctionDescriptor.ofVoid(ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT)),
        inPlace ? direct(library, prefix + "_direct", ports) : steps,
        work(library, prefix + "_work"),
        inPlace,
        new TaskPool(threads),
        weights,
        constants,
        packed);
  }

  private static Optional<MethodHandle> work(Functions library, String name) {
    FunctionDescriptor type =
        FunctionDescriptor.ofVoid(
            ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT,
            JAVA_INT);
    return library.has(name) ? Optional.of(library.function(name, type)) : Optional.empty();
  }

  private static MethodHandle direct(Functions library, String name, int ports) {
    MemoryLayout[] arguments = new MemoryLayout[3 + ports];
    Arrays.fill(arguments, ADDRESS);
    arguments[1] = JAVA_INT;
    arguments[2] = JAVA_INT;
    return library
        .critical(name, FunctionDescriptor.ofVoid(arguments))
        .asSpreader(MemorySegment[].class, ports);
  }
}
