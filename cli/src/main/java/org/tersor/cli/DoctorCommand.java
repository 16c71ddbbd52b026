package org.tersor.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.Compiler;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code tersor doctor}: what works on this machine. */
@Command(
    name = "doctor",
    description =
        "Shows what works on this machine: JDK, vectors, C compiler, nvcc, GPU, ONNX Runtime, backends, plugins.")
final class DoctorCommand implements Callable<Integer> {
  @Mixin Common common;

  /** One line of the report. */
  record Check(String name, boolean ok, String what) {}

  @Override
  public Integer call() {
    List<Check> checks = new ArrayList<>();
    checks.add(new Check("tersor", true, Compiler.version()));
    checks.add(
        new Check(
            "JDK",
            Runtime.version().feature() >= 25,
            System.getProperty("java.vm.name") + " " + Runtime.version()));
    checks.add(vectors());
    checks.add(
        new Check(
            "processors",
            true,
            Runtime.getRuntime().availableProcessors()
                + ", heap up to "
                + Common.bytes(Runtime.getRuntime().maxMemory())));
    checks.add(tool("cc", "for --backend native and .so", "cc", "--version"));
    checks.add(tool("nvcc", "for CUDA", "nvcc", "--version"));
    checks.add(gpu());
    try (Reference ort = new OrtWorker()) {
      checks.add(new Check("reference", true, ort.name()));
    } catch (TersorException e) {
      checks.add(new Check("reference", false, String.valueOf(e.getMessage())));
    }
    for (PluginsCommand.Entry entry : PluginsCommand.entries(common.registry())) {
      boolean ok = !entry.kind().equals("backend") || entry.state().isEmpty();
      checks.add(
          new Check(
              entry.kind() + " " + entry.id(),
              ok,
              entry.origin() + (entry.state().isEmpty() ? "" : ": " + entry.state())));
    }
    common.registry().backends().forEach(b -> targets(b.provider()).ifPresent(checks::add));
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("checks", checks);
    common.sayJson(json);
    checks.forEach(c -> common.say("%-4s %-26s %s", c.ok() ? "ok" : "no", c.name(), c.what()));
    return Exit.OK;
  }

  private Check gpu() {
    String devices =
        common.registry().backends().stream()
            .flatMap(b -> b.provider().hardware().stream())
            .distinct()
            .collect(Collectors.joining("; "));
    return new Check(
        "GPU",
        !devices.isEmpty(),
        devices.isEmpty()
            ? "none that a backend can use; cuda-emulated runs CUDA kernels on the processor"
            : devices);
  }

  /** What a backend compiles for here, best first, and why nothing better. */
  private static Optional<Check> targets(Backend backend) {
    if (!(backend instanceof Backend.OfProgram program) || backend.unavailable().isPresent()) {
      return Optional.empty();
    }
    String names = program.targets().stream().map(Target::name).collect(Collectors.joining(", "));
    Optional<String> limited = program.limited();
    return Optional.of(
        new Check(
            "targets of " + backend.id(),
            limited.isEmpty(),
            names + limited.map(why -> "; " + why).orElse("")));
  }

  private static Check vectors() {
    boolean present = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
    String bits = "unknown";
    try {
      Object species =
          Class.forName("jdk.incubator.vector.FloatVector").getField("SPECIES_PREFERRED").get(null);
      Object length =
          Class.forName("jdk.incubator.vector.VectorSpecies")
              .getMethod("vectorBitSize")
              .invoke(species);
      bits = length + " bits";
    } catch (ReflectiveOperationException e) {
      present = false;
    }
    return new Check(
        "vectors",
        present,
        present
            ? bits
            : "start with --add-modules jdk.incubator.vector; without it plain loops run");
  }

  private static Check tool(String name, String use, String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      String text = new String(process.getInputStream().readAllBytes(), UTF_8).strip();
      if (process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0) {
        List<String> lines = text.lines().toList();
        String line =
            name.equals("nvcc") && lines.size() > 1
                ? lines.get(lines.size() - 2)
                : lines.isEmpty() ? "" : lines.getFirst();
        return new Check(name, true, line);
      }
      return new Check(name, false, "does not run (" + use + ")");
    } catch (IOException e) {
      return new Check(name, false, "not found (" + use + ")");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return new Check(name, false, "interrupted");
    }
  }
}
