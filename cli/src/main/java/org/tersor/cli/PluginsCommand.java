package org.tersor.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.tersor.ir.op.OperatorProvider;
import org.tersor.passes.Registry;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code tersor plugins}: everything that can be plugged in, and where it comes from. */
@Command(
    name = "plugins",
    description =
        "Lists frontends, backends, passes, operators and number formats with the jar that each comes"
            + " from.")
final class PluginsCommand implements Callable<Integer> {
  @Mixin Common common;

  /** One thing that was found. */
  record Entry(String kind, String id, String origin, String state) {}

  @Override
  public Integer call() {
    List<Entry> entries = entries(common.registry());
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("plugins", entries);
    common.sayJson(json);
    entries.forEach(e ->
        common.say(
            "%-10s %-18s %s%s",
            e.kind(), e.id(), e.origin(), e.state().isEmpty() ? "" : " (" + e.state() + ")"));
    return Exit.OK;
  }

  static List<Entry> entries(Registry registry) {
    List<Entry> entries = new ArrayList<>();
    registry
        .frontends()
        .forEach(f ->
            entries.add(
                new Entry(
                    "frontend",
                    f.provider().id(),
                    f.origin(),
                    "." + String.join(", .", f.provider().suffixes()))));
    registry
        .backends()
        .forEach(b ->
            entries.add(
                new Entry(
                    "backend",
                    b.provider().id(),
                    b.origin(),
                    b.provider().unavailable().orElse(""))));
    registry
        .passes()
        .forEach(p ->
            entries.add(
                new Entry(
                    "pass",
                    p.provider().id(),
                    p.origin(),
                    p.provider().point().name().toLowerCase(Locale.ROOT))));
    registry
        .formats()
        .forEach(f ->
            entries.add(
                new Entry(
                    "format",
                    f.provider().id(),
                    f.origin(),
                    f.provider().definition().bitsPerValue() + " bits per value")));
    registry
        .families()
        .forEach(f -> {
          entries.add(new Entry("formats", f.provider().grammar(), f.origin(), ""));
          f.provider()
              .schemes()
              .forEach((name, scheme) ->
                  entries.add(
                      new Entry(
                          "scheme",
                          name,
                          f.origin(),
                          "weights "
                              + scheme.weights()
                              + ", activations "
                              + scheme.activations().orElse("float"))));
        });
    for (Registry.Provided<OperatorProvider> pack : registry.providers(OperatorProvider.class)) {
      entries.add(
          new Entry(
              "operators",
              pack.provider().getClass().getSimpleName(),
              pack.origin(),
              pack.provider().operators().size() + " operators"));
    }
    return entries;
  }
}
