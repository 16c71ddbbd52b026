package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.tersor.ir.ops.OperatorTestKit.random;

import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Operators of ai.onnx.ml: hand-computed cases, kernels against evaluation, refusals. */
class MachineLearningTest {
  private static final List<DType> NUMBERS = List.of(DType.F32, DType.F64, DType.I32, DType.I64);

  private static OperatorTestKit ml(String type, int version) {
    return OperatorTestKit.node(type, version).domain("ai.onnx.ml");
  }

  private static String code(OperatorTestKit kit) {
    return assertThrows(TersorException.class, kit::infer).code();
  }

  @Test
  void arrayFeatureExtractor() {
    for (DType dtype : NUMBERS) {
      ml("ArrayFeatureExtractor", 1)
          .input(random(dtype, 1, 2, 3, 4))
          .input(Tensor.of(new long[] {3, 0, 3, 1, 2}, 1, 5))
          .check();
    }
    Tensor line = Tensor.of(new float[] {5, 6, 7}, 3);
    Tensor picked =
        ml("ArrayFeatureExtractor", 1)
            .input(line)
            .input(Tensor.of(new long[] {2, 0}, 2))
            .check()
            .getFirst();
    assertArrayEquals(new long[] {1, 2}, picked.shape());
    assertArrayEquals(new float[] {7, 5}, picked.floats());
    OperatorTestKit outside =
        ml("ArrayFeatureExtractor", 1).input(line).input(Tensor.of(new long[] {-10}, 1));
    assertEquals("TSR-0705", assertThrows(TersorException.class, outside::eval).code());
  }

  @Test
  void binarizerAndNormalizer() {
    for (DType dtype : NUMBERS) {
      Tensor x = random(dtype, 1, 3, 4);
      ml("Binarizer", 1).input(x).attr("threshold", 0.5f).check();
      for (String norm : new String[] {"MAX", "L1", "L2"}) {
        ml("Normalizer", 1).input(x).attr("norm", norm).check();
      }
    }
    Tensor rows = Tensor.of(new float[] {3, -4, 0, 0}, 2, 2);
    assertArrayEquals(
        new float[] {0.6f, -0.8f, 0, 0},
        ml("Normalizer", 1).input(rows).attr("norm", "L2").check().getFirst().floats(),
        1e-6f);
    assertEquals("TSR-0304", code(ml("Normalizer", 1).input(rows).attr("norm", "L3")));
  }

  @Test
  void scalerAndImputer() {
    for (DType dtype : NUMBERS) {
      ml("Scaler", 1)
          .fixed(random(dtype, 1, 3, 2))
          .attr("offset", new float[] {1, 2})
          .attr("scale", new float[] {0.5f})
          .check();
      OperatorTestKit imputer = ml("Imputer", 1).fixed(random(dtype, 1, 3, 2));
      if (dtype.isFloat()) {
        imputer.attr("imputed_value_floats", new float[] {7, 8}).attr("replaced_value_float", 0f);
      } else {
        imputer.attr("imputed_value_int64s", new long[] {1L << 60}).attr("replaced_value_int64", 3);
      }
      imputer.check();
    }
    Tensor x = Tensor.of(new float[] {Float.NaN, 2, 3, Float.NaN}, 2, 2);
    assertArrayEquals(
        new float[] {10, 2, 3, 20},
        ml("Imputer", 1)
            .fixed(x)
            .attr("imputed_value_floats", new float[] {10, 20})
            .attr("replaced_value_float", Float.NaN)
            .check()
            .getFirst()
            .floats());
    assertEquals("TSR-0304", code(ml("Imputer", 1).fixed(x)));
    assertEquals("TSR-0303", code(ml("Scaler", 1).fixed(x).attr("scale", new float[] {1, 2, 3})));
  }

  @Test
  void oneHotEncoderAndFeatureVectorizer() {
    long[] categories = {3, -1, 7};
    ml("OneHotEncoder", 1)
        .input(Tensor.of(new long[] {3, 7, 8, -1}, 2, 2))
        .attr("cats_int64s", categories)
        .check();
    // Floats are cast to integers first.
    ml("OneHotEncoder", 1)
        .input(Tensor.of(new float[] {3.5f, -1.9f, 0.5f}, 3))
        .attr("cats_int64s", categories)
        .check();
    OperatorTestKit unknown =
        ml("OneHotEncoder", 1)
            .input(Tensor.of(new float[] {4.5f}, 1))
            .attr("cats_int64s", categories)
            .attr("zeros", 0);
    assertEquals("TSR-0705", assertThrows(TersorException.class, unknown::eval).code());
    ml("FeatureVectorizer", 1)
        .input(random(DType.I64, 1, 2, 3))
        .input(random(DType.F32, 2, 2, 1))
        .input(random(DType.F64, 3, 2, 5))
        .attr("inputdimensions", new long[] {3, 1, 5})
        .check();
  }

  @TestFactory
  Stream<DynamicTest> linearModels() {
    return Stream.of("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
        .map(transform -> DynamicTest.dynamicTest(transform, () -> linear(transform)));
  }

  private static void linear(String transform) {
    float[] weights = {0.01f, -0.02f, 0.03f, 0.01f, 0.02f, -0.01f};
    for (DType dtype : NUMBERS) {
      Tensor x = random(dtype, 1, 4, 2);
      ml("LinearRegressor", 1)
          .fixed(x)
          .attr("coefficients", weights)
          .attr("intercepts", new float[] {0.5f, 0.4f, 0.45f})
          .attr("targets", 3)
          .attr("post_transform", transform)
          .check();
      ml("LinearClassifier", 1)
          .fixed(x)
          .attr("coefficients", weights)
          .attr("intercepts", new float[] {0.5f, 0.4f, 0.45f})
          .attr("classlabels_ints", new long[] {10, 20, 30})
          .attr("post_transform", transform)
          .outputs(2)
          .check();
    }
    if (transform.equals("NONE") || transform.equals("LOGISTIC")) {
      ml("LinearClassifier", 1)
          .fixed(random(DType.F32, 1, 4, 2))
          .attr("coefficients", new float[] {1, 2})
          .attr("intercepts", new float[] {0.5f})
          .attr("classlabels_ints", new long[] {10, 20})
          .attr("post_transform", transform)
          .outputs(2)
          .check();
    }
  }

  /** Two stumps over two columns, each with two leaves. */
  private static OperatorTestKit stumps(OperatorTestKit kit, String leaves, long[] classes) {
    return kit.attr("nodes_treeids", new long[] {0, 0, 0, 1, 1, 1})
        .attr("nodes_nodeids", new long[] {0, 1, 2, 0, 1, 2})
        .attr("nodes_featureids", new long[] {0, 0, 0, 1, 0, 0})
        .attr("nodes_modes", List.of("BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF"))
        .attr("nodes_values", new float[] {0.5f, 0, 0, -1, 0, 0})
        .attr("nodes_truenodeids", new long[] {1, 0, 0, 1, 0, 0})
        .attr("nodes_falsenodeids", new long[] {2, 0, 0, 2, 0, 0})
        .attr("nodes_missing_value_tracks_true", new long[] {1, 0, 0, 0, 0, 0})
        .attr(leaves + "_treeids", new long[] {0, 0, 1, 1})
        .attr(leaves + "_nodeids", new long[] {1, 2, 1, 2})
        .attr(leaves + "_ids", classes)
        .attr(leaves + "_weights", new float[] {1, 2, 10, 20});
  }

  private static final Tensor ROWS =
      Tensor.of(new float[] {0, 0, 1, -2, Float.NaN, Float.NaN, 0.5f, -1}, 4, 2);

  @Test
  void treesByHand() {
    long[] one = {0, 0, 0, 0};
    OperatorTestKit sum = stumps(ml("TreeEnsembleRegressor", 3).fixed(ROWS), "target", one);
    assertArrayEquals(new float[] {11, 22, 21, 21}, sum.check().getFirst().floats());
    OperatorTestKit least =
        stumps(ml("TreeEnsembleRegressor", 1).fixed(ROWS), "target", one)
            .attr("aggregate_function", "MIN")
            .attr("base_values", new float[] {0.5f});
    assertArrayEquals(new float[] {1.5f, 2.5f, 1.5f, 1.5f}, least.check().getFirst().floats());
    OperatorTestKit binary =
        stumps(ml("TreeEnsembleClassifier", 3).fixed(ROWS), "class", one)
            .attr("classlabels_int64s", new long[] {5, 6})
            .outputs(2);
    assertArrayEquals(new long[] {6, 6, 6, 6}, binary.check().getFirst().longs());
    OperatorTestKit three =
        stumps(ml("TreeEnsembleClassifier", 3).fixed(ROWS), "class", new long[] {0, 1, 2, 0})
            .attr("classlabels_int64s", new long[] {5, 6, 7})
            .attr("post_transform", "SOFTMAX")
            .outputs(2);
    assertArrayEquals(new long[] {7, 5, 5, 5}, three.check().getFirst().longs());
    OperatorTestKit names =
        stumps(ml("TreeEnsembleClassifier", 3).fixed(ROWS), "class", new long[] {0, 1, 2, 0})
            .attr("classlabels_strings", List.of("a", "b", "c"))
            .outputs(2);
    assertArrayEquals(new String[] {"c", "a", "a", "a"}, names.eval().getFirst().strings());
  }

  /** Nobody votes for the second class, whose 0 is the largest score of the first row. */
  @Test
  void classesWithoutVotes() {
    OperatorTestKit three =
        stumps(ml("TreeEnsembleClassifier", 3).fixed(ROWS), "class", new long[] {0, 2, 0, 2})
            .attr("class_weights", new float[] {-1, -2, -10, 20})
            .attr("classlabels_int64s", new long[] {5, 6, 7})
            .outputs(2);
    List<Tensor> results = three.check();
    assertArrayEquals(new long[] {6, 7, 7, 7}, results.getFirst().longs());
    assertArrayEquals(
        new float[] {-11, 0, 0, 0, 0, 18, -1, 0, 20, -1, 0, 20}, results.getLast().floats());
    OperatorTestKit second =
        stumps(ml("TreeEnsembleClassifier", 3).fixed(ROWS), "class", new long[] {1, 1, 1, 1})
            .attr("classlabels_int64s", new long[] {5, 6})
            .outputs(2);
    assertArrayEquals(new float[] {0, 11, 0, 22, 0, 21, 0, 21}, second.check().getLast().floats());
  }

  /**
   * A missing value takes the false branch, unless the node says otherwise, whatever it compares.
   */
  @Test
  void missingValuesAreNotUnequal() {
    OperatorTestKit unequal =
        stumps(ml("TreeEnsembleRegressor", 3).fixed(ROWS), "target", new long[] {0, 0, 0, 0})
            .attr(
                "nodes_modes", List.of("BRANCH_NEQ", "LEAF", "LEAF", "BRANCH_NEQ", "LEAF", "LEAF"));
    assertArrayEquals(new float[] {11, 11, 21, 22}, unequal.check().getFirst().floats());
  }

  @Test
  void treesRefuse() {
    long[] one = {0, 0, 0, 0};
    OperatorTestKit loop =
        stumps(ml("TreeEnsembleRegressor", 3).fixed(ROWS), "target", one)
            .attr(
                "nodes_modes",
                List.of("BRANCH_LEQ", "BRANCH_LT", "LEAF", "BRANCH_GT", "LEAF", "LEAF"))
            .attr("nodes_truenodeids", new long[] {1, 0, 0, 1, 0, 0})
            .attr("nodes_falsenodeids", new long[] {2, 2, 0, 2, 0, 0});
    assertEquals("TSR-0304", code(loop));
    OperatorTestKit narrow =
        stumps(ml("TreeEnsembleRegressor", 3).fixed(random(DType.F32, 1, 2, 1)), "target", one);
    assertEquals("TSR-0303", code(narrow));
    OperatorTestKit target =
        stumps(ml("TreeEnsembleRegressor", 3).fixed(ROWS), "target", new long[] {0, 0, 0, 1});
    assertEquals("TSR-0304", code(target));
  }

  /** A complete tree of a depth, with random comparisons. */
  private static OperatorTestKit tables(DType dtype, long aggregate) {
    Random random = new Random(4);
    int inner = 31;
    long[] yes = new long[inner];
    long[] no = new long[inner];
    long[] leaf = new long[inner];
    long[] columns = new long[inner];
    Tensor modes = Tensor.zeros(DType.U8, inner);
    Tensor splits = Tensor.zeros(dtype, inner);
    int sets = 0;
    for (int i = 0; i < inner; i++) {
      boolean last = i >= inner / 2;
      leaf[i] = last ? 1 : 0;
      yes[i] = last ? 2L * (i - inner / 2) : 2L * i + 1;
      no[i] = yes[i] + 1;
      columns[i] = random.nextInt(3);
      modes.setLong(i, random.nextInt(7));
      sets += modes.getLong(i) == 6 ? 1 : 0;
      splits.setDouble(i, random.nextInt(-4, 4));
    }
    Tensor members = Tensor.zeros(dtype, sets * 3L);
    for (int i = 0; i < members.size(); i++) {
      members.setDouble(i, i % 3 == 2 ? Double.NaN : random.nextInt(-4, 4));
    }
    int leaves = inner + 1;
    long[] targets = new long[leaves];
    Tensor weights = Tensor.zeros(dtype, leaves);
    for (int i = 0; i < leaves; i++) {
      targets[i] = random.nextInt(2);
      weights.setDouble(i, random.nextInt(-20, 20));
    }
    Tensor x = Tensor.zeros(dtype, 20, 3);
    for (int i = 0; i < x.size(); i++) {
      x.setDouble(i, random.nextInt(-5, 5));
    }
    return ml("TreeEnsemble", 5)
        .fixed(x)
        .attr("aggregate_function", aggregate)
        .attr("leaf_targetids", targets)
        .attr("leaf_weights", weights)
        .attr("membership_values", members)
        .attr("n_targets", 2)
        .attr("nodes_falseleafs", leaf)
        .attr("nodes_trueleafs", leaf)
        .attr("nodes_falsenodeids", no)
        .attr("nodes_truenodeids", yes)
        .attr("nodes_featureids", columns)
        .attr("nodes_modes", modes)
        .attr("nodes_splits", splits)
        .attr("tree_roots", new long[] {0, 1, 2});
  }

  @Test
  void tablesOfTrees() {
    for (DType dtype : new DType[] {DType.F32, DType.F64}) {
      for (long aggregate = 0; aggregate < 4; aggregate++) {
        tables(dtype, aggregate).check();
      }
    }
    assertEquals("TSR-0304", code(tables(DType.F32, 1).attr("tree_roots", new long[] {31})));
  }
}
