package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * Gives scratch buffers slots: buffers that share a slot are of one array kind and never live
 * together. Linear scan in order of birth; among the free slots the smallest that is large enough
 * is taken, else the largest grows. Symbolic sizes are compared at a nominal value of the symbols.
 */
final class MemoryPlanner {
  /** What a symbol counts as when sizes are compared. */
  static final long NOMINAL = 16;

  /** A scratch buffer with the first and last step that touch it. */
  record Lifetime(int buffer, DType.Slot kind, DimExpr elements, int first, int last) {}

  private static final class Slot {
    private final DType.Slot kind;
    private final int index;
    private long size;
    private int freeAfter;

    Slot(DType.Slot kind, int index) {
      this.kind = kind;
      this.index = index;
    }
  }

  private MemoryPlanner() {}

  /** Slot number of each buffer. */
  static Map<Integer, Integer> assign(List<Lifetime> lifetimes) {
    List<Lifetime> byBirth = new ArrayList<>(lifetimes);
    byBirth.sort(
        java.util.Comparator.comparingInt(Lifetime::first).thenComparingInt(Lifetime::buffer));
    List<Slot> slots = new ArrayList<>();
    Map<Integer, Integer> assigned = new HashMap<>();
    for (Lifetime life : byBirth) {
      long size = nominal(life.elements());
      Slot best = null;
      for (Slot slot : slots) {
        if (slot.kind == life.kind()
            && slot.freeAfter < life.first()
            && (best == null || better(slot, best, size))) {
          best = slot;
        }
      }
      if (best == null) {
        best = new Slot(life.kind(), slots.size());
        slots.add(best);
      }
      best.size = Math.max(best.size, size);
      best.freeAfter = life.last();
      assigned.put(life.buffer(), best.index);
    }
    return assigned;
  }

  private static boolean better(Slot a, Slot b, long size) {
    boolean fitsA = a.size >= size;
    boolean fitsB = b.size >= size;
    return fitsA != fitsB ? fitsA : fitsA ? a.size < b.size : a.size > b.size;
  }

  static long nominal(DimExpr elements) {
    try {
      return elements.substitute(name -> DimExpr.of(NOMINAL)).constValue();
    } catch (ArithmeticException | IllegalStateException e) {
      return Long.MAX_VALUE;
    }
  }
}
