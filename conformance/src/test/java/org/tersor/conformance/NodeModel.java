package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** A model of one node, to be compared with ONNX Runtime; constants become initializers. */
final class NodeModel {
  final String name;
  final String type;
  final List<Optional<Tensor>> inputs = new ArrayList<>();
  final List<Boolean> constant = new ArrayList<>();
  final Map<String, Attribute> attributes = new LinkedHashMap<>();
  final List<Boolean> outputs = new ArrayList<>(List.of(true));
  private double tolerance = 1e-4;
  String domain = "com.microsoft";

  NodeModel(String name, String type) {
    this.name = name;
    this.type = type;
  }

  /** Largest relative difference (and, below 1, absolute one) from ONNX Runtime. */
  NodeModel tolerance(double value) {
    tolerance = value;
    return this;
  }

  NodeModel in(Tensor tensor) {
    inputs.add(Optional.of(tensor));
    constant.add(false);
    return this;
  }

  NodeModel weight(Tensor tensor) {
    inputs.add(Optional.of(tensor));
    constant.add(true);
    return this;
  }

  NodeModel none() {
    inputs.add(Optional.empty());
    constant.add(false);
    return this;
  }

  NodeModel attr(String key, long value) {
    attributes.put(key, new Attribute.IntAttr(value));
    return this;
  }

  NodeModel attr(String key, float value) {
    attributes.put(key, new Attribute.FloatAttr(value));
    return this;
  }

  NodeModel attr(String key, float[] values) {
    List<Float> list = new ArrayList<>();
    for (float value : values) {
      list.add(value);
    }
    attributes.put(key, new Attribute.FloatsAttr(list));
    return this;
  }

  NodeModel attr(String key, long[] values) {
    attributes.put(key, new Attribute.IntsAttr(Arrays.stream(values).boxed().toList()));
    return this;
  }

  /** The first {@code count} of them. */
  NodeModel attr(String key, long[] values, int count) {
    return attr(key, Arrays.copyOf(values, count));
  }

  NodeModel attr(String key, String value) {
    attributes.put(key, new Attribute.StringAttr(value));
    return this;
  }

  NodeModel attr(String key, List<String> values) {
    attributes.put(key, new Attribute.StringsAttr(values));
    return this;
  }

  NodeModel out(boolean used) {
    outputs.add(used);
    return this;
  }

  Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17, "com.microsoft", 1, "ai.onnx.ml", 3), 0);
    List<Value> operands = new ArrayList<>();
    for (int i = 0; i < inputs.size(); i++) {
      String operand = "in" + i;
      boolean weight = constant.get(i);
      operands.add(
          inputs
              .get(i)
              .map(t ->
                  weight
                      ? b.constant(operand, Constant.of(t))
                      : b.input(operand, TensorType.of(t.dtype(), t.shape())))
              .orElse(Value.NONE));
    }
    List<Value> results = new ArrayList<>();
    for (int i = 0; i < outputs.size(); i++) {
      results.add(outputs.get(i) ? b.value("out" + i, ValueType.UNKNOWN) : Value.NONE);
    }
    b.addNode(domain, type, attributes, operands, results);
    results.stream().filter(Value::isPresent).forEach(b::output);
    return b.build(name, Map.of());
  }

  Map<String, Tensor> data() {
    Map<String, Tensor> data = new LinkedHashMap<>();
    for (int i = 0; i < inputs.size(); i++) {
      if (inputs.get(i).isPresent() && !constant.get(i)) {
        data.put("in" + i, inputs.get(i).get());
      }
    }
    return data;
  }

  /** Runs it both ways and compares every output. */
  void agrees(Reference ort, String backend, Path folder) {
    Compiler compiler = Compiler.standard();
    Path file = folder.resolve("model.onnx");
    compiler.write(graph(), file, Map.of());
    Map<String, Tensor> expected = ort.run(file, data(), Reference.Options.DEFAULT);
    LoadedModel model =
        LoadedModel.of(compiler, compiler.read(file, Map.of()), backend, CompileOptions.defaults());
    Map<String, Tensor> actual = model.executable().run(data());
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((output, tensor) -> {
      Comparison comparison =
          Comparison.of(
              output,
              java.util.Objects.requireNonNull(actual.get(output)),
              tensor,
              new Comparison.Rule.Close(tolerance, tolerance));
      assertTrue(comparison.passed(), comparison.name() + ": " + comparison.note());
    });
  }

  static Tensor reals(long seed, long... shape) {
    SeededRandom random = new SeededRandom(seed);
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  static Tensor positive(long seed, long... shape) {
    Tensor tensor = reals(seed, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = .01f + .1f * Math.abs(tensor.floats()[i]);
    }
    return tensor;
  }

  static Tensor bytes(DType dtype, long seed, long... shape) {
    SeededRandom random = new SeededRandom(seed);
    Tensor tensor = Tensor.zeros(dtype, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setLong(i, random.between(dtype.minValue(), dtype.maxValue()));
    }
    return tensor;
  }

  static Tensor scale(float value) {
    return Tensor.of(new float[] {value});
  }

  static Tensor zero(DType dtype, long value) {
    Tensor tensor = Tensor.zeros(dtype);
    tensor.setLong(0, value);
    return tensor;
  }

  static Tensor ints(int... values) {
    return Tensor.of(values, values.length);
  }
}
