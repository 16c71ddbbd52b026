package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
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
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.DType;
import org.tersor.runtime.RunLimits;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** A loop that never ends does not hold up calibration, which takes every iteration of it. */
class EndlessCalibrationTest {
  private static final Map<String, Integer> OPSET = Map.of("", 17);

  private static Tensor ones() {
    Tensor ones = Tensor.zeros(DType.F32, 4, 4);
    java.util.Arrays.fill(ones.floats(), .25f);
    return ones;
  }

  /** {@code while (true) x = x * w}. */
  private static Graph endless() {
    GraphBuilder body = new GraphBuilder(OPSET, 100);
    body.input("i", TensorType.of(DType.I64));
    Value on = body.input("on", TensorType.of(DType.BOOL));
    Value state = body.input("state", TensorType.of(DType.F32, 4, 4));
    body.output(body.add("Identity", on));
    body.output(body.add("MatMul", state, body.constant("w", Constant.of(ones()))));
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", TensorType.of(DType.F32, 4, 4));
    Value last = b.value("last", ValueType.UNKNOWN);
    b.addNode(
        "forever",
        "",
        "Loop",
        Map.of("body", new Attribute.GraphAttr(body.build("body", Map.of()))),
        List.of(Value.NONE, Value.NONE, x),
        List.of(last));
    b.output(last);
    return b.build("endless", Map.of());
  }

  @Test
  void iterationsOfCalibrationAreCounted() {
    Quantizer quantizer = new Quantizer(Compiler.standard());
    Quantizer.Options options =
        quantizer.options(
            "int8",
            new Calibrator.MinMax(),
            "interpreter",
            CompileOptions.defaults().withNote(note -> {}));
    Graph base = quantizer.base(endless(), options.compile());
    Cancellation limits = new Cancellation(RunLimits.standard().withTrips(1000));
    TersorException ended =
        assertThrows(
            TersorException.class,
            () ->
                limits.during(() -> quantizer.decide(base, List.of(Map.of("x", ones())), options)));
    assertEquals("TSR-0713", ended.code());
  }
}
