package org.tersor.passes.lower;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.IndexDemands;
import org.tersor.ir.kernel.Kernel;

/**
 * A kernel applied to values of the graph.
 *
 * @param operands the value of each input and output buffer of the kernel, by the buffer's name
 * @param origin the node or nodes that it computes, for reports
 * @param foldable whether it may run once at load when all its inputs are constants (not so for
 *     random numbers)
 * @param demand what its output must be for the run to go on
 * @param carries whether it copies an input of the model to an output of the same layout, see
 *     {@link org.tersor.runtime.Plan.Call#carries}
 */
public record KernelCall(
    Kernel kernel,
    Map<String, Value> operands,
    String origin,
    boolean foldable,
    Optional<IndexDemands.Demand> demand,
    boolean carries)
    implements LoweredStep {
  /** A call that demands nothing. */
  public KernelCall(Kernel kernel, Map<String, Value> operands, String origin, boolean foldable) {
    this(kernel, operands, origin, foldable, Optional.empty(), false);
  }

  /** A call that may demand something. */
  KernelCall(
      Kernel kernel,
      Map<String, Value> operands,
      String origin,
      boolean foldable,
      Optional<IndexDemands.Demand> demand) {
    this(kernel, operands, origin, foldable, demand, false);
  }

  public KernelCall {
    operands = java.util.Collections.unmodifiableMap(new TreeMap<>(operands));
  }

  /** The same with another kernel of the same buffers. */
  KernelCall with(Kernel other) {
    return new KernelCall(other, operands, origin, foldable, demand, carries);
  }

  /** Symbols whose values it needs. */
  Set<String> symbols() {
    Set<String> symbols = KernelSymbols.of(kernel);
    demand.ifPresent(d -> {
      symbols.addAll(d.least().symbols());
      symbols.addAll(d.most().symbols());
      symbols.addAll(d.count().symbols());
    });
    return symbols;
  }

  /** Values read, in the order of the kernel's inputs. */
  public List<Value> reads() {
    return kernel.inputs().stream().map(this::operand).toList();
  }

  /** Values written, in the order of the kernel's outputs. */
  public List<Value> writes() {
    return kernel.outputs().stream().map(this::operand).toList();
  }

  public Value operand(Buf buffer) {
    Value value = operands.get(buffer.name());
    if (value == null) {
      throw new IllegalStateException(
          "buffer "
              + buffer.name()
              + " of kernel "
              + kernel.name()
              + " ("
              + origin
              + ") is bound to no value");
    }
    return value;
  }
}
