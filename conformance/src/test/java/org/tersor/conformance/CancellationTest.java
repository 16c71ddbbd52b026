package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.LimitedExecutable;
import org.tersor.runtime.RunLimits;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Calls that somebody ends, and limits of calls, on every backend that runs in this process. */
@Timeout(60)
class CancellationTest {
  private static final Compiler COMPILER = Compiler.standard();

  /** y = x + 1 again and again, so often as input n says. */
  private static Graph loop() {
    GraphBuilder body = new GraphBuilder(Map.of("", 21), 100);
    body.input("trip", TensorType.of(DType.I64));
    Value go = body.input("go", TensorType.of(DType.BOOL));
    Value state = body.input("state", TensorType.of(DType.F32, 1));
    Value one = body.constant("one", Constant.of(Tensor.of(new float[] {1}, 1)));
    Value goOn = body.value("goOn", ValueType.UNKNOWN);
    Value next = body.value("next", ValueType.UNKNOWN);
    body.addNode("", "Identity", Map.of(), List.of(go), List.of(goOn));
    body.addNode("", "Add", Map.of(), List.of(state, one), List.of(next));
    body.output(goOn);
    body.output(next);
    body.output(next);
    GraphBuilder b = new GraphBuilder(Map.of("", 21), 0);
    Value n = b.input("n", TensorType.of(DType.I64));
    Value x = b.input("x", TensorType.of(DType.F32, 1));
    Value y = b.value("y", ValueType.UNKNOWN);
    Value all = b.value("all", ValueType.UNKNOWN);
    b.addNode(
        "",
        "Loop",
        Map.of("body", new Attribute.GraphAttr(body.build("body", Map.of()))),
        List.of(n, Value.NONE, x),
        List.of(y, all));
    b.output(y);
    b.output(all);
    return b.build("loop", Map.of());
  }

  private static Executable load(Graph graph, String backend) {
    return LoadedModel.of(COMPILER, graph, backend, CompileOptions.defaults().withThreads(2))
        .executable();
  }

  private static Map<String, Tensor> inputs(long n) {
    return Map.of(
        "n",
        new Tensor(DType.I64, new long[0], new long[] {n}),
        "x",
        Tensor.of(new float[] {0}, 1));
  }

  private static Tensor y(Executable model, Map<String, Tensor> inputs) {
    return Objects.requireNonNull(model.run(inputs).get("y"));
  }

  private static String code(Runnable call) {
    return assertThrows(TersorException.class, call::run).code();
  }

  @ParameterizedTest
  @ValueSource(strings = {"interpreter", "jvm", "native"})
  void anEndlessLoopEndsInEveryWay(String backend) throws InterruptedException {
    Executable model = load(loop(), backend);
    assertEquals(5f, y(model, inputs(5)).floats()[0]);
    RunLimits limits = RunLimits.standard().withTrips(Long.MAX_VALUE);
    long endless = 1L << 62;

    assertEquals(
        "TSR-0713",
        code(() -> new LimitedExecutable(model, limits.withTrips(1000)).run(inputs(endless))));
    assertEquals(
        "TSR-0712",
        code(() ->
            new LimitedExecutable(model, limits.withTime(Duration.ofMillis(50)))
                .run(inputs(endless))));
    assertEquals(
        "TSR-0714",
        code(() -> new LimitedExecutable(model, limits.withBytes(100_000)).run(inputs(endless))));

    Cancellation cancellation = new Cancellation(limits);
    CountDownLatch started = new CountDownLatch(1);
    Thread killer =
        Thread.ofPlatform()
            .start(() -> {
              try {
                started.await();
                Thread.sleep(20);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              cancellation.cancel();
            });
    assertEquals(
        "TSR-0709",
        code(() ->
            cancellation.during(() -> {
              started.countDown();
              return model.run(inputs(endless));
            })));
    killer.join();
    assertTrue(cancellation.isCancelled());

    Thread.currentThread().interrupt();
    assertEquals("TSR-0709", code(() -> model.run(inputs(endless))));
    assertTrue(Thread.interrupted(), "the interrupt stays to be seen by the caller");
    assertEquals(3f, y(model, inputs(3)).floats()[0], "a later call is not affected");
  }

  /** sum over k of a (m, k) * b (k, n), as one kernel of many tiles. */
  private static Graph product() {
    GraphBuilder b = new GraphBuilder(Map.of("", 21), 0);
    DimExpr size = DimExpr.symbol("N");
    Value a = b.input("a", TensorType.of(DType.F32, List.of(size, size)));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("", "MatMul", Map.of(), List.of(a, a), List.of(y));
    b.output(y);
    return b.build("product", Map.of());
  }

  @ParameterizedTest
  @ValueSource(strings = {"interpreter", "jvm", "native"})
  void aCallThatIsCancelledBeforeItBeginsDoesNothing(String backend) {
    Executable model = load(product(), backend);
    Cancellation cancellation = new Cancellation(RunLimits.standard());
    cancellation.cancel();
    Map<String, Tensor> inputs = Map.of("a", Tensor.zeros(DType.F32, 8, 8));
    assertEquals("TSR-0709", code(() -> cancellation.during(() -> model.run(inputs))));
    assertEquals(64, y(model, inputs).size());
  }

  @Test
  void aKernelOfManyTilesEndsInTheMiddle() {
    Executable model = load(product(), "jvm");
    // Seconds of work in one kernel.
    Map<String, Tensor> inputs = Map.of("a", Tensor.zeros(DType.F32, 6000, 6000));
    Executable limited =
        new LimitedExecutable(model, RunLimits.standard().withTime(Duration.ofMillis(200)));
    assertEquals("TSR-0712", code(() -> limited.run(inputs)));
  }

  @Test
  void tensorsAreBounded() {
    Executable model = load(product(), "interpreter");
    Map<String, Tensor> inputs = Map.of("a", Tensor.zeros(DType.F32, 8, 8));
    RunLimits limits = RunLimits.standard();
    Executable narrow = new LimitedExecutable(model, limits.withElements(63));
    assertEquals("TSR-0714", code(() -> narrow.run(inputs)));
    Executable small = new LimitedExecutable(model, limits.withBytes(255));
    assertEquals("TSR-0714", code(() -> small.run(inputs)));
    Executable enough = new LimitedExecutable(model, limits.withElements(64).withBytes(1024));
    assertEquals(64, y(enough, inputs).size());
  }
}
