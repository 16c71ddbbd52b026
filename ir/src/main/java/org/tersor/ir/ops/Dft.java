package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * DFT (17, 20) along one axis of numbers [..., 1] (real) or [..., 2] (real and imaginary part). The
 * axis is an attribute until 19 (1 unless given) and an input from 20 on (-2 unless given). Lines
 * are cut or filled with zeros to dft_length. onesided: of a forward transform only the first half
 * of the (symmetric) spectrum is given, of an inverse one only it is read and the result is real.
 */
final class Dft extends OpBase {
  private static final int LENGTH = 1;
  private static final int AXIS = 2;

  Dft() {
    super(
        OpSchema.of("", "DFT", 17, 20)
            .sample(
                "input[b n 1]; -19: axis=1; 20-: axis[]=1|-2; dft_length=-; onesided=0|1; inverse=- || input[b n 2]; -19: axis=1; 20-: axis[]=1|-2; dft_length=-; inverse=0|1; onesided=- || input[b n v 1]; dft_length[]=1..5; -19: axis=1|2; 20-: axis[]=1|2; inverse=-; onesided=-")
            .input("input", "T1")
            .optional("dft_length", "T2")
            .optional("axis", "T3")
            .output("output", "T1")
            .types("T1", Types.FLOATS)
            .types("T2", Types.INDICES)
            .types("T3", Types.I64)
            .attribute("axis", AttributeKind.INT)
            .attribute("inverse", AttributeKind.INT)
            .attribute("onesided", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  /**
   * @param length numbers of a transformed line
   * @param given numbers of the result along the axis
   * @param parts of a number of the input: 1 or 2
   */
  private record Plan(
      int axis, DimExpr length, DimExpr given, DimExpr parts, boolean inverse, boolean oneSided) {
    boolean real() {
      return inverse && oneSided;
    }
  }

  /** Empty if axis or length are only known at run time. */
  private static Optional<Plan> plan(OpContext c) {
    List<DimExpr> x = c.dims(0);
    int rank = x.size();
    DimExpr parts = rank < 2 ? DimExpr.ZERO : x.getLast();
    String fault = "the input must be [..., 1] (real) or [..., 2] (complex)";
    if (parts.isConst() && !parts.isConst(1) && !parts.isConst(2)) {
      throw c.error("TSR-0303", fault);
    }
    c.demand(parts, DimExpr.ONE, fault);
    c.demand(DimExpr.of(2), parts, fault);
    boolean inverse = c.intAttr("inverse", 0) != 0;
    boolean oneSided = c.intAttr("onesided", 0) != 0;
    DimExpr wanted = DimExpr.of(inverse ? 2 : 1);
    if (oneSided && parts.isConst() && !parts.equals(wanted)) {
      throw c.error(
          "TSR-0304",
          inverse
              ? "an inverse one-sided transform needs complex numbers"
              : "the spectrum of complex numbers is not symmetric: onesided must be 0");
    }
    if (oneSided) {
      c.demandEqual(parts, wanted);
    }
    Optional<long[]> axes =
        c.version() < 20 || !c.hasInput(AXIS)
            ? Optional.of(new long[] {c.version() < 20 ? c.intAttr("axis", 1) : -2})
            : Shapes.constantLongs(c, AXIS);
    if (axes.isEmpty()) {
      return Optional.empty();
    }
    if (axes.get().length != 1) {
      throw c.error("TSR-0303", "axis must be one number");
    }
    int axis = c.axis(axes.get()[0], rank);
    if (axis == rank - 1) {
      throw c.error("TSR-0305", "the last axis holds the parts of a number");
    }
    DimExpr in = x.get(axis);
    Optional<DimExpr> length =
        c.hasInput(LENGTH)
            ? Shapes.extent(c, LENGTH, "dft_length")
            : Optional.of(inverse && oneSided ? in.minus(1).times(2) : in);
    return length.map(n ->
        new Plan(
            axis, n, oneSided && !inverse ? n.floorDiv(2).plus(1) : n, parts, inverse, oneSided));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    Optional<Plan> plan = plan(c);
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    boolean real = c.intAttr("inverse", 0) != 0 && c.intAttr("onesided", 0) != 0;
    if (plan.isPresent()) {
      dims.set(plan.get().axis, plan.get().given);
    } else {
      Optional<OpenPlan> open = openPlan(c);
      for (int d = 0; d < dims.size() - 1; d++) {
        dims.set(d, open.isPresent() ? open.get().shape.get(d) : unknown(c, d));
      }
    }
    dims.set(dims.size() - 1, DimExpr.of(real ? 1 : 2));
    return List.of(TensorType.of(c.dtype(0), dims));
  }

  /**
   * A transform along an axis that is only known when it runs.
   *
   * @param own per dimension 1 if it is the axis, else 0
   * @param read numbers of a line of the input
   * @param shape of the result, without its last dimension
   */
  private record OpenPlan(List<DimExpr> own, DimExpr read, DimExpr length, List<DimExpr> shape) {}

  private static Optional<OpenPlan> openPlan(OpContext c) {
    List<DimExpr> x = c.dims(0);
    Optional<RuntimeAxes> axes = RuntimeAxes.of(c, AXIS, x.size());
    boolean inverse = c.intAttr("inverse", 0) != 0;
    boolean oneSided = c.intAttr("onesided", 0) != 0;
    Optional<DimExpr> given =
        c.hasInput(LENGTH) ? Shapes.extent(c, LENGTH, "dft_length") : Optional.of(DimExpr.ZERO);
    if (axes.isEmpty() || axes.get().count() != 1 || given.isEmpty()) {
      return Optional.empty();
    }
    List<DimExpr> own = new ArrayList<>();
    DimExpr read = DimExpr.ZERO;
    for (int d = 0; d < x.size() - 1; d++) {
      own.add(axes.get().isOne(d));
      read = read.plus(own.get(d).times(x.get(d)));
    }
    DimExpr line = inverse && oneSided ? read.minus(1).times(2) : read;
    DimExpr length = c.hasInput(LENGTH) ? given.get() : c.abbreviate("length", line);
    DimExpr result = oneSided && !inverse ? length.floorDiv(2).plus(1) : length;
    List<DimExpr> shape = new ArrayList<>();
    for (int d = 0; d < x.size() - 1; d++) {
      DimExpr extent = x.get(d).plus(own.get(d).times(result.minus(x.get(d))));
      shape.add(c.abbreviate("extent" + d, extent));
    }
    return Optional.of(new OpenPlan(own, c.abbreviate("read", read), length, shape));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Plan plan = plan(c).orElseThrow();
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
    int n = (int) plan.length.constValue();
    int in = (int) x.shape()[plan.axis];
    int given = (int) plan.given.constValue();
    int inner = 1;
    for (int d = plan.axis + 1; d < x.rank() - 1; d++) {
      inner *= (int) x.shape()[d];
    }
    int parts = (int) plan.parts.constValue();
    int outParts = plan.real() ? 1 : 2;
    double scale = plan.inverse ? 1.0 / n : 1;
    for (int line = 0; given > 0 && line < y.size() / given / outParts; line++) {
      double[] re = new double[n];
      double[] im = new double[n];
      for (int i = 0; i < n; i++) {
        boolean mirrored = plan.real() && i > n / 2;
        int at = mirrored ? n - i : i;
        if (at < in) {
          int from = ((line / inner * in + at) * inner + line % inner) * parts;
          re[i] = x.getDouble(from);
          im[i] = parts == 2 ? (mirrored ? -1 : 1) * x.getDouble(from + 1) : 0;
        }
      }
      Fourier.evaluate(re, im, plan.inverse);
      for (int k = 0; k < given; k++) {
        int to = ((line / inner * given + k) * inner + line % inner) * outParts;
        y.setDouble(to, re[k] * scale);
        if (!plan.real()) {
          y.setDouble(to + 1, im[k] * scale);
        }
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    Optional<Plan> known = plan(c);
    if (known.isEmpty()) {
      return alongOpenAxis(
          c,
          openPlan(c)
              .orElseThrow(() -> notLowered(c, "axis or dft_length are only known when it runs")));
    }
    Plan plan = known.get();
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<DimExpr> x = c.dims(0);
    List<Axis> others = Shapes.axes("b", x.subList(0, x.size() - 1));
    others.remove(plan.axis);
    Fourier fourier = new Fourier(kernel, others, plan.length, plan.inverse);
    Fourier.Line spectrum = fourier.transform(at -> element(kernel, plan, others, x, at));
    Axis k = new Axis("k", plan.given);
    Fourier.Complex value = spectrum.at(K.axis(k));
    List<Axis> axes = new ArrayList<>(others);
    axes.add(plan.axis, k);
    for (int part = 0; part < (plan.real() ? 1 : 2); part++) {
      KExpr number = part == 0 ? value.re() : value.im();
      if (plan.inverse) {
        number = K.div(number, K.cast(Scalar.F64, K.dim(plan.length)));
      }
      List<KExpr> to = new ArrayList<>(Shapes.refs(axes));
      to.add(K.index(part));
      kernel.stage(kernel.out(0), axes, to, number);
    }
    return kernel.build();
  }

  private static Fourier.Complex element(
      KernelBuilder kernel, Plan plan, List<Axis> others, List<DimExpr> x, KExpr position) {
    KExpr n = K.dim(plan.length);
    KExpr mirrored = plan.real() ? K.gt(position, K.floorDiv(n, K.index(2))) : K.bool(false);
    KExpr at = K.select(mirrored, K.sub(n, position), position);
    DimExpr in = x.get(plan.axis);
    KExpr inside = in.equals(plan.length) ? K.bool(true) : K.lt(at, K.dim(in));
    KExpr zero = K.literal(Scalar.F64, 0.0);
    List<KExpr> index = new ArrayList<>(Shapes.refs(others));
    index.add(plan.axis, at);
    index.add(K.index(0));
    KExpr re = K.select(inside, K.cast(Scalar.F64, kernel.value(0, index)), zero);
    index.set(index.size() - 1, K.index(1));
    KExpr im = K.cast(Scalar.F64, kernel.value(0, index));
    im = K.select(mirrored, K.neg(im), im);
    return new Fourier.Complex(re, imaginary(plan.parts, inside, im));
  }

  /** The second part of a number of the input: zero where it has none. */
  private static KExpr imaginary(DimExpr parts, KExpr inside, KExpr part) {
    KExpr zero = K.literal(Scalar.F64, 0.0);
    if (parts.isConst()) {
      return parts.isConst(2) ? K.select(inside, part, zero) : zero;
    }
    return K.select(K.and(inside, K.gt(K.dim(parts), K.index(1))), part, zero);
  }

  /** By the definition: which numbers a sum runs over depends on the axis. */
  private Lowering alongOpenAxis(OpContext c, OpenPlan plan) {
    boolean inverse = c.intAttr("inverse", 0) != 0;
    boolean real = inverse && c.intAttr("onesided", 0) != 0;
    List<DimExpr> x = c.dims(0);
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes("o", plan.shape);
    Axis n = new Axis("n", plan.length);
    KExpr length = K.dim(plan.length);
    KExpr mirrored = real ? K.gt(K.axis(n), K.floorDiv(length, K.index(2))) : K.bool(false);
    KExpr at = K.select(mirrored, K.sub(length, K.axis(n)), K.axis(n));
    KExpr frequency = K.index(0);
    List<KExpr> index = new ArrayList<>();
    for (int d = 0; d < axes.size(); d++) {
      KExpr own = K.eq(K.dim(plan.own.get(d)), K.index(1));
      frequency = K.select(own, K.axis(axes.get(d)), frequency);
      index.add(K.select(own, at, K.axis(axes.get(d))));
    }
    index.add(K.index(0));
    KExpr zero = K.literal(Scalar.F64, 0.0);
    KExpr inside = K.lt(at, K.dim(plan.read));
    KExpr re = K.select(inside, K.cast(Scalar.F64, kernel.value(0, index)), zero);
    index.set(axes.size(), K.index(1));
    KExpr part = K.cast(Scalar.F64, kernel.value(0, index));
    KExpr im = imaginary(x.getLast(), inside, K.select(mirrored, K.neg(part), part));
    Fourier fourier = new Fourier(kernel, axes, plan.length, inverse);
    Fourier.Complex turned =
        fourier.turned(
            new Fourier.Complex(re, im),
            K.mul(K.cast(Scalar.I64, frequency), K.cast(Scalar.I64, K.axis(n))));
    for (int side = 0; side < (real ? 1 : 2); side++) {
      KExpr sum = K.sum(List.of(n), side == 0 ? turned.re() : turned.im());
      if (inverse) {
        sum = K.div(sum, K.cast(Scalar.F64, length));
      }
      List<KExpr> to = new ArrayList<>(Shapes.refs(axes));
      to.add(K.index(side));
      kernel.stage(kernel.out(0), axes, to, sum);
    }
    return kernel.build();
  }
}
