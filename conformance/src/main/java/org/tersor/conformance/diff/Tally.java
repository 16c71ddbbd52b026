package org.tersor.conformance.diff;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.tersor.runtime.TersorException;

/**
 * What one or several runs gave, as {@code versions.md} tells it. In a file it is one line a
 * number: a word, a name and the number, separated by tabs.
 *
 * @param runs graphs of each run, by its first seed
 * @param nodes of all graphs
 * @param outcomes graphs by kind of outcome
 * @param known disagreements by the difference that explains them
 * @param versions nodes of graphs that agree, by operator and version
 * @param unexplained disagreements that no difference explains, by "kind operators"; the number is
 *     the first seed
 */
public record Tally(
    SortedMap<Long, Long> runs,
    long nodes,
    SortedMap<String, Long> outcomes,
    SortedMap<String, Long> known,
    SortedMap<String, Long> versions,
    SortedMap<String, Long> unexplained) {
  private static final String RUN = "run";
  private static final String NODES = "nodes";
  private static final String OUTCOME = "outcome";
  private static final String KNOWN = "known";
  private static final String VERSION = "version";
  private static final String UNEXPLAINED = "unexplained";

  /** Nothing yet. */
  public static Tally none() {
    return new Tally(
        new TreeMap<>(), 0, new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), new TreeMap<>());
  }

  /** A run that began with {@code seed}; one of no graphs is none. */
  public static Tally of(long seed, Differential.Summary summary) {
    SortedMap<String, Long> unexplained = new TreeMap<>();
    for (Differential.Group group : summary.groups()) {
      if (group.known().isEmpty()) {
        unexplained.merge(group.kind() + " " + group.operator(), group.seed(), Math::min);
      }
    }
    return new Tally(
        summary.graphs() == 0
            ? new TreeMap<>()
            : new TreeMap<>(Map.of(seed, (long) summary.graphs())),
        summary.nodes(),
        longs(summary.outcomes()),
        longs(summary.known()),
        longs(summary.versions()),
        unexplained);
  }

  private static SortedMap<String, Long> longs(Map<String, Integer> counts) {
    SortedMap<String, Long> longs = new TreeMap<>();
    counts.forEach((name, count) -> longs.put(name, count.longValue()));
    return longs;
  }

  /** Both; a diagnostic if they share a graph. */
  public Tally plus(Tally other) {
    SortedMap<Long, Long> all = new TreeMap<>(runs);
    other.runs.forEach((seed, graphs) -> {
      for (Map.Entry<Long, Long> own : runs.entrySet()) {
        if (seed < own.getKey() + own.getValue() && own.getKey() < seed + graphs) {
          throw new TersorException(
              "TSR-0906", "graphs from seed " + seed + " are counted already: " + own);
        }
      }
      all.put(seed, graphs);
    });
    SortedMap<String, Long> both = new TreeMap<>(unexplained);
    other.unexplained.forEach((what, seed) -> both.merge(what, seed, Math::min));
    return new Tally(
        all,
        nodes + other.nodes,
        sum(outcomes, other.outcomes),
        sum(known, other.known),
        sum(versions, other.versions),
        both);
  }

  private static SortedMap<String, Long> sum(Map<String, Long> a, Map<String, Long> b) {
    SortedMap<String, Long> sum = new TreeMap<>(a);
    b.forEach((name, count) -> sum.merge(name, count, Long::sum));
    return sum;
  }

  /** Graphs of all runs. */
  public long graphs() {
    return runs.values().stream().mapToLong(Long::longValue).sum();
  }

  /** From a file; nothing if there is none. */
  public static Tally read(Path file) {
    Tally tally = none();
    long nodes = 0;
    try {
      for (String line : Files.readAllLines(file)) {
        String[] fields = line.split("\t", -1);
        if (fields.length != 3) {
          throw new NumberFormatException(line);
        }
        long number = Long.parseLong(fields[2]);
        switch (fields[0]) {
          case RUN -> tally.runs.put(Long.parseLong(fields[1]), number);
          case NODES -> nodes += number;
          case OUTCOME -> tally.outcomes.put(fields[1], number);
          case KNOWN -> tally.known.put(fields[1], number);
          case VERSION -> tally.versions.put(fields[1], number);
          case UNEXPLAINED -> tally.unexplained.put(fields[1], number);
          default -> throw new NumberFormatException(line);
        }
      }
    } catch (NoSuchFileException e) {
      return tally;
    } catch (NumberFormatException e) {
      throw new TersorException("TSR-0906", file + " is no tally: " + e.getMessage(), e);
    } catch (IOException e) {
      throw new TersorException("TSR-0906", "cannot read " + file + ": " + e, e);
    }
    return new Tally(
        tally.runs, nodes, tally.outcomes, tally.known, tally.versions, tally.unexplained);
  }

  /** Into a file. */
  public void write(Path file) {
    List<String> lines = new ArrayList<>();
    runs.forEach((seed, graphs) -> lines.add(line(RUN, Long.toString(seed), graphs)));
    lines.add(line(NODES, "", nodes));
    outcomes.forEach((name, count) -> lines.add(line(OUTCOME, name, count)));
    known.forEach((name, count) -> lines.add(line(KNOWN, name, count)));
    versions.forEach((name, count) -> lines.add(line(VERSION, name, count)));
    unexplained.forEach((name, seed) -> lines.add(line(UNEXPLAINED, name, seed)));
    try {
      Files.write(file, lines);
    } catch (IOException e) {
      throw new TersorException("TSR-0906", "cannot write " + file + ": " + e, e);
    }
  }

  private static String line(String word, String name, long number) {
    return word + "\t" + name + "\t" + number;
  }
}
