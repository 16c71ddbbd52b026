package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.runtime.Plan;
import org.tersor.runtime.TersorException;

/**
 * Where the buffers of a plan lie in the device memory of their storage, at given dimensions.
 *
 * @param offsets of each buffer of the plan, in bytes
 * @param sizes of each buffer of the plan, in bytes
 * @param bytes of all that lies there
 */
record CudaLayout(List<Long> offsets, List<Long> sizes, long bytes) {
  /** What kernels may assume of an address, and more than a copy needs. */
  private static final long ALIGNMENT = 256;

  /** What lives as long as the executable: constants that the mask names, and packed weights. */
  static CudaLayout weights(Plan plan, boolean[] constants) {
    return of(
        plan,
        Map.of(),
        b ->
            switch (b.storage()) {
              case CONSTANT -> constants[b.index()];
              case PACKED -> true;
              case INPUT, OUTPUT, ARENA -> false;
            });
  }

  /** Constants that the mask names. */
  static CudaLayout constants(Plan plan, boolean[] constants) {
    return of(
        plan,
        Map.of(),
        b ->
            switch (b.storage()) {
              case CONSTANT -> constants[b.index()];
              case PACKED, INPUT, OUTPUT, ARENA -> false;
            });
  }

  /** What one call needs. */
  static CudaLayout call(Plan plan, Map<String, Long> dims) {
    return of(
        plan,
        dims,
        b ->
            switch (b.storage()) {
              case CONSTANT, PACKED -> false;
              case INPUT, OUTPUT, ARENA -> true;
            });
  }

  private interface Holds {
    boolean test(Plan.Buffer buffer);
  }

  private static CudaLayout of(Plan plan, Map<String, Long> dims, Holds holds) {
    try {
      // Buffers of one storage and index share a place.
      Map<String, Long> places = new TreeMap<>();
      List<Long> sizes = new ArrayList<>();
      for (Plan.Buffer b : plan.buffers()) {
        long size = 0;
        if (holds.test(b)) {
          size = Math.multiplyExact(b.elements().eval(dims), (long) b.dtype().memoryBytes());
          places.merge(place(b), size, Math::max);
        }
        sizes.add(size);
      }
      long total = 0;
      Map<String, Long> starts = new TreeMap<>();
      for (Map.Entry<String, Long> place : places.entrySet()) {
        starts.put(place.getKey(), total);
        long end = Math.addExact(total, Math.addExact(place.getValue(), 2 * ALIGNMENT - 1));
        total = end / ALIGNMENT * ALIGNMENT;
      }
      List<Long> offsets = new ArrayList<>();
      for (Plan.Buffer b : plan.buffers()) {
        offsets.add(starts.getOrDefault(place(b), 0L));
      }
      return new CudaLayout(List.copyOf(offsets), List.copyOf(sizes), total);
    } catch (ArithmeticException e) {
      throw new TersorException(
          "TSR-0705", "the buffers of the model are too large at dimensions " + dims, e);
    }
  }

  private static String place(Plan.Buffer b) {
    return b.storage() + " " + b.index();
  }
}
