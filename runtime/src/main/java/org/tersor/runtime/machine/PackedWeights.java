package org.tersor.runtime.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.runtime.Plan;

/**
 * Where machine code has what the load steps make.
 *
 * @param offsets in bytes, by the number of a packed buffer; at cache lines, one kept free between
 * @param bytes of all
 */
public record PackedWeights(List<Long> offsets, long bytes) {
  /** As a plan needs it. */
  public static PackedWeights of(Plan plan) {
    Map<Integer, Long> sizes = new TreeMap<>();
    for (Plan.Buffer b : plan.buffers()) {
      if (b.storage() == Plan.Storage.PACKED) {
        sizes.merge(
            b.index(),
            Math.multiplyExact(b.elements().constValue(), (long) b.dtype().memoryBytes()),
            Math::max);
      }
    }
    int count = sizes.keySet().stream().mapToInt(i -> i + 1).max().orElse(0);
    List<Long> offsets = new ArrayList<>();
    long bytes = 0;
    for (int i = 0; i < count; i++) {
      offsets.add(bytes);
      bytes = Math.addExact(bytes, Math.addExact(sizes.getOrDefault(i, 0L), 127L) / 64 * 64);
    }
    return new PackedWeights(List.copyOf(offsets), bytes);
  }
}
