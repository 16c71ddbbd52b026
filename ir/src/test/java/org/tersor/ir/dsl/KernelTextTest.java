package org.tersor.ir.dsl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class KernelTextTest {
  private static final String GEMM =
      "kernel gemm(A: f32[M,K], B: f32[K,N], bias: f32[N]) -> C[m,n] = relu(bias[n] + sum(k) A[m,k]*B[k,n])";

  @Test
  void randomKernelsRoundTrip() {
    for (int seed = 0; seed < 500; seed++) {
      Kernel kernel = new RandomKernels(seed).kernel();
      String text = KernelPrinter.print(kernel);
      Kernel read = KernelParser.parse(text);
      assertEquals(kernel, read, text);
      assertEquals(text, KernelPrinter.print(read));
    }
  }

  @Test
  void shortFormInfersExtents() {
    Kernel gemm = KernelParser.parse(GEMM);
    DimExpr m = DimExpr.symbol("M");
    DimExpr k = DimExpr.symbol("K");
    DimExpr n = DimExpr.symbol("N");
    Axis am = new Axis("m", m);
    Axis an = new Axis("n", n);
    Axis ak = new Axis("k", k);
    Buf a = new Buf("A", Scalar.F32, List.of(m, k));
    Buf b = new Buf("B", Scalar.F32, List.of(k, n));
    Buf bias = new Buf("bias", Scalar.F32, List.of(n));
    KExpr product =
        K.binary(BinaryOp.MUL, K.at(a, K.axis(am), K.axis(ak)), K.at(b, K.axis(ak), K.axis(an)));
    KExpr sum = K.binary(BinaryOp.ADD, K.at(bias, K.axis(an)), K.sum(List.of(ak), product));
    Buf c = new Buf("C", Scalar.F32, List.of(m, n));
    assertEquals(
        new Kernel(
            "gemm",
            List.of(a, b, bias),
            List.of(c),
            List.of(Stage.of(c, List.of(am, an), K.max(sum, K.f32(0))))),
        gemm);
    float[] y =
        KernelInterpreter.run(
                gemm,
                List.of(
                    Tensor.of(new float[] {1, 2, 3, 4}, 2, 2),
                    Tensor.of(new float[] {1, 0, 0, 1}, 2, 2),
                    Tensor.of(new float[] {-3, 1}, 2)),
                Map.of("M", 2L, "K", 2L, "N", 2L))
            .getFirst()
            .floats();
    assertEquals(List.of(0f, 3f, 0f, 5f), List.of(y[0], y[1], y[2], y[3]));
  }

  @Test
  void encodedOperandOfTheDesign() {
    Kernel gemv =
        KernelParser.parse(
            """
            format q4_0 { block 32; scale: f16; q: u4[32];  decode(b, i) = (f32(b.q[i]) - 8) * b.scale }
            kernel gemv(W: q4_0[N,K], x: f32[K]) -> y[n] = sum(k) x[k] * decode(W[n], k/32, k%32)
            """);
    assertEquals("[N, ceildiv(K, 32), 18]", gemv.inputs().getFirst().shape().toString());
    assertEquals(gemv, KernelParser.parse(KernelPrinter.print(gemv)));
    Tensor w = Tensor.zeros(org.tersor.runtime.DType.U8, 1, 1, 18);
    w.bytes()[1] = 0x40; // 2.0
    java.util.Arrays.fill(w.bytes(), 2, 18, (byte) 0x98); // 8, 9, 8, 9, ...: 0 and 1
    float[] x = new float[32];
    x[0] = 5;
    x[1] = 7;
    x[31] = 1;
    float[] y =
        KernelInterpreter.run(gemv, List.of(w, Tensor.of(x, 32)), Map.of("N", 1L, "K", 32L))
            .getFirst()
            .floats();
    assertEquals(16f, y[0]);
  }

  @Test
  void severalStagesAndFunctions() {
    Kernel softmax =
        KernelParser.parse(
            """
            kernel softmax(x: f32[N, K]) -> y: f32[N, K] {
              temp top: f32[N];
              temp total: f32[N];
              top[n] = reduce max(k) x[n, k];
              total[n] = sum(k) exp(x[n, k] - top[n]);
              y[n, k] = exp(x[n, k] - top[n]) / total[n];
            }
            """);
    float[] y =
        KernelInterpreter.run(
                softmax, List.of(Tensor.of(new float[] {0, 0}, 1, 2)), Map.of("N", 1L, "K", 2L))
            .getFirst()
            .floats();
    assertEquals(0.5f, y[0], 1e-6);
    Kernel mixed =
        KernelParser.parse("kernel f(x: u8[N], s: f32[]) -> y[n] = select(x[n] > 3, 1, s)");
    assertEquals(Scalar.F32, mixed.outputs().getFirst().element());
    Kernel literals = KernelParser.parse("kernel f(x: i32[N]) -> y[n] = (x[n] & 0xff) << 2 | -1");
    KExpr or = literals.stages().getFirst().value();
    assertEquals(new KExpr.IntLit(Scalar.I32, -1), ((KExpr.Bin) or).b());
    assertEquals(
        new KExpr.Un(UnaryOp.NEG, new KExpr.IntLit(Scalar.I32, 3)),
        ((KExpr.Bin)
                KernelParser.parse("kernel f(x: i32[N]) -> y[n] = x[n] * neg(3_i32)")
                    .stages()
                    .getFirst()
                    .value())
            .b());
  }

  @Test
  void scheduleLines() {
    String text =
        "schedule gemm { tile n 64 vec 16; tile m 6; pack B [n/64][k][n%64]; pack A [m/6][k][m%6]; order n m; parallel m; init bias }";
    ScheduleHint hint = KernelParser.parseFile(text, Map.of()).schedules().getFirst();
    assertEquals(7, hint.directives().size());
    assertEquals(
        new ScheduleHint.Pack("B", List.of("n/64", "k", "n%64")), hint.directives().get(2));
    assertEquals(new ScheduleHint.Place(1, 17), hint.places().getFirst());
    ScheduleHint again = KernelParser.parseFile(hint.toString(), Map.of()).schedules().getFirst();
    assertEquals(hint.directives(), again.directives());
  }

  @Test
  void mistakesAreNamedWithLineAndColumn() {
    mistake("TSR-1001", "kernel §(");
    mistake("TSR-1001", "§x");
    mistake("TSR-1003", "kernel f(x: f32[N])\n-> y[n] = x[n] + §z[n]");
    mistake("TSR-1003", "kernel f(x: f32[N]) -> y[n] = x[n] - §q");
    mistake("TSR-1003", "kernel f(x: f32[N]) -> y[n] = §foo(x[n])");
    mistake("TSR-1004", "kernel f(x: f32[N]) -> y[n] = §x[n] + 1_i32");
    mistake("TSR-1004", "kernel f(x: f32[N]) -> y[§n] = 1.0");
    mistake("TSR-1004", "kernel f(x: f32[N]) -> y[n] = x[n] + sum(§k) x[n]");
    mistake("TSR-1004", "kernel f(x: f32[N], z: f32[M]) -> y[§n] = x[n] + z[n]");
    mistake("TSR-1004", "kernel f(x: f32[N]) -> y[n] = x[n] + §x[n, n]");
    mistake("TSR-1004", "kernel f(§x: f31[N]) -> y[n] = x[n]");
    mistake("TSR-1002", "kernel f(x: f32[N]) -> y[n] = " + "(".repeat(100_000));
    mistake("TSR-1002", "kernel f(x: f32[N]) -> y[n] = x[n]" + " + x[n]".repeat(5_000));
    mistake("TSR-1002", "kernel f(x: f32[N]) -> y[n] = " + "-".repeat(5_000) + "x[n]");
    mistake("TSR-1002", "kernel f(x: f32[N]) -> y[n] = " + "sum(k < 2) ".repeat(5_000) + "x[n]");
    mistake("TSR-1002", "kernel f(x: f32[" + "(a+b+c)*(d+e+f)*".repeat(100) + "1]) -> y[n] = x[n]");
    mistake("TSR-1004", "kernel f(x: f32[4611686018427387904*4]) -> y[n] = x[n]");
    mistake("TSR-1001", "kernel f(x: f32[99999999999999999999]) -> y[n] = x[n]");
  }

  /** The error is reported at the sign, where there is one. */
  private static void mistake(String code, String marked) {
    int at = marked.indexOf('§');
    String text = marked.replace("§", "");
    TersorException e = assertThrows(TersorException.class, () -> KernelParser.parse(text), text);
    assertEquals(code, e.code(), e.getMessage());
    String before = at < 0 ? "" : marked.substring(0, at);
    long line = 1 + before.chars().filter(c -> c == '\n').count();
    String place =
        at < 0
            ? "line 1 column"
            : "line " + line + " column " + (at - before.lastIndexOf('\n')) + ":";
    assertTrue(String.valueOf(e.getMessage()).contains(place), e.getMessage() + " at " + place);
  }

  @Test
  void garbageIsADiagnostic() {
    Random random = new Random(1);
    String alphabet = "kernel f(x:32[N])->y=sum{};,+-*/%<>!&|^.0123456789`ab \n#_";
    for (int round = 0; round < 3000; round++) {
      StringBuilder text =
          new StringBuilder(
              random.nextBoolean()
                  ? GEMM
                  : "format f { block 4; q: u4[4]; decode(b, i) = f32(b.q[i]) }");
      for (int i = random.nextInt(1, 6); i > 0; i--) {
        int at = random.nextInt(text.length());
        char c = alphabet.charAt(random.nextInt(alphabet.length()));
        switch (random.nextInt(3)) {
          case 0 -> text.setCharAt(at, c);
          case 1 -> text.insert(at, c);
          default -> text.deleteCharAt(at);
        }
      }
      try {
        var _ = KernelParser.parseFile(text.toString(), Map.of());
      } catch (TersorException e) {
        assertTrue(e.code().startsWith("TSR-10"), e.getMessage());
      }
    }
  }
}
