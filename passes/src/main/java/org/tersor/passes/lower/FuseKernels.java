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
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelFusion;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.schedule.Scheduler;

/** Applies {@link KernelFusion} to the kernels of a graph. */
public final class FuseKernels {
  /** What is kept of weights, however wide. */
  private static final long FEW_BYTES = 1024;

  private FuseKernels() {}

  /**
   * @param small whether memory counts more than time: products read weights in codes
   */
  public static LoweredGraph fuse(LoweredGraph lowered, boolean small) {
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
      boolean once = call.foldable() && inputs.stream().noneMatch(varying::contains);
      (once ? constant : varying).addAll(outputs);
      units.add(new KernelFusion.Unit(call.kernel(), inputs, outputs, call.origin()));
    }
    Set<Integer> weights = new HashSet<>(constant);
    weights.addAll(ids(lowered, List.copyOf(lowered.constants().keySet()), values));
    Set<Integer> outputs = new HashSet<>(ids(lowered, lowered.graph().outputs(), values));
    units = withCodes(units, constant, weights, demands.keySet(), outputs, small);
    Set<Integer> escaping = new HashSet<>(random);
    escaping.addAll(kept(units, constant));
    escaping.addAll(outputs);
    Set<Integer> fixed = new HashSet<>(outputs);
    fixed.addAll(ids(lowered, List.copyOf(lowered.views().values()), values));
    List<KernelCall> calls = new ArrayList<>();
    for (KernelFusion.Unit unit : KernelFusion.fuse(units, escaping, fixed)) {
      Map<String, Value> operands = new HashMap<>();
      bind(unit.kernel().inputs(), unit.inputs(), values, operands);
      bind(unit.kernel().outputs(), unit.outputs(), values, operands);
      boolean foldable =
          unit.outputs().stream().noneMatch(random::contains)
              && !(small && constant.containsAll(unit.outputs()) && widens(unit.kernel()));
      Optional<IndexDemands.Demand> demand =
          unit.outputs().stream()
              .flatMap(output -> Optional.ofNullable(demands.get(output)).stream())
              .findFirst();
      calls.add(new KernelCall(unit.kernel(), operands, unit.origin(), foldable, demand));
    }
    return lowered.withCalls(calls);
  }

  /**
   * Products that can read codes get what decodes their weights, and what decodes the other factor
   * where products of bytes come of it; what nobody else needs then is not computed.
   */
  private static List<KernelFusion.Unit> withCodes(
      List<KernelFusion.Unit> units,
      Set<Integer> constant,
      Set<Integer> weights,
      Set<Integer> demanded,
      Set<Integer> outputs,
      boolean small) {
    Map<Integer, KernelFusion.Unit> ofWeights = new HashMap<>();
    Map<Integer, KernelFusion.Unit> ofRows = new HashMap<>();
    List<KernelFusion.Unit> result = new ArrayList<>();
    for (KernelFusion.Unit unit : units) {
      boolean once = constant.containsAll(unit.outputs());
      if (unit.outputs().size() == 1 && unit.kernel().program().isEmpty()) {
        if (once) {
          ofWeights.put(unit.outputs().getFirst(), unit);
        } else if (isDecode(unit, ofRows.keySet()) && !demanded.containsAll(unit.outputs())) {
          ofRows.put(unit.outputs().getFirst(), unit);
        }
      }
      result.add(once ? unit : pulled(unit, ofWeights, ofRows, weights, small));
    }
    return withoutUnused(result, constant, ofRows.keySet(), outputs);
  }

  /** What is computed once at load stays out of kernels that run at every call. */
  private static Set<Integer> kept(List<KernelFusion.Unit> units, Set<Integer> constant) {
    Set<Integer> kept = new HashSet<>();
    for (KernelFusion.Unit unit : units) {
      if (!constant.containsAll(unit.outputs())) {
        kept.addAll(unit.inputs());
      }
    }
    kept.retainAll(constant);
    return kept;
  }

  /**
   * Whether numbers take more memory than the codes they are made of: where memory counts they are
   * made in every call, in memory that the call shares.
   */
  private static boolean widens(Kernel kernel) {
    Optional<Long> made = bytes(kernel.outputs());
    Optional<Long> stored = bytes(kernel.inputs());
    return kernel.outputs().stream().allMatch(b -> b.element().isFloat())
        && made.isPresent()
        && stored.isPresent()
        && made.get() > Math.max(stored.get(), FEW_BYTES);
  }

  private static Optional<Long> bytes(List<Buf> buffers) {
    return buffers.stream().allMatch(b -> b.elements().isConst())
        ? Optional.of(
            buffers.stream().mapToLong(b -> b.elements().constValue() * b.element().bytes()).sum())
        : Optional.empty();
  }

  /** Whether a unit may be one that makes numbers of codes, or the second or third of them. */
  private static boolean isDecode(KernelFusion.Unit unit, Set<Integer> decoded) {
    Kernel kernel = unit.kernel();
    return kernel.outputs().getFirst().element() == Scalar.F32
        && (kernel.inputs().stream().anyMatch(b -> b.element() == Scalar.I8)
            || unit.inputs().stream().anyMatch(decoded::contains));
  }

  private static KernelFusion.Unit pulled(
      KernelFusion.Unit unit,
      Map<Integer, KernelFusion.Unit> ofWeights,
      Map<Integer, KernelFusion.Unit> ofRows,
      Set<Integer> weights,
      boolean small) {
    if (unit.inputs().stream().noneMatch(ofWeights::containsKey)) {
      return unit;
    }
    KernelFusion.Unit decoding = KernelFusion.pull(unit, read(unit, ofWeights, weights, small));
    if (unit.inputs().stream().anyMatch(ofRows::containsKey)) {
      KernelFusion.Unit both = KernelFusion.pull(decoding, ofRows);
      if (codes(both, weights, small) == Scheduler.Codes.BOTH) {
        return both;
      }
    }
    return codes(decoding, weights, small) == Scheduler.Codes.NONE ? unit : decoding;
  }

  /**
   * What decodes weights, without those that no product of the unit can read as codes: a recurrence
   * has a product for each of its weights.
   */
  private static Map<Integer, KernelFusion.Unit> read(
      KernelFusion.Unit unit,
      Map<Integer, KernelFusion.Unit> ofWeights,
      Set<Integer> weights,
      boolean small) {
    List<Integer> decoded =
        unit.inputs().stream().filter(ofWeights::containsKey).distinct().toList();
    if (decoded.size() == 1) {
      return ofWeights;
    }
    Map<Integer, KernelFusion.Unit> read = new HashMap<>(ofWeights);
    for (int weight : decoded) {
      Map<Integer, KernelFusion.Unit> alone = new HashMap<>(ofWeights);
      alone.keySet().removeIf(other -> other != weight && decoded.contains(other));
      if (codes(KernelFusion.pull(unit, alone), weights, small) == Scheduler.Codes.NONE) {
        read.remove(weight);
      }
    }
    return read;
  }

  private static Scheduler.Codes codes(
      KernelFusion.Unit unit, Set<Integer> weights, boolean small) {
    Set<String> names = new HashSet<>();
    for (int i = 0; i < unit.inputs().size(); i++) {
      if (weights.contains(unit.inputs().get(i))) {
        names.add(unit.kernel().inputs().get(i).name());
      }
    }
    return Scheduler.codes(unit.kernel(), names, small);
  }

  private static List<KernelFusion.Unit> withoutUnused(
      List<KernelFusion.Unit> units,
      Set<Integer> constant,
      Set<Integer> decoded,
      Set<Integer> outputs) {
    Set<Integer> used = new HashSet<>(outputs);
    List<KernelFusion.Unit> kept = new ArrayList<>();
    for (KernelFusion.Unit unit : units.reversed()) {
      boolean needed = unit.outputs().stream().anyMatch(used::contains);
      boolean pure = constant.containsAll(unit.outputs()) || decoded.containsAll(unit.outputs());
      if (needed || !pure) {
        used.addAll(unit.inputs());
        kept.addFirst(unit);
      }
    }
    return kept;
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
