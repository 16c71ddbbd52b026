package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.schedule.Winograd;

/**
 * Convolutions with fewer multiplications, where {@link Winograd} expects them to be faster.
 *
 * @param lowered the graph with its kernels rewritten
 * @param tiles how many convolutions are computed by tiles of each size
 */
public record FastConvolutions(LoweredGraph lowered, Map<String, Integer> tiles) {
  public static FastConvolutions apply(LoweredGraph lowered, Winograd.Tiles allowed) {
    Set<Value> constants = new HashSet<>(lowered.constants().keySet());
    Map<String, Integer> tiles = new TreeMap<>();
    List<KernelCall> calls = new ArrayList<>();
    for (KernelCall call : lowered.calls()) {
      Set<String> weights = new HashSet<>();
      for (Buf buffer : call.kernel().inputs()) {
        if (constants.contains(lowered.root(call.operand(buffer)))) {
          weights.add(buffer.name());
        }
      }
      boolean once = call.foldable() && weights.size() == call.kernel().inputs().size();
      if (once) {
        call.writes().stream().map(lowered::root).forEach(constants::add);
      }
      Optional<Winograd.Rewritten> faster =
          once ? Optional.empty() : Winograd.rewrite(call.kernel(), weights, allowed);
      faster.ifPresent(f -> f.tiles().forEach(tile -> tiles.merge(tile, 1, Integer::sum)));
      calls.add(faster.map(f -> call.with(f.kernel())).orElse(call));
    }
    return new FastConvolutions(lowered.withCalls(calls), tiles);
  }

  /** The sizes and numbers as text; empty if there are none. */
  public Optional<String> text() {
    return tiles.isEmpty()
        ? Optional.empty()
        : Optional.of(
            tiles.entrySet().stream()
                .map(e -> e.getValue() + " of " + e.getKey())
                .collect(Collectors.joining(", ")));
  }
}
