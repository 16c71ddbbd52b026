package org.tersor.passes;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.ir.schedule.Schedules;
import org.tersor.runtime.TersorException;

/**
 * Schedules that were measured to be faster than the rule's, by target and class of shapes. It is
 * an input of a compilation like the model: the same table gives the same artifact, wherever it is
 * compiled. A table may hold rows for several models.
 *
 * @param targets by the target's name
 */
public record ScheduleTable(Map<String, Measured> targets) implements Schedules {
  private static final String TITLE = "tersor-schedules-1";

  /** Nothing was measured. */
  public static final ScheduleTable EMPTY = new ScheduleTable(Map.of());

  /**
   * What was measured on one processor.
   *
   * @param processor its name
   * @param rows by class of shapes
   */
  public record Measured(String processor, Map<String, Row> rows) {
    public Measured {
      rows = Collections.unmodifiableMap(new TreeMap<>(rows));
    }
  }

  /**
   * A schedule.
   *
   * @param take its name
   * @param micros time of all launches of the class in one run of the model that it was measured in
   * @param ruleMicros the same with the rule's schedule
   */
  public record Row(String take, double micros, double ruleMicros) {
    public Row {
      if (!(micros > 0 && ruleMicros > 0) || take.isEmpty()) {
        throw new IllegalArgumentException(take + ": " + micros + ", " + ruleMicros);
      }
    }
  }

  public ScheduleTable {
    targets = Collections.unmodifiableMap(new TreeMap<>(targets));
  }

  @Override
  public Optional<String> wanted(String target, String shape, List<String> options) {
    return Optional.ofNullable(targets.get(target))
        .flatMap(measured -> Optional.ofNullable(measured.rows().get(shape)))
        .map(Row::take);
  }

  /**
   * The same with other rows for a target.
   *
   * @param shapes classes that were measured: those without a row are left to the rule from now on
   */
  public ScheduleTable with(
      String target, String processor, Iterable<String> shapes, Map<String, Row> rows) {
    Map<String, Row> all = new TreeMap<>();
    Optional.ofNullable(targets.get(target))
        .filter(measured -> measured.processor().equals(processor))
        .ifPresent(measured -> all.putAll(measured.rows()));
    shapes.forEach(all::remove);
    all.putAll(rows);
    Map<String, Measured> more = new TreeMap<>(targets);
    more.put(target, new Measured(processor, all));
    return new ScheduleTable(more);
  }

  /** What to say where this table is used on a processor that others than its rows are for. */
  public List<String> warnings(String processor) {
    List<String> warnings = new ArrayList<>();
    targets.forEach((target, measured) -> {
      if (!measured.processor().equals(processor)) {
        warnings.add(
            "TSR-0510: the schedules for "
                + target
                + " were measured on "
                + measured.processor()
                + ", this is "
                + processor
                + ": results are the same, times may be worse than without; tune here if this is where it will run");
      }
    });
    return warnings;
  }

  /** The table as text, which {@link #parse} reads. */
  public String text() {
    StringBuilder text = new StringBuilder(TITLE).append('\n');
    targets.forEach((target, measured) -> {
      text.append("target\t").append(target).append('\t').append(measured.processor()).append('\n');
      measured
          .rows()
          .forEach((shape, row) ->
              text.append(
                  String.format(
                      Locale.ROOT,
                      "%s\t%s\t%.2f\t%.2f\n",
                      shape,
                      row.take(),
                      row.micros(),
                      row.ruleMicros())));
    });
    return text.toString();
  }

  /**
   * Reads a table.
   *
   * @throws TersorException TSR-0511 for what is none
   */
  public static ScheduleTable parse(String text) {
    List<String> lines = text.lines().toList();
    if (lines.isEmpty() || !lines.getFirst().equals(TITLE)) {
      throw wrong("it does not begin with " + TITLE);
    }
    Map<String, String> processors = new TreeMap<>();
    Map<String, Map<String, Row>> rows = new TreeMap<>();
    Optional<Map<String, Row>> current = Optional.empty();
    for (String line : lines.subList(1, lines.size())) {
      String[] words = line.split("\t", -1);
      if (words.length == 3 && words[0].equals("target")) {
        Map<String, Row> fresh = new TreeMap<>();
        if (rows.putIfAbsent(words[1], fresh) != null) {
          throw wrong("target " + words[1] + " is there twice");
        }
        processors.put(words[1], words[2]);
        current = Optional.of(fresh);
      } else if (words.length == 4 && current.isPresent()) {
        if (current.get().put(words[0], row(line, words)) != null) {
          throw wrong("'" + words[0] + "' is there twice");
        }
      } else {
        throw wrong("'" + line + "' is neither a target nor a row of one");
      }
    }
    Map<String, Measured> targets = new TreeMap<>();
    processors.forEach((target, processor) ->
        targets.put(target, new Measured(processor, rows.getOrDefault(target, Map.of()))));
    return new ScheduleTable(targets);
  }

  private static Row row(String line, String[] words) {
    try {
      return new Row(words[1], Double.parseDouble(words[2]), Double.parseDouble(words[3]));
    } catch (IllegalArgumentException e) {
      throw wrong("'" + line + "' has no name or times above 0");
    }
  }

  private static TersorException wrong(String what) {
    return new TersorException(
        "TSR-0511",
        "this is no table of schedules: " + what + "; 'tersor compile --tune' writes one");
  }
}
