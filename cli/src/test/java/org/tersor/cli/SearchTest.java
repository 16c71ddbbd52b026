package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.MixedSearch;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.SearchProblem;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Formats for each layer within a budget. */
class SearchTest {
  private static final String S4 = "s4_symmetric_channel_restricted";
  private static final String S8 = "s8_symmetric_channel_restricted";

  private final Compiler compiler = Compiler.standard();
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Quantizer quantizer = new Quantizer(compiler);
  private final Random random = new Random(5);

  private Tensor normal(double size, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (size * random.nextGaussian());
    }
    return tensor;
  }

  private static Value node(GraphBuilder b, String name, String type, Value... inputs) {
    Value y = b.value(name + ":0", ValueType.UNKNOWN);
    b.addNode(name, "", type, Map.of(), List.of(inputs), List.of(y));
    return y;
  }

  private Value product(GraphBuilder b, String name, Value x, double size, int from, int to) {
    return node(b, name, "MatMul", x, b.constant(name + ".w", Constant.of(normal(size, from, to))));
  }

  /**
   * Query, key and value read one number; two layers meet in an Add; one layer hardly matters and
   * one matters most.
   */
  private Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 4, 32));
    Value q = product(b, "q", x, 1, 32, 32);
    Value k = product(b, "k", x, 1, 32, 32);
    Value v = product(b, "v", x, 1, 32, 32);
    Value gate = node(b, "gate", "Mul", node(b, "tanh", "Tanh", q), k);
    Value left = product(b, "left", gate, 0.01, 32, 32);
    Value right = product(b, "right", v, 0.01, 32, 32);
    Value sum = node(b, "sum", "Add", left, right);
    Value main = product(b, "main", x, 1, 32, 32);
    Value y = product(b, "head", node(b, "both", "Add", sum, main), 0.2, 32, 16);
    b.output(y);
    return quantizer.base(b.build("g", Map.of()), compile);
  }

  /** A layer before an If; one branch has two layers, of which the second hardly matters. */
  private Graph choice() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 4, 32));
    Value c = b.input("c", TensorType.of(DType.BOOL));
    Value before = node(b, "relu", "Relu", product(b, "before", x, 1, 32, 32));
    GraphBuilder then = new GraphBuilder(Map.of("", 17), 100);
    Value large = product(then, "large", before, 1, 32, 16);
    then.output(node(then, "sum", "Add", large, product(then, "small", x, 0.001, 32, 16)));
    GraphBuilder otherwise = new GraphBuilder(Map.of("", 17), 200);
    otherwise.output(product(otherwise, "large", before, 1, 32, 16));
    b.output(
        Choice.of(
            b, "choose", "y", c, then.build("then", Map.of()), otherwise.build("else", Map.of())));
    return quantizer.base(b.build("g", Map.of()), compile);
  }

  /** Layers of branches are found, measured where they run, and in the plan that is applied. */
  @Test
  void layersInBranchesAreChosen() {
    Graph base = choice();
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      Tensor condition = Tensor.zeros(DType.BOOL);
      condition.setLong(0, i % 2);
      samples.add(Map.of("x", normal(1, 4, 32), "c", condition));
    }
    MixedSearch search = search(base, false, samples);
    Set<List<String>> layers =
        search.items().stream().map(MixedSearch.Item::layers).collect(Collectors.toSet());
    assertEquals(
        Set.of(
            List.of("before"),
            List.of("choose.then_branch/large", "choose.then_branch/small"),
            List.of("choose.else_branch/large")),
        layers);
    for (MixedSearch.Item item : search.items()) {
      assertTrue(item.trace() > 0, item.layers() + " matter");
      assertTrue(item.options().get(0).kl() > item.options().get(1).kl(), item::toString);
    }
    // 32 x 32 and three of 32 x 16: all sizes are those of codes and scales.
    assertTrue(search.sizes()[1] < 1.3 * (32 * 32 + 3 * 32 * 16), "no float weight stays");
    double between = (search.sizes()[0] + search.sizes()[1]) / 2.0;
    MixedSearch.Point point = search.within("chosen", between, false).orElseThrow();
    Quantizer.Decisions decided = search.decisions(point);
    assertEquals(4, decided.plan().weights().size());
    assertTrue(Set.copyOf(decided.plan().weights().values()).equals(Set.of(S4, S8)), "a mixture");
    // What was measured with weights as inputs is what the executed plan gives.
    assertEquals(point.sqnr(), search.executed(decided, samples).sqnr(), 0.01);
  }

  private MixedSearch search(Graph base, boolean floats) {
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      samples.add(Map.of("x", normal(1, 4, 32)));
    }
    return search(base, floats, samples);
  }

  private MixedSearch search(Graph base, boolean floats, List<Map<String, Tensor>> samples) {
    Quantizer.Options how =
        new Quantizer.Options(
            S4, Optional.empty(), new Calibrator.MinMax(), "interpreter", compile);
    Map<String, Quantizer.Decisions> uniform = new LinkedHashMap<>();
    for (String format : List.of(S4, S8)) {
      uniform.put(
          format,
          quantizer.decide(
              base,
              samples,
              new Quantizer.Options(
                  format, Optional.empty(), new Calibrator.MinMax(), "interpreter", compile)));
    }
    MixedSearch search =
        new MixedSearch(
            new SearchProblem(compiler, base, uniform, floats, name -> true, how, true, samples));
    search.measureItems(false, () -> {});
    return search;
  }

  @Test
  void tiedLayersAreOneItem() {
    List<List<String>> items =
        search(graph(), false).items().stream().map(MixedSearch.Item::layers).toList();
    // main reads what query, key and value read
    assertEquals(
        List.of(List.of("q", "k", "v", "main"), List.of("left", "right"), List.of("head")), items);
  }

  @Test
  void theProgramIsOptimalAndItsPlanIsWhatWasRun() {
    Graph base = graph();
    MixedSearch search = search(base, true);
    long[] ends = search.sizes();
    List<MixedSearch.Item> items = search.items();
    for (double part : new double[] {0, 0.2, 0.5, 0.8, 1}) {
      double budget = ends[0] + part * (ends[1] - ends[0]);
      MixedSearch.Point point = search.within("p", budget, false).orElseThrow();
      assertTrue(point.bytes() <= budget + 1e-6);
      assertEquals(best(search, items, budget), point.predicted(), 1e-12);
      Quantizer.Decisions decisions = search.decisions(point);
      for (int i = 0; i < items.size(); i++) {
        String format = items.get(i).options().get(point.chosen().get(i)).format();
        for (String layer : items.get(i).layers()) {
          assertEquals(format, decisions.plan().weights().getOrDefault(layer, MixedSearch.FLOAT));
        }
      }
    }
    assertTrue(search.within("p", ends[0] - 1.0, false).isEmpty());
  }

  /** By trying everything. */
  private static double best(MixedSearch search, List<MixedSearch.Item> items, double budget) {
    double best = Double.POSITIVE_INFINITY;
    int all = items.stream().mapToInt(i -> i.options().size()).reduce(1, (a, b) -> a * b);
    long other =
        search.sizes()[0]
            - items.stream()
                .mapToLong(
                    i -> i.options().stream().mapToLong(MixedSearch.Option::bytes).min().orElse(0))
                .sum();
    for (int code = 0; code < all; code++) {
      int rest = code;
      double bytes = other;
      double cost = 0;
      for (MixedSearch.Item item : items) {
        MixedSearch.Option option = item.options().get(rest % item.options().size());
        rest /= item.options().size();
        bytes += option.bytes();
        cost += option.cost();
      }
      best = bytes <= budget ? Math.min(best, cost) : best;
    }
    return best;
  }

  @Test
  void repairNeverRunsWorseAndTheExecutedGraphAgrees() {
    Graph base = graph();
    MixedSearch search = search(base, false);
    long[] ends = search.sizes();
    double budget = (ends[0] + ends[1]) / 2.0;
    MixedSearch.Point first = search.within("p", budget, false).orElseThrow();
    List<String> said = new ArrayList<>();
    MixedSearch.Point repaired = search.repaired(first, budget, false, said::add);
    assertTrue(repaired.cost() <= first.cost() && repaired.bytes() <= budget);
    List<Map<String, Tensor>> calls = List.of(Map.of("x", normal(1, 4, 32)));
    assertTrue(search.executed(search.decisions(repaired), calls).sqnr() > 15);
    // What is predicted to cost least lies below one format everywhere at both ends.
    List<MixedSearch.Point> uniform = search.uniform();
    assertTrue(repaired.cost() < uniform.getFirst().cost());
  }

  /**
   * For y = x W the matrix is known: its trace by W is the sum of the squares of x for each column.
   */
  @Test
  void theTraceIsThatOfALinearLayer() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 4, 32));
    b.output(product(b, "one", x, 1, 32, 16));
    Graph base = quantizer.base(b.build("g", Map.of()), compile);
    List<Map<String, Tensor>> samples = List.of(Map.of("x", normal(1, 4, 32)));
    Quantizer.Options how =
        new Quantizer.Options(
            S4, Optional.empty(), new Calibrator.MinMax(), "interpreter", compile);
    MixedSearch search =
        new MixedSearch(
            new SearchProblem(
                compiler,
                base,
                Map.of(S4, quantizer.decide(base, samples, how)),
                false,
                name -> true,
                how,
                false,
                samples));
    search.measureItems(false, () -> {});
    Tensor seen = samples.getFirst().values().iterator().next();
    Tensor y =
        compiler
            .executable(base, "interpreter", compile)
            .run(samples.getFirst())
            .values()
            .iterator()
            .next();
    double exact = 16 * squares(seen) / squares(y);
    assertEquals(exact, search.items().getFirst().trace(), 0.15 * exact);
  }

  private static double squares(Tensor tensor) {
    double sum = 0;
    for (int i = 0; i < tensor.size(); i++) {
      sum += tensor.getDouble(i) * tensor.getDouble(i);
    }
    return sum;
  }

  /** A loss is accepted by its upper bound: few samples cannot prove that it is small. */
  @Test
  void aDropIsTestedNotEstimated() {
    double[] few = new double[100];
    few[3] = 1;
    double[] many = new double[10_000];
    many[3] = 1;
    double[] ones = new double[10_000];
    java.util.Arrays.fill(ones, 1);
    PairedDrop small = PairedDrop.of(few, java.util.Arrays.copyOf(ones, 100));
    assertEquals(0.01, small.value());
    assertTrue(!small.within(0.015), "one of a hundred may be three of a hundred");
    assertTrue(PairedDrop.of(many, ones).within(0.001));
  }

  /** By hand where nothing changed; against the bootstrap where much did; against drawn samples. */
  @Test
  void theBoundOfFlipsIsThatOfMcNemarsTest() {
    double z = 1.6448536269514722;
    assertEquals(z * z / (100 + z * z), PairedDrop.ofFlips(0, 0, 100).upper(), 1e-9);
    // As many flips as make McNemar's statistic z: a drop of 0 is just excluded on the other side.
    assertTrue(PairedDrop.ofFlips(20, 60, 10_000).upper() < 0);
    assertTrue(PairedDrop.ofFlips(20, 24, 10_000).upper() > 0);
    double[] losses = new double[10_000];
    double[] ones = new double[10_000];
    java.util.Arrays.fill(ones, 1);
    java.util.Arrays.fill(losses, 0, 150, 1);
    java.util.Arrays.fill(losses, 150, 250, -1);
    assertEquals(
        PairedDrop.of(losses, ones).upper(), PairedDrop.ofFlips(150, 100, 10_000).upper(), 3e-4);
    int covered = 0;
    int rounds = 2000;
    for (int round = 0; round < rounds; round++) {
      int bad = 0;
      int good = 0;
      for (int i = 0; i < 200; i++) {
        double u = random.nextDouble();
        bad += u < 0.03 ? 1 : 0;
        good += u >= 0.03 && u < 0.04 ? 1 : 0;
      }
      covered += PairedDrop.ofFlips(bad, good, 200).upper() >= 0.02 ? 1 : 0;
    }
    assertTrue(covered > 0.93 * rounds && covered < 0.99 * rounds, "covered " + covered);
  }

  @Test
  void budgetsAreRead() {
    assertEquals(new Budget.Size(300), Budget.parse("size=0.3x", 1000, () -> 7));
    assertEquals(new Budget.Size(2500), Budget.parse("size=2.5KB", 1000, () -> 7));
    assertEquals(new Budget.Latency(3.5), Budget.parse("latency=0.5x", 1000, () -> 7));
    assertEquals(new Budget.Drop(0.005), Budget.parse("drop=0.5pt", 1000, () -> 7));
    for (String wrong : List.of("size=3", "drop=1x", "latency=5pt", "size=-1x", "weight=1x", "")) {
      assertEquals(
          "TSR-0906",
          assertThrows(TersorException.class, () -> Budget.parse(wrong, 1, () -> 1)).code());
    }
  }
}
