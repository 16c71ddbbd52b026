package org.tersor.codegen.jvm;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import jdk.incubator.vector.IntVector;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Executable;
import org.tersor.runtime.KernelCode;
import org.tersor.runtime.PlanExecutable;
import org.tersor.runtime.TersorException;

/** Kernels as Java bytecode: needs nothing but the JVM. */
public final class JvmBackend implements Backend.OfProgram {
  /** Asked apart, so that the rest works where the Vector API's module is not resolved. */
  private static final class Species {
    static int preferredBytes() {
      return IntVector.SPECIES_PREFERRED.vectorByteSize();
    }
  }

  /** For the ServiceLoader. */
  public JvmBackend() {}

  @Override
  public String id() {
    return "jvm";
  }

  /** Bytes of the machine's preferred vector; 0 without the module jdk.incubator.vector. */
  static int vectorBytes() {
    try {
      return Species.preferredBytes();
    } catch (LinkageError e) {
      return 0;
    }
  }

  @Override
  public List<Target> targets() {
    List<Target> targets = new ArrayList<>();
    for (int bytes = Math.min(64, vectorBytes()); bytes >= 16; bytes /= 2) {
      targets.add(Target.jvm(bytes));
    }
    targets.add(Target.jvm(0));
    return targets;
  }

  @Override
  public Executable load(Program program, Options options) {
    Executable executable = executable(program, options);
    warmUp(options).ifPresent(limit -> executable.warmUp(Map.of(), limit));
    return executable;
  }

  /** Setting {@code warmup=SECONDS}: the longest time to run on zeros before the first call. */
  private static Optional<Duration> warmUp(Options options) {
    String text = options.settings().get("warmup");
    if (text == null) {
      return Optional.empty();
    }
    try {
      double seconds = Double.parseDouble(text);
      if (seconds >= 0 && seconds <= 3600) {
        return Optional.of(Duration.ofMillis(Math.round(seconds * 1000)));
      }
    } catch (NumberFormatException e) {
      // Reported below.
    }
    throw new TersorException(
        "TSR-0906", "warmup=" + text + " is not a number of seconds from 0 to 3600");
  }

  private Executable executable(Program program, Options options) {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("backend", id());
    facts.put("target", program.target().name() + targetNote(program.target()));
    facts.putAll(program.facts());
    JvmEmitter emitter = new JvmEmitter(program.target());
    List<KernelCode> kernels = new ArrayList<>();
    for (LoopFunction function : program.kernels()) {
      JvmEmitter.Emitted emitted =
          emitter.emitWithSizes(function, HiddenKernels.className(function));
      if (emitted.largestMethod() > JvmEmitter.METHOD_LIMIT) {
        facts.put(
            "slow kernel " + function.name(),
            "a method of "
                + emitted.largestMethod()
                + " bytes; HotSpot interprets those over "
                + JvmEmitter.METHOD_LIMIT);
      }
      kernels.add(HiddenKernels.define(function.name(), emitted.bytes()));
    }
    return new PlanExecutable(
        program.plan(),
        kernels,
        program.constants().stream().map(Constant::load).toList(),
        options.threads(),
        facts);
  }

  @Override
  public List<Target> artifactTargets() {
    return List.of(Target.jvm(64), Target.jvm(32), Target.jvm(16), Target.jvm(0));
  }

  @Override
  public List<String> artifacts() {
    return List.of("jar");
  }

  /**
   * Settings: {@code package}, {@code class} (both have defaults from the file's name), {@code
   * runtime=external}.
   */
  @Override
  public void write(List<ModelProgram> models, Path file, Options options) {
    write(models, Optional.empty(), file, options);
  }

  @Override
  public void write(List<ModelProgram> models, MachineCode machine, Path file, Options options) {
    write(models, Optional.of(machine), file, options);
  }

  private static void write(
      List<ModelProgram> models, Optional<MachineCode> machine, Path file, Options options) {
    String fileName = file.getFileName().toString();
    String stem =
        fileName.contains(".") ? fileName.substring(0, fileName.lastIndexOf('.')) : fileName;
    String packageName =
        options
            .settings()
            .getOrDefault("package", "tersor.model." + identifier(stem).toLowerCase(Locale.ROOT));
    String className = options.settings().getOrDefault("class", camelCase(stem));
    for (String part : (packageName + "." + className).split("\\.", -1)) {
      if (!part.matches("[A-Za-z_][A-Za-z0-9_]*")) {
        throw new TersorException(
            "TSR-0904",
            "'" + packageName + "." + className + "' is no Java class name; give --package NAME");
      }
    }
    boolean external = "external".equals(options.settings().get("runtime"));
    new JarWriter(models, machine, packageName, className, !external).write(file);
  }

  private static String identifier(String text) {
    String safe = text.replaceAll("[^A-Za-z0-9_]", "_");
    return safe.isEmpty() || Character.isDigit(safe.charAt(0)) ? "m" + safe : safe;
  }

  private static String camelCase(String text) {
    StringBuilder name = new StringBuilder();
    for (String part : identifier(text).split("_", -1)) {
      if (!part.isEmpty()) {
        name.append(Character.toUpperCase(part.charAt(0))).append(part.substring(1));
      }
    }
    return name.isEmpty() ? "Model" : name.toString();
  }

  private static String targetNote(Target target) {
    if (target.vectorBytes() > vectorBytes()) {
      return ", wider than this machine's vectors of "
          + vectorBytes() * 8
          + " bits: correct but very slow";
    }
    return target.vectorBytes() == 0 && vectorBytes() == 0
        ? " (start java with --add-modules jdk.incubator.vector for vector code)"
        : "";
  }
}
