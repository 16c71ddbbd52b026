package org.tersor.passes.lower;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelLayout;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.schedule.Scheduler;
import org.tersor.runtime.DimExpr;

/**
 * Stores the values around convolutions as [N, spatial..., C] instead of [N, C, spatial...]. A
 * convolution is then a matrix product whose column factor is the weights, packed once, and whose
 * row factor is read where it lies: nothing is packed at run time. What is no convolution follows
 * its neighbours, since a kernel can be written for any layout; only where a convolution meets the
 * outside (an input, an output, a view) is a value copied.
 */
public final class ChannelsLast {
  /** Channels from which on the layout pays: two vectors of floats of the widest target. */
  private static final int WIDE = 32;

  private final LoweredGraph lowered;
  private final Set<Value> constants = new HashSet<>();
  private final Set<Value> pinned = new HashSet<>();
  private final Map<Value, Set<KernelCall>> users = new HashMap<>();
  private final Set<Value> moved = new HashSet<>();
  private final Map<Value, Value> copies = new HashMap<>();
  private final List<KernelCall> calls = new ArrayList<>();
  private int nextValue;

  private ChannelsLast(LoweredGraph lowered) {
    this.lowered = lowered;
    this.nextValue = lowered.graph().maxId() + 1;
  }

  public static LoweredGraph apply(LoweredGraph lowered) {
    return new ChannelsLast(lowered).run();
  }

  private LoweredGraph run() {
    lowered.graph().inputs().forEach(this::pin);
    lowered.graph().outputs().forEach(this::pin);
    lowered.views().forEach((value, source) -> pin(source));
    constants.addAll(lowered.constants().keySet());
    Map<Value, Integer> ranks = new HashMap<>();
    for (KernelCall call : lowered.calls()) {
      boolean once =
          call.foldable() && call.reads().stream().map(lowered::root).allMatch(constants::contains);
      for (Value value : values(call)) {
        nextValue = Math.max(nextValue, value.id() + 1);
        users.computeIfAbsent(value, v -> new LinkedHashSet<>()).add(call);
      }
      for (Buf buffer : buffers(call)) {
        Value value = value(call, buffer);
        Integer known = ranks.putIfAbsent(value, buffer.shape().size());
        boolean other = known != null && known != buffer.shape().size();
        if (call.kernel().program().isPresent() || other || buffer.shape().size() < 3) {
          pinned.add(value);
        }
      }
      if (once) {
        call.writes().stream().map(lowered::root).forEach(constants::add);
      }
    }
    pinned.addAll(constants);
    Set<KernelCall> convolutions = new LinkedHashSet<>();
    lowered.calls().stream().filter(this::isConvolution).forEach(convolutions::add);
    Set<KernelCall> seeds = new LinkedHashSet<>();
    convolutions.stream().filter(this::gains).forEach(seeds::add);
    if (seeds.isEmpty()) {
      return lowered;
    }
    flood(seeds);
    convolutions.stream()
        .filter(call -> values(call).stream().anyMatch(moved::contains))
        .forEach(seeds::add);
    lowered.calls().forEach(call -> emit(call, seeds.contains(call)));
    return lowered.withCalls(calls);
  }

  /**
   * Whether a convolution alone is worth the copies: it is a matrix product with the channels of
   * its result as contiguous columns (a depthwise one is none), and they fill vectors; in small
   * networks rows of pixels do better.
   */
  private boolean gains(KernelCall call) {
    DimExpr channels = call.kernel().outputs().getFirst().shape().get(1);
    if (channels.isConst() && channels.constValue() < WIDE) {
      return false;
    }
    Set<String> data = new HashSet<>();
    for (Buf buffer : buffers(call)) {
      if (!constants.contains(value(call, buffer)) && KernelLayout.matters(buffer)) {
        data.add(buffer.name());
      }
    }
    return Scheduler.isContraction(KernelLayout.channelsLast(call.kernel(), data));
  }

  private void pin(Value value) {
    pinned.add(lowered.root(value));
  }

  private static List<Buf> buffers(KernelCall call) {
    List<Buf> buffers = new ArrayList<>(call.kernel().inputs());
    buffers.addAll(call.kernel().outputs());
    return buffers;
  }

  private Value value(KernelCall call, Buf buffer) {
    return lowered.root(call.operand(buffer));
  }

  private List<Value> values(KernelCall call) {
    return buffers(call).stream().map(buffer -> value(call, buffer)).toList();
  }

  /** Moves the values of convolutions and of all kernels that these are connected with. */
  private void flood(Set<KernelCall> seeds) {
    Deque<KernelCall> open = new ArrayDeque<>(seeds);
    Set<KernelCall> seen = new HashSet<>(seeds);
    while (!open.isEmpty()) {
      for (Value value : values(open.remove())) {
        if (!pinned.contains(value) && moved.add(value)) {
          users.getOrDefault(value, Set.of()).stream().filter(seen::add).forEach(open::add);
        }
      }
    }
  }

  /**
   * Whether a kernel sums products with weights that vary along dimension 1 of its result and not
   * along the last one.
   */
  private boolean isConvolution(KernelCall call) {
    Kernel kernel = call.kernel();
    if (kernel.program().isPresent() || kernel.outputs().size() != 1) {
      return false;
    }
    Buf output = kernel.outputs().getFirst();
    if (output.shape().size() < 3 || constants.contains(value(call, output))) {
      return false;
    }
    Set<String> weights = new HashSet<>();
    for (Buf buffer : kernel.inputs()) {
      if (constants.contains(value(call, buffer))) {
        weights.add(buffer.name());
      }
    }
    return kernel.stages().stream()
        .filter(stage -> stage.target().name().equals(output.name()))
        .anyMatch(stage ->
            KExprs.all(stage.value(), KExpr.Fold.class).stream()
                .anyMatch(fold -> isConvolution(stage, fold, weights)));
  }

  private static boolean isConvolution(Stage stage, KExpr.Fold fold, Set<String> weights) {
    Set<Axis> ofWeights = new HashSet<>();
    Set<Axis> ofData = new HashSet<>();
    for (KExpr.At at : KExprs.all(fold.body(), KExpr.At.class)) {
      (weights.contains(at.buffer().name()) ? ofWeights : ofData).addAll(KExprs.freeAxes(at));
    }
    boolean isProduct =
        fold.axes().stream().anyMatch(ofWeights::contains)
            && fold.axes().stream().anyMatch(ofData::contains);
    Set<Axis> channel = KExprs.freeAxes(stage.index().get(1));
    Set<Axis> output = new HashSet<>(ofWeights);
    output.retainAll(stage.axes());
    boolean spatial = false;
    for (int d = 2; d < stage.index().size(); d++) {
      spatial |= KExprs.freeAxes(stage.index().get(d)).stream().anyMatch(ofData::contains);
    }
    return isProduct && spatial && !output.isEmpty() && channel.containsAll(output);
  }

  private void emit(KernelCall call, boolean isSeed) {
    if (call.kernel().program().isPresent()) {
      calls.add(call);
      return;
    }
    Map<String, Value> operands = new HashMap<>(call.operands());
    Set<String> permuted = new HashSet<>();
    List<KernelCall> after = new ArrayList<>();
    for (Buf buffer : buffers(call)) {
      Value value = value(call, buffer);
      boolean isOutput = call.kernel().outputs().contains(buffer);
      if (moved.contains(value)) {
        permuted.add(buffer.name());
      } else if (isSeed && !constants.contains(value) && KernelLayout.matters(buffer)) {
        permuted.add(buffer.name());
        if (isOutput) {
          Value fresh = new Value(nextValue++, "");
          operands.put(buffer.name(), fresh);
          after.add(copy(buffer, fresh, value, false));
        } else {
          operands.put(
              buffer.name(),
              copies.computeIfAbsent(
                  value,
                  v -> {
                    Value fresh = new Value(nextValue++, "");
                    calls.add(copy(buffer, value, fresh, true));
                    return fresh;
                  }));
        }
      }
    }
    if (permuted.isEmpty()) {
      calls.add(call);
      return;
    }
    Kernel kernel = KernelLayout.channelsLast(call.kernel(), permuted);
    if (!Scheduler.isContraction(kernel)) {
      for (Buf buffer : kernel.inputs()) {
        Value value = lowered.root(call.operand(buffer));
        Optional<Kernel> rotated =
            constants.contains(value)
                ? KernelLayout.firstLast(kernel, buffer.name())
                : Optional.empty();
        if (rotated.isPresent()) {
          kernel = rotated.get();
          Value fresh = new Value(nextValue++, "");
          operands.put(buffer.name(), fresh);
          calls.add(rotation(buffer, value, fresh));
        }
      }
    }
    calls.add(
        new KernelCall(
            kernel, operands, call.origin(), call.foldable(), call.demand(), call.carries()));
    calls.addAll(after);
  }

  /** A copy into the layout, or out of it. */
  private static KernelCall copy(Buf buffer, Value from, Value to, boolean in) {
    Buf source = new Buf("in0", buffer.element(), buffer.shape());
    Buf target = new Buf("out0", buffer.element(), buffer.shape());
    Kernel kernel = copy(source, target);
    return call(
        KernelLayout.channelsLast(kernel, Set.of(in ? "out0" : "in0")),
        from,
        to,
        "a change of layout");
  }

  private static Kernel copy(Buf source, Buf target) {
    List<Axis> axes = new ArrayList<>();
    for (int d = 0; d < source.shape().size(); d++) {
      axes.add(new Axis("i" + d, source.shape().get(d)));
    }
    Stage stage = Stage.of(target, axes, K.at(source, axes.stream().map(K::axis).toList()));
    return new Kernel("layout", List.of(source), List.of(target), List.of(stage));
  }

  private static KernelCall rotation(Buf weights, Value from, Value to) {
    Buf source = new Buf("in0", weights.element(), weights.shape());
    Buf target = new Buf("out0", weights.element(), weights.shape());
    Kernel kernel = KernelLayout.rotated(copy(source, target), "out0");
    return call(kernel, from, to, "a change of layout");
  }

  private static KernelCall call(Kernel kernel, Value from, Value to, String origin) {
    Map<String, Value> operands = new LinkedHashMap<>();
    operands.put("in0", from);
    operands.put("out0", to);
    return new KernelCall(kernel, operands, origin, true);
  }
}
