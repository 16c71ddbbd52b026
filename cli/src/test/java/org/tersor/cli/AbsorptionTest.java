package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
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
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** High biases move to the next layer: the same function, a smaller range, never a larger error. */
class AbsorptionTest {
  private static final int CHANNELS = 6;

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Random random = new Random(9);

  @TempDir Path folder = Path.of("");

  private Tensor uniform(double low, double high, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (low + (high - low) * random.nextDouble());
    }
    return tensor;
  }

  private Value layer(
      GraphBuilder b, String name, Value x, boolean conv, double bias, int pad, long... shape) {
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    if (conv && pad > 0) {
      attributes.put("pads", new Attribute.IntsAttr(List.of(1L, 1L, 1L, 1L)));
    }
    List<Value> inputs =
        List.of(
            x,
            b.constant(name + ".w", Constant.of(uniform(-1, 1, shape))),
            b.constant(name + ".b", Constant.of(uniform(bias, bias, conv ? shape[0] : shape[1]))));
    Value y = b.value(name + ":0", ValueType.UNKNOWN);
    b.addNode(name, "", conv ? "Conv" : "Gemm", attributes, inputs, List.of(y));
    return y;
  }

  /** One layer, ReLU, (pooling), another, and something that reads its result. */
  private Graph graph(boolean conv, double bias, int pad) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x =
        b.input("x", conv ? TensorType.of(DType.F32, 1, 4, 8, 8) : TensorType.of(DType.F32, 5, 4));
    long[] first = conv ? new long[] {CHANNELS, 4, 3, 3} : new long[] {4, CHANNELS};
    Value h = layer(b, "one", x, conv, bias, 0, first);
    Value r = b.value("r", ValueType.UNKNOWN);
    b.addNode("relu", "", "Relu", Map.of(), List.of(h), List.of(r));
    Value p = r;
    if (conv) {
      p = b.value("p", ValueType.UNKNOWN);
      b.addNode(
          "pool",
          "",
          "MaxPool",
          Map.of("kernel_shape", new Attribute.IntsAttr(List.of(2L, 2L))),
          List.of(r),
          List.of(p));
    }
    long[] second = conv ? new long[] {3, CHANNELS, 3, 3} : new long[] {CHANNELS, 3};
    Value y = layer(b, "two", p, conv, 0, pad, second);
    Value z = b.value("z", ValueType.UNKNOWN);
    b.addNode("neg", "", "Neg", Map.of(), List.of(y), List.of(z));
    b.output(z);
    return quantizer.base(b.build("g", Map.of()), compile);
  }

  private List<Map<String, Tensor>> samples(boolean conv) {
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      samples.add(Map.of("x", conv ? uniform(-1, 1, 1, 4, 8, 8) : uniform(-1, 1, 5, 4)));
    }
    return samples;
  }

  private Quantizer.Options options(String equalize) {
    return new Quantizer.Options(
        compiler.registry().format("s8_symmetric_tensor").id(),
        Optional.of("u8_affine_tensor"),
        new Calibrator.MinMax(),
        "interpreter",
        compile,
        WeightMethod.parse("rtn"),
        ChannelFactors.parse(equalize));
  }

  /** Largest difference of results by the largest result. */
  private double difference(Graph a, Graph b, List<Map<String, Tensor>> samples) {
    var one = compiler.executable(a, "interpreter", compile);
    var two = compiler.executable(b, "interpreter", compile);
    double largest = 0;
    double worst = 0;
    for (Map<String, Tensor> sample : samples) {
      Tensor x = one.run(sample).values().iterator().next();
      Tensor y = two.run(sample).values().iterator().next();
      for (int i = 0; i < x.size(); i++) {
        largest = Math.max(largest, Math.abs(x.getDouble(i)));
        worst = Math.max(worst, Math.abs(x.getDouble(i) - y.getDouble(i)));
      }
    }
    return worst / largest;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void highBiasesMoveAndTheFunctionStays(boolean conv) throws IOException {
    Graph base = graph(conv, 80, 0);
    List<Map<String, Tensor>> samples = samples(conv);
    Quantizer.Decisions plain = quantizer.decide(base, samples, options("cle"));
    Quantizer.Decisions moved = quantizer.decide(base, samples, options("cle:absorb"));
    assertTrue(
        moved.reports().stream().anyMatch(r -> r.contains(CHANNELS + " of " + CHANNELS)),
        moved.reports().toString());
    assertEquals(2, moved.biases().size(), moved.reports().toString());
    // Within the assumption: what is uniform stays within 3 deviations nearly always.
    assertTrue(difference(base, quantizer.equalized(base, moved), samples) < 1e-5);
    double before = error(base, plain, samples);
    double after = error(base, moved, samples);
    assertTrue(after < before, after + " against " + before);
    // From about 80 on there were codes for 0 to 80, too.
    assertTrue(step(moved) < .25 * step(plain), step(moved) + " against " + step(plain));
    Path plan = folder.resolve("plan");
    PlanFiles.write(moved, plan);
    assertEquals(after, error(base, PlanFiles.read(plan), samples), "replayed");
  }

  private static double step(Quantizer.Decisions decisions) {
    var activation = java.util.Objects.requireNonNull(decisions.plan().activations().get("r"));
    return java.util.Objects.requireNonNull(activation.parameters().get("scale"));
  }

  private double error(
      Graph base, Quantizer.Decisions decisions, List<Map<String, Tensor>> samples) {
    return difference(
        base, quantizer.apply(quantizer.equalized(base, decisions), decisions, compile), samples);
  }

  @Test
  void aPaddedReaderTakesNoShiftAndTheReportSaysSo() {
    Graph base = graph(true, 80, 1);
    Quantizer.Decisions decided = quantizer.decide(base, samples(true), options("cle:absorb"));
    assertTrue(decided.biases().isEmpty());
    assertTrue(
        decided.reports().stream().anyMatch(r -> r.contains("pads it")),
        decided.reports().toString());
  }

  /** Channels around zero have nothing to give; others only what leaves the outputs no worse. */
  @ParameterizedTest
  @ValueSource(doubles = {0, 1, 3, 10})
  void neverWorse(double bias) {
    for (boolean conv : new boolean[] {false, true}) {
      Graph base = graph(conv, bias, 0);
      List<Map<String, Tensor>> samples = samples(conv);
      Quantizer.Decisions plain = quantizer.decide(base, samples, options("cle"));
      Quantizer.Decisions moved = quantizer.decide(base, samples, options("cle:absorb"));
      if (moved.biases().isEmpty()) {
        assertEquals(plain.plan().weights(), moved.plan().weights());
        assertEquals(plain.plan().activations(), moved.plan().activations());
      } else {
        assertFalse(
            moved.reports().stream().anyMatch(r -> r.contains("all biases stay")),
            moved.reports().toString());
        assertTrue(power(base, moved, samples) <= power(base, plain, samples));
      }
    }
  }

  private double power(
      Graph base, Quantizer.Decisions decisions, List<Map<String, Tensor>> samples) {
    Graph coded = quantizer.apply(quantizer.equalized(base, decisions), decisions, compile);
    var one = compiler.executable(base, "interpreter", compile);
    var two = compiler.executable(coded, "interpreter", compile);
    double sum = 0;
    for (Map<String, Tensor> sample : samples) {
      Tensor x = one.run(sample).values().iterator().next();
      Tensor y = two.run(sample).values().iterator().next();
      for (int i = 0; i < x.size(); i++) {
        sum += Math.pow(x.getDouble(i) - y.getDouble(i), 2);
      }
    }
    return sum;
  }
}
