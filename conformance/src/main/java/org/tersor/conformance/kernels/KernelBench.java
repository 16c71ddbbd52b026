package org.tersor.conformance.kernels;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Array;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Times generated kernels against the same kernels written by hand, in turns, after a long warm-up
 * of both (half a second misleads by factors on a JVM).
 */
// Calling hand-written C is what this class is for.
@SuppressWarnings("restricted")
public final class KernelBench {
  private static final int ROUNDS = 9;
  private static final double ROUND_SECONDS = .05;

  /** Off-heap arrays have room for a vector beyond their end. */
  private static final long SLACK = 64;

  private static final long ARRAY_HEADER = 16;

  /**
   * Medians over the rounds.
   *
   * @param ratio time by hand by generated time: above 1 the generated kernel is faster
   */
  public record Result(
      String kernel, String backend, double generatedMicros, double handMicros, double ratio) {}

  private final Compiler compiler;
  private final double warmupSeconds;

  /**
   * @param warmupSeconds of each variant
   */
  public KernelBench(Compiler compiler, double warmupSeconds) {
    this.compiler = compiler;
    this.warmupSeconds = warmupSeconds;
  }

  /** Measures all kernels that there is hand-written code for. */
  public List<Result> run(String backend) throws IOException {
    return switch (backend) {
      case "jvm" -> jvm();
      case "native" -> c();
      default ->
          throw new TersorException(
              "TSR-0906", "there are no hand-written kernels for backend '" + backend + "'");
    };
  }

  private List<Result> jvm() {
    List<Result> results = new ArrayList<>();
    for (KernelCase row : KernelCases.all(KernelCases.vectorPanel())) {
      if (row.jvm().isPresent()) {
        KernelCase.Hand hand = row.jvm().get();
        Object result = new float[row.expected().length];
        results.add(
            measure(row, "jvm", () -> hand.run(row.operands(), result, row.sizes()), result));
      }
    }
    return results;
  }

  private List<Result> c() throws IOException {
    String target = nativeTarget().name();
    List<Result> results = new ArrayList<>();
    try (Arena arena = Arena.ofShared()) {
      SymbolLookup library = library(target, arena);
      for (KernelCase row : KernelCases.all(panel(target))) {
        MethodHandle handle =
            Linker.nativeLinker()
                .downcallHandle(
                    library.find(row.function()).orElseThrow(),
                    FunctionDescriptor.ofVoid(ADDRESS, ADDRESS, ADDRESS));
        MemorySegment operands = arena.allocate(ADDRESS, row.operands().size());
        for (int i = 0; i < row.operands().size(); i++) {
          MemorySegment heap = heap(row.operands().get(i));
          MemorySegment copy = asInJava(arena, heap.byteSize());
          copy.asSlice(0, heap.byteSize()).copyFrom(heap);
          operands.setAtIndex(ADDRESS, i, copy);
        }
        Object result = row.newResult();
        MemorySegment out = asInJava(arena, heap(result).byteSize());
        MemorySegment sizes = arena.allocateFrom(JAVA_INT, row.sizes());
        Runnable hand =
            () -> {
              try {
                handle.invokeExact(operands, out, sizes);
              } catch (Throwable e) {
                throw new IllegalStateException(e);
              }
            };
        hand.run();
        heap(result).copyFrom(out.asSlice(0, heap(result).byteSize()));
        results.add(measure(row, "native", hand, result));
      }
    }
    return results;
  }

  /** Aligned like the elements of a Java array, which the generated code works on. */
  private static MemorySegment asInJava(Arena arena, long bytes) {
    return arena.allocate(ARRAY_HEADER + bytes + SLACK, 64).asSlice(ARRAY_HEADER);
  }

  private Target nativeTarget() {
    if (compiler.registry().backend("native") instanceof Backend.OfProgram backend) {
      backend
          .unavailable()
          .ifPresent(why -> {
            throw new TersorException("TSR-0602", why);
          });
      return Compiler.target(backend, CompileOptions.defaults());
    }
    throw new IllegalStateException("native");
  }

  private static int panel(String target) {
    return target.startsWith("avx512") ? 64 : 32;
  }

  private static SymbolLookup library(String target, Arena arena) throws IOException {
    List<String> flags =
        switch (target) {
          case "avx512vnni" ->
              List.of("-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mavx512vnni");
          case "avx512" -> List.of("-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq");
          case "avx2" -> List.of("-mavx2");
          default -> List.of();
        };
    Path folder = Files.createTempDirectory("tersor-kernels");
    Path source = folder.resolve("reference.c");
    Path library = folder.resolve("reference.so");
    try (InputStream text = KernelBench.class.getResourceAsStream("reference.c")) {
      Files.copy(Objects.requireNonNull(text), source);
      List<String> command = new ArrayList<>(List.of("cc", "-O3", "-shared", "-fPIC"));
      command.addAll(flags);
      if (!flags.isEmpty()) {
        command.addAll(List.of("-mfma", "-mprefer-vector-width=512"));
      }
      command.addAll(List.of("-o", library.toString(), source.toString(), "-lm"));
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String log = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (!Files.exists(library)) {
        throw new TersorException("TSR-0602", "cc refused the hand-written kernels: " + log);
      }
      return SymbolLookup.libraryLookup(library, arena);
    } finally {
      Files.deleteIfExists(source);
      Files.deleteIfExists(library);
      Files.deleteIfExists(folder);
    }
  }

  private static MemorySegment heap(Object array) {
    return switch (array) {
      case float[] a -> MemorySegment.ofArray(a);
      case int[] a -> MemorySegment.ofArray(a);
      case byte[] a -> MemorySegment.ofArray(a);
      case short[] a -> MemorySegment.ofArray(a);
      default -> throw new IllegalArgumentException(array.getClass().getName());
    };
  }

  private Result measure(KernelCase row, String backend, Runnable hand, Object handResult) {
    Executable executable = compiler.executable(row.graph(), backend, CompileOptions.defaults());
    Map<String, Tensor> outputs = executable.run(row.inputs());
    Runnable generated = () -> executable.run(row.inputs(), outputs);
    long[] each = {warmUp(generated), warmUp(hand)};
    check(row, "generated for " + backend, outputs.values().iterator().next().array());
    check(row, "by hand for " + backend, handResult);
    double[] own = new double[ROUNDS];
    double[] other = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      own[round] = time(generated, each[0]);
      other[round] = time(hand, each[1]);
    }
    Arrays.sort(own);
    Arrays.sort(other);
    double a = own[ROUNDS / 2];
    double b = other[ROUNDS / 2];
    return new Result(row.name(), backend, a, b, b / a);
  }

  private long warmUp(Runnable body) {
    long end = System.nanoTime() + (long) (warmupSeconds * 1e9);
    long best = Long.MAX_VALUE;
    while (System.nanoTime() < end) {
      long start = System.nanoTime();
      body.run();
      best = Math.min(best, System.nanoTime() - start);
    }
    return Math.max(1, best);
  }

  /** Microseconds of one run: the median of a round. */
  private static double time(Runnable body, long nanosEach) {
    int runs = (int) Math.max(3, Math.min(100_000, ROUND_SECONDS * 1e9 / nanosEach));
    long[] times = new long[runs];
    for (int i = 0; i < runs; i++) {
      long start = System.nanoTime();
      body.run();
      times[i] = System.nanoTime() - start;
    }
    Arrays.sort(times);
    return times[runs / 2] / 1e3;
  }

  private static void check(KernelCase row, String what, Object result) {
    difference(row, result)
        .ifPresent(text -> {
          throw new TersorException("TSR-0907", row.name() + " " + what + ": " + text);
        });
  }

  /** What is wrong with values of a row; empty if nothing. */
  public static Optional<String> difference(KernelCase row, Object result) {
    double largest = Arrays.stream(row.expected()).map(Math::abs).max().orElse(0);
    for (int i = 0; i < row.expected().length; i++) {
      double actual =
          result instanceof byte[] codes
              ? codes[i] & 255
              : ((Number) Array.get(result, i)).doubleValue();
      if (!(Math.abs(actual - row.expected()[i]) <= row.tolerance() * largest)) {
        return Optional.of(
            "value " + i + " is " + actual + ", plain loops give " + row.expected()[i]);
      }
    }
    return Optional.empty();
  }
}
