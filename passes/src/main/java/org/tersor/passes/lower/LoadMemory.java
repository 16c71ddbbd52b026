package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.tersor.runtime.DType;
import org.tersor.runtime.Plan;

/**
 * Numbers what the steps of the load make. What only they read (decoded weights that are packed
 * next) takes the place of what is not read any more: a model would else hold every weight decoded,
 * too.
 */
final class LoadMemory {
  private LoadMemory() {}

  /** A place and the kind of array that it is. */
  private record Place(int number, DType.Slot slot) {}

  /**
   * Numbers of packed buffers by their index among the buffers, without gaps.
   *
   * @param shareable buffers that are written whole before they are read
   */
  static Map<Integer, Integer> numbers(
      List<Plan.Buffer> buffers,
      Set<Integer> shareable,
      List<Plan.Call> load,
      List<Plan.Call> runs) {
    Set<Integer> kept = new TreeSet<>();
    runs.forEach(call -> kept.addAll(call.buffers()));
    Map<Integer, Integer> last = new TreeMap<>();
    for (int step = 0; step < load.size(); step++) {
      for (int buffer : load.get(step).buffers()) {
        last.put(buffer, step);
      }
    }
    Map<Integer, Integer> numbers = new TreeMap<>();
    int count = 0;
    for (int b = 0; b < buffers.size(); b++) {
      boolean shared = shareable.contains(b) && !kept.contains(b) && last.containsKey(b);
      if (buffers.get(b).storage() == Plan.Storage.PACKED && !shared) {
        numbers.put(b, count++);
      }
    }
    List<Place> free = new ArrayList<>();
    for (int step = 0; step < load.size(); step++) {
      Set<Integer> used = new TreeSet<>(load.get(step).buffers());
      for (int b : used) {
        if (buffers.get(b).storage() == Plan.Storage.PACKED && !numbers.containsKey(b)) {
          DType.Slot slot = buffers.get(b).dtype().slot();
          int at = free.stream().map(Place::slot).toList().lastIndexOf(slot);
          numbers.put(b, at < 0 ? count++ : free.remove(at).number());
        }
      }
      for (int b : used) {
        boolean shared = shareable.contains(b) && !kept.contains(b);
        if (shared && last.getOrDefault(b, -1) == step) {
          free.add(new Place(numbers.getOrDefault(b, -1), buffers.get(b).dtype().slot()));
        }
      }
    }
    return numbers;
  }
}
