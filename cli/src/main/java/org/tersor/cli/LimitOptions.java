package org.tersor.cli;

import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tersor.runtime.Executable;
import org.tersor.runtime.LimitedExecutable;
import org.tersor.runtime.RunLimits;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What a model may use; the Java API is {@link RunLimits} and the reader's {@code max-nodes}. */
final class LimitOptions {
  @Option(
      names = "--max-nodes",
      paramLabel = "N",
      description = "Nodes of a model after its functions are inlined (default: 1 million).")
  Optional<Integer> nodes = Optional.empty();

  @Option(
      names = "--max-elements",
      paramLabel = "N",
      description = "Elements of one tensor of a call (default: what a Java array holds).")
  Optional<Long> elements = Optional.empty();

  @Option(
      names = "--max-memory",
      paramLabel = "SIZE",
      converter = Size.class,
      description = "Memory of a call's values, e.g. 512M (default: the heap's size).")
  Optional<Long> memory = Optional.empty();

  @Option(
      names = "--max-trips",
      paramLabel = "N",
      description = "Iterations of all Loop operators of a call together (default: 262144).")
  Optional<Long> trips = Optional.empty();

  @Option(
      names = "--time-limit",
      paramLabel = "SECONDS",
      description = "Time of a call (default: none).")
  Optional<Double> seconds = Optional.empty();

  /** Bytes, with K, M or G behind the number for powers of 1024. */
  static final class Size implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      String upper = text.toUpperCase(Locale.ROOT);
      int unit = upper.isEmpty() ? -1 : "KMG".indexOf(upper.charAt(upper.length() - 1));
      String digits = unit < 0 ? upper : upper.substring(0, upper.length() - 1);
      try {
        return Math.multiplyExact(Long.parseLong(digits), 1L << (10 * (unit + 1)));
      } catch (ArithmeticException | NumberFormatException e) {
        throw new TypeConversionException("'" + text + "' is no size; 512M is one");
      }
    }
  }

  /** Options of the reader. */
  Map<String, String> reading() {
    return nodes.map(n -> Map.of("max-nodes", n.toString())).orElse(Map.of());
  }

  /** The executable, under limits where an option asks for them. */
  Executable limited(Executable executable) {
    if (elements.isEmpty() && memory.isEmpty() && trips.isEmpty() && seconds.isEmpty()) {
      return executable;
    }
    RunLimits standard = RunLimits.standard();
    return new LimitedExecutable(
        executable,
        new RunLimits(
            elements.orElse(standard.elements()),
            memory.orElse(standard.bytes()),
            trips.orElse(standard.trips()),
            seconds.map(s -> Duration.ofNanos((long) (s * 1e9)))));
  }
}
