package org.tersor.runtime;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * When registers of a script are read for the last time, so that their memory is returned. A
 * register belongs to the block that fills it; inner blocks may read it.
 */
final class ScriptLiveness {
  private final IdentityHashMap<Script.Step, List<Integer>> ends = new IdentityHashMap<>();
  private final Set<Integer> kept;

  private ScriptLiveness(Script script) {
    this.kept = new HashSet<>(script.constants());
  }

  /** For each step the registers that nothing reads after it. */
  static Map<Script.Step, List<Integer>> of(Script script) {
    ScriptLiveness liveness = new ScriptLiveness(script);
    liveness.block(script.main());
    return liveness.ends;
  }

  private static Set<Integer> defined(Script.Block block) {
    Set<Integer> defined = new HashSet<>(block.parameters());
    block.steps().forEach(step -> defined.addAll(outputs(step)));
    return defined;
  }

  private void block(Script.Block block) {
    Set<Integer> own = defined(block);
    own.removeAll(block.results());
    own.removeAll(kept);
    own.remove(Script.ABSENT);
    Map<Integer, Script.Step> last = new HashMap<>();
    for (Script.Step step : block.steps()) {
      outputs(step).forEach(register -> last.put(register, step));
      Set<Integer> read = new HashSet<>();
      read(step, read);
      read.forEach(register -> last.put(register, step));
      for (Script.Block inner : bodies(step)) {
        block(inner);
        // What an inner block hands on is in this block's registers now.
        Set<Integer> handed = defined(inner);
        handed.retainAll(inner.results());
        handed.removeAll(kept);
        at(step).addAll(handed);
      }
    }
    last.forEach((register, step) -> {
      if (own.contains(register)) {
        at(step).add(register);
      }
    });
  }

  private List<Integer> at(Script.Step step) {
    return ends.computeIfAbsent(step, s -> new ArrayList<>());
  }

  private static List<Script.Block> bodies(Script.Step step) {
    return switch (step) {
      case Script.Choose choose -> List.of(choose.then(), choose.otherwise());
      case Script.Iterate iterate -> List.of(iterate.body());
      case Script.Run _, Script.Host _, Script.Fail _ -> List.of();
    };
  }

  private static List<Integer> outputs(Script.Step step) {
    return switch (step) {
      case Script.Run run -> run.outputs();
      case Script.Choose choose -> choose.outputs();
      case Script.Iterate iterate -> iterate.outputs();
      case Script.Host host -> host.outputs();
      case Script.Fail _ -> List.of();
    };
  }

  /** Registers that a step or its bodies read. */
  private static void read(Script.Step step, Set<Integer> read) {
    switch (step) {
      case Script.Run run -> {
        read.addAll(run.inputs());
        run.elements().forEach(element -> read.add(element.register()));
      }
      case Script.Choose choose -> read.add(choose.condition());
      case Script.Iterate iterate -> {
        read.add(iterate.tripCount());
        read.add(iterate.condition());
        read.addAll(iterate.initial());
        iterate.scanned().forEach(scanned -> read.add(scanned.register()));
      }
      case Script.Host host -> read.addAll(host.inputs());
      case Script.Fail _ -> {}
    }
    for (Script.Block body : bodies(step)) {
      body.steps().forEach(inner -> read(inner, read));
      read.addAll(body.results());
    }
  }
}
