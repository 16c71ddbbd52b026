package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

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
import org.tersor.runtime.Session;
import org.tersor.runtime.StateMemory;
import org.tersor.runtime.StepClock;
import org.tersor.runtime.Tensor;

/** States of one shape: what a call reads and what it writes take turns, or are one memory. */
class StatesInTurnTest {
  private static final Map<String, Integer> OPSET = Map.of("", 17);
  private static final int WIDTH = 24;
  private static final TensorType ROW =
      TensorType.of(DType.F32, List.of(DimExpr.ONE, DimExpr.of(WIDTH)));

  @TempDir Path folder = Path.of("");

  private final Compiler compiler = Compiler.standard();

  private static Tensor random(int seed, long... shape) {
    Random random = new Random(seed);
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, (float) (0.3 * random.nextGaussian()));
    }
    return tensor;
  }

  private static Value cell(GraphBuilder b, Value x, Value state, int seed) {
    return b.add(
        "Tanh",
        b.add(
            "Add",
            b.add("MatMul", x, b.constant(random(seed, WIDTH, WIDTH))),
            b.add("MatMul", state, b.constant(random(seed + 1, WIDTH, WIDTH)))));
  }

  /** A recurrent cell for each rate, as voice activity models have it, or a loop over cells. */
  private static Graph controlled(boolean loop) {
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", ROW);
    Value rate = b.input("rate", TensorType.of(DType.I64));
    Value state = b.input("state", ROW);
    Value y = b.value("y", ValueType.UNKNOWN);
    Value next = b.value("next", ValueType.UNKNOWN);
    if (loop) {
      GraphBuilder body = new GraphBuilder(OPSET, 100);
      body.input("i", TensorType.of(DType.I64));
      Value condition = body.input("c", TensorType.of(DType.BOOL));
      Value carried = body.input("s", ROW);
      body.output(body.add("Identity", condition));
      body.output(cell(body, x, carried, 1));
      b.addNode(
          "",
          "Loop",
          Map.of("body", new Attribute.GraphAttr(body.build("body", Map.of()))),
          List.of(rate, Value.NONE, state),
          List.of(next));
      b.addNode("", "Neg", Map.of(), List.of(next), List.of(y));
    } else {
      Map<String, Attribute> branches = new LinkedHashMap<>();
      for (String name : List.of("then_branch", "else_branch")) {
        GraphBuilder branch = new GraphBuilder(OPSET, name.equals("then_branch") ? 100 : 200);
        Value made = cell(branch, x, state, name.equals("then_branch") ? 1 : 5);
        // Reads the state when its new value is there.
        branch.output(branch.add("Sub", made, state));
        branch.output(made);
        branches.put(name, new Attribute.GraphAttr(branch.build(name, Map.of())));
      }
      Value isFast = b.add("Greater", rate, b.constant(Tensor.of(new long[] {2})));
      b.addNode("", "If", branches, List.of(isFast), List.of(y, next));
    }
    b.output(y);
    b.output(next);
    return ModelMetadata.withStates(
        b.build("controlled", Map.of()), List.of(new Executable.State("next", "state")));
  }

  /** All y of a stream, then the state. */
  private static List<float[]> stream(Executable model) {
    Session session = new Session(model);
    List<float[]> results = new ArrayList<>();
    List<Tensor> states = new ArrayList<>();
    for (int call = 0; call < 6; call++) {
      Map<String, Tensor> outputs =
          session.run(
              Map.of(
                  "x", random(100 + call, 1, WIDTH),
                  "rate", Tensor.of(new long[] {call % 4 + 1})));
      results.add(Objects.requireNonNull(outputs.get("y")).floats().clone());
      states.add(Objects.requireNonNull(outputs.get("next")));
      results.add(states.getLast().floats().clone());
    }
    assertSame(states.get(1).array(), states.get(3).array(), "two arrays take turns");
    assertSame(states.get(2).array(), states.get(4).array());
    return results;
  }

  /** The same with new tensors in every call. */
  private static List<float[]> calls(Executable model) {
    List<float[]> results = new ArrayList<>();
    Tensor state = Tensor.zeros(DType.F32, 1, WIDTH);
    for (int call = 0; call < 6; call++) {
      Map<String, Tensor> outputs =
          model.run(
              Map.of(
                  "x", random(100 + call, 1, WIDTH),
                  "rate", Tensor.of(new long[] {call % 4 + 1}),
                  "state", state));
      results.add(Objects.requireNonNull(outputs.get("y")).floats());
      state = Objects.requireNonNull(outputs.get("next"));
      results.add(state.floats());
    }
    return results;
  }

  private static void same(List<float[]> expected, List<float[]> actual, float tolerance) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i), tolerance, "result " + i);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "interpreter, false", "interpreter, true",
    "loop-interpreter, false", "loop-interpreter, true",
    "jvm, false", "jvm, true",
    "native, false", "native, true",
    "jar, false", "jar, true",
    "so, false", "so, true"
  })
  void statesOfModelsWithControlFlow(String how, boolean loop) throws IOException {
    boolean isArtifact = how.equals("jar") || how.equals("so");
    Backends.assume(compiler, how.equals("so") ? "native" : isArtifact ? "jvm" : how);
    Graph graph = controlled(loop);
    Executable model =
        isArtifact
            ? artifact(graph, how)
            : compiler.executable(graph, how, CompileOptions.defaults());
    same(calls(model), stream(model), 0);
    same(
        calls(compiler.executable(graph, "interpreter", CompileOptions.defaults())),
        stream(model),
        1e-4f);
  }

  private Executable artifact(Graph graph, String suffix) throws IOException {
    Path file = folder.resolve("states." + suffix);
    boolean isLibrary = suffix.equals("so");
    compiler.artifact(
        graph,
        isLibrary ? "native" : "jvm",
        List.of(isLibrary ? "scalar" : "jvm-plain"),
        Optional.empty(),
        file,
        CompileOptions.defaults());
    return isLibrary ? new SoArtifact(file) : JarArtifact.open(file, 1);
  }

  /**
   * Without control flow. The state of the first model is read before its new value is written, and
   * afterwards in the second (by the kernel itself, or by another one).
   */
  private static Graph straight(boolean late, boolean other) {
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", ROW);
    Value state = b.input("state", ROW);
    Value hidden = cell(b, x, state, 1);
    Value next = b.value("next", ValueType.UNKNOWN);
    if (late && !other) {
      b.addNode("", "Add", Map.of(), List.of(state, x), List.of(next));
    } else {
      b.addNode(
          "",
          "MatMul",
          Map.of(),
          List.of(hidden, b.constant(random(9, WIDTH, WIDTH))),
          List.of(next));
    }
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "",
        late && other ? "MatMul" : "Mul",
        Map.of(),
        List.of(next, late && other ? b.add("Transpose", state) : x),
        List.of(y));
    b.output(next);
    b.output(y);
    return ModelMetadata.withStates(
        b.build("straight", Map.of()), List.of(new Executable.State("next", "state")));
  }

  private static Map<String, Tensor> straightInputs(Tensor state) {
    return Map.of("x", random(3, 1, WIDTH), "state", state);
  }

  @ParameterizedTest
  @CsvSource({"false, false", "true, false", "true, true"})
  void aStateThatIsReadLateIsCopiedAndNoOther(boolean late, boolean other) {
    Executable model = compiler.executable(straight(late, other), "jvm", CompileOptions.defaults());
    StepClock clock = new StepClock();
    clock.during(() -> model.run(straightInputs(random(4, 1, WIDTH))));
    assertEquals(
        late ? 1 : 0,
        clock.steps().stream().filter(step -> step.origin().contains("output 'next'")).count(),
        () -> clock.steps().toString());
  }

  /** In the memory of the input, as callers of a library may have it. */
  @ParameterizedTest
  @ValueSource(strings = {"native", "so"})
  void inOneMemory(String how) throws IOException {
    Backends.assume(compiler, "native");
    for (boolean late : new boolean[] {false, true}) {
      for (boolean other : new boolean[] {false, true}) {
        Graph graph = straight(late, other);
        Executable model =
            how.equals("so")
                ? artifact(graph, how)
                : compiler.executable(graph, how, CompileOptions.defaults());
        Tensor before = random(4, 1, WIDTH);
        Map<String, Tensor> apart = model.run(straightInputs(before));
        StateMemory memory = model.stateMemory(ModelMetadata.states(graph), Map.of()).orElseThrow();
        memory.set("state", before);
        Map<String, Tensor> within = memory.run(Map.of("x", random(3, 1, WIDTH)));
        assertArrayEquals(
            Objects.requireNonNull(apart.get("y")).floats(),
            Objects.requireNonNull(within.get("y")).floats());
        assertArrayEquals(
            Objects.requireNonNull(apart.get("next")).floats(), memory.get("state").floats());
      }
    }
  }

  /** In the array of the input, on every backend that works on arrays. */
  @Test
  void inOneArray() {
    for (boolean other : new boolean[] {false, true}) {
      Executable model =
          compiler.executable(straight(true, other), "jvm", CompileOptions.defaults());
      Tensor state = random(4, 1, WIDTH);
      Map<String, Tensor> apart = model.run(straightInputs(random(4, 1, WIDTH)));
      Map<String, Tensor> within = model.run(straightInputs(state), Map.of("next", state));
      assertArrayEquals(
          Objects.requireNonNull(apart.get("y")).floats(),
          Objects.requireNonNull(within.get("y")).floats());
      assertArrayEquals(Objects.requireNonNull(apart.get("next")).floats(), state.floats());
    }
  }
}
