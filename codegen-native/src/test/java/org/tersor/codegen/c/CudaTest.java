package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.runtime.Tensor;

class CudaTest {
  @TempDir Path folder;

  private static Expr var(String name) {
    return new Expr.Var(Type.INDEX, name);
  }

  private static Expr op(BinaryOp op, Expr a, Expr b) {
    return new Expr.Binary(op, a, b);
  }

  private static Expr load(Scalar s, String buffer, Expr index) {
    return new Expr.Load(Type.of(s), buffer, index, Optional.empty());
  }

  private static Stmt store(String buffer, Expr index, Expr value) {
    return new Stmt.Store(buffer, index, value, Optional.empty());
  }

  /**
   * Each block reverses its 64 elements through shared memory, adds a block sum of them, and
   * rounds: lanes, barriers, scalars.
   */
  static LoopFunction blocks() {
    Expr at = op(BinaryOp.ADD, op(BinaryOp.MUL, var("b"), Kernels.index(64)), var("l"));
    Expr mirrored = op(BinaryOp.SUB, Kernels.index(63), var("l"));
    Expr total = load(Scalar.F32, "total", Kernels.index(0));
    Stmt fill =
        new Stmt.For(
            Stmt.LoopKind.LANES,
            "l",
            Kernels.index(0),
            Kernels.index(64),
            1,
            store("tile", var("l"), load(Scalar.F32, "x", at)));
    Stmt zero = store("total", Kernels.index(0), new Expr.FloatConst(Type.F32, 0));
    Stmt add =
        new Stmt.For(
            Stmt.LoopKind.SERIAL,
            "i",
            Kernels.index(0),
            Kernels.index(64),
            1,
            store(
                "total",
                Kernels.index(0),
                op(BinaryOp.ADD, total, load(Scalar.F32, "tile", var("i")))));
    Expr value =
        new Expr.Fma(load(Scalar.F32, "tile", mirrored), new Expr.FloatConst(Type.F32, 3), total);
    Stmt write =
        new Stmt.For(
            Stmt.LoopKind.LANES,
            "l",
            Kernels.index(0),
            Kernels.index(64),
            1,
            new Stmt.If(
                new Expr.Compare(CompareOp.LT, at, var("n")),
                store("y", at, new Expr.Unary(UnaryOp.RINT, value)),
                Optional.empty()));
    return new LoopFunction(
        "blocks",
        List.of(
            new LoopFunction.BufferParam("x", Scalar.F32, false),
            new LoopFunction.BufferParam("y", Scalar.F32, true)),
        List.of("n"),
        new Stmt.For(
            Stmt.LoopKind.PARALLEL,
            "b",
            Kernels.index(0),
            op(BinaryOp.FLOORDIV, op(BinaryOp.ADD, var("n"), Kernels.index(63)), Kernels.index(64)),
            1,
            new Stmt.Block(
                List.of(
                    new Stmt.Alloc("tile", Type.F32, Kernels.index(64), Stmt.Space.SHARED),
                    new Stmt.Alloc("total", Type.F32, Kernels.index(1), Stmt.Space.SHARED),
                    fill,
                    new Stmt.Barrier(),
                    zero,
                    add,
                    new Stmt.Barrier(),
                    write))));
  }

  /** Scalar operations that have two bodies in the header, one output each. */
  static List<LoopFunction> scalars() {
    List<LoopFunction> list = new ArrayList<>();
    Expr a = load(Scalar.F32, "a", var("i"));
    Expr b = load(Scalar.F32, "b", var("i"));
    Expr d = new Expr.Cast(Type.of(Scalar.F64), a, false);
    Expr p = new Expr.Bits(Type.I32, a);
    Expr q = new Expr.Bits(Type.I32, b);
    Expr number = new Expr.Select(new Expr.Compare(CompareOp.EQ, a, a), a, b);
    Expr ordered =
        new Expr.Select(
            new Expr.Compare(CompareOp.EQ, number, number),
            number,
            new Expr.FloatConst(Type.F32, 1));
    List<Expr> results = new ArrayList<>();
    for (UnaryOp op :
        List.of(
            UnaryOp.SQRT, UnaryOp.FLOOR, UnaryOp.CEIL, UnaryOp.TRUNC, UnaryOp.RINT, UnaryOp.ABS)) {
      results.add(new Expr.Unary(op, a));
      results.add(new Expr.Unary(op, d));
    }
    results.add(new Expr.Fma(a, b, op(BinaryOp.ADD, a, b)));
    results.add(op(BinaryOp.MIN, a, b));
    results.add(op(BinaryOp.MAX, a, b));
    results.add(op(BinaryOp.DIV, p, q));
    results.add(op(BinaryOp.SHR, p, q));
    results.add(new Expr.Dot4(p, q, new Expr.Unary(UnaryOp.NOT, p)));
    results.add(
        new Expr.Bits(Type.of(Scalar.U16), new Expr.Cast(Type.of(Scalar.F16), ordered, false)));
    results.add(
        new Expr.Cast(
            Type.F32,
            new Expr.Bits(Type.of(Scalar.F16), new Expr.Cast(Type.of(Scalar.U16), p, false)),
            false));
    for (Scalar to :
        List.of(Scalar.I8, Scalar.U8, Scalar.I32, Scalar.U32, Scalar.I64, Scalar.U64)) {
      results.add(new Expr.Cast(Type.of(to), a, false));
    }
    for (Expr result : results) {
      list.add(
          new LoopFunction(
              "scalar" + list.size(),
              List.of(
                  new LoopFunction.BufferParam("a", Scalar.F32, false),
                  new LoopFunction.BufferParam("b", Scalar.F32, false),
                  new LoopFunction.BufferParam("out", result.type().scalar(), true)),
              List.of("n"),
              new Stmt.For(
                  Stmt.LoopKind.PARALLEL,
                  "i",
                  Kernels.index(0),
                  var("n"),
                  1,
                  store("out", var("i"), result))));
    }
    return list;
  }

  @Test
  void emulationIsTheInterpreter() {
    assumeTrue(Toolchain.unavailable().isEmpty(), () -> Toolchain.unavailable().orElse(""));
    List<LoopFunction> functions = new ArrayList<>(scalars());
    functions.add(blocks());
    List<NativeKernel> kernels = NativeKernel.load(functions, Target.cuda());
    int n = 300;
    Random random = new Random(7);
    for (int i = 0; i < functions.size(); i++) {
      LoopFunction function = functions.get(i);
      List<Object> arrays = new ArrayList<>();
      for (LoopFunction.BufferParam buffer : function.buffers()) {
        // Blocks read whole tiles.
        arrays.add(
            buffer.written()
                ? Tensor.zeros(buffer.element().dtype(), 320).array()
                : Kernels.values(buffer.element(), 320, random).array());
      }
      long[] dims = {n};
      int last = arrays.size() - 1;
      Object expected = Kernels.runInterpreter(function, arrays, dims).get(last);
      Object actual =
          Kernels.runNative(
                  kernels.get(i), arrays, dims, 0, function.name().equals("blocks") ? 5 : n)
              .get(last);
      assertEquals("", Kernels.difference(expected, actual), function.name());
    }
  }

  @Test
  void programsRunEmulated() {
    CudaEmulatedBackend backend = new CudaEmulatedBackend();
    assumeTrue(backend.unavailable().isEmpty(), () -> backend.unavailable().orElse(""));
    var executable =
        backend.load(
            Programs.program("m", Target.cuda()), new Backend.Options(1, Map.of("cache", "off")));
    assertArrayEquals(
        Programs.expected(3),
        Objects.requireNonNull(executable.run(Map.of("x\"*/ evil", Programs.input(3))).get("y"))
            .floats());
  }

  @Test
  void nvccAcceptsTheText() throws Exception {
    assumeTrue(Toolchain.find("nvcc").isPresent(), "nvcc is not installed");
    List<LoopFunction> functions = new ArrayList<>(scalars());
    functions.add(blocks());
    functions.addAll(Programs.kernels());
    Files.writeString(
        folder.resolve("kernels.cu"), CudaSource.text(functions), StandardCharsets.UTF_8);
    for (String arch : List.of("sm_80", "sm_90")) {
      List<String> command = new ArrayList<>(List.of("nvcc"));
      command.addAll(CudaSource.flags());
      command.addAll(List.of("-arch=" + arch, "-ptx", "-o", arch + ".ptx", "kernels.cu"));
      Toolchain.run(folder, command);
      String ptx = Files.readString(folder.resolve(arch + ".ptx"));
      assertTrue(ptx.contains("dp4a.u32.s32"));
      assertTrue(ptx.contains("bar.sync") || ptx.contains("barrier.sync"));
      assertTrue(ptx.contains("fma.rn.f32"));
    }
    Toolchain.run(folder, List.of("nvcc", "-arch=sm_90", "-cubin", "-o", "k.cubin", "sm_90.ptx"));
  }

  /** Tiles of real models: sums stay in registers, and integers use the byte dot product. */
  @Test
  void nvccAcceptsTheKernelsOfModels() throws Exception {
    assumeTrue(Toolchain.find("nvcc").isPresent(), "nvcc is not installed");
    for (CudaModels model :
        List.of(
            CudaModels.MATMUL,
            CudaModels.MATMUL_TO_MANY,
            CudaModels.MATMUL_INTEGER,
            CudaModels.CONVOLUTION,
            CudaModels.SOFTMAX)) {
      Files.writeString(
          folder.resolve("model.cu"),
          CudaSource.text(model.program(Target.cuda()).kernels()),
          StandardCharsets.UTF_8);
      for (String arch : List.of("sm_80", "sm_90")) {
        List<String> command = new ArrayList<>(List.of("nvcc"));
        command.addAll(CudaSource.flags());
        command.addAll(List.of("-arch=" + arch, "-ptx", "-o", "model.ptx", "model.cu"));
        Toolchain.run(folder, command);
        String ptx = Files.readString(folder.resolve("model.ptx"));
        assertFalse(ptx.contains(".local"), model + " keeps sums in memory for " + arch);
        assertTrue(ptx.contains(".shared"), model.name());
        boolean bytes = model == CudaModels.MATMUL_INTEGER || model == CudaModels.INTEGERS_IN_PARTS;
        assertEquals(bytes, ptx.contains("dp4a.u32.s32"));
      }
    }
  }

  @Test
  void aTileOfAContractionBelongsToItsLanes() {
    LoopFunction product =
        CudaModels.MATMUL_TO_MANY.program(Target.cuda()).kernels().stream()
            .filter(f -> f.toString().contains("Fma"))
            .findFirst()
            .orElseThrow();
    // Sums, and words of both factors on their way to shared memory.
    assertEquals(
        List.of(8, 8, 16), LaneMemory.of(product.body()).values().stream().sorted().toList());
    assertEquals(Map.of(), LaneMemory.of(blocks().body()));
  }

  /** A kernel for the parts and one that adds them up, where a tile alone keeps few blocks busy. */
  @Test
  void longSumsOfFewOutputsAreComputedInParts() {
    for (CudaModels model : CudaModels.values()) {
      boolean parts =
          model.program(Target.cuda()).kernels().stream()
              .anyMatch(f -> f.buffers().stream().anyMatch(b -> b.name().endsWith("_parts")));
      assertEquals(model.name().endsWith("IN_PARTS"), parts, model.name());
    }
  }
}
