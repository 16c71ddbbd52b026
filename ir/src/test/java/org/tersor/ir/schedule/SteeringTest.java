package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.dsl.KernFile;
import org.tersor.ir.dsl.KernelParser;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.TersorException;

/** Schedule lines are followed, change no value, and are refused with their position. */
class SteeringTest {
  private static final String GEMM =
      "kernel gemm(A: f32[37,29], B: f32[29,150], bias: f32[150]) -> C: f32[37,150] {"
          + " C[m, n] for m < 37, n < 150 = max(bias[n] + (sum(k < 29) A[m,k] * B[k,n]), 0.0); }\n";

  private static Scheduled schedule(KernFile file, Target target) {
    Kernel kernel = file.kernels().getFirst();
    return Scheduler.schedule(kernel, target, Set.of("B"), file.schedule(kernel), Schedules.RULE);
  }

  private static KernFile file(String line) {
    return KernelParser.parseFile(GEMM + line, Map.of());
  }

  /** Steps of loops, accumulators and so on of the matrix product. */
  private static <T extends Stmt> List<T> statements(Scheduled scheduled, Class<T> kind) {
    List<T> found = new ArrayList<>();
    collect(scheduled.run().getLast().function().body(), kind, found);
    return found;
  }

  private static <T extends Stmt> void collect(Stmt statement, Class<T> kind, List<T> found) {
    if (kind.isInstance(statement)) {
      found.add(kind.cast(statement));
    }
    switch (statement) {
      case Stmt.Block b -> b.body().forEach(s -> collect(s, kind, found));
      case Stmt.For f -> collect(f.body(), kind, found);
      case Stmt.While w -> collect(w.body(), kind, found);
      case Stmt.If i -> {
        collect(i.then(), kind, found);
        i.otherwise().ifPresent(s -> collect(s, kind, found));
      }
      case Stmt.Let _,
          Stmt.Local _,
          Stmt.Assign _,
          Stmt.Store _,
          Stmt.Alloc _,
          Stmt.Prefetch _,
          Stmt.Barrier _,
          Stmt.Tile _ -> {}
    }
  }

  @Test
  void theTileIsTheOneAskedFor() {
    Scheduled scheduled =
        schedule(file("schedule gemm { tile n 32 vec 16; tile m 5; }"), Target.jvm(64));
    // 37 rows in steps of 5, then 2: 5 x 2 and 2 x 2 accumulators.
    assertTrue(statements(scheduled, Stmt.For.class).stream().anyMatch(loop -> loop.step() == 5));
    assertEquals(5 * 2 + 2 * 2, statements(scheduled, Stmt.Local.class).size());
  }

  @Test
  void aFactorIsPackedOnRequest() {
    Target target = Target.jvm(64);
    assertEquals(1, schedule(file(""), target).temporaries().size());
    String line =
        "schedule gemm { tile n 64 vec 16; tile m 5; pack B [n/64][k][n%64]; pack A [m/5][k][m%5]; }";
    assertEquals(2, schedule(file(line), target).temporaries().size());
  }

  @Test
  void tasksDivideTheAxisAskedFor() {
    Target target = Target.jvm(64);
    String tile = "tile n 32 vec 16; tile m 5;";
    long rows =
        schedule(file("schedule gemm { " + tile + " parallel m }"), target)
            .run()
            .getLast()
            .tasks()
            .constValue();
    long columns =
        schedule(file("schedule gemm { " + tile + " parallel n }"), target)
            .run()
            .getLast()
            .tasks()
            .constValue();
    assertEquals(5, columns);
    assertEquals(
        rows * columns,
        schedule(file("schedule gemm { " + tile + " }"), target)
            .run()
            .getLast()
            .tasks()
            .constValue());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "tile n 64 vec 16; tile m 5; pack B [n/64][k][n%64]; pack A [m/5][k][m%5]; order n m; parallel m; init bias",
        "tile n 32 vec 16; tile m 3; order m n; parallel n",
        "tile n 16 vec 8; tile m 3; order m n",
        "tile m 2; init bias",
        "parallel m; parallel n; order n m",
      })
  void valuesStayTheSame(String directives) {
    KernFile file = file("schedule gemm { " + directives + " }");
    Kernel kernel = file.kernels().getFirst();
    for (Target target :
        List.of(
            Target.jvm(64),
            Target.jvm(32),
            Target.jvm(0),
            Target.nativeTarget("avx512"),
            Target.nativeTarget("avx2"),
            Target.cuda())) {
      KernelTestKit.of(kernel, Map.of(), Set.of("B"), new Random(1))
          .with(file.schedule(kernel))
          .check(target, LoopInterpreter::compile);
    }
  }

  @Test
  void anElementwiseKernelFollowsOrderAndParallel() {
    String text =
        "kernel add(x: f32[7,9,40]) -> y: f32[9,7,40] {"
            + " y[j, i, c] for i < 7, j < 9, c < 40 = x[i, j, c] + 1.0; }\n"
            + "schedule add { order j i; parallel j }";
    KernFile file = KernelParser.parseFile(text, Map.of());
    Kernel kernel = file.kernels().getFirst();
    KernelTestKit.of(kernel, Map.of(), Set.of(), new Random(1))
        .with(file.schedule(kernel))
        .check(Target.jvm(64), LoopInterpreter::compile);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "TSR-1003|tile q 64|no axis q",
        "TSR-1003|pack D [n/64][k][n%64]|no input D",
        "TSR-1003|order n q|no axis q",
        "TSR-1003|parallel z|no axis z",
        "TSR-1003|init c|no input c",
        "TSR-1004|tile n 64 vec 16; tile m 8|vector registers",
        "TSR-1004|tile n 40 vec 16|multiple of 16",
        "TSR-1004|tile n 64 vec 16; pack B [k][n]|packed as",
        "TSR-1004|tile k 4|can do this",
        "TSR-1004|init A|can do this",
      })
  void mistakesAreNamedWithTheirPlace(String code, String directives, String message) {
    KernFile file = file("schedule gemm { " + directives + " }");
    TersorException e = assertThrows(TersorException.class, () -> schedule(file, Target.jvm(64)));
    assertEquals(code, e.code());
    assertTrue(
        e.getMessage().contains("line 2 column") && e.getMessage().contains(message),
        e.getMessage());
  }
}
