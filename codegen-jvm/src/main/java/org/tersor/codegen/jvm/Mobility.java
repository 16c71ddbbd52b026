package org.tersor.codegen.jvm;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.loop.Stmt;

/**
 * Which runs of a block's statements can become a method: none of their names may be used behind
 * them, and what they assign must be their own. Names are looked up once for the block, since a
 * splitter asks for very many runs.
 */
final class Mobility {
  /** Last statement that uses a name which the statement declares; -1 if none does. */
  private final int[] lastUse;

  /** For each statement, places where what it assigns is declared, one array a name. */
  private final List<List<int[]>> needs = new ArrayList<>();

  private final boolean[] parallel;

  /**
   * @param mutable names that are assigned somewhere
   */
  Mobility(List<Stmt> body, Set<String> mutable) {
    List<LoopNames> names = body.stream().map(s -> LoopNames.of(List.of(s))).toList();
    Map<String, Integer> used = new HashMap<>();
    Map<String, List<Integer>> declared = new HashMap<>();
    for (int i = 0; i < names.size(); i++) {
      for (String name : names.get(i).used) {
        used.put(name, i);
      }
      for (String name : names.get(i).declared) {
        declared.computeIfAbsent(name, n -> new ArrayList<>()).add(i);
      }
    }
    lastUse = new int[body.size()];
    parallel = new boolean[body.size()];
    for (int i = 0; i < body.size(); i++) {
      lastUse[i] = -1;
      for (String name : LoopNames.declares(body.get(i))) {
        lastUse[i] = Math.max(lastUse[i], used.getOrDefault(name, -1));
      }
      parallel[i] = names.get(i).parallel;
      List<int[]> places = new ArrayList<>();
      for (String name : names.get(i).assigned) {
        if (mutable.contains(name)) {
          places.add(
              declared.getOrDefault(name, List.of()).stream()
                  .mapToInt(Integer::intValue)
                  .toArray());
        }
      }
      needs.add(places);
    }
  }

  /** Statements {@code from} (inclusive) to {@code to} (exclusive). */
  boolean canMove(int from, int to) {
    for (int i = from; i < to; i++) {
      if (parallel[i] || lastUse[i] >= to) {
        return false;
      }
    }
    for (int i = from; i < to; i++) {
      for (int[] places : needs.get(i)) {
        if (!anyWithin(places, from, to)) {
          return false;
        }
      }
    }
    return true;
  }

  private static boolean anyWithin(int[] places, int from, int to) {
    for (int place : places) {
      if (place >= from && place < to) {
        return true;
      }
    }
    return false;
  }
}
