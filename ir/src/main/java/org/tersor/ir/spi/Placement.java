package org.tersor.ir.spi;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.tersor.runtime.Script;

/**
 * Who computes a compiled model, bodies included, after operators have been expanded into others.
 *
 * @param kernels operators that are generated code, by type
 * @param host operations of the host, by id
 * @param control choices and loops between them
 */
public record Placement(Map<String, Integer> kernels, Map<String, Integer> host, int control) {
  /** Nothing is known. */
  public static final Placement NONE = new Placement(Map.of(), Map.of(), 0);

  public Placement {
    kernels = Collections.unmodifiableMap(new TreeMap<>(kernels));
    host = Collections.unmodifiableMap(new TreeMap<>(host));
  }

  /** With what a script has between its segments. */
  public Placement with(Script script) {
    Map<String, Integer> calls = new TreeMap<>(host);
    int steps = control + count(script.main(), calls);
    return new Placement(kernels, calls, steps);
  }

  private static int count(Script.Block block, Map<String, Integer> calls) {
    int control = 0;
    for (Script.Step step : block.steps()) {
      control +=
          switch (step) {
            case Script.Run _, Script.Fail _ -> 0;
            case Script.Host call -> {
              calls.merge(call.op(), 1, Integer::sum);
              yield 0;
            }
            case Script.Choose choice ->
                1 + count(choice.then(), calls) + count(choice.otherwise(), calls);
            case Script.Iterate loop -> 1 + count(loop.body(), calls);
          };
    }
    return control;
  }

  public int kernelNodes() {
    return kernels.values().stream().mapToInt(Integer::intValue).sum();
  }

  public int hostNodes() {
    return host.values().stream().mapToInt(Integer::intValue).sum();
  }

  /** As descriptions of artifacts say it. */
  public Map<String, String> facts() {
    Map<String, String> facts = new TreeMap<>();
    facts.put("runs as generated code", list(kernelNodes(), kernels));
    facts.put("runs on the host", list(hostNodes(), host));
    facts.put("choices and loops", Integer.toString(control));
    return facts;
  }

  private static String list(int total, Map<String, Integer> parts) {
    return total
        + parts.entrySet().stream()
            .map(e -> e.getKey() + " " + e.getValue())
            .collect(Collectors.joining(", ", parts.isEmpty() ? "" : ": ", ""));
  }
}
