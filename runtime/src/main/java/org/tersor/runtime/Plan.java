package org.tersor.runtime;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * What an executable does, without the code of its kernels: buffers, steps run once at load
 * (packing of weights) and steps run per call. Sizes are expressions over {@link #dims}, bound by
 * the shapes of the inputs. This is the one description that the in-process executable, the jar and
 * the shared library are made from.
 *
 * @param dims symbols, sorted
 * @param checks what must hold for the sizes of a call, beyond the shapes of the inputs
 * @param kernels names of the kernels, indexed by {@link Call#kernel}
 */
public record Plan(
    String name,
    List<String> dims,
    List<Executable.Port> inputs,
    List<Executable.Port> outputs,
    List<Buffer> buffers,
    List<String> kernels,
    List<Call> loadSteps,
    List<Call> runSteps,
    List<Check> checks) {

  /** A plan whose sizes need no checks. */
  public Plan(
      String name,
      List<String> dims,
      List<Executable.Port> inputs,
      List<Executable.Port> outputs,
      List<Buffer> buffers,
      List<String> kernels,
      List<Call> loadSteps,
      List<Call> runSteps) {
    this(name, dims, inputs, outputs, buffers, kernels, loadSteps, runSteps, List.of());
  }

  /**
   * What sizes must fulfil, since they may come from data and kernels do not look: {@code is} is at
   * least {@code least}.
   *
   * @param origin the node, for the diagnostic
   * @param fault what is wrong otherwise, in words
   */
  public record Check(DimExpr is, DimExpr least, String origin, String fault) {
    /** A buffer that a kernel sees under another shape has at least as many elements. */
    public static Check fits(DimExpr elements, DimExpr wanted, String origin) {
      return new Check(
          elements,
          wanted,
          origin,
          "a value has too few elements for the shape that it is read by");
    }
  }

  /** A diagnostic unless all checks hold. */
  public void check(Map<String, Long> values) {
    for (Check check : checks) {
      long is;
      long wanted;
      try {
        is = check.is().eval(values);
        wanted = check.least().eval(values);
      } catch (ArithmeticException e) {
        throw new TersorException(
            "TSR-0705", check.origin() + ": its size overflows for " + values, e);
      }
      if (wanted > is) {
        throw new TersorException(
            "TSR-0703",
            check.origin()
                + ": "
                + check.fault()
                + " ("
                + is
                + " where "
                + wanted
                + " is the least; dimensions "
                + values
                + "); the model's inputs do not fit its shapes");
      }
    }
  }

  /** Number of slots of the arena. */
  public int arenaSlots() {
    return buffers.stream()
        .filter(b -> b.storage() == Storage.ARENA)
        .mapToInt(b -> b.index() + 1)
        .max()
        .orElse(0);
  }

  /** Where the elements of a buffer live. */
  public enum Storage {
    /** The caller's input array; {@link Buffer#index} is the input's number. */
    INPUT,
    /** The caller's output array; {@link Buffer#index} is the output's number. */
    OUTPUT,
    /**
     * A weight as stored in the artifact; {@link Buffer#index} is its number among the constants.
     */
    CONSTANT,
    /**
     * Computed once by {@link Plan#loadSteps}; the size is constant. {@link Buffer#index} numbers
     * them.
     */
    PACKED,
    /**
     * Scratch of one call; {@link Buffer#index} is a slot: buffers that share a slot are never live
     * together.
     */
    ARENA
  }

  /**
   * A buffer.
   *
   * @param elements number of elements (of {@code dtype}, unpacked)
   */
  public record Buffer(String name, DType dtype, DimExpr elements, Storage storage, int index) {}

  /**
   * One kernel launch.
   *
   * @param kernel index into {@link Plan#kernels}
   * @param buffers index into {@link Plan#buffers} for each buffer parameter
   * @param dims value of each dimension parameter
   * @param tasks extent of the parallel loop
   * @param origin the graph node(s) it computes, for reports
   * @param demand looked at after the launch; the run ends where it is violated
   * @param carries whether it copies an input, which nothing else reads, to the same places of an
   *     output: it has no work where both are one memory
   */
  public record Call(
      int kernel,
      List<Integer> buffers,
      List<DimExpr> dims,
      DimExpr tasks,
      String origin,
      Optional<Demand> demand,
      boolean carries) {
    /** A launch that demands nothing. */
    public Call(
        int kernel, List<Integer> buffers, List<DimExpr> dims, DimExpr tasks, String origin) {
      this(kernel, buffers, dims, tasks, origin, Optional.empty(), false);
    }

    /** The same with a demand. */
    public Call with(Demand wanted) {
      return new Call(kernel, buffers, dims, tasks, origin, Optional.of(wanted), carries);
    }

    /** The same as a copy of an input to an output. */
    public Call carrying() {
      return new Call(kernel, buffers, dims, tasks, origin, demand, true);
    }
  }

  /** Numbers of the inputs that are copied to outputs by calls that do nothing else, by output. */
  public Map<Integer, Integer> carried() {
    Map<Integer, Integer> inputs = new TreeMap<>();
    for (Call call : runSteps) {
      if (call.carries()) {
        Optional<Buffer> from = first(call, Storage.INPUT);
        Optional<Buffer> to = first(call, Storage.OUTPUT);
        if (from.isEmpty() || to.isEmpty() || call.buffers().size() != 2) {
          throw new TersorException(
              "TSR-0707",
              "the plan of model "
                  + name
                  + " is damaged: the step of "
                  + call.origin()
                  + " carries no input to an output; compile the model again");
        }
        inputs.put(to.get().index(), from.get().index());
      }
    }
    return inputs;
  }

  private Optional<Buffer> first(Call call, Storage storage) {
    return call.buffers().stream()
        .map(buffers::get)
        .filter(b -> b.storage() == storage)
        .findFirst();
  }

  /**
   * Indices that the data gave lie in {@code least..most}. A kernel has reduced them to one number,
   * the largest of {@code index - least + Long.MIN_VALUE}.
   *
   * @param buffer holds that number, and nothing else in a call
   * @param count indices at most; none are none outside, even of an empty range
   */
  public record Demand(int buffer, DimExpr least, DimExpr most, DimExpr count) {
    /** What is wrong, if anything. */
    public Optional<String> violation(long largest, Map<String, Long> dims) {
      long low = least.eval(dims);
      long high = most.eval(dims);
      boolean violated =
          low > high ? count.eval(dims) > 0 : largest > Long.MIN_VALUE + (high - low);
      return violated
          ? Optional.of(
              "index " + (largest - Long.MIN_VALUE + low) + " is outside " + low + ".." + high)
          : Optional.empty();
    }

    /** A diagnostic if it is violated. */
    public void require(long largest, Map<String, Long> dims, String origin) {
      violation(largest, dims)
          .ifPresent(why -> {
            throw new TersorException("TSR-0705", origin + ": " + why);
          });
    }
  }
}
