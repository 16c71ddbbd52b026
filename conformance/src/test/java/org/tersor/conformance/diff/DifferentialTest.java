package org.tersor.conformance.diff;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.tersor.conformance.SeededRandom;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.Operator;
import org.tersor.passes.Compiler;
import org.tersor.runtime.TersorException;

/** A small budget of made-up graphs against ONNX Runtime, and the generator itself. */
class DifferentialTest {
  private static final long SEED = 2026;
  private static final int GRAPHS = 120;

  @Test
  void graphsAgreeWithTheReference() {
    try (Differential differential =
        new Differential(
            Compiler.standard(),
            new Differential.Settings(
                Map.of("interpreter", 1, "jvm", 8), Set.of(), 20, Optional.empty()))) {
      System.out.println("difftest: seed " + SEED + ", " + GRAPHS + " graphs");
      Differential.Summary summary = differential.run(SEED, GRAPHS, outcome -> {});
      List<Differential.Group> unexplained =
          summary.groups().stream().filter(g -> g.known().isEmpty()).toList();
      assertEquals(List.of(), unexplained);
      assertTrue(
          summary.outcomes().getOrDefault("AGREES", 0) > GRAPHS / 4,
          "compared: " + summary.outcomes());
    }
  }

  /** The order of a Map.of or a Set.copyOf is another in another process. */
  @Test
  void theSameSeedGivesTheSameGraphInEveryProcess() throws IOException {
    List<String> first = digests();
    assertEquals(GRAPHS, first.size());
    assertEquals(first, digests());
    assertEquals(first, digests());
  }

  private static List<String> digests() throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "-cp",
                System.getProperty("java.class.path"),
                GraphDigests.class.getName(),
                Integer.toString(GRAPHS))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    process.getOutputStream().close();
    return new String(process.getInputStream().readAllBytes(), UTF_8).lines().toList();
  }

  @Test
  void anOperatorThatIsNotDrawnIsRefused() {
    TersorException e =
        assertThrows(
            TersorException.class,
            () -> GraphGenerator.check(Set.of("Add", "NoSuchThing"), OpRegistry.standard()));
    assertEquals("TSR-0906", e.code());
    assertTrue(String.valueOf(e.getMessage()).startsWith("graphs with NoSuchThing "), e.toString());
  }

  /** Every sample of a schema can be parsed, and names what the schema has. */
  @Test
  void samplesFitTheirSchemas() {
    for (Operator operator : OpRegistry.standard().all()) {
      String text = operator.schema().sample();
      if (text.equals("-")) {
        continue;
      }
      for (Sample sample : Sample.all(text)) {
        for (Sample.Clause clause : sample.clauses()) {
          boolean known =
              operator.schema().attributes().containsKey(clause.name())
                  || operator.schema().inputs().stream()
                      .anyMatch(f -> f.name().equals(clause.name()))
                  || operator.schema().outputs().stream()
                      .anyMatch(f -> f.name().equals(clause.name()))
                  || text.contains(clause.name() + ".")
                  || text.replaceFirst(clause.name() + "=", "").contains(clause.name());
          assertTrue(
              known || clause.value().isPresent(),
              operator.schema().name() + " has no " + clause.name());
        }
      }
    }
  }

  /** Bodies and sequences around a part change nothing. */
  @Test
  void structuresAgreeWithThePlainGraph() {
    Compiler compiler = Compiler.standard();
    OpRegistry operators = compiler.registry().operators();
    GraphGenerator generator =
        new GraphGenerator(
            operators,
            Set.of("Add", "Neg", "Mul", "Transpose", "Relu", "MatMul", "Equal"),
            KernelOracle.everything());
    java.util.Map<String, Integer> seen = new java.util.TreeMap<>();
    for (long seed = 1; seed <= 400; seed++) {
      DrawnGraph drawn = generator.draw(seed);
      if (drawn.equivalent().isEmpty()) {
        continue;
      }
      DrawnGraph plain = drawn.equivalent().get();
      drawn.operators().forEach(name -> seen.merge(name, 1, Integer::sum));
      java.util.Map<String, org.tersor.runtime.Tensor> results =
          compiler
              .executable(drawn.graph(), "interpreter", org.tersor.passes.CompileOptions.defaults())
              .run(drawn.inputs());
      for (int i = 0; i < plain.graph().outputs().size(); i++) {
        String name = drawn.graph().outputs().get(i).name();
        assertEquals(
            java.util.Optional.ofNullable(plain.values().get(plain.graph().outputs().get(i))),
            java.util.Optional.ofNullable(results.get(name)),
            name + seed);
      }
    }
    for (String name : List.of("If", "Loop", "Scan", "SequenceAt", "Optional")) {
      assertTrue(seen.containsKey(name), seen + " lacks " + name);
    }
  }

  @Test
  void shrinkingKeepsTheFault() {
    OpRegistry operators = OpRegistry.standard();
    GraphGenerator generator =
        new GraphGenerator(operators, Set.of("Add", "Neg"), KernelOracle.everything());
    for (long seed = 1; seed < 30; seed++) {
      DrawnGraph drawn = generator.draw(seed);
      if (drawn.operators().contains("Neg")) {
        Predicate<DrawnGraph> shows = g -> g.operators().contains("Neg");
        DrawnGraph small = Shrinker.shrink(drawn, shows, shows);
        assertEquals(List.of("Neg"), small.operators());
      }
    }
  }

  /** Nodes need not stand in a row: those in between go. */
  @Test
  void shrinkingThins() {
    GraphGenerator generator =
        new GraphGenerator(
            OpRegistry.standard(), Set.of("Add", "Neg", "Abs"), KernelOracle.everything());
    Predicate<DrawnGraph> shows =
        g -> g.operators().containsAll(List.of("Neg", "Abs")) && g.refusal().isEmpty();
    int thinned = 0;
    for (long seed = 1; seed < 40; seed++) {
      DrawnGraph drawn = generator.draw(seed);
      if (drawn.equivalent().isEmpty() && shows.test(drawn)) {
        assertEquals(2, Shrinker.shrink(drawn, shows, shows).operators().size(), "seed " + seed);
        thinned++;
      }
    }
    assertTrue(thinned > 0);
  }

  /** A tie before rounding has no answer to compare, another number has. */
  @Test
  void tiesAreNotCompared() {
    OpRegistry operators = OpRegistry.standard();
    org.tersor.ir.graph.GraphBuilder b = new org.tersor.ir.graph.GraphBuilder(Map.of("", 21), 0);
    var x =
        b.input("x", org.tersor.ir.graph.ValueType.TensorType.of(org.tersor.runtime.DType.F32, 1));
    b.output(b.add("Round", b.add("Sqrt", x)));
    org.tersor.ir.graph.Graph graph = b.build("tie", Map.of());
    assertTrue(verdict(graph, operators, 6.25f).allowed().isEmpty());
    assertEquals("Round", verdict(graph, operators, 6.25f).decides());
    assertTrue(verdict(graph, operators, 7f).allowed().isPresent());
  }

  private static Conditioning.Verdict verdict(
      org.tersor.ir.graph.Graph graph, OpRegistry operators, float x) {
    return new Conditioning(graph, operators)
        .verdict(
            Map.of(graph.inputs().getFirst(), org.tersor.runtime.Tensor.of(new float[] {x}, 1)),
            new SeededRandom(1));
  }

  @Test
  void theDocumentIsUpToDate() throws IOException {
    Path document = Path.of("../docs/differences.md");
    if (Boolean.getBoolean("golden.update")) {
      Files.createDirectories(document.getParent());
      Files.writeString(document, KnownDifferences.markdown());
    }
    assertEquals(
        KnownDifferences.markdown(),
        Files.readString(document),
        "run this test with -Dgolden.update=true");
  }
}
