package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpRegistry;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** The float64 run of float32 models. */
class WitnessTest {
  private static Tensor run(GraphBuilder b, Value output, Tensor x) {
    b.output(output);
    Graph graph = b.build("w", Map.of());
    return Witness.run(graph, OpRegistry.standard(), Map.of("x", x)).values().iterator().next();
  }

  @Test
  void valuesBetweenOperatorsAreFloat64() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, new long[] {1}));
    Value third = b.add("Div", x, b.constant(Tensor.of(new float[] {3}, 1)));
    Tensor y = run(b, third, Tensor.of(new float[] {1}, 1));
    assertEquals(DType.F64, y.dtype());
    assertEquals(1.0 / 3, y.getDouble(0));
  }

  @Test
  void aCastToFloat32DoesNotRound() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, new long[] {1}));
    Value third = b.add("Div", x, b.constant(Tensor.of(new float[] {3}, 1)));
    Value cast =
        b.add("Cast", Map.of("to", new Attribute.IntAttr(OnnxTypes.code(DType.F32))), third);
    assertEquals(1.0 / 3, run(b, cast, Tensor.of(new float[] {1}, 1)).getDouble(0));
  }

  /** The scales of Resize are float32 by definition, its values are not. */
  @Test
  void operandsThatMustBeFloat32StaySo() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, new long[] {1, 1, 1, 2}));
    Value third = b.add("Div", x, b.constant(Tensor.of(new float[] {3}, 1)));
    Value resized =
        b.add(
            "Resize",
            Map.of("mode", new Attribute.StringAttr("nearest")),
            third,
            Value.NONE,
            b.constant(Tensor.of(new float[] {1, 1, 1, 2}, 4)));
    Tensor y = run(b, resized, Tensor.of(new float[] {1, 2}, 1, 1, 1, 2));
    assertEquals(4, y.size());
    assertEquals(1.0 / 3, y.getDouble(0));
    assertEquals(2.0 / 3, y.getDouble(3));
  }

  @Test
  void distancesTellWhoIsFarther() {
    Tensor exact = Tensor.zeros(DType.F64, new long[] {2});
    exact.setDouble(0, 1);
    exact.setDouble(1, 2);
    List<Witness.Opinion> opinions =
        Witness.judge(
            Map.of("y", exact),
            Map.of("y", Tensor.of(new float[] {1, 2.5f}, 2)),
            Map.of("y", Tensor.of(new float[] {1, 2}, 2)));
    Witness.Opinion opinion = opinions.getFirst();
    assertEquals(.5, opinion.tersor().maxAbs());
    assertEquals(1, opinion.tersor().outside());
    assertTrue(opinion.reference().rms() < opinion.tersor().rms());
  }

  @Test
  void absolvesOnlyWhoIsNowhereFarther() {
    Witness.Distance near = new Witness.Distance(.1, .1, 2, 3);
    Witness.Distance farther = new Witness.Distance(.1, .1, 3, 3);
    Witness.Distance oftener = new Witness.Distance(.1, .1, 2, 4);
    Witness.Distance lost = new Witness.Distance(1, 1, Double.POSITIVE_INFINITY, 1);
    List<Comparison> failed = List.of(failing("y"));
    assertTrue(Witness.absolves(List.of(new Witness.Opinion("y", near, farther)), failed));
    assertTrue(Witness.absolves(List.of(new Witness.Opinion("y", near, near)), failed));
    assertFalse(Witness.absolves(List.of(new Witness.Opinion("y", farther, oftener)), failed));
    assertFalse(Witness.absolves(List.of(new Witness.Opinion("y", oftener, farther)), failed));
    assertFalse(Witness.absolves(List.of(new Witness.Opinion("y", lost, lost)), failed));
    assertFalse(
        Witness.absolves(
            List.of(new Witness.Opinion("y", near, farther)), List.of(failing("y"), failing("z"))),
        "no opinion about z");
  }

  private static Comparison failing(String name) {
    return Comparison.of(
        name, Tensor.of(new float[] {1}, 1), Tensor.of(new float[] {2}, 1), Comparison.FLOAT32);
  }
}
