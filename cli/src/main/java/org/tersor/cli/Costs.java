package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.tersor.conformance.CostBench;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.UserCache;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.CostTable;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.WholeFile;

/** The tables of costs that this user's machine has measured, one for each target. */
final class Costs {
  private Costs() {}

  /** Where the table of a target is kept. */
  static Path file(Target target) {
    String processor = Integer.toHexString(CostBench.processor().hashCode());
    return UserCache.folder().resolve("costs").resolve(target.name() + "-" + processor + ".txt");
  }

  /** The best target of a backend that generates code for this machine; none otherwise. */
  static List<Target> here(Compiler compiler, String backend, CompileOptions options) {
    return compiler.registry().backend(backend) instanceof Backend.OfProgram program
        ? List.of(Compiler.target(program, options))
        : List.of();
  }

  /** What was measured before on this processor; a file that cannot be read counts as none. */
  static Optional<CostTable> kept(Target target) {
    try {
      return Files.exists(file(target))
          ? Optional.of(CostTable.parse(Files.readString(file(target))))
              .filter(t -> t.processor().equals(CostBench.processor()))
          : Optional.empty();
    } catch (IOException | TersorException e) {
      return Optional.empty();
    }
  }

  /** Measures now and keeps it. */
  static CostTable measured(Compiler compiler, ModelOptions options, String backend, Target target)
      throws IOException {
    List<CostTable> tables = new ArrayList<>();
    options.common.withProgress(
        "measuring " + target.name(),
        CostBench.steps(),
        step ->
            tables.add(
                CostBench.measure(
                    compiler, backend, target.name(), options.compileOptions(), step)));
    Files.createDirectories(file(target).getParent());
    WholeFile.write(file(target), f -> Files.writeString(f, tables.getFirst().text()));
    return tables.getFirst();
  }

  /** What a table says beforehand about layers in integers, worst first. */
  static Optional<String> warning(String target, List<CostTable.Layer> layers) {
    double inFloat = layers.stream().mapToDouble(CostTable.Layer::floatNanos).sum();
    double inIntegers = layers.stream().mapToDouble(CostTable.Layer::integerNanos).sum();
    List<CostTable.Layer> slow =
        layers.stream()
            .filter(l -> l.integerNanos() > l.floatNanos())
            .sorted(java.util.Comparator.comparingDouble(l -> l.floatNanos() - l.integerNanos()))
            .toList();
    if (slow.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(
        String.format(
            Locale.ROOT,
            "int8 will %s on %s: by costs measured on this processor the layers take %s in float, %s in"
                + " integers (predicted, each alone); %d of %d become slower, most of all %s",
            inIntegers >= inFloat ? "be no faster" : "not make every layer faster",
            target,
            Common.millis(inFloat / 1e6),
            Common.millis(inIntegers / 1e6),
            slow.size(),
            layers.size(),
            String.join(
                ", ",
                slow.stream()
                    .limit(4)
                    .map(l -> String.format(Locale.ROOT, "%s (x%.2f)", l.name(), l.speedup()))
                    .toList())));
  }

  /** Why integers will be slow on a target: from measured costs, else from what it lacks. */
  static Optional<String> slow(
      Compiler compiler, Graph base, Quantizer.Options options, Target target) {
    Optional<CostTable> costs = kept(target);
    if (costs.isEmpty()) {
      return target
          .slowIntegers()
          .map(why -> why + " (not measured here: 'tersor bench --costs' does it in a minute)");
    }
    return warning(target.name(), costs.get().predict(base, compiler, options.weights()));
  }

  static List<CostTable.Layer> predicted(
      Compiler compiler, Graph base, List<Quantizer.Layer> layers, List<Target> targets) {
    Set<String> integer =
        layers.stream()
            .filter(l -> l.kernel().isPresent())
            .map(Quantizer.Layer::node)
            .collect(java.util.stream.Collectors.toSet());
    return targets.stream()
        .limit(1)
        .flatMap(target -> kept(target).stream())
        .flatMap(table ->
            table
                .predict(
                    base,
                    compiler.registry().operators(),
                    node -> integer.contains(Quantizer.name(base, node)))
                .stream())
        .toList();
  }
}
