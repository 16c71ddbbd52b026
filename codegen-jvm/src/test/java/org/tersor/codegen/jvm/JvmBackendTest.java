package org.tersor.codegen.jvm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.Test;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.util.CheckClassAdapter;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.loop.RandomFunctions;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;

@NullUnmarked
class JvmBackendTest {
  private static JvmBackend backend() {
    return (JvmBackend)
        ServiceLoader.load(Backend.class).stream()
            .filter(p -> p.type() == JvmBackend.class)
            .findFirst()
            .orElseThrow()
            .get();
  }

  @Test
  void theServiceLoaderFindsIt() {
    assertEquals("jvm", backend().id());
    List<Target> targets = backend().targets();
    assertEquals(JvmBackend.vectorBytes(), targets.getFirst().vectorBytes());
    assertEquals(0, targets.getLast().vectorBytes());
  }

  @Test
  void runsAProgramForEveryTarget() {
    DimExpr n = DimExpr.symbol("n");
    Plan plan =
        new Plan(
            "p",
            List.of("n"),
            List.of(new Executable.Port("x", DType.F32, List.of(n))),
            List.of(new Executable.Port("y", DType.F32, List.of(n))),
            List.of(
                new Plan.Buffer("x", DType.F32, n, Plan.Storage.INPUT, 0),
                new Plan.Buffer("s", DType.F32, DimExpr.of(1), Plan.Storage.CONSTANT, 0),
                new Plan.Buffer("y", DType.F32, n, Plan.Storage.OUTPUT, 0)),
            List.of("scaleAdd"),
            List.of(),
            List.of(new Plan.Call(0, List.of(0, 1, 2), List.of(n), DimExpr.of(1), "node")));
    for (Target target : backend().targets()) {
      int lanes = Math.max(2, target.lanes(4));
      Program program =
          new Program(
              plan,
              List.of(HandKernels.scaleAdd(lanes)),
              List.of(Constant.of(Tensor.of(new float[] {3}, 1))),
              target,
              Map.of());
      Executable executable = backend().load(program, Backend.Options.threads(2));
      Tensor y = executable.run(Map.of("x", Tensor.of(new float[] {1, 2, 3, 4, 5}, 5))).get("y");
      assertArrayEquals(new float[] {3, 6, 9, 12, 15}, y.floats());
      assertTrue(
          executable.describe().contains("target: " + target.name() + "\n"), executable.describe());
    }
  }

  @Test
  void plainClassesDoNotNeedTheVectorApi() {
    byte[] bytes = new JvmEmitter(Target.jvm(0)).emit(HandKernels.gemm(2, 4, 2), "model/Kernel");
    // Names of classes are stored as they are.
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    assertTrue(text.contains("org/tersor/runtime/KernelCode"));
    assertFalse(text.contains("jdk/incubator"));
  }

  @Test
  void classesAreWellFormedAndReproducible() {
    List<byte[]> classes = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      classes.add(new JvmEmitter(Target.jvm(64)).emit(HandKernels.gemm(7, 48, 16), "model/Kernel"));
    }
    assertArrayEquals(classes.get(0), classes.get(1));
    for (long seed = 0; seed < 20; seed++) {
      StringWriter problems = new StringWriter();
      byte[] bytes =
          new JvmEmitter(Target.jvm(16)).emit(new RandomFunctions(seed).function(), "model/Kernel");
      CheckClassAdapter.verify(new ClassReader(bytes), false, new PrintWriter(problems));
      assertEquals("", problems.toString(), "seed " + seed);
    }
  }
}
