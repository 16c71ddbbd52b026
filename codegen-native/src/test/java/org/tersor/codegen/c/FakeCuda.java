package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Executable;

/**
 * A CUDA driver and an nvcc that run kernels on the processor: {@code fake_cuda.c}, built in a
 * folder, and a script that compiles CUDA text as C.
 */
@SuppressWarnings("restricted")
final class FakeCuda {
  private final Path library;
  private final Path nvcc;
  private final SymbolLookup symbols;

  FakeCuda(Path folder) {
    try {
      Files.writeString(
          folder.resolve("fake_cuda.c"), CRuntime.resource("fake_cuda.c"), StandardCharsets.UTF_8);
      List<String> command = new ArrayList<>(Toolchain.cc());
      command.addAll(
          List.of("-O1", "-w", "-shared", "-fPIC", "-o", "libcuda.so.1", "fake_cuda.c", "-ldl"));
      Toolchain.run(folder, command);
      library = folder.resolve("libcuda.so.1").toAbsolutePath();
      nvcc = folder.resolve("nvcc").toAbsolutePath();
      Files.writeString(nvcc, script(), StandardCharsets.UTF_8);
      Files.setPosixFilePermissions(nvcc, PosixFilePermissions.fromString("rwxr-xr-x"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    symbols = SymbolLookup.libraryLookup(library, Arena.global());
  }

  /** Takes the options of nvcc that matter, and compiles for the processor. */
  private static String script() {
    return """
    #!/bin/sh
    [ "$1" = --version ] && { echo fake nvcc; exit 0; }
    out=; source=
    while [ $# -gt 0 ]; do
      case $1 in
        -o) out=$2; shift ;;
        *.cu) source=$1 ;;
      esac
      shift
    done
    exec COMPILER -x c -DTSR_GRID -shared -nostdlib -o "$out" "$source"
    """
        .replace(
            "COMPILER", String.join(" ", Toolchain.cc()) + " " + String.join(" ", Toolchain.FLAGS));
  }

  Path library() {
    return library;
  }

  CudaBackend backend() {
    return new CudaBackend(library.toString(), 0, Optional.of(nvcc.toString()));
  }

  List<byte[]> images(Program program) {
    return CudaBuild.images(nvcc, "sm_90", program.kernels(), BuildCache.NONE);
  }

  /** What the backend does, without compiling. */
  Executable load(Program program, List<byte[]> images) {
    CudaDriver driver = CudaDriver.load(library.toString());
    CudaContext context = CudaContext.of(driver, CudaDevice.of(driver, 0));
    return new CudaExecutable(program, context, images, "");
  }

  private MethodHandle function(String name, FunctionDescriptor type) {
    return Linker.nativeLinker().downcallHandle(symbols.find(name).orElseThrow(), type);
  }

  /** The nth call from now of a function (or of any, {@code *}) gives an error; 0: none does. */
  void fail(String function, long nth, int code) {
    try (Arena arena = Arena.ofConfined()) {
      int _ =
          (int)
              function("fake_fail", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT))
                  .invokeExact(arena.allocateFrom(function), nth, code);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** No kernel launch goes on before so many have begun, each in a thread of its own. */
  void gather(int launches) {
    try {
      int _ =
          (int)
              function("fake_gather", FunctionDescriptor.of(JAVA_INT, JAVA_INT))
                  .invokeExact(launches);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Allocations, modules, streams and uses of the context that were not given back. */
  int live() {
    try {
      return (int) function("fake_live", FunctionDescriptor.of(JAVA_INT)).invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Calls of the driver so far. */
  long calls() {
    try {
      return (long) function("fake_calls", FunctionDescriptor.of(JAVA_LONG)).invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** The last misuse that the driver saw. */
  String problem() {
    try {
      MemorySegment text =
          (MemorySegment) function("fake_problem", FunctionDescriptor.of(ADDRESS)).invokeExact();
      return text.reinterpret(512).getString(0);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
