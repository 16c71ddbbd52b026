package org.tersor.ir.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.schedule.Target;

/**
 * Measures math.kern against java.lang.Math, over random arguments of all magnitudes and special
 * values.
 */
class MathRoutinesTest {
  private static final int COUNT = Integer.getInteger("tersor.math.count", 8000);

  private static Expr call(Enum<?> op, Type type) {
    Expr x = load(type, "x");
    return op instanceof UnaryOp unary
        ? new Expr.Unary(unary, x)
        : new Expr.Binary((BinaryOp) op, x, load(type, "y"));
  }

  private static Expr load(Type type, String buffer) {
    return new Expr.Load(type, buffer, new Expr.Var(Type.INDEX, "i"), Optional.empty());
  }

  private static LoopFunction kernel(Enum<?> op, Type type) {
    List<LoopFunction.BufferParam> buffers =
        Stream.of("x", "y", "z")
            .map(b -> new LoopFunction.BufferParam(b, type.scalar(), b.equals("z")))
            .toList();
    Expr zero = new Expr.IntConst(Type.INDEX, 0);
    Stmt store =
        new Stmt.Store("z", new Expr.Var(Type.INDEX, "i"), call(op, type), Optional.empty());
    Stmt loop =
        new Stmt.For(
            Stmt.LoopKind.SERIAL, "i", zero, new Expr.Var(Type.INDEX, "n"), type.lanes(), store);
    LoopFunction legal =
        Legalizer.legalize(new LoopFunction("f", buffers, List.of("n"), loop), Target.jvm(0));
    assertEquals(List.of(), LoopVerifier.verify(legal));
    return legal;
  }

  private static float[] run(Enum<?> op, float[] x, float[] y, int lanes) {
    float[] z = new float[x.length];
    LoopInterpreter.run(
        kernel(op, new Type(Scalar.F32, lanes)),
        new Object[] {x, y, z},
        new int[3],
        new long[] {x.length});
    return z;
  }

  private static double[] run(Enum<?> op, double[] x, double[] y) {
    double[] z = new double[x.length];
    LoopInterpreter.run(
        kernel(op, new Type(Scalar.F64, 4)),
        new Object[] {x, y, z},
        new int[3],
        new long[] {x.length});
    return z;
  }

  /**
   * A function, its reference, where it is measured, and the asserted errors in units of the last
   * place.
   */
  record Case(Enum<?> op, DoubleUnaryOperator reference, double limit, double single, double full) {
    @Override
    public String toString() {
      return op.name();
    }
  }

  static Stream<Case> functions() {
    double all = Double.MAX_VALUE;
    return Stream.of(
        new Case(UnaryOp.EXP, Math::exp, all, 1.5, 2),
        new Case(UnaryOp.EXPM1, Math::expm1, all, 2, 2),
        new Case(UnaryOp.LOG, Math::log, all, 1.5, 2),
        new Case(UnaryOp.LOG1P, Math::log1p, all, 2, 3),
        new Case(UnaryOp.TANH, Math::tanh, all, 3, 4),
        new Case(
            UnaryOp.SIGMOID,
            x -> x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)),
            all,
            2.5,
            4),
        new Case(UnaryOp.ERF, MathRoutinesTest::erf, all, 2.5, Double.NaN),
        new Case(UnaryOp.SIN, Math::sin, 1e9, 0.51, 2),
        new Case(UnaryOp.COS, Math::cos, 1e9, 0.51, 2),
        new Case(UnaryOp.TAN, Math::tan, 1e9, 0.51, 4),
        new Case(UnaryOp.ASIN, Math::asin, all, 0.51, 4),
        new Case(UnaryOp.ACOS, Math::acos, all, 0.51, 4),
        new Case(UnaryOp.ATAN, Math::atan, all, 0.51, 2),
        new Case(UnaryOp.SINH, Math::sinh, all, 0.51, 4),
        new Case(UnaryOp.COSH, Math::cosh, all, 0.51, 4),
        new Case(UnaryOp.ASINH, MathRoutinesTest::asinh, all, 0.51, 5),
        new Case(UnaryOp.ACOSH, MathRoutinesTest::acosh, all, 0.51, 6),
        new Case(
            UnaryOp.ATANH,
            x -> 0.5 * Math.log1p(2 * Math.abs(x) / (1 - Math.abs(x))) * Math.signum(x),
            all,
            0.51,
            5));
  }

  private static double asinh(double x) {
    double a = Math.abs(x);
    double y =
        a > 1e8 ? Math.log(a) + Math.log(2) : Math.log1p(a + a * a / (1 + Math.sqrt(a * a + 1)));
    return Math.copySign(y, x);
  }

  private static double acosh(double x) {
    return x < 1
        ? Double.NaN
        : x > 1e8
            ? Math.log(x) + Math.log(2)
            : Math.log1p(x - 1 + Math.sqrt(2 * (x - 1) + (x - 1) * (x - 1)));
  }

  /** By the power series, or the continued fraction of erfc. */
  static double erf(double x) {
    double a = Math.abs(x);
    if (!(a < 7)) {
      return Double.isNaN(x) ? x : Math.signum(x);
    }
    if (a < 2.5) {
      double term = x;
      double sum = x;
      for (int n = 1; n < 100; n++) {
        term *= -x * x / n;
        sum += term / (2 * n + 1);
      }
      return x == 0 ? x : sum * 2 / Math.sqrt(Math.PI);
    }
    double fraction = 0;
    for (int k = 80; k > 0; k--) {
      fraction = k / 2.0 / (a + fraction);
    }
    return Math.copySign(1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction), x);
  }

  /** Every magnitude, values of everyday size, integers and halves, and the special ones. */
  static double[] arguments(long seed, boolean single) {
    Random random = new Random(seed);
    double[] x = new double[COUNT];
    double[] special = {
      0.0,
      -0.0,
      1,
      -1,
      Double.NaN,
      Double.POSITIVE_INFINITY,
      Double.NEGATIVE_INFINITY,
      Double.MIN_VALUE,
      -Double.MIN_VALUE,
      Float.MIN_VALUE,
      Float.MIN_NORMAL,
      Double.MIN_NORMAL,
      0x1.fffffep-127,
      Float.MAX_VALUE,
      -Float.MAX_VALUE,
      Double.MAX_VALUE,
      88.7,
      88.8,
      -87.4,
      -103.9,
      -104.1,
      709.7,
      709.8,
      710.4,
      -745.1,
      -745.2,
      -708.5,
      0.5,
      -0.5,
      2,
      3,
      -3,
      0x1p24,
      0x1p53,
      1e5,
      1e9,
      Math.PI,
      Math.PI / 2,
      Math.PI / 4,
      0.41421356,
      2.41421356,
      22,
      9.01,
      1 + 0x1p-23,
      1 - 0x1p-24
    };
    for (int i = 0; i < COUNT; i++) {
      double v =
          switch (i % 8) {
            case 0 ->
                single
                    ? Float.intBitsToFloat(random.nextInt())
                    : Double.longBitsToDouble(random.nextLong());
            case 1 -> random.nextGaussian();
            case 2 -> random.nextGaussian() * 10;
            case 3 -> random.nextGaussian() * 100;
            case 4 -> 1 + random.nextGaussian() * Math.exp(-20 * random.nextDouble());
            case 5 -> random.nextGaussian() * 1e5;
            case 6 -> random.nextInt(40) * 0.5 - 10;
            default -> random.nextGaussian() * Math.exp(-15 * random.nextDouble());
          };
      x[i] = i < special.length ? special[i] : v;
      if (single) {
        x[i] = (float) x[i];
      }
    }
    return x;
  }

  private static float[] floats(double[] x) {
    float[] f = new float[x.length];
    for (int i = 0; i < f.length; i++) {
      f[i] = (float) x[i];
    }
    return f;
  }

  /**
   * The distance in units of the last place; special values must be equal, an overflow counts as
   * the power of two above.
   */
  private static double error(double actual, double expected, boolean single) {
    if (Double.isNaN(expected) || Double.isInfinite(expected) || expected == 0) {
      return Double.compare(actual, expected) == 0 ? 0 : Double.POSITIVE_INFINITY;
    }
    if (!single) {
      return Math.abs(actual - expected) / Math.ulp(expected);
    }
    double value = Math.clamp(actual, -0x1p128, 0x1p128);
    double wanted = Math.clamp(expected, -0x1p128, 0x1p128);
    return Math.abs(value - wanted) / Math.ulp((float) Math.min(Math.abs(wanted), Float.MAX_VALUE));
  }

  private static double worst(
      String name,
      double[] x,
      double[] y,
      double[] actual,
      double[] expected,
      double limit,
      boolean single) {
    double worst = 0;
    List<String> notes = new ArrayList<>();
    for (int i = 0; i < x.length; i++) {
      if (Math.abs(x[i]) > limit && !Double.isInfinite(x[i])) {
        assertTrue(!Double.isNaN(actual[i]), () -> name);
        continue;
      }
      double e = error(actual[i], expected[i], single);
      if (!(e <= worst)) {
        worst = e;
        notes.add(x[i] + "," + y[i] + " -> " + actual[i] + " not " + expected[i] + " (" + e + ")");
      }
    }
    if (Boolean.getBoolean("tersor.print")) {
      System.out.printf(
          "%s %s %.3f %s%n",
          name, single ? "f32" : "f64", worst, notes.isEmpty() ? "" : notes.getLast());
    }
    return worst;
  }

  @ParameterizedTest
  @MethodSource("functions")
  void single(Case c) {
    double[] x = arguments(1, true);
    float[] z = run(c.op, floats(x), floats(x), 8);
    double[] expected = new double[x.length];
    double[] actual = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      expected[i] = c.reference.applyAsDouble(x[i]);
      actual[i] = z[i];
    }
    double worst = worst(c.op.name(), x, x, actual, expected, c.limit, true);
    assertTrue(worst <= c.single, "error " + worst);
  }

  @ParameterizedTest
  @MethodSource("functions")
  void full(Case c) {
    double[] x = arguments(2, false);
    double[] actual = run(c.op, x, x);
    double[] expected = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      expected[i] = c.reference.applyAsDouble(x[i]);
    }
    double worst = worst(c.op.name(), x, x, actual, expected, c.limit, false);
    assertTrue(Double.isNaN(c.full) || worst <= c.full, "error " + worst);
  }

  record Case2(BinaryOp op, DoubleBinaryOperator reference, double single, double full) {}

  static Stream<Case2> binaries() {
    return Stream.of(
        new Case2(BinaryOp.POW, MathRoutinesTest::pow, 0.51, 2),
        new Case2(BinaryOp.ATAN2, Math::atan2, 0.51, 3),
        new Case2(BinaryOp.FMOD, (a, b) -> a % b, 0, 0));
  }

  /** IEEE 754: 1 to any power, and -1 to an infinite one, is 1; Java says NaN. */
  private static double pow(double x, double y) {
    return x == 1 || (x == -1 && Double.isInfinite(y)) ? 1 : Math.pow(x, y);
  }

  @ParameterizedTest
  @MethodSource("binaries")
  void binary(Case2 c) {
    for (boolean single : new boolean[] {true, false}) {
      double[] a = arguments(3, single);
      double[] b = arguments(4, single);
      List<double[]> pairs = new ArrayList<>();
      for (int i = 0; i < a.length; i++) {
        pairs.add(new double[] {a[i], b[i]});
        pairs.add(new double[] {a[i], b[(i * 7 + 3) % 48]});
        if (i < 45) {
          for (int j = 0; j < 45; j++) {
            pairs.add(new double[] {a[i], b[j]});
          }
        }
      }
      while (pairs.size() % 4 != 0) {
        pairs.add(new double[] {1, 1});
      }
      double[] x = pairs.stream().mapToDouble(p -> p[0]).toArray();
      double[] y = pairs.stream().mapToDouble(p -> p[1]).toArray();
      double[] actual = new double[x.length];
      if (single) {
        float[] z = run(c.op, floats(x), floats(y), 4);
        for (int i = 0; i < z.length; i++) {
          actual[i] = z[i];
        }
      } else {
        actual = run(c.op, x, y);
      }
      double[] expected = new double[x.length];
      for (int i = 0; i < x.length; i++) {
        expected[i] = c.reference.applyAsDouble(x[i], y[i]);
      }
      double worst = worst(c.op.name(), x, y, actual, expected, Double.MAX_VALUE, single);
      assertTrue(worst <= (single ? c.single : c.full), "error " + worst);
    }
  }

  /** Values computed with 60 digits (mpmath), for functions that java.lang.Math lacks. */
  private static final String TABLE =
      """
      ERF
        -1.0570034110010258:-0.8650408091905633
        -2.0949049564529885:-0.9969498990549555
        0.9056068382391222:0.7997084852247017
        -2.5653822799947434:-0.9997143729837152
        0.21529202584013518:0.23922931920801815
        -0.8058664985244866:-0.745575077786147
        -2.652006451351759:-0.9998235201521111
        0.04461439913652132:0.05030857751349949
        -2.7750260493480905:-0.9999130825308405
        -0.39812589802568477:-0.4265889791643326
        -2.5808674585522864:-0.9997376552944296
        -2.45572191993681:-0.9994851620897551
        -0.4528848651449162:-0.47813675976488973
        1.9611127480322281:0.9944531610310652
        -2.2571882331021262:-0.9985878017262239
        -1.6605662123579128:-0.9811454987236035
        0.7645993344335356:0.7204393135004075
        2.6862536547420337:0.9998546815970593
        0.4626176917049918:0.4870429429231621
        -0.6199171520953191:-0.6193478093062343
        1e-300:1.1283791670955126e-300
        1e-09:1.1283791670955127e-09
        0.999999:0.8427003778418023
        1.0:0.8427007929497149
        1.000001:0.8427012080567972
        4.5:0.9999999998033839
        5.5:0.9999999999999927
      SIGMOID
        2.4435679346595256:0.9200898121229575
        -0.36729384410068283:0.4091950857219304
        4.167799187367216:0.9847498631690594
        -5.13787799899595:0.005835875569004728
        2.469625193687049:0.921984809758295
        3.1532358148736805:0.9590360327568007
        -5.289098780257139:0.005020968696971906
        13.740242538669941:0.9999989218280791
        4.452874846939644:0.9884890049188718
        9.576041903832063:0.9999306338299396
        -4.96266331586275:0.006945694940048184
        -5.916127169798186:0.0026883728340496033
        -700.0:9.85967654375977e-305
        -30.0:9.357622968839299e-14
        40.0:1.0
        1e-09:0.50000000025
      ASINH
        -0.00010313990569981718:-0.00010313990551695287
        -0.0004728227788197856:-0.00047282276120230184
        -0.014582418471993598:-0.014581901703692531
        -4.627719756271437:-2.236685798654139
        -182.98623335396636:-5.902565569175161
        9.565191993033851:2.953999176308377
        0.0771052757559503:0.07702907808572394
        1309.5561972799605:7.870590904431557
        -736.6725060044147:-7.29529107374595
        -0.0007192611947420022:-0.0007192611327253185
        -0.0024077539675674766:-0.0024077516411698924
        0.6755450168424387:0.6325172109248228
        1e-300:1e-300
        1000000000.0:21.416413017506358
        1e+300:691.4686750787737
      ACOSH
        2155.7308277315537:8.36903220300762
        3.7246585750957033:1.9895942726775289
        136.74766931242556:5.611271208991967
        9.298867591318222:2.9201359774741573
        11623.930913488733:10.053968440505173
        115178.24611825321:12.347383354174255
        1.0000077929688365:0.003947900382419948
        63.652683450344774:4.846526955392431
        13863.388772953116:10.23015392233083
        1.0065500197808552:0.11439302237701415
        1.0000020887688998:0.0020439022347876804
        1.339158723174849:0.8019381288872514
        1e+300:691.4686750787737
        1.0000000001:1.4142136208675862e-05
      ATANH
        -0.6639032421869109:-0.7997611918882953
        -0.7658084110365362:-1.0101121755715838
        -0.8820911613373792:-1.3851134926646327
        0.5364659769450415:0.5991802255729054
        -0.7413195559626315:-0.9534024885813901
        -0.5047703326061714:-0.5556869665598514
        -0.21810059373354584:-0.22166096917436154
        0.7428439482525988:0.9567952025495624
        -0.8388373975997228:-1.2172374968248216
        -0.10162519810133808:-0.10197723298422051
        0.0988798182880748:0.0992039785836361
        0.766767652883025:1.012435908313303
        1e-300:1e-300
        1e-06:1.0000000000003333e-06
        0.9999999999:11.859499013855018
      """;

  @Test
  void fullPrecisionByTable() {
    String name = "";
    for (String line : TABLE.lines().toList()) {
      if (!line.startsWith(" ")) {
        name = line;
        continue;
      }
      int colon = line.indexOf(':');
      double x = Double.parseDouble(line.substring(0, colon));
      double expected = Double.parseDouble(line.substring(colon + 1));
      double actual = run(UnaryOp.valueOf(name), new double[] {x, x, x, x}, new double[4])[0];
      double error = error(actual, expected, false);
      assertTrue(
          error <= 3, name + " of " + x + " is " + actual + ", not " + expected + ": " + error);
    }
  }

  @Test
  void lanesDoNotMatter() {
    float[] x = floats(arguments(5, true));
    for (UnaryOp op : UnaryOp.values()) {
      if (op.isTranscendental()) {
        float[] scalar = run(op, x, x, 1);
        float[] vector = run(op, x, x, 16);
        for (int i = 0; i < x.length; i++) {
          assertEquals(
              Float.floatToIntBits(scalar[i]), Float.floatToIntBits(vector[i]), op + " " + x[i]);
        }
      }
    }
  }
}
