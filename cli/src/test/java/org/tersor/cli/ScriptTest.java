package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.schedule.Target;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Script;
import org.tersor.runtime.ScriptCodec;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Models that are segments of kernels with control flow and sizes from data between them. */
class ScriptTest {
  private static final Map<String, Integer> OPSET = Map.of("", 17);
  private static final Compiler COMPILER = Compiler.standard();

  @TempDir static Path folder;

  /**
   * A loop that adds to its state while it is below a limit, stacking what it adds; the positions
   * of the stack that are not zero; an If that captures the state.
   */
  private static Graph graph() {
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"))));
    Value trips = b.input("trips", TensorType.of(DType.I64));
    GraphBuilder body = new GraphBuilder(OPSET, 100);
    Value iteration = body.input("i", TensorType.of(DType.I64));
    body.input("c", TensorType.of(DType.BOOL));
    Value state = body.input("s", TensorType.of(DType.F32, List.of(DimExpr.symbol("S"))));
    Value step = body.add("Cast", Map.of("to", new Attribute.IntAttr(1)), iteration);
    Value next = body.add("Add", state, body.add("Mul", x, step));
    Value largest = body.add("ReduceMax", Map.of("keepdims", new Attribute.IntAttr(0)), next);
    body.output(body.add("Less", largest, body.scalar(50)));
    body.output(next);
    body.output(step);
    Value carried = b.value("carried", TensorType.unranked(DType.F32));
    Value stack = b.value("stack", TensorType.unranked(DType.F32));
    b.addNode(
        "",
        "Loop",
        Map.of("body", new Attribute.GraphAttr(body.build("body", Map.of()))),
        List.of(trips, Value.NONE, x),
        List.of(carried, stack));
    Value found = b.value("found", TensorType.unranked(DType.I64));
    b.addNode("", "NonZero", Map.of(), List.of(stack), List.of(found));
    GraphBuilder then = new GraphBuilder(OPSET, 200);
    then.output(then.add("Concat", Map.of("axis", new Attribute.IntAttr(0)), carried, carried));
    GraphBuilder otherwise = new GraphBuilder(OPSET, 300);
    otherwise.output(otherwise.add("Neg", carried));
    Value sum = b.add("ReduceSum", Map.of("keepdims", new Attribute.IntAttr(0)), carried);
    Value chosen = b.value("chosen", TensorType.unranked(DType.F32));
    b.addNode(
        "",
        "If",
        Map.of(
            "then_branch", new Attribute.GraphAttr(then.build("then", Map.of())),
            "else_branch", new Attribute.GraphAttr(otherwise.build("else", Map.of()))),
        List.of(b.add("Less", sum, b.scalar(10))),
        List.of(chosen));
    b.output(found);
    b.output(chosen);
    return b.build("control", Map.of());
  }

  private static void check(Executable model) {
    Map<String, Tensor> few =
        model.run(Map.of("x", Tensor.of(new float[] {1, 2}, 2), "trips", scalar(2)));
    assertArrayEquals(new long[] {1}, get(few, "found").longs());
    assertArrayEquals(new float[] {2, 4, 2, 4}, get(few, "chosen").floats());
    // Stops after the fifth step, when 7 * (1 + 0 + 1 + 2 + 3 + 4) is over the limit.
    Map<String, Tensor> many =
        model.run(Map.of("x", Tensor.of(new float[] {7, 1, 0}, 3), "trips", scalar(1000)));
    assertArrayEquals(new long[] {1, 2, 3, 4}, get(many, "found").longs());
    assertArrayEquals(new float[] {-77, -11, -0f}, get(many, "chosen").floats());
    Map<String, Tensor> none =
        model.run(Map.of("x", Tensor.of(new float[] {1}, 1), "trips", scalar(0)));
    assertEquals(0, get(none, "found").size());
    assertArrayEquals(new float[] {1, 1}, get(none, "chosen").floats());
  }

  private static Tensor get(Map<String, Tensor> results, String name) {
    return Objects.requireNonNull(results.get(name), name);
  }

  private static Tensor scalar(long value) {
    return Tensor.of(new long[] {value});
  }

  @ParameterizedTest
  @ValueSource(strings = {"interpreter", "loop-interpreter", "jvm", "native"})
  void everyBackendRunsIt(String backend) {
    Backends.assume(COMPILER, backend);
    check(COMPILER.executable(graph(), backend, CompileOptions.defaults()));
  }

  @Test
  void aJarRunsIt() throws IOException {
    Path jar = folder.resolve("control.jar");
    COMPILER.artifact(graph(), "jvm", List.of(), jar, CompileOptions.defaults());
    check(JarArtifact.open(jar, 1));
  }

  /** A loop that swaps two values and stops by its own condition, in a branch of an If. */
  private static Graph swapping() {
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"))));
    Value y = b.input("y", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"))));
    Value trips = b.input("trips", TensorType.of(DType.I64));
    GraphBuilder body = new GraphBuilder(OPSET, 100);
    body.input("i", TensorType.of(DType.I64));
    body.input("c", TensorType.of(DType.BOOL));
    Value first = body.input("a", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"))));
    Value second = body.input("b", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"))));
    Value largest = body.add("ReduceMax", Map.of("keepdims", new Attribute.IntAttr(0)), first);
    body.output(body.add("Less", largest, body.scalar(50)));
    body.output(second);
    body.output(body.add("Add", first, body.scalar(10)));
    GraphBuilder then = new GraphBuilder(OPSET, 50);
    Value a = then.value("a1", TensorType.unranked(DType.F32));
    Value c = then.value("b1", TensorType.unranked(DType.F32));
    then.addNode(
        "",
        "Loop",
        Map.of("body", new Attribute.GraphAttr(body.build("body", Map.of()))),
        List.of(trips, Value.NONE, x, y),
        List.of(a, c));
    then.output(a);
    then.output(c);
    GraphBuilder otherwise = new GraphBuilder(OPSET, 300);
    otherwise.output(otherwise.add("Neg", x));
    otherwise.output(otherwise.add("Identity", x));
    Value p = b.value("p", TensorType.unranked(DType.F32));
    Value q = b.value("q", TensorType.unranked(DType.F32));
    b.addNode(
        "",
        "If",
        Map.of(
            "then_branch", new Attribute.GraphAttr(then.build("then", Map.of())),
            "else_branch", new Attribute.GraphAttr(otherwise.build("else", Map.of()))),
        List.of(b.add("Less", trips, b.constant(Tensor.of(new long[] {100})))),
        List.of(p, q));
    b.output(p);
    b.output(q);
    return ModelMetadata.withStates(
        b.build("swap", Map.of()), List.of(new Executable.State("q", "x")));
  }

  private static Map<String, Tensor> swap(float x, float y, long trips) {
    return Map.of(
        "x",
        Tensor.of(new float[] {x, x}, 2),
        "y",
        Tensor.of(new float[] {y, y}, 2),
        "trips",
        scalar(trips));
  }

  private static void checkSwaps(Executable model) {
    assertEquals(List.of(new Executable.State("q", "x")), model.states());
    for (int trips = 0; trips < 4; trips++) {
      float[] want = {1, 2};
      for (int i = 0; i < trips; i++) {
        want = new float[] {want[1], want[0] + 10};
      }
      Map<String, Tensor> results = model.run(swap(1, 2, trips));
      assertArrayEquals(new float[] {want[0], want[0]}, get(results, "p").floats());
      assertArrayEquals(new float[] {want[1], want[1]}, get(results, "q").floats());
    }
    // Ends after the trip that sees 60.
    assertArrayEquals(new float[] {2, 2}, get(model.run(swap(60, 2, 99)), "p").floats());
    Map<String, Tensor> other = model.run(swap(5, 2, 100));
    assertArrayEquals(new float[] {-5, -5}, get(other, "p").floats());
    assertArrayEquals(new float[] {5, 5}, get(other, "q").floats());
  }

  @ParameterizedTest
  @ValueSource(strings = {"interpreter", "jvm"})
  void loopsSwapWhatTheyCarry(String backend) {
    checkSwaps(COMPILER.executable(swapping(), backend, CompileOptions.defaults()));
  }

  @Test
  void aLibraryRunsWhatHasSizesBeforeTheCall() throws IOException {
    Backends.assume(COMPILER, "native");
    Path library = folder.resolve("swap.so");
    COMPILER.artifact(swapping(), "native", List.of("scalar"), library, CompileOptions.defaults());
    checkSwaps(new SoArtifact(library));
  }

  @Test
  void aLibraryRefusesSizesFromData() {
    assertEquals("TSR-0508", refusedAsLibrary(graph()).code());
  }

  @Test
  void aLibraryNamesTheOperatorOfTheHost() {
    GraphBuilder b = new GraphBuilder(Map.of("", 20), 0);
    Value x = b.input("x", TensorType.of(DType.STRING, List.of(DimExpr.of(2))));
    b.output(b.add("StringConcat", x, x));
    TersorException e = refusedAsLibrary(b.build("texts", Map.of()));
    assertEquals("TSR-0508", e.code());
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains("StringConcat"), message);
    assertTrue(message.contains("runs on the host"), message);
  }

  private TersorException refusedAsLibrary(Graph graph) {
    Backends.assume(COMPILER, "native");
    return assertThrows(
        TersorException.class,
        () ->
            COMPILER.artifact(
                graph,
                "native",
                List.of("scalar"),
                folder.resolve("refused.so"),
                CompileOptions.defaults()));
  }

  @Test
  void aScriptIsWrittenAndRead() {
    Graph prepared = COMPILER.prepare(graph(), CompileOptions.defaults());
    Script script =
        COMPILER.model(prepared, Target.jvm(0), CompileOptions.defaults()).script().orElseThrow();
    assertEquals(script, ScriptCodec.read(ScriptCodec.write(script)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void aShapeFromDataMustFit(String backend) {
    Backends.assume(COMPILER, backend);
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", TensorType.of(DType.F32, 6));
    Value shape = b.input("shape", TensorType.of(DType.I64, 2));
    b.output(b.add("Neg", b.add("Reshape", x, shape)));
    Executable model =
        COMPILER.executable(b.build("reshape", Map.of()), backend, CompileOptions.defaults());
    Tensor data = Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 6);
    Tensor fits =
        model
            .run(Map.of("x", data, "shape", Tensor.of(new long[] {-1, 2}, 2)))
            .values()
            .iterator()
            .next();
    assertArrayEquals(new long[] {3, 2}, fits.shape());
    TersorException e =
        assertThrows(
            TersorException.class,
            () -> model.run(Map.of("x", data, "shape", Tensor.of(new long[] {1000, 1000}, 2))));
    assertEquals("TSR-0703", e.code());
  }
}
