package org.tersor.codegen.jvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.regex.Pattern;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.schedule.KernelTestKit;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.DimExpr;

/** Products with much behind them: their tiles must stay in methods that HotSpot compiles well. */
@NullUnmarked
class LongEpilogueTest {
  private static final Target TARGET = Target.jvm(64);

  /** HotSpot puts a vector that is an argument into an object. */
  @ParameterizedTest
  @ValueSource(longs = {16, 600})
  void noVectorIsAnArgument(long depth) {
    KernelTestKit kit = kit(depth);
    kit.check(TARGET, f -> HiddenKernels.load(f, TARGET));
    List<String> moved = new ArrayList<>();
    for (LoopFunction function : kit.functions(TARGET)) {
      JvmEmitter.Emitted emitted =
          new JvmEmitter(TARGET).emitWithSizes(function, HiddenKernels.CLASS_NAME);
      assertTrue(emitted.largestMethod() < Splitter.BUDGET, emitted.methodSizes().toString());
      moved.addAll(descriptorsOfParts(emitted.bytes()));
    }
    assertTrue(moved.size() > 0);
    assertEquals(List.of(), moved.stream().filter(each -> each.contains("Vector")).toList());
  }

  /** The method of the loops runs once in a call of a model: long in the interpreter. */
  @Test
  void noVectorIsInTheMethodOfTheLoops() {
    List<String> parts = new ArrayList<>();
    for (LoopFunction function : kit(600).functions(TARGET)) {
      byte[] bytes = new JvmEmitter(TARGET).emit(function, HiddenKernels.CLASS_NAME);
      if (function.name().equals("requantized")) {
        Map<String, Integer> calls = vectorCalls(bytes);
        assertEquals(0, calls.get("body"), calls.toString());
        calls.forEach((name, count) -> parts.addAll(Collections.nCopies(count > 0 ? 1 : 0, name)));
      }
    }
    assertTrue(parts.size() >= 3, parts.toString());
  }

  /** Written out for each of a tile's vectors, a sigmoid made HotSpot compile for seconds. */
  @Test
  void aFunctionOfPolynomialsIsOncePerColumn() {
    Buf a = new Buf("in0", Scalar.F32, DimExpr.list(60, 40));
    Buf b = new Buf("in1", Scalar.F32, DimExpr.list(40, 64));
    Buf y = new Buf("out0", Scalar.F32, DimExpr.list(60, 64));
    Axis m = new Axis("m", DimExpr.of(60));
    Axis n = new Axis("n", DimExpr.of(64));
    Axis k = new Axis("k", DimExpr.of(40));
    KExpr sum =
        K.sum(List.of(k), K.mul(K.at(a, K.axis(m), K.axis(k)), K.at(b, K.axis(k), K.axis(n))));
    Stage stage = Stage.of(y, List.of(m, n), new KExpr.Un(UnaryOp.SIGMOID, sum));
    Kernel kernel = new Kernel("sigmoids", List.of(a, b), List.of(y), List.of(stage));
    KernelTestKit kit = KernelTestKit.of(kernel, Map.of(), Set.of("in1"), new Random(1));
    LoopFunction product = kit.functions(TARGET).getLast();
    long divisions = Pattern.compile(" / ").matcher(LoopPrinter.print(product)).results().count();
    // Four vectors wide, with or without rows that are left over.
    assertTrue(divisions >= 1 && divisions <= 8, divisions + " sigmoids");
  }

  /** Calls of the Vector API in each method. */
  private static Map<String, Integer> vectorCalls(byte[] bytes) {
    Map<String, Integer> calls = new TreeMap<>();
    visit(
        bytes,
        (name, _) -> {
          calls.put(name, 0);
          return new MethodVisitor(Opcodes.ASM9) {
            @Override
            public void visitMethodInsn(
                int opcode, String owner, String method, String type, boolean isInterface) {
              if (owner.startsWith("jdk/incubator/vector/")) {
                calls.merge(name, 1, Integer::sum);
              }
            }
          };
        });
    return calls;
  }

  private static List<String> descriptorsOfParts(byte[] bytes) {
    List<String> found = new ArrayList<>();
    visit(
        bytes,
        (name, descriptor) -> {
          if (name.startsWith("part")) {
            found.add(descriptor);
          }
          return null;
        });
    return found;
  }

  /** Visits the methods, each of which {@code body} gets by name and descriptor. */
  private static void visit(byte[] bytes, BiFunction<String, String, MethodVisitor> body) {
    new ClassReader(bytes)
        .accept(
            new ClassVisitor(Opcodes.ASM9) {
              @Override
              public MethodVisitor visitMethod(
                  int access,
                  String name,
                  String descriptor,
                  String signature,
                  String[] exceptions) {
                return body.apply(name, descriptor);
              }
            },
            ClassReader.SKIP_DEBUG);
  }

  /** A product of bytes whose results are quantized twice. */
  private static KernelTestKit kit(long depth) {
    Buf a = new Buf("in0", Scalar.U8, DimExpr.list(23, depth));
    Buf b = new Buf("in1", Scalar.I8, DimExpr.list(depth, 64));
    Buf bias = new Buf("in2", Scalar.I32, DimExpr.list(64));
    Buf y = new Buf("out0", Scalar.U8, DimExpr.list(23, 64));
    Axis m = new Axis("m", DimExpr.of(23));
    Axis n = new Axis("n", DimExpr.of(64));
    Axis k = new Axis("k", DimExpr.of(depth));
    KExpr product =
        K.mul(
            K.cast(Scalar.I32, K.at(a, K.axis(m), K.axis(k))),
            K.cast(Scalar.I32, K.at(b, K.axis(k), K.axis(n))));
    KExpr sum = K.add(K.sum(List.of(k), product), K.at(bias, K.axis(n)));
    KExpr first = quantized(K.mul(K.cast(Scalar.F32, sum), number(.01)));
    KExpr second = quantized(div(K.mul(K.cast(Scalar.F32, first), number(.75)), number(.61)));
    return KernelTestKit.of(
        new Kernel(
            "requantized",
            List.of(a, b, bias),
            List.of(y),
            List.of(Stage.of(y, List.of(m, n), second))),
        Map.of(),
        Set.of("in1", "in2"),
        new Random(depth));
  }

  private static KExpr quantized(KExpr x) {
    KExpr least = K.max(new KExpr.Un(UnaryOp.RINT, x), number(0));
    return K.castInRange(Scalar.U8, K.min(least, number(255)));
  }

  private static KExpr div(KExpr a, KExpr b) {
    return new KExpr.Bin(BinaryOp.DIV, a, b);
  }

  private static KExpr number(double value) {
    return K.literal(Scalar.F32, value);
  }
}
