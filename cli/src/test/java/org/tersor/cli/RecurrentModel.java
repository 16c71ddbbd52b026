package org.tersor.cli;

import java.util.List;
import java.util.Map;
import java.util.Random;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** A model of one LSTM, GRU or RNN called {@code cell}, with x [steps, 2, input] and y. */
record RecurrentModel(String type, int directions, int steps, int input, int hidden) {
  static Tensor normal(Random random, double size, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (size * random.nextGaussian());
    }
    return tensor;
  }

  /** Signal by noise. */
  static double decibels(float[] expected, float[] actual) {
    double signal = 0;
    double noise = 0;
    for (int i = 0; i < expected.length; i++) {
      signal += (double) expected[i] * expected[i];
      noise += Math.pow(expected[i] - actual[i], 2);
    }
    return 10 * Math.log10(signal / noise);
  }

  Graph graph(Random random) {
    long gates = type.equals("LSTM") ? 4 : type.equals("GRU") ? 3 : 1;
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, steps, 2, input));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "cell",
        "",
        type,
        Map.of(
            "hidden_size", new Attribute.IntAttr(hidden),
            "direction", new Attribute.StringAttr(directions == 2 ? "bidirectional" : "forward")),
        List.of(
            x,
            weight(b, random, "W", gates * hidden, input),
            weight(b, random, "R", gates * hidden, hidden),
            weight(b, random, "B", 2 * gates * hidden)),
        List.of(y));
    b.output(y);
    return b.build("recurrent", Map.of());
  }

  private Value weight(GraphBuilder b, Random random, String name, long... shape) {
    long[] all = new long[shape.length + 1];
    all[0] = directions;
    System.arraycopy(shape, 0, all, 1, shape.length);
    return b.constant(name, Constant.of(normal(random, .2, all)));
  }
}
