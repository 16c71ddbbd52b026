package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.IndexDemands;
import org.tersor.ir.kernel.KernelFusion;

/** Applies {@link KernelFusion} to the kernels of a graph. */
public final class FuseKernels {
  private FuseKernels() {}

  public static LoweredGraph fuse(LoweredGraph lowered) {
    Map<Integer, Value> values = new HashMap<>();
    Set<Integer> random = new HashSet<>();
    Map<Integer, IndexDemands.Demand> demands = new HashMap<>();
    Set<Integer> varying = new HashSet<>(ids(lowered, lowered.graph().inputs(), values));
    Set<Integer> constant = new HashSet<>();
    List<KernelFusion.Unit> units = new ArrayList<>();
    for (KernelCall call : lowered.calls()) {
      List<Integer> inputs = ids(lowered, call.reads(), values);
      List<Integer> outputs = ids(lowered, call.writes(), values);
      call.demand().ifPresent(demand -> demands.put(outputs.getFirst(), demand));
      if (!call.foldable()) {
        random.addAll(outputs);
      }
      // What is computed once at load stays out of kernels that run at every call.
      boolean once = call.foldable() && inputs.stream().noneMatch(varying::contains);
      (once ? constant : varying).addAll(outputs);
      units.add(new KernelFusion.Unit(call.kernel(), inputs, outputs, call.origin()));
    }
    Set<Integer> escaping = new HashSet<>(random);
    escaping.addAll(constant);
    escaping.addAll(ids(lowered, lowered.graph().outputs(), values));
    List<KernelCall> calls = new ArrayList<>();
    for (KernelFusion.Unit unit : KernelFusion.fuse(units, escaping)) {
      Map<String, Value> operands = new HashMap<>();
      bind(unit.kernel().inputs(), unit.inputs(), values, operands);
      bind(unit.kernel().outputs(), unit.outputs(), values, operands);
      boolean foldable = unit.outputs().stream().noneMatch(random::contains);
      Optional<IndexDemands.Demand> demand =
          unit.outputs().stream()
              .flatMap(output -> Optional.ofNullable(demands.get(output)).stream())
              .findFirst();
      calls.add(new KernelCall(unit.kernel(), operands, unit.origin(), foldable, demand));
    }
    return lowered.withCalls(calls);
  }

  private static List<Integer> ids(
      LoweredGraph lowered, List<Value> operands, Map<Integer, Value> values) {
    List<Integer> ids = new ArrayList<>();
    for (Value operand : operands) {
      Value root = lowered.root(operand);
      values.put(root.id(), root);
      ids.add(root.id());
    }
    return ids;
  }

  private static void bind(
      List<Buf> buffers, List<Integer> ids, Map<Integer, Value> values, Map<String, Value> into) {
    for (int i = 0; i < buffers.size(); i++) {
      into.put(buffers.get(i).name(), values.get(ids.get(i)));
    }
  }
}
