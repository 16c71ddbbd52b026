package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.tersor.cli.Outcome.tersor;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** The verdict of {@code verify --witness} where ONNX Runtime and Tersor are too far apart. */
class VerifyWitnessTest {
  private static final int TERMS = 512;
  private static final int COLUMNS = 1024;

  @TempDir static Path folder;

  /** Many sums of large numbers: some nearly cancel, and there sums in float32 are far off. */
  private static void make(String name, float lastFactor) {
    Random random = new Random(5);
    float[] factors = new float[TERMS * COLUMNS];
    for (int i = 0; i < factors.length; i++) {
      factors[i] = 1000 * random.nextFloat(-1, 1);
    }
    factors[factors.length - 1] += lastFactor;
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 64, TERMS));
    b.output(b.add("MatMul", x, b.constant(Tensor.of(factors, TERMS, COLUMNS))));
    Compiler.standard().write(b.build("sums", Map.of()), folder.resolve(name), Map.of());
  }

  @BeforeAll
  static void models() {
    make("sums.onnx", 0);
    make("others.onnx", 500);
  }

  /** The interpreter sums in float64: it is right where ONNX Runtime is not. */
  private static Outcome verify(String model, String reference, String... more) {
    Object[] arguments = new Object[6 + more.length];
    arguments[0] = "verify";
    arguments[1] = folder.resolve(model);
    arguments[2] = "--reference";
    arguments[3] = folder.resolve(reference);
    arguments[4] = "--backend";
    arguments[5] = "interpreter";
    System.arraycopy(more, 0, arguments, 6, more.length);
    return tersor(arguments);
  }

  @Test
  void passesWhereTheReferenceIsFarther() throws IOException {
    Outcome plain = verify("sums.onnx", "sums.onnx", "--json");
    assertEquals(Exit.CHECK_FAILED, plain.exit(), plain.out());
    assertFalse(plain.json().has("passedByWitness"));
    Outcome judged = verify("sums.onnx", "sums.onnx", "--witness", "--json");
    assertEquals(Exit.OK, judged.exit(), judged.out());
    assertTrue(judged.json().path("passed").asBoolean());
    assertTrue(judged.json().path("passedByWitness").asBoolean());
    assertFalse(judged.json().path("withinTolerance").asBoolean());
    String said = verify("sums.onnx", "sums.onnx", "--witness").out();
    assertTrue(said.contains("outside the tolerance, passed by the float64 witness"), said);
  }

  /** Against another model ONNX Runtime is near to the witness of that model, Tersor is not. */
  @Test
  void failsWhereTersorIsFarther() throws IOException {
    Outcome judged = verify("sums.onnx", "others.onnx", "--witness", "--json");
    assertEquals(Exit.CHECK_FAILED, judged.exit(), judged.out());
    assertFalse(judged.json().path("passed").asBoolean());
    assertFalse(judged.json().path("passedByWitness").asBoolean());
    Outcome told = verify("sums.onnx", "others.onnx", "--witness");
    assertEquals(Exit.CHECK_FAILED, told.exit());
    assertTrue(told.out().contains("and by the float64 witness not through"), told.out());
  }

  /** A result that was stored is no matter of rounding. */
  @Test
  void aStoredResultMustAgreeAllTheSame() {
    Path stored = folder.resolve("y.npz");
    assertEquals(
        Exit.OK,
        tersor("run", folder.resolve("others.onnx"), "--backend", "interpreter", "-o", stored)
            .exit());
    Outcome judged = verify("sums.onnx", "sums.onnx", "--witness", "--expect", stored.toString());
    assertEquals(Exit.CHECK_FAILED, judged.exit(), judged.out() + judged.err());
  }
}
