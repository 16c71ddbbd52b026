package org.tersor.codegen.c;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.WholeFile;

/**
 * {@code --backend cuda-emulated}: the text of the CUDA kernels, compiled as C and run on the
 * processor.
 */
public final class CudaEmulatedBackend implements Backend.OfProgram {
  /** For ServiceLoader. */
  public CudaEmulatedBackend() {}

  @Override
  public String id() {
    return "cuda-emulated";
  }

  @Override
  public Optional<String> unavailable() {
    return Toolchain.unavailable();
  }

  @Override
  public List<Target> targets() {
    return List.of(Target.cuda());
  }

  @Override
  public Executable load(Program program, Options options) {
    unavailable()
        .ifPresent(why -> {
          throw Faults.toolchain(why);
        });
    return NativeBackend.executable(program, options);
  }

  @Override
  public List<String> artifacts() {
    return List.of("cu");
  }

  /** Writes the kernels, and as a comment the launches of a call. */
  @Override
  public void write(List<ModelProgram> models, Path file, Options options) {
    List<Program> programs =
        models.stream().map(model -> model.single("'" + file.getFileName() + "'")).toList();
    Program program = programs.getFirst();
    StringBuilder text =
        new StringBuilder(
            "/* Launches of a call: kernel<<<blocks, threads>>>; arguments are buffers, dimensions, 0, blocks, scratch.\n");
    List<LoopFunction> kernels = program.kernels();
    for (Plan.Call call : program.plan().runSteps()) {
      LoopFunction kernel = kernels.get(call.kernel());
      text.append("   ")
          .append(CudaSource.name(kernel, kernels))
          .append("<<<")
          .append(
              call.tasks().toString().replaceAll("[^A-Za-z0-9_+*(), -]", "?").replace("*/", "?"));
      text.append(", ").append(CudaEmitter.threads(kernel)).append(">>>\n");
    }
    text.append("   compile with: nvcc ")
        .append(String.join(" ", CudaSource.flags()))
        .append(" */\n")
        .append(CudaSource.text(kernels));
    try {
      WholeFile.write(file, beside -> Files.writeString(beside, text, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file, e);
    }
  }
}
