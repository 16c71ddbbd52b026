package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * Stages of a kernel that transform lines of {@code length} complex numbers, in F64: near zeros of
 * a spectrum are differences of large numbers. A known length is split into factors, one stage
 * each, so that a line costs length times the sum of its factors.
 *
 * @param batch axes of the lines
 * @param inverse the exponent's sign; the factor 1 / length is left to the caller
 */
record Fourier(KernelBuilder kernel, List<Axis> batch, DimExpr length, boolean inverse) {
  private static final long LARGEST_FACTOR = 16;

  /** A complex number. */
  record Complex(KExpr re, KExpr im) {}

  /** An element of a line, at any position. */
  interface Line {
    Complex at(KExpr position);
  }

  /** The spectrum of a line. */
  Line transform(Line input) {
    Roots roots = roots();
    // After each step, line k of the K lines of R numbers holds what belongs to the frequencies
    // k + K * q: their sum over n of number n times the R-th root of one to the power n * q.
    Line line = input;
    DimExpr lines = DimExpr.ONE;
    DimExpr rest = length;
    List<DimExpr> factors = factors();
    for (int step = 0; step < factors.size(); step++) {
      DimExpr factor = factors.get(step);
      DimExpr shorter = step == factors.size() - 1 ? DimExpr.ONE : rest.floorDiv(factor);
      line = step(step, line, lines, rest, factor, shorter, roots);
      lines = lines.times(factor);
      rest = shorter;
    }
    return line;
  }

  /** Tables of the roots of one. */
  private record Roots(Buf cos, Buf sin, DimExpr length) {
    /**
     * {@code x} times a power of the first root.
     *
     * @param power I64: of long lines it may not fit an index
     */
    Complex turned(Complex x, KExpr power) {
      KExpr length64 = K.cast(Scalar.I64, K.dim(length));
      KExpr root = K.cast(Scalar.INDEX, K.binary(BinaryOp.REM, power, length64));
      KExpr c = K.at(cos, root);
      KExpr s = K.at(sin, root);
      return new Complex(
          K.sub(K.mul(x.re, c), K.mul(x.im, s)), K.add(K.mul(x.re, s), K.mul(x.im, c)));
    }
  }

  private Roots roots() {
    Axis j = new Axis("j", length);
    KExpr turn = K.literal(Scalar.F64, (inverse ? 2 : -2) * Math.PI);
    KExpr angle =
        K.mul(turn, K.div(K.cast(Scalar.F64, K.axis(j)), K.cast(Scalar.F64, K.dim(length))));
    Buf cos = kernel.temp("cos", Scalar.F64, List.of(length));
    Buf sin = kernel.temp("sin", Scalar.F64, List.of(length));
    kernel.stage(cos, List.of(j), K.unary(UnaryOp.COS, angle));
    kernel.stage(sin, List.of(j), K.unary(UnaryOp.SIN, angle));
    return new Roots(cos, sin, length);
  }

  /** {@code x} times a power, I64, of the first root of one. */
  Complex turned(Complex x, KExpr power) {
    return roots().turned(x, power);
  }

  private List<DimExpr> factors() {
    if (!length.isConst()) {
      return List.of(length);
    }
    List<DimExpr> factors = new ArrayList<>();
    long rest = length.constValue();
    long factor = 1;
    for (long prime = 2; rest > 1; prime++) {
      // What is left of a composite number has no divisor up to here, so it may be prime itself.
      prime = prime * prime > rest ? rest : prime;
      while (rest % prime == 0) {
        if (factor > 1 && factor * prime > LARGEST_FACTOR) {
          factors.add(DimExpr.of(factor));
          factor = 1;
        }
        factor *= prime;
        rest /= prime;
      }
    }
    factors.add(DimExpr.of(factor));
    return factors;
  }

  private Line step(
      int step,
      Line input,
      DimExpr lines,
      DimExpr rest,
      DimExpr factor,
      DimExpr shorter,
      Roots roots) {
    Axis q = new Axis("q" + step, factor);
    Axis k = new Axis("k" + step, lines);
    Axis m = new Axis("m" + step, shorter);
    Axis n = new Axis("n" + step, factor);
    KExpr position = K.add(K.mul(K.axis(n), K.dim(shorter)), K.axis(m));
    Complex x = input.at(K.add(K.mul(K.axis(k), K.dim(rest)), position));
    KExpr power =
        K.mul(
            K.mul(K.cast(Scalar.I64, K.axis(q)), K.cast(Scalar.I64, position)),
            K.cast(Scalar.I64, K.dim(lines)));
    Complex turned = roots.turned(x, power);
    List<Axis> axes = new ArrayList<>(batch);
    axes.addAll(List.of(q, k, m));
    List<DimExpr> shape = new ArrayList<>(batch.stream().map(Axis::extent).toList());
    shape.add(length);
    List<KExpr> target = new ArrayList<>(Shapes.refs(batch));
    KExpr line = K.add(K.mul(K.axis(q), K.dim(lines)), K.axis(k));
    target.add(K.add(K.mul(line, K.dim(shorter)), K.axis(m)));
    Buf real = kernel.temp("re" + step, Scalar.F64, shape);
    Buf imaginary = kernel.temp("im" + step, Scalar.F64, shape);
    List<Axis> fold = factor.isConst(1) ? List.of() : List.of(n);
    kernel.stage(real, axes, target, K.sum(fold, turned.re));
    kernel.stage(imaginary, axes, target, K.sum(fold, turned.im));
    return at -> {
      List<KExpr> index = new ArrayList<>(Shapes.refs(batch));
      index.add(at);
      return new Complex(K.at(real, index), K.at(imaginary, index));
    };
  }

  /** The same by its definition, in place: for evaluation. */
  static void evaluate(double[] re, double[] im, boolean inverse) {
    int n = re.length;
    double[] x = re.clone();
    double[] y = im.clone();
    for (int k = 0; k < n; k++) {
      re[k] = 0;
      im[k] = 0;
      for (int i = 0; i < n; i++) {
        double angle = (inverse ? 2 : -2) * Math.PI * ((long) k * i % n) / n;
        re[k] += x[i] * Math.cos(angle) - y[i] * Math.sin(angle);
        im[k] += x[i] * Math.sin(angle) + y[i] * Math.cos(angle);
      }
    }
  }
}
