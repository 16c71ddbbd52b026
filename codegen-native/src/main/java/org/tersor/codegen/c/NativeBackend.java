package org.tersor.codegen.c;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Executable;
import org.tersor.runtime.machine.CarriedCode;
import org.tersor.runtime.machine.NativeExecutable;
import org.tersor.runtime.machine.SharedObject;

/**
 * {@code --backend native}: C with vectors, compiled by the machine's C compiler and called through
 * java.lang.foreign.
 */
public final class NativeBackend implements Backend.OfProgram {
  /** For ServiceLoader. */
  public NativeBackend() {}

  @Override
  public String id() {
    return "native";
  }

  @Override
  public Optional<String> unavailable() {
    return Toolchain.unavailable();
  }

  @Override
  public List<Target> targets() {
    return Stream.of("avx512amx", "avx512vnni", "avx512bf16", "avx512", "avx2", "scalar")
        .map(Target::nativeTarget)
        .filter(t -> Cpu.supports(Isa.of(t)))
        .toList();
  }

  @Override
  public Optional<String> limited() {
    return Cpu.limit();
  }

  @Override
  public Executable load(Program program, Options options) {
    unavailable()
        .ifPresent(why -> {
          throw Faults.toolchain(why);
        });
    if (!Cpu.supports(Isa.of(program.target()))) {
      throw Faults.toolchain(
          "this processor cannot run code for "
              + program.target().name()
              + "; it can run "
              + targets().stream().map(Target::name).toList());
    }
    return executable(program, options);
  }

  /** Compiles for this process. */
  static Executable executable(Program program, Options options) {
    ProgramC code = new ProgramC(program, "tsr");
    Map<String, NativeBuild.Source> sources = new LinkedHashMap<>();
    sources.put(
        "memory.c",
        new NativeBuild.Source(
            "#include <stdint.h>\n#include <stddef.h>\n" + CRuntime.MEMORY_FUNCTIONS, List.of()));
    sources.putAll(loadable(code));
    SharedObject library = NativeBuild.load(sources, BuildCache.of(options));
    StringBuilder description =
        new StringBuilder(
            "native code for "
                + program.target().name()
                + ", "
                + options.threads()
                + " thread(s)\n");
    program
        .facts()
        .forEach((key, value) -> description.append(key).append(": ").append(value).append('\n'));
    return new NativeExecutable(
        program.plan(),
        library,
        code.prefix(),
        // Each in memory of its own, which is free again where only the load needs it.
        program.constants().stream()
            .map(constant -> NativeMemory.constant(constant, Arena.ofAuto()))
            .toList(),
        options.threads(),
        description.toString());
  }

  @Override
  public List<Target> artifactTargets() {
    return Stream.of("avx512amx", "avx512vnni", "avx2", "scalar")
        .map(Target::nativeTarget)
        .toList();
  }

  @Override
  public List<Target> namedTargets() {
    return Stream.of("avx512bf16", "neon").map(Target::nativeTarget).toList();
  }

  @Override
  public List<String> artifacts() {
    return List.of("so");
  }

  /**
   * Writes {@code file} and a header of the same name. Settings: {@code prefix} of the C functions
   * (default: from the model's name), {@code keep-source=true} leaves the C text in a folder
   * beside.
   */
  @Override
  public void write(List<ModelProgram> models, Path file, Options options) {
    Architecture.of(models)
        .unavailable()
        .ifPresent(why -> {
          throw Faults.toolchain(why);
        });
    String prefix =
        Artifact.identifier(options.settings().getOrDefault("prefix", name(models.getFirst())));
    new Artifact(models, prefix)
        .write(
            file,
            Boolean.parseBoolean(options.settings().getOrDefault("keep-source", "false")),
            BuildCache.of(options));
  }

  @Override
  public MachineCode machineCode(List<ModelProgram> models, Options options) {
    unavailable()
        .ifPresent(why -> {
          throw Faults.toolchain(why);
        });
    List<ModelProgram> sorted = distinct(Isa.best(models));
    Map<String, NativeBuild.Source> sources = new LinkedHashMap<>();
    StringBuilder main = new StringBuilder("#include <stdint.h>\n#include <stddef.h>\n");
    main.append(CRuntime.MEMORY_FUNCTIONS).append(Isa.constants());
    main.append(CRuntime.resource("cpu.c"));
    for (ModelProgram model : sorted) {
      String target = model.target().name();
      main.append("__attribute__((visibility(\"default\"))) int32_t ")
          .append(CarriedCode.fits(target))
          .append("(void) { return allowed() >> LEVEL_")
          .append(Isa.of(model.target()).name())
          .append(" & 1u; }\n");
      for (int i = 0; i < model.segments().size(); i++) {
        ProgramC code = new ProgramC(model.segments().get(i), CarriedCode.prefix(target, i));
        sources.putAll(loadable(code));
      }
    }
    sources.put("main.c", new NativeBuild.Source(main.toString(), List.of()));
    byte[] library =
        Toolchain.inFolder(folder ->
            Files.readAllBytes(
                NativeBuild.build(
                    folder,
                    Architecture.HOST,
                    PrecompiledHeader.with(sources, BuildCache.of(options)),
                    "library.so")));
    return new MachineCode(sorted, library);
  }

  /** Without those whose functions are the same as for a lesser set, so compiled once. */
  private static List<ModelProgram> distinct(List<ModelProgram> best) {
    List<ModelProgram> kept = new ArrayList<>();
    for (int i = 0; i < best.size(); i++) {
      List<List<LoopFunction>> functions = functions(best.get(i));
      // Other sets make faster code of the same functions.
      boolean sameCode = Isa.of(best.get(i).target()).tiles();
      boolean again =
          best.subList(i + 1, best.size()).stream()
              .anyMatch(lesser -> sameCode && functions(lesser).equals(functions));
      if (!again) {
        kept.add(best.get(i));
      }
    }
    return kept;
  }

  private static List<List<LoopFunction>> functions(ModelProgram model) {
    return model.segments().stream().map(Program::kernels).toList();
  }

  private static String name(ModelProgram model) {
    return model
        .script()
        .map(script -> script.name())
        .orElseGet(() -> model.segments().getFirst().plan().name());
  }

  /**
   * Files of a program whose functions are visible. The plan is the same baseline code at every
   * level.
   */
  private static Map<String, NativeBuild.Source> loadable(ProgramC code) {
    Map<String, NativeBuild.Source> sources = new LinkedHashMap<>();
    code.files()
        .forEach((name, text) ->
            sources.put(
                name,
                new NativeBuild.Source(
                    text,
                    name.endsWith("_steps.c")
                        ? List.of("-DTSR_API=__attribute__((visibility(\"default\")))")
                        : code.isa().flags())));
    return sources;
  }
}
