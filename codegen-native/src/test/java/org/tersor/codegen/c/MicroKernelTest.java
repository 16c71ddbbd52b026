package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.schedule.Target;

/**
 * The two register tiles that everything heavy is made of: values on every target, and the machine
 * code of their k loops.
 */
class MicroKernelTest {
  private static final int ROWS = 6;
  private static final int COLUMNS = 64;

  static Stream<String> targets() {
    return Kernels.TARGETS.stream();
  }

  private static Expr var(String name) {
    return new Expr.Var(Type.INDEX, name);
  }

  private static Expr plus(Expr a, long b) {
    return new Expr.Binary(BinaryOp.ADD, a, Kernels.index(b));
  }

  private static Expr times(Expr a, long b) {
    return new Expr.Binary(BinaryOp.MUL, a, Kernels.index(b));
  }

  /**
   * C[6][64] = bias + sum over k of A[k][6] * B[k][64], both packed; of bytes four at a time. The
   * tile is a register buffer.
   *
   * @param rows rows of the tile; targets with fewer registers want fewer
   */
  static LoopFunction gemm(boolean bytes, int rows, int lanes) {
    Type vector = new Type(bytes ? Scalar.I32 : Scalar.F32, lanes);
    int columns = COLUMNS / lanes;
    List<Stmt> body = new ArrayList<>();
    body.add(
        new Stmt.Alloc("acc", vector, Kernels.index((long) rows * columns), Stmt.Space.REGISTER));
    for (int i = 0; i < rows * columns; i++) {
      Expr bias =
          new Expr.Load(
              vector, "bias", Kernels.index((long) i % columns * lanes), Optional.empty());
      body.add(new Stmt.Store("acc", Kernels.index(i), bias, Optional.empty()));
    }
    List<Stmt> step = new ArrayList<>();
    for (int j = 0; j < columns; j++) {
      Expr at =
          plus(
              times(var("k"), (long) COLUMNS * (bytes ? 4 : 1)),
              (long) j * lanes * (bytes ? 4 : 1));
      step.add(new Stmt.Let("b" + j, new Expr.Load(vector, "B", at, Optional.empty())));
    }
    for (int i = 0; i < rows; i++) {
      Expr at = plus(times(var("k"), (long) rows * (bytes ? 4 : 1)), (long) i * (bytes ? 4 : 1));
      step.add(
          new Stmt.Let(
              "a" + i,
              new Expr.Broadcast(
                  new Expr.Load(vector.withLanes(1), "A", at, Optional.empty()), lanes)));
      for (int j = 0; j < columns; j++) {
        Expr acc =
            new Expr.Load(vector, "acc", Kernels.index((long) i * columns + j), Optional.empty());
        Expr a = new Expr.Var(vector, "a" + i);
        Expr b = new Expr.Var(vector, "b" + j);
        step.add(
            new Stmt.Store(
                "acc",
                Kernels.index((long) i * columns + j),
                bytes ? new Expr.Dot4(acc, a, b) : new Expr.Fma(a, b, acc),
                Optional.empty()));
      }
    }
    body.add(
        new Stmt.For(
            Stmt.LoopKind.SERIAL, "k", Kernels.index(0), var("K"), 1, new Stmt.Block(step)));
    for (int i = 0; i < rows * columns; i++) {
      Expr acc = new Expr.Load(vector, "acc", Kernels.index(i), Optional.empty());
      body.add(new Stmt.Store("C", Kernels.index((long) i * lanes), acc, Optional.empty()));
    }
    return new LoopFunction(
        "gemm",
        List.of(
            new LoopFunction.BufferParam("A", bytes ? Scalar.U8 : Scalar.F32, false),
            new LoopFunction.BufferParam("B", bytes ? Scalar.I8 : Scalar.F32, false),
            new LoopFunction.BufferParam("bias", vector.scalar(), false),
            new LoopFunction.BufferParam("C", vector.scalar(), true)),
        List.of("K"),
        new Stmt.Block(body));
  }

  @ParameterizedTest
  @MethodSource("targets")
  void values(String name) {
    assumeTrue(Toolchain.unavailable().isEmpty(), () -> Toolchain.unavailable().orElse(""));
    assumeTrue(Kernels.runsHere(name), "the processor has no " + name);
    Target target = Target.nativeTarget(name);
    int lanes = target.lanes(4);
    int rows = target.registers() == 32 ? ROWS : 1;
    for (boolean bytes : new boolean[] {false, true}) {
      LoopFunction function = gemm(bytes, rows, lanes);
      NativeKernel kernel = NativeKernel.load(function, target);
      for (int k : new int[] {0, 1, 33}) {
        Random random = new Random(k);
        int unit = bytes ? 4 : 1;
        Object a = bytes ? new byte[k * rows * unit] : new float[k * rows];
        Object b = bytes ? new byte[k * COLUMNS * unit] : new float[k * COLUMNS];
        Object bias = bytes ? random.ints(COLUMNS).toArray() : new float[COLUMNS];
        for (Object array : List.of(a, b)) {
          if (array instanceof byte[] x) {
            random.nextBytes(x);
          } else if (array instanceof float[] x) {
            for (int i = 0; i < x.length; i++) {
              x[i] = (float) random.nextGaussian();
            }
          }
        }
        if (a instanceof byte[] x && b instanceof byte[] y && k == 1) {
          // 255 by -128: sums of two leave 16 bits.
          Arrays.fill(x, (byte) 255);
          Arrays.fill(y, Byte.MIN_VALUE);
        }
        Object c = bytes ? new int[rows * COLUMNS] : new float[rows * COLUMNS];
        List<Object> arrays = List.of(a, b, bias, c);
        long[] dims = {k};
        assertEquals(
            "",
            Kernels.difference(
                Kernels.runInterpreter(function, arrays, dims).get(3),
                Kernels.runNative(kernel, arrays, dims, 0, 1).get(3)));
      }
    }
  }

  /** The machine code of a function, one instruction a line. */
  static List<String> disassemble(LoopFunction function, Target target) {
    return Toolchain.inFolder(folder -> {
      Path library =
          NativeKernel.build(NativeKernel.source(List.of(function), target), target, folder);
      return output(
          List.of("objdump", "-d", "--no-show-raw-insn", "-M", "intel", library.toString()));
    });
  }

  static List<String> output(List<String> command) throws java.io.IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return text.lines().toList();
  }

  /**
   * The instructions between the first and the last that contain {@code instruction}: the unrolled
   * body of the k loop.
   */
  private static List<String> loop(List<String> code, String instruction) {
    List<Integer> at = new ArrayList<>();
    for (int i = 0; i < code.size(); i++) {
      if (code.get(i).contains(instruction)) {
        at.add(i);
      }
    }
    assertFalse(at.isEmpty(), "no " + instruction);
    return code.subList(at.getFirst(), at.getLast() + 1);
  }

  @Test
  void instructionsOfTheLoops() {
    assumeTrue(
        Toolchain.unavailable().isEmpty() && Toolchain.find("objdump").isPresent(),
        "needs cc and objdump");
    Target vnni = Target.nativeTarget("avx512vnni");
    List<String> floats = loop(disassemble(gemm(false, ROWS, 16), vnni), "vfmadd231ps");
    assertEquals(
        24, floats.stream().filter(i -> i.contains("vfmadd231ps") && i.contains("zmm")).count());
    assertTrue(
        floats.stream().noneMatch(i -> i.contains("rsp") || i.contains("rbp")),
        () -> "spills: " + floats);
    assertTrue(
        floats.stream().noneMatch(i -> i.matches(".*vmovaps\\s+zmm\\d+,zmm\\d+.*")),
        () -> "copies: " + floats);
    List<String> bytes = loop(disassemble(gemm(true, ROWS, 16), vnni), "vpdpbusd");
    assertEquals(
        24, bytes.stream().filter(i -> i.contains("vpdpbusd") && i.contains("zmm")).count());
    assertTrue(
        bytes.stream().noneMatch(i -> i.contains("rsp") || i.contains("rbp")),
        () -> "spills: " + bytes);
    assertTrue(
        bytes.stream().noneMatch(i -> i.matches(".*vmovdqa\\d*\\s+zmm\\d+,zmm\\d+.*")),
        () -> "copies: " + bytes);
    List<String> avx2 =
        loop(disassemble(gemm(false, 1, 8), Target.nativeTarget("avx2")), "vfmadd231ps");
    assertTrue(avx2.stream().anyMatch(i -> i.contains("ymm")));
  }

  @Test
  void nothingIsUndefined() {
    assumeTrue(
        Toolchain.unavailable().isEmpty() && Toolchain.find("nm").isPresent(), "needs cc and nm");
    for (String name : Kernels.TARGETS) {
      Target target = Target.nativeTarget(name);
      List<String> undefined =
          Toolchain.inFolder(folder ->
              output(
                  List.of(
                      "nm",
                      "-D",
                      "-u",
                      NativeKernel.build(
                              NativeKernel.source(List.of(gemm(true, 1, target.lanes(4))), target),
                              target,
                              folder)
                          .toString())));
      assertEquals(List.of(), undefined);
    }
  }
}
