package org.tersor.passes;

import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.tersor.ir.schedule.Schedules;

/**
 * Options of a compilation.
 *
 * @param dims values of symbolic dimensions, by name
 * @param threads tasks run at once by the executable
 * @param target name of the target, e.g. "jvm512"; the best of the backend if empty
 * @param settings options of passes and backends, by name, e.g. {@code low-bit}, {@code package}
 * @param debug how passes are watched
 * @param note takes the report, line by line
 * @param schedules what is wanted where several schedules compute the same
 */
public record CompileOptions(
    Map<String, Long> dims,
    int threads,
    Optional<String> target,
    Map<String, String> settings,
    PassManager.Debug debug,
    Consumer<String> note,
    Schedules schedules) {

  public CompileOptions {
    dims = java.util.Collections.unmodifiableMap(new TreeMap<>(dims));
    settings = java.util.Collections.unmodifiableMap(new TreeMap<>(settings));
  }

  public static CompileOptions defaults() {
    return new CompileOptions(
        Map.of(), 1, Optional.empty(), Map.of(), PassManager.Debug.OFF, note -> {}, Schedules.RULE);
  }

  public CompileOptions withDims(Map<String, Long> newDims) {
    return new CompileOptions(newDims, threads, target, settings, debug, note, schedules);
  }

  public CompileOptions withThreads(int newThreads) {
    return new CompileOptions(dims, newThreads, target, settings, debug, note, schedules);
  }

  public CompileOptions withTarget(String newTarget) {
    return new CompileOptions(
        dims, threads, Optional.of(newTarget), settings, debug, note, schedules);
  }

  public CompileOptions withSetting(String name, String value) {
    Map<String, String> more = new TreeMap<>(settings);
    more.put(name, value);
    return new CompileOptions(dims, threads, target, more, debug, note, schedules);
  }

  public CompileOptions withDebug(PassManager.Debug newDebug) {
    return new CompileOptions(dims, threads, target, settings, newDebug, note, schedules);
  }

  public CompileOptions withNote(Consumer<String> newNote) {
    return new CompileOptions(dims, threads, target, settings, debug, newNote, schedules);
  }

  public CompileOptions withSchedules(Schedules newSchedules) {
    return new CompileOptions(dims, threads, target, settings, debug, note, newSchedules);
  }
}
