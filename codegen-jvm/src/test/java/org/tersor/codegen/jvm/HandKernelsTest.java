package org.tersor.codegen.jvm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.KernelCode;

class HandKernelsTest {
  @Test
  void gemmTilesOfEveryWidth() {
    for (int lanes : new int[] {16, 8, 4, 1}) {
      LoopFunction f = HandKernels.gemm(lanes == 1 ? 2 : 7, lanes == 1 ? 3 : 3 * lanes, lanes);
      for (int k : new int[] {0, 1, 17}) {
        int columns = lanes == 1 ? 3 : 3 * lanes;
        List<Object> arrays =
            List.of(
                Differential.random(Scalar.F32, 3 * 7 * k, new Random(1)),
                Differential.random(Scalar.F32, 2 * columns * k, new Random(2)),
                Differential.random(Scalar.F32, 2 * columns, new Random(3)),
                Differential.random(Scalar.F32, 3 * 7 * 2 * columns, new Random(4)));
        Differential.check(f, arrays, 3, 3, 2, k);
      }
    }
  }

  @Test
  void maskedTailsTouchNothingElse() {
    for (int lanes : new int[] {16, 8, 4, 2, 64}) {
      for (int n = 0; n < 70; n += 3) {
        Differential.check(HandKernels.scaleAdd(lanes), n, new Random(n), n);
      }
    }
  }

  @Test
  void scratchMemoryIsPrivateToTheTask() {
    for (int lanes : new int[] {16, 8, 4, 64}) {
      List<Object> arrays =
          List.of(
              Differential.random(Scalar.U8, 5 * 128, new Random(1)),
              Differential.random(Scalar.I8, 128, new Random(2)),
              Differential.random(Scalar.I32, 5, new Random(3)));
      Differential.check(HandKernels.dot(lanes), arrays, 5, 5, 128);
    }
  }

  /**
   * The optimising compiler must not change results: run until it has surely compiled the method.
   */
  @Test
  void hotCodeGivesTheValuesOfColdCode() {
    record Case(LoopFunction function, List<Object> arrays, int tasks, int[] dims) {}
    Random random = new Random(5);
    List<Case> cases =
        List.of(
            new Case(
                HandKernels.gemm(7, 48, 16),
                List.of(
                    gauss(7 * 200, random),
                    gauss(48 * 200, random),
                    gauss(48, random),
                    gauss(7 * 48, random)),
                1,
                new int[] {1, 1, 200}),
            new Case(
                HandKernels.dot(16),
                List.of(
                    Differential.random(Scalar.U8, 2 * 512, random),
                    Differential.random(Scalar.I8, 512, random),
                    Differential.random(Scalar.I32, 2, random)),
                2,
                new int[] {2, 512}));
    for (Case c : cases) {
      for (int width : Differential.WIDTHS) {
        if (width > JvmBackend.vectorBytes()) {
          continue;
        }
        KernelCode kernel = HiddenKernels.load(c.function, Target.jvm(width));
        List<Object> cold = c.arrays.stream().map(Differential::copy).toList();
        Differential.run(kernel, cold, c.tasks, c.dims);
        List<Object> hot = cold;
        long start = System.nanoTime();
        for (int i = 0; i < 4000 && System.nanoTime() - start < 600_000_000L; i++) {
          hot = c.arrays.stream().map(Differential::copy).toList();
          Differential.run(kernel, hot, c.tasks, c.dims);
        }
        for (int i = 0; i < hot.size(); i++) {
          Scalar element = c.function.buffers().get(i).element();
          assertArrayEquals(
              Differential.bits(element, cold.get(i)),
              Differential.bits(element, hot.get(i)),
              c.function.name() + " at " + width);
        }
      }
    }
  }

  private static float[] gauss(int n, Random random) {
    float[] values = new float[n + 2 * Differential.OFFSET];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /**
   * Many tiles in one function, as edges and epilogues make: each method stays within what the
   * compiler takes.
   */
  @Test
  void longFunctionsAreSplit() {
    LoopFunction one = HandKernels.gemm(7, 48, 16);
    Stmt.For outer = (Stmt.For) one.body();
    LoopFunction many =
        new LoopFunction(
            "many",
            one.buffers(),
            one.dims(),
            new Stmt.For(
                outer.kind(),
                outer.var(),
                outer.begin(),
                outer.end(),
                1,
                new Stmt.Block(Collections.nCopies(12, outer.body()))));
    var emitted = new JvmEmitter(Target.jvm(64)).emitWithSizes(many, HiddenKernels.CLASS_NAME);
    assertTrue(emitted.methodSizes().size() > 1);
    assertTrue(emitted.largestMethod() < JvmEmitter.METHOD_LIMIT, emitted.methodSizes().toString());
    Random random = new Random(1);
    Differential.check(
        many,
        List.of(
            gauss(7 * 9, random), gauss(48 * 9, random), gauss(48, random), gauss(7 * 48, random)),
        1,
        1,
        1,
        9);
  }

  @Test
  void theGemmTileFitsTheCompiler() {
    var emitted =
        new JvmEmitter(Target.jvm(64))
            .emitWithSizes(HandKernels.gemm(7, 48, 16), "org/tersor/codegen/jvm/Kernel");
    assertTrue(emitted.largestMethod() < 2500, "bytes: " + emitted.largestMethod());
  }
}
