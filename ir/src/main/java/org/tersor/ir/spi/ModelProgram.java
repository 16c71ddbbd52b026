package org.tersor.ir.spi;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.schedule.Winograd;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Script;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.host.HostPack;

/**
 * A whole model for one target.
 *
 * @param script how the segments are run; empty if there is one that is the model
 * @param segments by number
 * @param constants of the script itself
 * @param placement who computes what
 * @param hostPacks of plugins, with operations of the host that the script names
 * @param states outputs that the next call gets as inputs
 */
public record ModelProgram(
    Optional<Script> script,
    List<Program> segments,
    List<Constant> constants,
    Target target,
    Placement placement,
    List<HostPack> hostPacks,
    List<Executable.State> states) {
  public ModelProgram {
    hostPacks = List.copyOf(hostPacks);
    states = List.copyOf(states);
    segments = List.copyOf(segments);
    constants = List.copyOf(constants);
  }

  /** A model that is one program. */
  public static ModelProgram of(Program program) {
    return new ModelProgram(
        Optional.empty(),
        List.of(program),
        List.of(),
        program.target(),
        Placement.NONE,
        List.of(),
        List.of());
  }

  /** For descriptions of what is made of it. */
  public Map<String, String> facts() {
    if (script.isEmpty()) {
      return segments.getFirst().facts();
    }
    Map<String, String> facts = new TreeMap<>(placement.facts());
    facts.put("segments", segments.size() + " of kernels");
    String tiles =
        segments.stream()
            .flatMap(program -> Optional.ofNullable(program.facts().get(Winograd.FACT)).stream())
            .collect(Collectors.joining("; "));
    if (!tiles.isEmpty()) {
      facts.put(Winograd.FACT, tiles);
    }
    return facts;
  }

  /** The one program that the model is; a diagnostic if it takes a script. */
  public Program single(String who) {
    if (script.isPresent()) {
      throw new TersorException(
          "TSR-0508",
          who
              + " takes models without control flow, host operations and sizes that depend on data;"
              + " '"
              + script.get().name()
              + "' has some: compile it to a jar");
    }
    return segments.getFirst();
  }
}
