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
 * STFT (17): spectra [B, frames, frequencies, 2] of frames of a signal [B, L], [B, L, 1] (real) or
 * [B, L, 2] (complex), one every frame_step numbers, each multiplied by the window. A frame is as
 * long as frame_length or the window. onesided (unless 0): the first half of the spectrum.
 */
final class Stft extends OpBase {
  private static final int STEP = 1;
  private static final int WINDOW = 2;
  private static final int LENGTH = 3;

  Stft() {
    super(
        OpSchema.of("", "STFT", 17)
            .sample(
                "n=6..10; signal[b n 1]; frame_step[]=1..3; frame_length[]=2..5; window=-; onesided=0|1 || n=6..10; w=2..5; signal[b n 1]; frame_step[]=1..3; frame_length=-; window![w]; onesided=0|1")
            .input("signal", "T1")
            .input("frame_step", "T2")
            .optional("window", "T1")
            .optional("frame_length", "T2")
            .output("output", "T1")
            .types("T1", Types.FLOATS)
            .types("T2", Types.INDICES)
            .attribute("onesided", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private record Plan(
      boolean complex, DimExpr step, DimExpr length, DimExpr frames, DimExpr frequencies) {}

  private static Optional<Plan> plan(OpContext c) {
    List<DimExpr> signal = c.dims(0);
    if (signal.size() != 2 && signal.size() != 3) {
      throw c.error("TSR-0303", "the signal must be [B, L], [B, L, 1] or [B, L, 2]");
    }
    DimExpr parts = signal.size() == 2 ? DimExpr.ONE : signal.get(2);
    if (!parts.isConst(1) && !parts.isConst(2)) {
      throw c.error("TSR-0303", "the signal's last dimension is " + parts);
    }
    boolean complex = parts.isConst(2);
    boolean oneSided = c.intAttr("onesided", 1) != 0;
    if (complex && oneSided) {
      throw c.error(
          "TSR-0304", "the spectrum of complex numbers is not symmetric: onesided must be 0");
    }
    if (c.hasInput(WINDOW) && c.rank(WINDOW) != 1) {
      throw c.error("TSR-0303", "the window must have rank 1");
    }
    if (!c.hasInput(WINDOW) && !c.hasInput(LENGTH)) {
      throw c.error("TSR-0301", "window or frame_length is needed");
    }
    Optional<DimExpr> step = Shapes.extent(c, STEP, "frame_step");
    Optional<DimExpr> length =
        c.hasInput(LENGTH)
            ? Shapes.extent(c, LENGTH, "frame_length")
            : Optional.of(c.dims(WINDOW).getFirst());
    if (step.isEmpty() || length.isEmpty()) {
      return Optional.empty();
    }
    if (c.hasInput(WINDOW)) {
      Shapes.agree(c, "length of the window", c.dims(WINDOW).getFirst(), length.get());
    }
    DimExpr frames =
        signal.get(1).minus(length.get()).floorDiv(step.get()).plus(1).max(DimExpr.ZERO);
    return Optional.of(
        new Plan(
            complex,
            step.get(),
            length.get(),
            frames,
            oneSided ? length.get().floorDiv(2).plus(1) : length.get()));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (!c.in(0).isRanked() || (c.hasInput(WINDOW) && !c.in(WINDOW).isRanked())) {
      return List.of(TensorType.unranked(c.dtype(0)));
    }
    Optional<Plan> plan = plan(c);
    return List.of(
        TensorType.of(
            c.dtype(0),
            List.of(
                c.dims(0).getFirst(),
                plan.map(Plan::frames).orElseGet(() -> unknown(c, 0)),
                plan.map(Plan::frequencies).orElseGet(() -> unknown(c, 1)),
                DimExpr.of(2))));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Plan plan = plan(c).orElseThrow();
    Tensor signal = c.input(0);
    Tensor y = Shapes.allocate(c, signal.dtype(), outType(c, 0).staticShape());
    int length = (int) plan.length.constValue();
    int step = (int) plan.step.constValue();
    int total = (int) signal.shape()[1];
    int parts = plan.complex ? 2 : 1;
    int to = 0;
    for (int b = 0; b < y.shape()[0]; b++) {
      for (int f = 0; f < y.shape()[1]; f++) {
        double[] re = new double[length];
        double[] im = new double[length];
        for (int i = 0; i < length; i++) {
          int from = (b * total + f * step + i) * parts;
          double weight = c.hasInput(WINDOW) ? c.input(WINDOW).getDouble(i) : 1;
          re[i] = weight * signal.getDouble(from);
          im[i] = plan.complex ? weight * signal.getDouble(from + 1) : 0;
        }
        Fourier.evaluate(re, im, false);
        for (int k = 0; k < y.shape()[2]; k++) {
          y.setDouble(to++, re[k]);
          y.setDouble(to++, im[k]);
        }
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    Plan plan =
        plan(c)
            .orElseThrow(
                () -> notLowered(c, "frame_step or frame_length are only known when it runs"));
    KernelBuilder kernel = new KernelBuilder(this, c);
    Axis b = new Axis("b", c.dims(0).getFirst());
    Axis f = new Axis("f", plan.frames);
    Fourier fourier = new Fourier(kernel, List.of(b, f), plan.length, false);
    Fourier.Line spectrum =
        fourier.transform(at ->
            new Fourier.Complex(
                element(kernel, plan, b, f, at, 0),
                plan.complex ? element(kernel, plan, b, f, at, 1) : K.literal(Scalar.F64, 0.0)));
    Axis k = new Axis("k", plan.frequencies);
    Fourier.Complex value = spectrum.at(K.axis(k));
    for (int part = 0; part < 2; part++) {
      kernel.stage(
          kernel.out(0),
          List.of(b, f, k),
          List.of(K.axis(b), K.axis(f), K.axis(k), K.index(part)),
          part == 0 ? value.re() : value.im());
    }
    return kernel.build();
  }

  private static KExpr element(
      KernelBuilder kernel, Plan plan, Axis b, Axis f, KExpr at, int part) {
    KExpr position = K.add(K.mul(K.axis(f), K.dim(plan.step)), at);
    List<KExpr> index = new ArrayList<>(List.of(K.axis(b), position));
    if (kernel.in(0).shape().size() == 3) {
      index.add(K.index(part));
    }
    KExpr x = K.cast(Scalar.F64, kernel.value(0, index));
    return kernel.given(WINDOW) ? K.mul(x, K.cast(Scalar.F64, kernel.value(WINDOW, at))) : x;
  }
}
