package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;

/** Squeeze without axes of what only folding tells the size of. */
class SqueezeOfConstantsTest {
  @ParameterizedTest
  @ValueSource(strings = {"interpreter", "jvm", "native"})
  void anAxisThatFoldingTellsIsDropped(String backend) {
    Compiler compiler = Compiler.standard();
    org.junit.jupiter.api.Assumptions.assumeTrue(
        compiler.registry().backend(backend).unavailable().isEmpty(), "no " + backend);
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    // One place in three dimensions: i64[3, 1].
    Value places = b.add("NonZero", b.constant(Tensor.of(new float[] {0, 0, 5, 0}, 2, 2, 1)));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("", "Squeeze", Map.of(), List.of(places), List.of(y));
    b.output(y);
    Tensor result =
        Objects.requireNonNull(
            LoadedModel.of(
                    compiler, b.build("squeeze", Map.of()), backend, CompileOptions.defaults())
                .executable()
                .run(Map.of())
                .get("y"));
    assertArrayEquals(new long[] {3}, result.shape());
    assertArrayEquals(new long[] {1, 0, 0}, result.longs());
  }
}
