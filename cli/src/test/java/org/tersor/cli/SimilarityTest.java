package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tersor.cli.data.Samples;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** Answers of two models, one of which adds a little to the first number of each. */
class SimilarityTest {
  private static final Compiler COMPILER = Compiler.standard();

  /** x + (error, 0, 0, ...). */
  private static Executable adding(float error, int count) {
    float[] errors = new float[count];
    errors[0] = error;
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, DimExpr.list(count)));
    b.output(b.add("Add", x, b.constant(Tensor.of(errors, count))));
    return COMPILER.executable(b.build("g", Map.of()), "interpreter", CompileOptions.defaults());
  }

  private static double within(float error, float[]... samples) {
    int count = samples[0].length;
    Samples.Data data =
        new Samples.Data(
            samples.length,
            List.of(),
            (from, batch) -> Map.of("x", Tensor.of(samples[from], count)));
    return Similarity.measure(
            adding(error, count), adding(0, count), data, samples.length, () -> {})
        .within();
  }

  /** The range is that of each answer. */
  @Test
  void stepsOfAnAnswersOwnRange() {
    float[] narrow = {0, .5f, 1};
    float[] wide = {0, 50, 100};
    assertEquals(1, within(.003f, narrow, wide));
    assertEquals(5 / 6.0, within(.1f, narrow, wide), 1e-12);
    assertEquals(4 / 6.0, within(1, narrow, wide), 1e-12);
  }

  /** An answer of one number has no range of its own. */
  @Test
  void singleNumbersAreJudgedByTheRangeOfAll() {
    float[][] numbers = {{0}, {1}, {.25f}};
    assertEquals(1, within(.003f, numbers));
    assertEquals(0, within(.005f, numbers));
  }

  /** As scikit-learn has it, but for two answers of zeros, which are alike. */
  @Test
  void zerosHaveNoDirection() {
    Tensor zeros = Tensor.of(new float[3], 3);
    Tensor some = Tensor.of(new float[] {0, 1e-30f, 0}, 3);
    assertEquals(1, Similarity.cosine(zeros, zeros));
    assertEquals(0, Similarity.cosine(zeros, some));
    assertEquals(0, Similarity.cosine(some, zeros));
    assertEquals(1, Similarity.cosine(some, some));
  }
}
