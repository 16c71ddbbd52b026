package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** float16 between operators: float32 unless {@code --strict-types} says otherwise. */
class StrictTypesTest {
  private final Compiler compiler = Compiler.standard();

  /** {@code (x + one) - one}, which float16 rounds to multiples of 2^-10. */
  private static Graph addAndTakeAway() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F16, new long[] {1, 40}));
    Value one = b.input("one", TensorType.of(DType.F16, new long[] {1, 40}));
    b.output(b.add("Sub", b.add("Add", x, one), one));
    return b.build("half", Map.of());
  }

  private static Tensor half(double first, double step) {
    Tensor tensor = Tensor.zeros(DType.F16, new long[] {1, 40});
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, first + step * i);
    }
    return tensor;
  }

  private Tensor run(Executable executable) {
    return executable
        .run(Map.of("x", half(1e-4, 1e-4), "one", half(1, 0)))
        .values()
        .iterator()
        .next();
  }

  private Executable compile(String backend, CompileOptions options) {
    Backends.assume(compiler, backend);
    return compiler.executable(addAndTakeAway(), backend, options);
  }

  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native", "loop-interpreter"})
  void strictTypesRoundAfterEveryOperator(String backend) {
    Executable strict =
        compile(backend, CompileOptions.defaults().withSetting(Compiler.STRICT_TYPES, "true"));
    Tensor expected = run(compile("interpreter", CompileOptions.defaults()));
    assertArrayEquals(expected.shorts(), run(strict).shorts());
    assertEquals(0, expected.getDouble(0) % (1.0 / 1024), "float16 near one has steps of 2^-10");
    assertTrue(strict.describe().contains("rounded after every operator"), strict.describe());
  }

  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void otherwiseValuesBetweenOperatorsAreFloat32AndTheDescriptionSaysSo(String backend) {
    Executable wide = compile(backend, CompileOptions.defaults());
    assertArrayEquals(
        new double[] {1e-4, 2e-4, 3e-4},
        new double[] {run(wide).getDouble(0), run(wide).getDouble(1), run(wide).getDouble(2)},
        2e-7);
    assertTrue(wide.describe().contains("float16 is widened"), wide.describe());
  }
}
