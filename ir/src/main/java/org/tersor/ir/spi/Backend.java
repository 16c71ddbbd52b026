package org.tersor.ir.spi;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.Executable;
import org.tersor.runtime.TersorException;

/** A way to run models; found by ServiceLoader. */
public sealed interface Backend {
  /** As on the command line: {@code jvm}, {@code native}, ... */
  String id();

  /**
   * Why it cannot work here (no C compiler, ...), as a sentence saying what to do; empty if it can.
   */
  default Optional<String> unavailable() {
    return Optional.empty();
  }

  /** The device that it runs on and the version of its driver; empty for the processor. */
  default Optional<String> hardware() {
    return Optional.empty();
  }

  /** A backend that walks the graph. */
  non-sealed interface OfGraph extends Backend {
    Executable load(Graph graph, Options options);
  }

  /** A backend that compiles programs. */
  non-sealed interface OfProgram extends Backend {
    /**
     * Targets it compiles for, best first for this machine; the first is what {@link #load} wants.
     */
    List<Target> targets();

    /**
     * Why {@link #targets} lacks one whose instructions this machine's processor seems to have, as
     * a sentence; empty if none is missing.
     */
    default Optional<String> limited() {
      return Optional.empty();
    }

    /**
     * Targets that an artifact may hold, whether this machine can run them or not; without a choice
     * an artifact holds all of them and picks one at start.
     */
    default List<Target> artifactTargets() {
      return targets();
    }

    /**
     * Targets that an artifact is for only if they are named: those of other processors, of which
     * nothing runs here, and those that round more.
     */
    default List<Target> namedTargets() {
      return List.of();
    }

    /** Compiles and links into this process. */
    Executable load(Program program, Options options);

    /** Kinds of file it writes, by suffix: "jar", "so", "cu". */
    default List<String> artifacts() {
      return List.of();
    }

    /**
     * Writes an artifact, atomically.
     *
     * @param models the same model for one or more targets
     */
    default void write(List<ModelProgram> models, Path file, Options options) {
      throw new UnsupportedOperationException(id() + " writes no artifacts");
    }

    /**
     * As {@link #write(List, Path, Options)}, with machine code of another backend in the artifact,
     * which runs where the processor can.
     */
    default void write(List<ModelProgram> models, MachineCode machine, Path file, Options options) {
      throw new TersorException(
          "TSR-0602", "artifacts of backend '" + id() + "' carry no code of another backend");
    }

    /**
     * A library for artifacts of other backends.
     *
     * @param models the same model for one or more targets
     */
    default MachineCode machineCode(List<ModelProgram> models, Options options) {
      throw new TersorException(
          "TSR-0602", "backend '" + id() + "' has no code that an artifact of another could carry");
    }
  }

  /**
   * Code that needs no weights of its own.
   *
   * @param models one for each target, best first
   * @param library a shared object with the functions of {@link
   *     org.tersor.runtime.machine.NativeExecutable} for each target and segment, with the prefix
   *     that {@link org.tersor.runtime.machine.CarriedCode} says
   */
  record MachineCode(List<ModelProgram> models, byte[] library) {}

  /**
   * Options of a backend.
   *
   * @param threads tasks run at once, at least 1
   * @param settings by name, e.g. {@code package}, {@code runtime}
   */
  record Options(int threads, Map<String, String> settings) {
    public static Options threads(int threads) {
      return new Options(threads, Map.of());
    }
  }
}
