package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.KnownEval;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.Diagnostician;
import org.tersor.passes.quant.MixedSearch;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.SearchProblem;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** Methods that choose codes, and the search, work on W and R of LSTM, GRU and RNN. */
class RecurrentMethodsTest {
  private static final int STEPS = 6;
  private static final int INPUT = 48;
  private static final int HIDDEN = 32;
  private static final Pattern RATIO = Pattern.compile("ratio ([0-9.]+)");

  @TempDir Path folder = Path.of("");

  private final Compiler compiler = Compiler.standard();
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Quantizer quantizer = new Quantizer(compiler);
  private final Random random = new Random(5);

  private Graph graph(String type, int directions) {
    return quantizer.base(
        new RecurrentModel(type, directions, STEPS, INPUT, HIDDEN).graph(random), compile);
  }

  /** Sequences whose elements lie near a space of a quarter of the dimensions. */
  private List<Map<String, Tensor>> sequences(int count, float[] basis) {
    List<Map<String, Tensor>> samples = new ArrayList<>();
    int few = INPUT / 4;
    for (int s = 0; s < count; s++) {
      Tensor x = Tensor.zeros(DType.F32, STEPS, 2, INPUT);
      for (int at = 0; at < x.size(); at += INPUT) {
        for (int f = 0; f < few; f++) {
          double factor = random.nextGaussian();
          for (int i = 0; i < INPUT; i++) {
            x.floats()[at + i] += (float) (factor * basis[f * INPUT + i]);
          }
        }
        for (int i = 0; i < INPUT; i++) {
          x.floats()[at + i] += (float) (.05 * random.nextGaussian());
        }
      }
      samples.add(Map.of("x", x));
    }
    return samples;
  }

  private float[] basis() {
    return RecurrentModel.normal(random, .3, INPUT / 4, INPUT).floats();
  }

  private Quantizer.Options options(String format, String method) {
    return new Quantizer.Options(
            format, Optional.empty(), new Calibrator.MinMax(), "interpreter", compile)
        .with(WeightMethod.parse(method), new ChannelFactors.None());
  }

  private static float[] run(Executable executable, Map<String, Tensor> x) {
    return Objects.requireNonNull(executable.run(x).get("y")).floats();
  }

  /** Mean noise in dB of calls that were not calibrated with. */
  private double decibels(Graph base, Graph coded, List<Map<String, Tensor>> samples) {
    Executable exact = compiler.link(base, "interpreter", compile);
    Executable other = compiler.link(coded, "interpreter", compile);
    return samples.stream()
        .mapToDouble(x -> RecurrentModel.decibels(run(exact, x), run(other, x)))
        .average()
        .orElseThrow();
  }

  private static Map<String, Double> ratios(Quantizer.Decisions decisions) {
    Map<String, Double> ratios = new LinkedHashMap<>();
    for (String report : decisions.reports()) {
      Matcher ratio = RATIO.matcher(report);
      if (ratio.find()) {
        ratios.put(report.substring(0, report.indexOf(':')), Double.parseDouble(ratio.group(1)));
      }
    }
    return ratios;
  }

  @ParameterizedTest
  @CsvSource({
    "LSTM, 1, gptq, 4",
    "GRU, 1, gptq, 4",
    "RNN, 2, gptq, 4",
    "LSTM, 2, seqmse, .5",
    "GRU, 2, adaround:iterations=300, 3",
    "LSTM, 1, mse, 0"
  })
  void methodsChooseCodesOfBothOperands(String type, int directions, String method, double gain) {
    Graph base = graph(type, directions);
    float[] basis = basis();
    List<Map<String, Tensor>> samples = sequences(24, basis);
    String format = "s3_symmetric_channel_restricted";
    Quantizer.Decisions chosen = quantizer.decide(base, samples, options(format, method));
    Quantizer.Decisions plain = quantizer.decide(base, samples, options(format, "rtn"));
    String text = WeightMethod.parse(method).text();
    for (String name : List.of("cell#1", "cell#2")) {
      assertEquals(text, Objects.requireNonNull(chosen.plan().choices().get(name)).method(), name);
    }
    if (WeightMethod.parse(method).needsInputs()) {
      Map<String, Double> ratios = ratios(chosen);
      assertEquals(List.of("cell#1", "cell#2"), List.copyOf(ratios.keySet()));
      ratios.forEach((name, ratio) -> assertTrue(ratio < .9, name + ": " + ratio));
    }
    List<Map<String, Tensor>> others = sequences(6, basis);
    double before = decibels(base, quantizer.apply(base, plain, compile), others);
    double after = decibels(base, quantizer.apply(base, chosen, compile), others);
    assertTrue(after > before + gain, type + " " + method + ": " + before + ", " + after + " dB");
  }

  /** What looks at sums of layers does not see those of gates, and says so. */
  @Test
  void whatIsNotMeasuredInsideOfACellIsNamed() {
    Graph base = graph("LSTM", 1);
    List<Map<String, Tensor>> samples = sequences(3, basis());
    Quantizer.Options options = options("s4_symmetric_channel_restricted", "rtn");
    Quantizer.Decisions decisions = quantizer.decide(base, samples, options);
    Quantizer.Decisions corrected = quantizer.corrected(base, decisions, samples, "full", options);
    assertTrue(
        corrected.reports().stream()
            .anyMatch(report ->
                report.startsWith("cell: bias correction: the sums of cell#1 and cell#2")),
        corrected.reports().toString());
    assertEquals(Map.of(), corrected.plan().biases());
    List<String> notes = new ArrayList<>();
    Quantizer.Quantized quantized =
        new Quantizer.Quantized(quantizer.apply(base, decisions, compile), base, decisions.plan());
    Diagnosis diagnosis =
        new Diagnostician(compiler, quantized, "interpreter", compile.withNote(notes::add))
            .diagnose(samples, List.of());
    assertEquals(List.of(), diagnosis.layers());
    assertTrue(
        notes.stream().anyMatch(note -> note.startsWith("diagnosis: 'cell' is left out")),
        notes.toString());
  }

  /** Each row's sum is moved by what its codes lost on the mean of the vectors that it saw. */
  @ParameterizedTest
  @CsvSource({
    "LSTM, 1, true",
    "LSTM, 2, false",
    "GRU, 1, false",
    "GRU, 2, true",
    "RNN, 1, true",
    "RNN, 2, true"
  })
  void biasesOfGatesTakeMeanErrors(String type, int directions, boolean biased) throws IOException {
    Graph base = biased ? graph(type, directions) : withoutBias(graph(type, directions));
    List<Map<String, Tensor>> samples = shifted(sequences(8, basis()));
    Quantizer.Options options = options("s3_symmetric_channel_restricted", "rtn");
    Quantizer.Decisions plain = quantizer.decide(base, samples, options);
    Quantizer.Decisions moved = quantizer.corrected(base, plain, samples, "fast", options);
    Graph before = quantizer.apply(base, plain, compile);
    Graph equalized = quantizer.equalized(base, moved);
    Graph after = quantizer.apply(equalized, moved, compile);
    double gain = decibels(base, after, samples) - decibels(base, before, samples);
    assertTrue(gain > 0, type + ": " + gain + " dB, " + moved.reports());
    Tensor bias = Objects.requireNonNull(moved.biases().get("cell"));
    Node cell = base.nodes().getFirst();
    Tensor old =
        base.constant(cell.input(3))
            .map(Constant::load)
            .orElse(Tensor.zeros(DType.F32, bias.shape()));
    Tensor exact = base.constant(cell.input(1)).orElseThrow().load();
    Tensor coded = decoded(before, 1);
    double[] mean = new double[INPUT];
    int count = 0;
    for (Map<String, Tensor> sample : samples) {
      Tensor x = Objects.requireNonNull(sample.get("x"));
      for (int i = 0; i < x.size(); i++) {
        mean[i % INPUT] += x.getDouble(i);
      }
      count += x.size() / INPUT;
    }
    int rows = (int) exact.shape()[1];
    for (int direction = 0; direction < directions; direction++) {
      for (int row = 0; row < rows; row++) {
        double error = 0;
        for (int i = 0; i < INPUT; i++) {
          int at = (direction * rows + row) * INPUT + i;
          error += (exact.getDouble(at) - coded.getDouble(at)) * mean[i] / count;
        }
        int place = direction * 2 * rows + row;
        assertEquals(old.getDouble(place) + error, bias.getDouble(place), 1e-4, "row " + row);
      }
    }
    // R's numbers, behind those of W, move too: the mean of states is not zero.
    assertTrue(
        IntStream.range(rows, 2 * rows)
            .anyMatch(i -> Math.abs(bias.getDouble(i) - old.getDouble(i)) > 1e-4));
    PlanFiles.write(moved, folder.resolve("cell.plan"));
    Quantizer.Decisions read = PlanFiles.read(folder.resolve("cell.plan"));
    assertEquals(moved.plan(), read.plan());
    Graph again = quantizer.equalized(base, read);
    assertArrayEquals(
        bias.floats(),
        again.constant(again.nodes().getFirst().input(3)).orElseThrow().load().floats());
  }

  /** On whatever samples, codes and cells: never more error, or the report says what stays. */
  @ParameterizedTest
  @CsvSource({"LSTM, 1", "GRU, 1", "GRU, 2", "RNN, 1"})
  void correctedGatesNeverErrMore(String type, int directions) {
    for (String format :
        List.of("s8_symmetric_channel", "s4_symmetric_tensor", "s3_symmetric_channel")) {
      for (boolean mean : new boolean[] {false, true}) {
        Graph base = graph(type, directions);
        List<Map<String, Tensor>> samples =
            mean ? shifted(sequences(2, basis())) : sequences(2, basis());
        Quantizer.Options options = options(format, "rtn");
        Quantizer.Decisions plain = quantizer.decide(base, samples, options);
        Quantizer.Decisions moved = quantizer.corrected(base, plain, samples, "fast", options);
        double before = noise(base, quantizer.apply(base, plain, compile), samples);
        double after =
            noise(base, quantizer.apply(quantizer.equalized(base, moved), moved, compile), samples);
        assertTrue(
            after <= before * (1 + 1e-6), type + " " + format + ": " + before + ", " + after);
        assertEquals(
            moved.plan().biases().isEmpty(),
            moved.reports().stream().anyMatch(report -> report.endsWith(" stay")),
            () -> moved.reports().toString());
      }
    }
  }

  private double noise(Graph base, Graph coded, List<Map<String, Tensor>> samples) {
    Executable exact = compiler.link(base, "interpreter", compile);
    Executable other = compiler.link(coded, "interpreter", compile);
    double noise = 0;
    for (Map<String, Tensor> x : samples) {
      float[] expected = run(exact, x);
      float[] actual = run(other, x);
      for (int i = 0; i < expected.length; i++) {
        noise += Math.pow(expected[i] - actual[i], 2);
      }
    }
    return noise;
  }

  private static List<Map<String, Tensor>> shifted(List<Map<String, Tensor>> samples) {
    for (Map<String, Tensor> sample : samples) {
      float[] x = Objects.requireNonNull(sample.get("x")).floats();
      for (int i = 0; i < x.length; i++) {
        x[i] += .8f;
      }
    }
    return samples;
  }

  private static Graph withoutBias(Graph base) {
    GraphEdit edit = new GraphEdit(base);
    Node cell = base.nodes().getFirst();
    edit.replace(cell, List.of(cell.withInputs(cell.inputs().subList(0, 3))));
    return edit.apply();
  }

  /** What an operand of the coded cell is. */
  private Tensor decoded(Graph coded, int input) {
    Node cell =
        coded.nodes().stream().filter(n -> n.name().equals("cell")).findFirst().orElseThrow();
    Value value = cell.input(input);
    Graph alone =
        new Graph(
            "decoded",
            List.of(),
            List.of(value),
            coded.nodes().stream().filter(n -> n.outputs().contains(value)).toList(),
            coded.constants(),
            coded.types(),
            coded.opsets(),
            Map.of());
    return compiler.link(alone, "interpreter", compile).run(Map.of()).values().iterator().next();
  }

  private static double[] products(Tensor rows, int from, float[] vector) {
    double[] sums = new double[HIDDEN];
    for (int r = 0; r < HIDDEN; r++) {
      for (int i = 0; i < vector.length; i++) {
        sums[r] += rows.getDouble((from * HIDDEN + r) * vector.length + i) * vector[i];
      }
    }
    return sums;
  }

  /** Of a GRU the gates z and r see the state before a step, the new state what r leaves of it. */
  @Test
  void rowsOfASecondOperandSeeStates() {
    Graph base = graph("GRU", 1);
    Tensor x = Objects.requireNonNull(sequences(1, basis()).getFirst().get("x"));
    float[] states = run(compiler.link(base, "interpreter", compile), Map.of("x", x));
    Node cell = base.nodes().getFirst();
    List<Optional<Tensor>> inputs =
        cell.inputs().stream()
            .map(v -> base.constant(v).map(Constant::load).or(() -> Optional.of(x)))
            .toList();
    List<List<float[]>> seen = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    compiler
        .registry()
        .operators()
        .find(cell.op())
        .orElseThrow()
        .storedVectors(
            new KnownEval(base, cell, inputs),
            2,
            (group, groups, vector) -> {
              assertEquals(3, groups);
              seen.get(group).add(vector.clone());
            });
    Tensor w = inputs.get(1).orElseThrow();
    Tensor r = inputs.get(2).orElseThrow();
    Tensor bias = inputs.get(3).orElseThrow();
    for (int at = 0; at < 2 * STEPS; at++) { // of two sequences, step by step
      float[] before = new float[HIDDEN];
      if (at >= 2) {
        System.arraycopy(states, (at - 2) * HIDDEN, before, 0, HIDDEN);
      }
      assertArrayEquals(before, seen.get(0).get(at), 1e-5f);
      assertArrayEquals(before, seen.get(1).get(at), 1e-5f);
      float[] element = Arrays.copyOfRange(x.floats(), at * INPUT, (at + 1) * INPUT);
      double[] input = products(w, 1, element);
      double[] state = products(r, 1, before);
      float[] reset = new float[HIDDEN];
      for (int h = 0; h < HIDDEN; h++) {
        double sum =
            input[h] + state[h] + bias.getDouble(HIDDEN + h) + bias.getDouble(4 * HIDDEN + h);
        reset[h] = (float) (before[h] / (1 + Math.exp(-sum)));
      }
      assertArrayEquals(reset, seen.get(2).get(at), 1e-5f);
    }
  }

  @Test
  void factorsBetweenChannelsAreSaidNotToEnter() {
    Quantizer.Options how =
        options("s8_symmetric_channel_restricted", "rtn")
            .with(WeightMethod.parse("rtn"), ChannelFactors.parse("awq"));
    List<String> reports = quantizer.decide(graph("GRU", 1), sequences(2, basis()), how).reports();
    assertTrue(reports.contains("cell#1: awq: factors do not enter it"), reports::toString);
  }

  @Test
  void theSearchChoosesForEachOperand() {
    Graph base = graph("LSTM", 1);
    List<Map<String, Tensor>> samples = sequences(4, basis());
    Map<String, Quantizer.Decisions> uniform = new LinkedHashMap<>();
    for (String format : List.of("s4_symmetric_channel", "s8_symmetric_channel")) {
      uniform.put(format, quantizer.decide(base, samples, options(format, "gptq")));
    }
    MixedSearch search =
        new MixedSearch(
            new SearchProblem(
                compiler,
                base,
                uniform,
                true,
                name -> true,
                options("s8_symmetric_channel", "gptq"),
                false,
                samples));
    search.measureItems(true, () -> {});
    assertEquals(
        List.of(List.of("cell#1"), List.of("cell#2")),
        search.items().stream().map(MixedSearch.Item::layers).toList());
    for (MixedSearch.Item item : search.items()) {
      List<MixedSearch.Option> options = item.options();
      assertEquals(3, options.size());
      assertTrue(item.trace() > 0, item::toString);
      assertTrue(options.get(0).sqnr() + 15 < options.get(1).sqnr(), item::toString);
      assertTrue(options.get(0).bytes() < options.get(1).bytes(), item::toString);
    }
    double first = search.items().getFirst().options().getFirst().nanos();
    assertTrue(first > 0, "the layer's time");
    assertEquals(0, search.items().getLast().options().getFirst().nanos(), "is counted once");
    long[] sizes = search.sizes();
    MixedSearch.Point point =
        search.within("mixed", (sizes[0] + sizes[1]) / 3.0, false).orElseThrow();
    Quantizer.Decisions decided = search.decisions(point);
    double expected = decibels(base, quantizer.apply(base, decided, compile), samples);
    assertEquals(expected, point.sqnr(), 1.5, "as executed, as measured");
  }

  /** Rows of 257 codes cannot be read by a product as codes, those of 128 can. */
  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void smallMemoryKeepsTheirCodes(String backend) {
    Backends.assume(compiler, backend);
    Graph base = quantizer.base(new RecurrentModel("LSTM", 1, 3, 257, 128).graph(random), compile);
    Graph coded =
        quantizer
            .quantize(base, List.of(), options("s8_symmetric_channel_restricted", "rtn"))
            .graph();
    Executable small = compiler.link(coded, backend, compile.withSetting(Compiler.MEMORY, "small"));
    Matcher held =
        Pattern.compile("held: .*, ([0-9.]+) times the weights").matcher(small.describe());
    assertTrue(held.find(), small::describe);
    assertEquals(1, Double.parseDouble(held.group(1)), .15, small.describe());
  }
}
