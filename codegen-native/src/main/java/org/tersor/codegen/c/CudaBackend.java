package org.tersor.codegen.c;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Executable;
import org.tersor.runtime.TersorException;

/**
 * {@code --backend cuda}: CUDA kernels on an NVIDIA GPU, compiled by nvcc and called through the
 * driver. System properties: {@code tersor.cuda.library} is the driver library (default {@code
 * libcuda.so.1}), {@code tersor.cuda.device} the number of the GPU (default 0), {@code
 * tersor.cuda.nvcc} the compiler.
 */
public final class CudaBackend implements Backend.OfProgram {
  private final String library;
  private final int number;
  private final Optional<String> compiler;

  /** For ServiceLoader. */
  public CudaBackend() {
    this(
        System.getProperty("tersor.cuda.library", "libcuda.so.1"),
        Integer.getInteger("tersor.cuda.device", 0),
        Optional.ofNullable(System.getProperty("tersor.cuda.nvcc")));
  }

  /**
   * @param library file of the driver library, or its name
   * @param number of the GPU
   * @param compiler file or command of nvcc; if empty it is searched for
   */
  CudaBackend(String library, int number, Optional<String> compiler) {
    this.library = library;
    this.number = number;
    this.compiler = compiler;
  }

  @Override
  public String id() {
    return "cuda";
  }

  private record Machine(CudaDriver driver, CudaDevice device) {}

  /** TSR-0611 if there is none. */
  private Machine machine() {
    CudaDriver driver = CudaDriver.load(library);
    return new Machine(driver, CudaDevice.of(driver, number));
  }

  @Override
  public Optional<String> unavailable() {
    if (CudaBuild.nvcc(compiler).isEmpty()) {
      return Optional.of(noCompiler());
    }
    try {
      machine();
      return Optional.empty();
    } catch (TersorException e) {
      return Optional.of(e.getMessage());
    }
  }

  private String noCompiler() {
    return "no CUDA compiler: "
        + compiler.map(c -> "'" + c + "' is not a program").orElse("nvcc is not on the path")
        + "; install the CUDA toolkit, set CUDA_HOME, or use the backend cuda-emulated";
  }

  @Override
  public Optional<String> hardware() {
    try {
      return Optional.of(machine().device().toString());
    } catch (TersorException e) {
      return Optional.empty();
    }
  }

  @Override
  public List<Target> targets() {
    return List.of(Target.cuda());
  }

  @Override
  public Executable load(Program program, Options options) {
    Path nvcc = CudaBuild.nvcc(compiler).orElseThrow(() -> Faults.toolchain(noCompiler()));
    Machine machine = machine();
    List<byte[]> images =
        CudaBuild.images(
            nvcc, machine.device().architecture(), program.kernels(), BuildCache.of(options));
    StringBuilder description =
        new StringBuilder("CUDA kernels on " + machine.device() + ", " + machine.driver().library())
            .append('\n');
    program
        .facts()
        .forEach((key, value) -> description.append(key).append(": ").append(value).append('\n'));
    return new CudaExecutable(
        program,
        CudaContext.of(machine.driver(), machine.device()),
        images,
        description.toString());
  }
}
