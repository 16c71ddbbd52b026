package org.tersor.runtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.Test;

@NullUnmarked
class PlanExecutableTest {
  private static final DimExpr N = DimExpr.symbol("N");

  /** out = in * w per row of 4; one task per row. */
  private static final KernelCode SCALE =
      (arrays, offsets, dims, from, to) -> {
        float[] in = (float[]) arrays[0];
        float[] w = (float[]) arrays[1];
        float[] out = (float[]) arrays[2];
        for (int i = 4 * from; i < 4 * to; i++) {
          out[offsets[2] + i] = in[offsets[0] + i] * w[offsets[1] + i % 4];
        }
      };

  private static final KernelCode ADD_ONE =
      (arrays, offsets, dims, from, to) -> {
        float[] in = (float[]) arrays[0];
        float[] out = (float[]) arrays[1];
        for (int i = 0; i < dims[0]; i++) {
          out[offsets[1] + i] = in[offsets[0] + i] + 1;
        }
      };

  private static Executable.Port port(String name, DimExpr... shape) {
    return new Executable.Port(name, DType.F32, List.of(shape));
  }

  private static Plan.Buffer buffer(
      String name, DimExpr elements, Plan.Storage storage, int index) {
    return new Plan.Buffer(name, DType.F32, elements, storage, index);
  }

  /** packed = w + 1 at load; y = (x * packed) + 1. */
  private static Plan plan() {
    DimExpr four = DimExpr.of(4);
    DimExpr size = N.times(4);
    return new Plan(
        "test",
        List.of("N"),
        List.of(port("x", N, four)),
        List.of(port("y", N, four), port("x", N, four)),
        List.of(
            buffer("x", size, Plan.Storage.INPUT, 0),
            buffer("w", four, Plan.Storage.CONSTANT, 0),
            buffer("packed", four, Plan.Storage.PACKED, 0),
            buffer("unused", DimExpr.of(5), Plan.Storage.ARENA, 0),
            buffer("t", size, Plan.Storage.ARENA, 1),
            buffer("y", size, Plan.Storage.OUTPUT, 0)),
        List.of("scale", "add one"),
        List.of(new Plan.Call(1, List.of(1, 2), List.of(four), DimExpr.of(1), "pack\tw\\")),
        List.of(
            new Plan.Call(0, List.of(0, 2, 3), List.of(), DimExpr.of(1), "a"),
            new Plan.Call(0, List.of(0, 2, 4), List.of(), N, "b"),
            new Plan.Call(1, List.of(4, 5), List.of(size), DimExpr.of(1), "c")));
  }

  private static PlanExecutable executable(int threads) {
    Tensor w = Tensor.of(new float[] {1, 2, 3, 4}, 4);
    return new PlanExecutable(
        plan(), List.of(SCALE, ADD_ONE), List.of(w), threads, Map.of("backend", "test"));
  }

  private static Tensor input(int rows) {
    float[] values = new float[4 * rows];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % 97;
    }
    return Tensor.of(values, rows, 4);
  }

  private static float[] expected(int rows) {
    float[] values = input(rows).floats().clone();
    for (int i = 0; i < values.length; i++) {
      values[i] = values[i] * (i % 4 + 2) + 1;
    }
    return values;
  }

  @Test
  void runsWithEveryNumberOfThreadsAndShapes() {
    for (int threads = 1; threads <= 4; threads++) {
      PlanExecutable executable = executable(threads);
      for (int rows : new int[] {2, 1000, 2, 333, 5000}) {
        Tensor x = input(rows);
        Map<String, Tensor> results = executable.run(Map.of("x", x));
        assertEquals(List.of("y", "x"), List.copyOf(results.keySet()));
        assertArrayEquals(expected(rows), results.get("y").floats());
        assertEquals(x, results.get("x"));
        assertNotSame(x.array(), results.get("x").array(), "an input passed through is copied");
      }
    }
  }

  @Test
  void callsAtTheSameTimeAreIndependent() throws Exception {
    PlanExecutable executable = executable(3);
    try (ExecutorService callers = Executors.newFixedThreadPool(4)) {
      List<Callable<Boolean>> calls = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        int rows = 2 + i * 7 % 50;
        calls.add(() ->
            Arrays.equals(
                expected(rows), executable.run(Map.of("x", input(rows))).get("y").floats()));
      }
      for (Future<Boolean> result : callers.invokeAll(calls)) {
        assertTrue(result.get());
      }
    }
  }

  @Test
  void callersArraysAreWrittenDirectly() {
    PlanExecutable executable = executable(1);
    Tensor y = Tensor.zeros(DType.F32, 3, 4);
    assertSame(y, executable.run(Map.of("x", input(3)), Map.of("y", y)).get("y"));
    assertArrayEquals(expected(3), y.floats());
    // The array of an input as an output: read first, written at the end.
    Tensor x = input(3);
    executable.run(Map.of("x", x), Map.of("y", x));
    assertArrayEquals(expected(3), x.floats());
  }

  private static String fault(
      String code, Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
    TersorException e =
        assertThrows(TersorException.class, () -> executable(1).run(inputs, outputs));
    assertEquals(code, e.code());
    return e.getMessage();
  }

  @Test
  void wrongArgumentsAreNamed() {
    assertTrue(fault("TSR-0701", Map.of(), Map.of()).contains("'x'"));
    assertTrue(fault("TSR-0701", Map.of("x", input(2), "z", input(2)), Map.of()).contains("'z'"));
    assertTrue(
        fault("TSR-0702", Map.of("x", Tensor.of(new int[8], 2, 4)), Map.of()).contains("i32"));
    assertTrue(
        fault("TSR-0703", Map.of("x", Tensor.of(new float[8], 8)), Map.of()).contains("[8]"));
    assertTrue(
        fault("TSR-0703", Map.of("x", Tensor.of(new float[10], 2, 5)), Map.of())
            .contains("[2, 5]"));
    assertTrue(fault("TSR-0703", Map.of("x", input(2)), Map.of("y", input(3))).contains("[3, 4]"));
    assertTrue(fault("TSR-0704", Map.of("x", input(2)), Map.of("q", input(2))).contains("'q'"));
  }

  @Test
  void symbolsMustAgree() {
    Plan plan =
        new Plan(
            "two",
            List.of("N"),
            List.of(port("a", N), port("b", N.plus(DimExpr.of(1)))),
            List.of(port("a", N)),
            List.of(buffer("a", N, Plan.Storage.INPUT, 0)),
            List.of(),
            List.of(),
            List.of());
    PlanExecutable executable = new PlanExecutable(plan, List.of(), List.of(), 1, Map.of());
    Tensor three = Tensor.of(new float[3], 3);
    Tensor four = Tensor.of(new float[4], 4);
    assertEquals(three, executable.run(Map.of("a", three, "b", four)).get("a"));
    TersorException e =
        assertThrows(TersorException.class, () -> executable.run(Map.of("a", three, "b", three)));
    assertEquals("TSR-0703", e.code());
    assertTrue(e.getMessage().contains("N = 3 from input 'a'"), e.getMessage());
  }

  @Test
  void hugeSizesAreRefusedBeforeAllocation() {
    DimExpr cube = N.times(N).times(N);
    Plan plan =
        new Plan(
            "huge",
            List.of("N"),
            List.of(port("a", N)),
            List.of(port("a", N)),
            List.of(
                buffer("a", N, Plan.Storage.INPUT, 0), buffer("t", cube, Plan.Storage.ARENA, 0)),
            List.of("k"),
            List.of(),
            List.of(new Plan.Call(0, List.of(0, 1), List.of(), DimExpr.of(1), "cube")));
    PlanExecutable executable = new PlanExecutable(plan, List.of(ADD_ONE), List.of(), 1, Map.of());
    TersorException e =
        assertThrows(
            TersorException.class,
            () -> executable.run(Map.of("a", Tensor.zeros(DType.F32, 1 << 22))));
    assertEquals("TSR-0705", e.code());
  }

  @Test
  void aFailingKernelIsNamed() {
    KernelCode fails =
        (arrays, offsets, dims, from, to) -> {
          throw new ArrayIndexOutOfBoundsException("planted");
        };
    Tensor w = Tensor.of(new float[4], 4);
    PlanExecutable executable =
        new PlanExecutable(plan(), List.of(fails, ADD_ONE), List.of(w), 2, Map.of());
    for (int i = 0; i < 3; i++) {
      TersorException e =
          assertThrows(TersorException.class, () -> executable.run(Map.of("x", input(100))));
      assertEquals("TSR-0708", e.code());
    }
  }

  @Test
  void describes() {
    PlanExecutable executable = executable(2);
    executable.run(Map.of("x", input(1024)));
    String text = executable.describe();
    assertTrue(text.contains("backend: test\n"), text);
    assertTrue(text.contains("threads: 2\n"), text);
    assertTrue(text.contains("weights: 16 B\n"), text);
    assertTrue(text.contains("held: 16 B, 1.00 times the weights\n"), text);
    assertTrue(text.contains("arena: 16.1 KiB for {N=1024}\n"), text);
  }

  @Test
  void textRoundTrips() {
    String text = PlanCodec.write(plan());
    assertEquals(plan(), PlanCodec.read(text));
    for (String damaged :
        List.of(
            "",
            "x",
            text.replace("ARENA", "AREN"),
            text.replace("4*N", "4*/"),
            text + "zzz\n",
            text.replace("\t4\t0", "\t4"))) {
      assertEquals(
          "TSR-0707", assertThrows(TersorException.class, () -> PlanCodec.read(damaged)).code());
    }
  }

  @Test
  void warmUpRunsTheModelAtTheGivenSizesWithinItsLimit() {
    List<Long> rows = new ArrayList<>();
    Executable recording =
        new Executable() {
          @Override
          public List<Port> inputs() {
            return List.of(port("x", N, DimExpr.of(4)));
          }

          @Override
          public List<Port> outputs() {
            return List.of();
          }

          @Override
          public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
            rows.add(inputs.get("x").shape()[0]);
            return Map.of();
          }
        };
    recording.warmUp(Map.of("N", 3L), Duration.ZERO);
    assertEquals(List.of(), rows);
    recording.warmUp(Map.of("N", 3L), Duration.ofMillis(1));
    assertTrue(rows.size() > 1);
    assertTrue(rows.stream().allMatch(n -> n == 3));
    rows.clear();
    recording.warmUp(Map.of(), Duration.ofMillis(1));
    assertTrue(rows.stream().allMatch(n -> n == 1));
  }
}
