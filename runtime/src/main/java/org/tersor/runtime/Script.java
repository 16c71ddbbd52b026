package org.tersor.runtime;

import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * A model that is more than one straight line of kernels: control flow, sizes that depend on data,
 * operations of the host. Its leaves are segments, each a {@link Plan} with the code of its
 * kernels; between them values live in registers. Symbols of dimensions are bound by the shapes of
 * what is put into registers, and by elements of integer tensors.
 *
 * @param registers what each register holds
 * @param inputs registers of the model's inputs are the parameters of {@code main}, in order
 * @param constants registers that hold a constant, by the constant's number
 * @param main its results are the model's outputs
 */
public record Script(
    String name,
    List<Executable.Port> inputs,
    List<Executable.Port> outputs,
    List<Register> registers,
    List<Integer> constants,
    Block main) {

  /** Stands for an operand that is absent. */
  public static final int ABSENT = -1;

  /**
   * @param name of the value, for messages
   * @param dims of a tensor of known rank; a dimension that is a symbol gets its value from what is
   *     put in
   */
  public record Register(String name, List<DimExpr> dims) {}

  /** Ids of the operations of the host that its steps name, in order. */
  public SortedSet<String> hostOps() {
    SortedSet<String> ids = new TreeSet<>();
    hostOps(main, ids);
    return ids;
  }

  private static void hostOps(Block block, SortedSet<String> ids) {
    for (Step step : block.steps()) {
      switch (step) {
        case Host host -> ids.add(host.op());
        case Choose choose -> {
          hostOps(choose.then(), ids);
          hostOps(choose.otherwise(), ids);
        }
        case Iterate iterate -> hostOps(iterate.body(), ids);
        case Run _, Fail _ -> {}
      }
    }
  }

  /** Steps in order, with registers that are filled before and registers to be read after. */
  public record Block(List<Integer> parameters, List<Step> steps, List<Integer> results) {}

  /** Something that reads and fills registers. */
  public sealed interface Step {}

  /**
   * Kernels.
   *
   * @param segment its number
   * @param inputs registers, in the order of the plan's inputs
   * @param outputs registers, in the order of the plan's outputs
   * @param elements symbols that are bound before
   * @param derived symbols that are computed then, in order
   */
  public record Run(
      int segment,
      List<Integer> inputs,
      List<Integer> outputs,
      List<Element> elements,
      List<Derived> derived)
      implements Step {}

  /** A symbol that stands for an expression. */
  public record Derived(String symbol, DimExpr value) {}

  /** A symbol that is an element of an integer tensor. */
  public record Element(String symbol, int register, int index) {}

  /** One of two blocks without parameters. */
  public record Choose(
      int condition, Block then, Block otherwise, List<Integer> outputs, String origin)
      implements Step {}

  /**
   * A block run again and again. Its parameters are the iteration number and the condition if
   * {@code counted}, what is carried, slices of what is scanned; its results the condition if
   * {@code counted}, what is carried, slices to be stacked.
   *
   * @param tripCount register that bounds the iterations, or ABSENT
   * @param condition register that says whether to begin, or ABSENT
   * @param initial registers that the first iteration gets
   * @param outputs registers of the last carried values, then of the stacks; or ABSENT
   */
  public record Iterate(
      Block body,
      boolean counted,
      int tripCount,
      int condition,
      List<Integer> initial,
      List<Scanned> scanned,
      List<Stacked> stacked,
      List<Integer> outputs,
      String origin)
      implements Step {}

  /** A register whose slices along an axis (elements of a sequence) enter one by one. */
  public record Scanned(int register, int axis, boolean reverse) {}

  /**
   * Slices that become one value.
   *
   * @param axis of the new dimension; -1 makes a sequence
   * @param dtype and {@code empty}: the slice's type, where there is none; unknown dimensions are 0
   */
  public record Stacked(int axis, boolean reverse, DType dtype, List<DimExpr> empty) {}

  /**
   * An operation of the host.
   *
   * @param op its id
   * @param settings see {@code HostCall}
   */
  public record Host(
      String op,
      Map<String, List<String>> settings,
      List<Integer> inputs,
      List<Integer> outputs,
      String origin)
      implements Step {}

  /**
   * The end of the call: what comes here contradicts the shapes that the model was compiled for.
   *
   * @param code of the diagnostic
   */
  public record Fail(String code, String message) implements Step {}
}
