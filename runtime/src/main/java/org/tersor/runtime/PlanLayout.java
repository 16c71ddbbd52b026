package org.tersor.runtime;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Sizes, offsets and arguments of a plan's steps for given values of the symbols; checked before
 * anything is allocated.
 */
final class PlanLayout {
  /** Slots of the arena start at multiples of a cache line. */
  private static final int LINE = 64;

  /** A step with its numbers. */
  record Step(Plan.Call call, int[] buffers, int[] offsets, int[] dims, int tasks) {}

  final List<Step> steps;

  /** Slots of each kind of arena array. */
  final Map<DType.Slot, Integer> arena;

  /** Of calls with these sizes. */
  final ThreadChoice threads = new ThreadChoice();

  /** Elements of each buffer that a step uses; -1 of others. */
  final long[] elements;

  private PlanLayout(List<Step> steps, Map<DType.Slot, Integer> arena, long[] elements) {
    this.steps = steps;
    this.arena = arena;
    this.elements = elements;
  }

  /** Bytes of all arena arrays. */
  long arenaBytes() {
    long bytes = 0;
    for (var entry : arena.entrySet()) {
      bytes += (long) entry.getValue() * entry.getKey().bytes();
    }
    return bytes;
  }

  static PlanLayout of(Plan plan, List<Plan.Call> calls, Map<String, Long> dims) {
    long[] elements = new long[plan.buffers().size()];
    java.util.Arrays.fill(elements, -1);
    Map<DimExpr, Long> values = new HashMap<>();
    Map<DType.Slot, TreeMap<Integer, Long>> slots = new EnumMap<>(DType.Slot.class);
    for (Plan.Call call : calls) {
      for (int number : call.buffers()) {
        if (elements[number] < 0) {
          Plan.Buffer buffer = plan.buffers().get(number);
          elements[number] = value(values, buffer.elements(), dims, "buffer " + buffer.name());
          long size =
              inInt(
                  Math.multiplyExact(elements[number], (long) buffer.dtype().slots()),
                  "buffer " + buffer.name());
          if (buffer.storage() == Plan.Storage.ARENA) {
            slots
                .computeIfAbsent(buffer.dtype().slot(), s -> new TreeMap<>())
                .merge(buffer.index(), size, Math::max);
          }
        }
      }
    }
    Map<DType.Slot, Integer> arena = new EnumMap<>(DType.Slot.class);
    Map<DType.Slot, Map<Integer, Integer>> starts = new EnumMap<>(DType.Slot.class);
    for (var kind : slots.entrySet()) {
      long unit = LINE / Math.max(1, kind.getKey().bytes());
      long at = 0;
      Map<Integer, Integer> start = new HashMap<>();
      for (var slot : kind.getValue().entrySet()) {
        start.put(slot.getKey(), (int) inInt(at, "the arena"));
        at += Math.ceilDiv(slot.getValue(), unit) * unit;
      }
      arena.put(kind.getKey(), (int) inInt(at, "the arena"));
      starts.put(kind.getKey(), start);
    }
    List<Step> steps = new ArrayList<>();
    for (Plan.Call call : calls) {
      int[] buffers = call.buffers().stream().mapToInt(Integer::intValue).toArray();
      int[] offsets = new int[buffers.length];
      for (int i = 0; i < buffers.length; i++) {
        Plan.Buffer buffer = plan.buffers().get(buffers[i]);
        if (buffer.storage() == Plan.Storage.ARENA) {
          Integer start = starts.getOrDefault(buffer.dtype().slot(), Map.of()).get(buffer.index());
          offsets[i] = start == null ? 0 : start;
        }
      }
      int[] sizes = new int[call.dims().size()];
      for (int i = 0; i < sizes.length; i++) {
        sizes[i] =
            (int) inInt(value(values, call.dims().get(i), dims, call.origin()), call.origin());
      }
      int tasks = (int) inInt(value(values, call.tasks(), dims, call.origin()), call.origin());
      steps.add(new Step(call, buffers, offsets, sizes, tasks));
    }
    return new PlanLayout(List.copyOf(steps), arena, elements);
  }

  private static long value(
      Map<DimExpr, Long> values, DimExpr expr, Map<String, Long> dims, String what) {
    Long known = values.get(expr);
    if (known != null) {
      return known;
    }
    try {
      long value = expr.eval(dims);
      values.put(expr, value);
      return value;
    } catch (ArithmeticException e) {
      throw new TersorException(
          "TSR-0705",
          what + ": the size " + expr + " overflows for " + dims + "; use smaller inputs",
          e);
    }
  }

  private static long inInt(long size, String what) {
    if (size < Integer.MIN_VALUE || size > Integer.MAX_VALUE - 64) {
      throw new TersorException(
          "TSR-0705",
          what
              + " needs "
              + size
              + " elements, more than a Java array or loop takes; use smaller inputs");
    }
    return size;
  }
}
