package org.tersor.ir.spi;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.Script;
import org.tersor.runtime.TersorException;

/**
 * A whole model for one target.
 *
 * @param script how the segments are run; empty if there is one that is the model
 * @param segments by number
 * @param constants of the script itself
 */
public record ModelProgram(
    Optional<Script> script, List<Program> segments, List<Constant> constants, Target target) {
  public ModelProgram {
    segments = List.copyOf(segments);
    constants = List.copyOf(constants);
  }

  /** A model that is one program. */
  public static ModelProgram of(Program program) {
    return new ModelProgram(Optional.empty(), List.of(program), List.of(), program.target());
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
