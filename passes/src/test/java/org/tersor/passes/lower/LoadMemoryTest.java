package org.tersor.passes.lower;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Plan;

/** Codes of three layers are decoded, then packed; calls read what is packed. */
class LoadMemoryTest {
  private final List<Plan.Buffer> buffers = new ArrayList<>();
  private final List<Plan.Call> load = new ArrayList<>();
  private final List<Plan.Call> runs = new ArrayList<>();

  private int buffer(DType dtype, Plan.Storage storage) {
    buffers.add(new Plan.Buffer("b" + buffers.size(), dtype, DimExpr.of(8), storage, 0));
    return buffers.size() - 1;
  }

  private static Plan.Call call(int... used) {
    return new Plan.Call(
        0, java.util.Arrays.stream(used).boxed().toList(), List.of(), DimExpr.ONE, "");
  }

  private int decoded(DType dtype) {
    int codes = buffer(DType.U8, Plan.Storage.CONSTANT);
    int decoded = buffer(dtype, Plan.Storage.PACKED);
    int packed = buffer(dtype, Plan.Storage.PACKED);
    load.add(call(codes, decoded));
    load.add(call(decoded, packed));
    runs.add(call(packed));
    return decoded;
  }

  @Test
  void whatOnlyTheLoadReadsSharesAPlace() {
    int first = decoded(DType.F32);
    int second = decoded(DType.F32);
    int third = decoded(DType.I8);
    Map<Integer, Integer> numbers =
        LoadMemory.numbers(buffers, Set.of(first, second, third), load, runs);
    assertEquals(numbers.get(first), numbers.get(second));
    // Bytes have arrays of their own, and what calls read is nobody else's.
    assertEquals(5, numbers.values().stream().distinct().count());
    assertEquals(4, numbers.values().stream().mapToInt(n -> n).max().orElse(-1));
    assertEquals(6, numbers.size(), "constants have other numbers");
  }

  @Test
  void whatIsStillReadOrNotWrittenWholeIsNotShared() {
    int first = decoded(DType.F32);
    int second = decoded(DType.F32);
    assertEquals(
        4,
        LoadMemory.numbers(buffers, Set.of(first), load, runs).values().stream()
            .distinct()
            .count());
    load.add(call(first, second));
    assertEquals(
        4,
        LoadMemory.numbers(buffers, Set.of(first, second), load, runs).values().stream()
            .distinct()
            .count());
    runs.add(call(first));
    assertEquals(
        4,
        LoadMemory.numbers(buffers, Set.of(first, second), load, runs).values().stream()
            .distinct()
            .count());
  }
}
