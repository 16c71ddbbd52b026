package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.LimitedExecutable;
import org.tersor.runtime.RunLimits;
import org.tersor.runtime.Session;
import org.tersor.runtime.StepClock;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** States that calls append to, copied by every call and updated in place. */
class GrowingStatesTest {
  private static final int CAPACITY = 12;
  private static final int[] CALLS = {3, 1, 1, 4, 1, 2};

  @TempDir Path folder = Path.of("");

  private final Compiler compiler = Compiler.standard();

  /** Attention of x [2, sequence, 8] to all x so far by 2 heads; sums over all x so far. */
  private static Graph graph() {
    return graph(DimExpr.of(2));
  }

  private static Graph graph(DimExpr batch) {
    GraphBuilder b = new GraphBuilder(Map.of("", 23), 0);
    DimExpr sequence = DimExpr.symbol("sequence");
    DimExpr past = DimExpr.symbol("past");
    Value x = b.input("x", type(batch, sequence, DimExpr.of(8)));
    Value keys = b.input("keys", type(batch, DimExpr.of(2), past, DimExpr.of(4)));
    Value values = b.input("values", type(batch, DimExpr.of(2), past, DimExpr.of(4)));
    Value seen = b.input("seen", type(batch, past, DimExpr.of(8)));
    Value allKeys = append(b, "allKeys", 2, keys, heads(b, linear(b, x, 1)));
    Value allValues = append(b, "allValues", 2, values, heads(b, linear(b, x, 2)));
    Value allSeen = append(b, "allSeen", 1, seen, x);
    Value attended = b.add("Attention", heads(b, linear(b, x, 3)), allKeys, allValues);
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "",
        "Add",
        Map.of(),
        List.of(
            b.add(
                "Reshape",
                b.add(
                    "Transpose",
                    Map.of("perm", new Attribute.IntsAttr(List.of(0L, 2L, 1L, 3L))),
                    attended),
                b.longs(0, 0, 8)),
            b.add("ReduceSum", allSeen, b.longs(1))),
        List.of(y));
    List.of(allKeys, y, allSeen, allValues).forEach(b::output);
    return ModelMetadata.withStates(
        b.build("growing", Map.of()),
        List.of(
            new Executable.State("allKeys", "keys"),
            new Executable.State("allValues", "values"),
            new Executable.State("allSeen", "seen")));
  }

  private static TensorType type(DimExpr... dims) {
    return TensorType.of(DType.F32, List.of(dims));
  }

  private static Value linear(GraphBuilder b, Value x, int seed) {
    return b.add("MatMul", x, b.constant(random(new Random(seed), 8, 8)));
  }

  private static Value heads(GraphBuilder b, Value x) {
    return b.add(
        "Transpose",
        Map.of("perm", new Attribute.IntsAttr(List.of(0L, 2L, 1L, 3L))),
        b.add("Reshape", x, b.longs(0, 0, 2, 4)));
  }

  private static Value append(GraphBuilder b, String name, long axis, Value before, Value added) {
    Value all = b.value(name, ValueType.UNKNOWN);
    b.addNode(
        name,
        "",
        "Concat",
        Map.of("axis", new Attribute.IntAttr(axis)),
        List.of(before, added),
        List.of(all));
    return all;
  }

  private static Tensor random(Random random, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, (float) random.nextGaussian());
    }
    return tensor;
  }

  private static CompileOptions options(String target, int threads, boolean inPlace) {
    CompileOptions plain = CompileOptions.defaults();
    Map<String, String> settings = new LinkedHashMap<>();
    if (inPlace) {
      settings.put(Compiler.STATE_CAPACITY, Integer.toString(CAPACITY));
    }
    return new CompileOptions(
        Map.of(),
        threads,
        target.isEmpty() ? Optional.empty() : Optional.of(target),
        settings,
        plain.debug(),
        plain.note(),
        plain.schedules());
  }

  /** The results of all calls, and the states after them. */
  private static List<float[]> stream(Executable model) {
    Session session =
        new Session(model, model.states(), Map.of("past", 0L, "sequence", 0L, "batch", 2L));
    List<float[]> results = new ArrayList<>();
    Random random = new Random(7);
    for (int entries : CALLS) {
      Map<String, Tensor> outputs = session.run(Map.of("x", random(random, 2, entries, 8)));
      results.add(Objects.requireNonNull(outputs.get("y")).floats().clone());
    }
    for (String state : List.of("keys", "values", "seen")) {
      Tensor value = Objects.requireNonNull(session.state().get(state));
      assertEquals(CAPACITY, value.shape()[state.equals("seen") ? 1 : 2]);
      results.add(value.floats());
    }
    return results;
  }

  private static void same(List<float[]> expected, List<float[]> actual) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i), "result " + i);
    }
  }

  /** In place, and by copying: the same bits; and the interpreter's numbers. */
  @ParameterizedTest
  @CsvSource({
    "loop-interpreter, '', 1",
    "jvm, '', 1",
    "jvm, jvm-plain, 2",
    "native, '', 1",
    "native, scalar, 2",
    "cuda-emulated, '', 1"
  })
  void theResultsAreThoseOfCopies(String backend, String target, int threads) {
    Backends.assume(compiler, backend);
    List<float[]> copied =
        stream(compiler.executable(graph(), backend, options(target, threads, false)));
    Executable inPlace = compiler.executable(graph(), backend, options(target, threads, true));
    assertEquals(
        List.of("u8[past]"),
        inPlace.inputs().stream()
            .filter(port -> port.name().equals("past"))
            .map(port -> port.dtype().text() + port.shape())
            .toList());
    same(copied, stream(inPlace));
    List<float[]> defined =
        stream(compiler.executable(graph(), "interpreter", options("", 1, true)));
    for (int i = 0; i < defined.size(); i++) {
      assertArrayEquals(defined.get(i), copied.get(i), 1e-4f);
    }
  }

  /** A jar of bytecode works on arrays; machine code keeps the states where it works. */
  @ParameterizedTest
  @CsvSource({"jar, false, false", "jar, true, true", "so, true, true"})
  void artifactsUpdateInPlaceToo(String suffix, boolean machineCode, boolean keeps)
      throws IOException {
    if (machineCode) {
      Backends.assume(compiler, "native");
    }
    Executable copying = artifact(graph(), suffix, machineCode, false);
    Executable model = artifact(graph(), suffix, machineCode, true);
    assertTrue(copying.states().stream().allMatch(state -> state.growth().isEmpty()));
    assertTrue(model.states().stream().allMatch(state -> state.growth().isPresent()));
    assertEquals(keeps, model.stateMemory(model.states(), Map.of()).isPresent());
    List<float[]> copied = stream(copying);
    same(copied, stream(model));
    same(copied, stream(new LimitedExecutable(model, RunLimits.standard())));
  }

  /** Two streams of one artifact, the second from what the first has seen. */
  @ParameterizedTest
  @ValueSource(strings = {"jar", "so"})
  void streamsOfAnArtifactHaveStatesOfTheirOwn(String suffix) throws IOException {
    Backends.assume(compiler, "native");
    Executable model = artifact(graph(), suffix, true, true);
    Session first = new Session(model);
    first.run(Map.of("x", random(new Random(1), 2, 5, 8)));
    Session second = new Session(model);
    second.run(Map.of("x", random(new Random(2), 2, 1, 8)));
    first.state().forEach(second::setState);
    Tensor x = random(new Random(3), 2, 2, 8);
    assertArrayEquals(
        Objects.requireNonNull(first.run(Map.of("x", x)).get("y")).floats(),
        Objects.requireNonNull(second.run(Map.of("x", x)).get("y")).floats());
    TersorException full =
        assertThrows(
            TersorException.class,
            () -> first.run(Map.of("x", random(new Random(4), 2, CAPACITY - 6, 8))));
    assertEquals("TSR-0716", full.code());
  }

  /** Where another dimension decides a state's size, too, the stream says what it is. */
  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native", "jar", "so"})
  void aSymbolBesideTheCapacity(String how) throws IOException {
    Backends.assume(compiler, how.equals("jvm") ? "jvm" : "native");
    boolean isArtifact = how.equals("jar") || how.equals("so");
    Graph graph = graph(DimExpr.symbol("batch"));
    List<List<float[]>> both = new ArrayList<>();
    for (boolean inPlace : new boolean[] {false, true}) {
      Executable model =
          isArtifact
              ? artifact(graph, how, true, inPlace)
              : compiler.executable(graph, how, options("", 1, inPlace));
      both.add(stream(model));
      if (inPlace && !how.equals("jvm")) {
        assertTrue(model.stateMemory(model.states(), Map.of()).isEmpty());
        assertTrue(model.stateMemory(model.states(), Map.of("batch", 2L)).isPresent());
        Session session = new Session(model, model.states(), Map.of("batch", 2L));
        TersorException other =
            assertThrows(
                TersorException.class,
                () -> session.run(Map.of("x", random(new Random(1), 3, 1, 8))));
        assertEquals("TSR-0704", other.code());
      }
    }
    same(both.get(0), both.get(1));
  }

  private Executable artifact(Graph graph, String suffix, boolean machineCode, boolean inPlace)
      throws IOException {
    Path file = folder.resolve("growing-" + machineCode + "-" + inPlace + "." + suffix);
    boolean isLibrary = suffix.equals("so");
    compiler.artifact(
        graph,
        isLibrary ? "native" : "jvm",
        List.of(isLibrary ? "scalar" : "jvm-plain"),
        machineCode && !isLibrary ? Optional.of("native") : Optional.empty(),
        file,
        options("", 1, inPlace));
    return isLibrary ? new SoArtifact(file) : JarArtifact.open(file, 1);
  }

  /** Steps that copy old entries run where the output has memory of its own, and only there. */
  @Test
  void oldEntriesAreNotCopiedInPlace() {
    Executable model = compiler.executable(graph(), "jvm", options("jvm-plain", 1, true));
    for (boolean inPlace : new boolean[] {false, true}) {
      Random random = new Random(3);
      Map<String, Tensor> inputs = new LinkedHashMap<>();
      inputs.put("x", random(random, 2, 1, 8));
      inputs.put("past", Tensor.zeros(DType.U8, 5));
      inputs.put("keys", random(random, 2, 2, CAPACITY, 4));
      inputs.put("values", random(random, 2, 2, CAPACITY, 4));
      inputs.put("seen", random(random, 2, CAPACITY, 8));
      Map<String, Tensor> targets =
          inPlace
              ? Map.of(
                  "allKeys", Objects.requireNonNull(inputs.get("keys")),
                  "allValues", Objects.requireNonNull(inputs.get("values")),
                  "allSeen", Objects.requireNonNull(inputs.get("seen")))
              : Map.of();
      StepClock clock = new StepClock();
      clock.during(() -> model.run(inputs, targets));
      assertEquals(
          inPlace ? 0 : 3,
          clock.steps().stream().filter(s -> s.origin().contains("old entries")).count());
    }
  }

  /** A stream goes on from the state of another, whatever keeps it. */
  @Test
  void aStateMovesBetweenSessions() {
    Backends.assume(compiler, "native");
    Map<String, Long> none = Map.of("past", 0L, "sequence", 0L);
    Executable copying = compiler.executable(graph(), "native", options("scalar", 1, false));
    Executable inPlace = compiler.executable(graph(), "native", options("scalar", 1, true));
    Tensor first = random(new Random(1), 2, 5, 8);
    Tensor second = random(new Random(2), 2, 2, 8);
    Session from = new Session(copying, copying.states(), none);
    from.run(Map.of("x", first));
    Session to = new Session(inPlace, inPlace.states(), none);
    to.run(Map.of("x", second));
    from.state().forEach(to::setState);
    assertArrayEquals(
        Objects.requireNonNull(from.run(Map.of("x", second)).get("y")).floats(),
        Objects.requireNonNull(to.run(Map.of("x", second)).get("y")).floats());
    to.reset();
    assertEquals(0, Objects.requireNonNull(to.state().get("keys")).size(), "entries after a reset");
  }

  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void aFullStateEndsTheCallBeforeItBegins(String backend) {
    Backends.assume(compiler, backend);
    Executable model = compiler.executable(graph(), backend, options("", 1, true));
    Session session = new Session(model, model.states(), Map.of());
    Tensor x = random(new Random(1), 2, CAPACITY, 8);
    Map<String, Tensor> before = session.run(Map.of("x", x));
    assertTrue(before.containsKey("y"));
    TersorException full =
        assertThrows(
            TersorException.class, () -> session.run(Map.of("x", random(new Random(2), 2, 1, 8))));
    assertEquals("TSR-0716", full.code());
    // Without a session, which would have looked:
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    inputs.put("x", x);
    inputs.put("past", Tensor.zeros(DType.U8, 1));
    inputs.put("keys", Tensor.zeros(DType.F32, 2, 2, CAPACITY, 4));
    inputs.put("values", Tensor.zeros(DType.F32, 2, 2, CAPACITY, 4));
    inputs.put("seen", Tensor.zeros(DType.F32, 2, CAPACITY, 8));
    assertEquals("TSR-0703", assertThrows(TersorException.class, () -> model.run(inputs)).code());
  }

  /** What is no appending is refused by name, not compiled to something else. */
  @Test
  void otherStatesHaveNoCapacity() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value past = b.input("before", type(DimExpr.symbol("past"), DimExpr.of(4)));
    Value x = b.input("x", type(DimExpr.ONE, DimExpr.of(4)));
    b.output(append(b, "after", 0, x, past)); // in front
    Graph graph =
        ModelMetadata.withStates(
            b.build("front", Map.of()), List.of(new Executable.State("after", "before")));
    TersorException refused =
        assertThrows(
            TersorException.class,
            () -> compiler.executable(graph, "jvm", options("jvm-plain", 1, true)));
    assertEquals("TSR-0512", refused.code());
    assertTrue(String.valueOf(refused.getMessage()).contains("'before'"), refused::toString);
  }
}
