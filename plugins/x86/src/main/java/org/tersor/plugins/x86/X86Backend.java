package org.tersor.plugins.x86;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Executable;
import org.tersor.runtime.machine.HeapSegments;
import org.tersor.runtime.machine.NativeExecutable;

/**
 * {@code --backend x86}: machine code for x86-64 with AVX-512, made in memory without a compiler of
 * C. Setting {@code x86-dump=FOLDER} writes the code of each kernel there.
 */
public final class X86Backend implements Backend.OfProgram {
  /** For ServiceLoader. */
  public X86Backend() {}

  @Override
  public String id() {
    return "x86";
  }

  @Override
  public Optional<String> unavailable() {
    return Cpu.unavailable();
  }

  @Override
  public List<Target> targets() {
    return Stream.of("avx512vnni", "avx512bf16", "avx512")
        .map(Target::nativeTarget)
        .filter(Cpu::supports)
        .toList();
  }

  @Override
  public Executable load(Program program, Options options) {
    unavailable()
        .ifPresent(why -> {
          throw Faults.machine(why);
        });
    if (!targets().stream().map(Target::name).toList().contains(program.target().name())) {
      throw Faults.machine(
          "the x86 backend cannot run code for "
              + program.target().name()
              + " here; it can run "
              + targets().stream().map(Target::name).toList());
    }
    ProgramCode code = new ProgramCode(program);
    Optional.ofNullable(options.settings().get("x86-dump"))
        .ifPresent(folder -> code.dump(Path.of(folder)));
    StringBuilder description =
        new StringBuilder("machine code for ")
            .append(program.target().name())
            .append(", ")
            .append(code.size())
            .append(" bytes, ")
            .append(options.threads())
            .append(" thread(s)\n");
    program
        .facts()
        .forEach((key, value) -> description.append(key).append(": ").append(value).append('\n'));
    return new NativeExecutable(
        program.plan(),
        code,
        ProgramCode.PREFIX,
        program.constants().stream().map(X86Backend::weight).toList(),
        options.threads(),
        description.toString());
  }

  /** A weight where it is mapped, if it is so in that form; else a copy, free when unused. */
  private static MemorySegment weight(Constant constant) {
    boolean bytes = constant.dtype().bits() >= 8;
    Optional<MemorySegment> raw = bytes ? constant.raw() : Optional.empty();
    if (raw.filter(s -> s.isNative() && s.address() % 16 == 0 && s.byteSize() > 0).isPresent()) {
      return raw.get();
    }
    MemorySegment source = raw.orElseGet(() -> HeapSegments.of(constant.load()));
    return Arena.ofAuto().allocate(Math.max(64, source.byteSize()), 64).copyFrom(source);
  }
}
