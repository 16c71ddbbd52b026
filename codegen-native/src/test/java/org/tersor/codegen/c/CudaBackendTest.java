package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.passes.eval.LoopInterpreterBackend;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * The driver backend, on a GPU where there is one, and everywhere on a driver made for tests that
 * reports misuse.
 */
class CudaBackendTest {
  private static final Backend.Options OPTIONS = new Backend.Options(1, Map.of("cache", "off"));

  @TempDir static Path folder;

  private static Optional<FakeCuda> fake = Optional.empty();

  /** Where kernels run. */
  enum Machine {
    GPU,
    FAKE
  }

  @BeforeAll
  static void makeDriver() {
    if (Toolchain.unavailable().isEmpty()) {
      fake = Optional.of(new FakeCuda(folder));
    }
  }

  @AfterEach
  void nothingFails() {
    fake.ifPresent(f -> f.fail("*", 0, 0));
  }

  private static FakeCuda fake() {
    assumeTrue(fake.isPresent(), () -> Toolchain.unavailable().orElse(""));
    return fake.orElseThrow();
  }

  private static CudaBackend backend(Machine machine) {
    CudaBackend backend =
        switch (machine) {
          case GPU -> new CudaBackend();
          case FAKE -> fake().backend();
        };
    assumeTrue(
        backend.unavailable().isEmpty(), () -> machine + ": " + backend.unavailable().orElse(""));
    return backend;
  }

  static List<Arguments> models() {
    List<Arguments> all = new ArrayList<>();
    for (Machine machine : Machine.values()) {
      for (CudaModels model : CudaModels.values()) {
        all.add(Arguments.of(machine, model));
      }
    }
    return all;
  }

  private static void same(Map<String, Tensor> expected, Map<String, Tensor> actual) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((name, tensor) ->
        assertEquals(
            "",
            Kernels.difference(tensor.array(), Objects.requireNonNull(actual.get(name)).array()),
            name));
  }

  /** The same bits as the definition of the loop IR, and as the emulation. */
  @ParameterizedTest
  @MethodSource("models")
  void modelsGiveTheInterpretersBits(Machine machine, CudaModels model) {
    CudaBackend backend = backend(machine);
    Program program = model.program(Target.cuda());
    Executable executable = backend.load(program, OPTIONS);
    Executable interpreter = new LoopInterpreterBackend().load(program, OPTIONS);
    Executable emulated = new CudaEmulatedBackend().load(program, OPTIONS);
    for (int rows : new int[] {1, 5, 66}) {
      Map<String, Tensor> inputs = CudaModels.inputs(program.plan().inputs(), rows);
      Map<String, Tensor> expected = interpreter.run(inputs);
      same(expected, emulated.run(inputs));
      same(expected, executable.run(inputs));
    }
  }

  /** Intrinsics have a body for the device and one for the emulation. */
  @ParameterizedTest
  @EnumSource
  void intrinsicsGiveTheInterpretersBits(Machine machine) {
    CudaBackend backend = backend(machine);
    List<LoopFunction> functions = new ArrayList<>(CudaTest.scalars());
    functions.add(CudaTest.blocks());
    Program program = Programs.of(functions, 320, Target.cuda());
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    Random random = new Random(11);
    for (Executable.Port port : program.plan().inputs()) {
      inputs.put(port.name(), Kernels.values(Scalar.of(port.dtype()), 320, random));
    }
    same(
        new LoopInterpreterBackend().load(program, OPTIONS).run(inputs),
        backend.load(program, OPTIONS).run(inputs));
  }

  @ParameterizedTest
  @EnumSource
  void runsAtAnySizeInAnyThread(Machine machine) {
    Executable executable = backend(machine).load(Programs.program("m", Target.cuda()), OPTIONS);
    for (int n : new int[] {1, 5, 1000, 0, 3}) {
      assertArrayEquals(Programs.expected(n), run(executable, n));
    }
    IntStream.range(0, 64)
        .parallel()
        .forEach(i -> assertArrayEquals(Programs.expected(i % 7), run(executable, i % 7)));
    Tensor y = Tensor.of(new float[2 * Programs.K], 2, Programs.K);
    Map<String, Tensor> inputs = Map.of("x\"*/ evil", Programs.input(2));
    assertEquals(y, executable.run(inputs, Map.of("y", y)).get("y"));
    assertArrayEquals(Programs.expected(2), y.floats());
  }

  private static float[] run(Executable executable, int n) {
    Map<String, Tensor> inputs = Map.of("x\"*/ evil", Programs.input(n));
    return Objects.requireNonNull(executable.run(inputs).get("y")).floats();
  }

  /** Each call of the driver fails in turn; nothing leaks, and the next load works. */
  @Test
  void everyFailureOfTheDriverIsADiagnostic() throws InterruptedException {
    FakeCuda driver = fake();
    Program program = Programs.program("m", Target.cuda());
    List<byte[]> images = driver.images(program);
    long before = driver.calls();
    assertArrayEquals(Programs.expected(3), run(driver.load(program, images), 3));
    long calls = driver.calls() - before;
    int failed = 0;
    for (int n = 1; n <= calls; n++) {
      // What the collector frees of earlier loads would take the failure that this one is to meet.
      nothingIsLeft(driver);
      driver.fail("*", n, 2);
      try {
        assertArrayEquals(Programs.expected(3), run(driver.load(program, images), 3));
      } catch (TersorException e) {
        failed++;
        assertTrue(List.of("TSR-0611", "TSR-0612").contains(e.code()), e.code());
        assertTrue(e.getMessage().contains("CUDA_ERROR_OUT_OF_MEMORY (2"), e.getMessage());
      }
      driver.fail("*", 0, 0);
    }
    assertTrue(failed >= calls / 2, failed + " of " + calls);
    assertArrayEquals(Programs.expected(3), run(driver.load(program, images), 3));
    nothingIsLeft(driver);
  }

  /** What is unreachable is freed; nothing is closed by hand. */
  private static void nothingIsLeft(FakeCuda driver) throws InterruptedException {
    for (int i = 0; i < 200 && driver.live() > 0; i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertEquals(0, driver.live(), driver.problem());
  }

  @Test
  void failuresSayWhatAndWhatToDo() {
    FakeCuda driver = fake();
    Program program = Programs.program("m", Target.cuda());
    driver.fail("cuMemAlloc_v2", 1, 2);
    String memory = failure(driver, program);
    assertTrue(memory.contains("cuMemAlloc_v2 gives CUDA_ERROR_OUT_OF_MEMORY (2"), memory);
    assertTrue(memory.contains("use smaller inputs"), memory);
    driver.fail("cuLaunchKernel", 2, 999);
    String launch = failure(driver, program);
    assertTrue(launch.contains("run kernel scale of scale with 3 blocks of 1 threads"), launch);
    driver.fail("cuStreamSynchronize", 3, 700);
    String kernel = failure(driver, program);
    assertTrue(kernel.contains("CUDA_ERROR_ILLEGAL_ADDRESS (700"), kernel);
    assertTrue(kernel.contains("please report it"), kernel);
  }

  private static String failure(FakeCuda driver, Program program) {
    TersorException e =
        assertThrows(TersorException.class, () -> run(driver.backend().load(program, OPTIONS), 3));
    assertEquals("TSR-0612", e.code());
    return e.getMessage();
  }

  /** Idle memory of other sizes is given back when a call has none. */
  @Test
  void idleMemoryIsReusedWhenMemoryIsShort() {
    FakeCuda driver = fake();
    Executable executable = driver.backend().load(Programs.program("m", Target.cuda()), OPTIONS);
    // Each call has memory of its own, and leaves it for later calls of this size.
    driver.gather(3);
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      threads.add(Thread.ofPlatform().start(() -> run(executable, 500)));
    }
    for (Thread thread : threads) {
      join(thread);
    }
    int idle = driver.live();
    driver.fail("cuMemAlloc_v2", 1, 2);
    assertArrayEquals(Programs.expected(7), run(executable, 7));
    assertTrue(driver.live() < idle, driver.live() + " of " + idle);
    assertArrayEquals(Programs.expected(7), run(executable, 7));
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void unavailableSaysWhy() {
    CudaBackend none = new CudaBackend("/nowhere/libcuda.so.1", 0, Optional.of("/bin/sh"));
    assertTrue(none.unavailable().orElseThrow().contains("/nowhere/libcuda.so.1 cannot be loaded"));
    assertEquals(Optional.empty(), none.hardware());
    FakeCuda driver = fake();
    String library = driver.library().toString();
    CudaBackend compiler = new CudaBackend(library, 0, Optional.of("/nowhere/nvcc"));
    assertTrue(compiler.unavailable().orElseThrow().contains("'/nowhere/nvcc' is not a program"));
    assertEquals(
        "TSR-0601",
        assertThrows(
                TersorException.class,
                () -> compiler.load(Programs.program("m", Target.cuda()), OPTIONS))
            .code());
    CudaBackend second = new CudaBackend(library, 1, Optional.of("/bin/sh"));
    assertTrue(second.unavailable().orElseThrow().contains("there is no GPU 1, only 1"));
    driver.fail("cuInit", 1, 100);
    assertTrue(driver.backend().unavailable().orElseThrow().contains("CUDA_ERROR_NO_DEVICE"));
    assertEquals(
        Optional.of("Fake GPU, compute capability 9.0, driver for CUDA 13.0"),
        driver.backend().hardware());
  }
}
