package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiPredicate;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Moves the guards of padded reads out of sums: {@code sum(if inside then x[i + k] else c)} reads a
 * padded copy of x instead, made once, and the inner loops need neither comparisons nor masks.
 */
final class PadOperands {
  private final Kernel kernel;
  private final List<Stage> stages = new ArrayList<>();
  private final Map<KExpr, KExpr> done = new LinkedHashMap<>();
  private int copies;

  private PadOperands(Kernel kernel) {
    this.kernel = kernel;
  }

  /**
   * @param keepsGuards whether the schedule of a stage needs no copy; sees the stage with its
   *     guards and without
   */
  static Kernel apply(Kernel kernel, BiPredicate<Stage, Stage> keepsGuards) {
    PadOperands pads = new PadOperands(kernel);
    for (Stage stage : kernel.stages()) {
      pads.done.clear();
      int before = pads.stages.size();
      KExpr value = pads.inFolds(stage.value());
      Stage padded = new Stage(stage.target(), stage.axes(), stage.index(), value);
      boolean keeps = pads.stages.size() > before && keepsGuards.test(stage, padded);
      if (keeps) {
        pads.stages.subList(before, pads.stages.size()).clear();
      }
      pads.stages.add(keeps ? stage : padded);
    }
    return pads.copies == 0
        ? kernel
        : new Kernel(kernel.name(), kernel.inputs(), kernel.outputs(), pads.stages);
  }

  private KExpr inFolds(KExpr expr) {
    if (expr instanceof KExpr.Fold fold) {
      return new KExpr.Fold(fold.op(), fold.axes(), inFold(fold.body(), fold));
    }
    return KExprs.mapOperands(expr, this::inFolds);
  }

  private KExpr inFold(KExpr expr, KExpr.Fold fold) {
    if (expr instanceof KExpr.If choice) {
      boolean varies = KExprs.freeAxes(choice.condition()).stream().anyMatch(fold.axes()::contains);
      Optional<KExpr> padded =
          varies ? Optional.ofNullable(done.get(choice)).or(() -> pad(choice)) : Optional.empty();
      if (padded.isPresent()) {
        done.put(choice, padded.get());
        return padded.get();
      }
    }
    return KExprs.mapOperands(expr, e -> inFold(e, fold));
  }

  private Optional<KExpr> pad(KExpr.If choice) {
    List<KExpr.At> reads =
        KExprs.all(choice.then(), KExpr.At.class).stream()
            .filter(at -> !KExprs.freeAxes(at).isEmpty())
            .distinct()
            .toList();
    if (reads.size() != 1 || !KExprs.all(choice.then(), KExpr.Fold.class).isEmpty()) {
      return Optional.empty();
    }
    KExpr.At at = reads.getFirst();
    if (variesBesides(choice.then(), at) || !isBoundsCheck(choice.condition(), at)) {
      return Optional.empty();
    }
    List<Span> spans = new ArrayList<>();
    for (int d = 0; d < at.index().size(); d++) {
      Optional<Span> span = span(at.index().get(d), at.buffer().shape().get(d));
      if (span.isEmpty()) {
        return Optional.empty();
      }
      spans.add(span.get());
    }
    return Optional.of(copy(choice, at, spans));
  }

  /** Positions {@code low} to {@code low + extent} of a dimension. */
  private record Span(long low, DimExpr extent) {}

  /** The positions that an index takes; empty if they are not known. */
  private static Optional<Span> span(KExpr index, DimExpr dimension) {
    if (isWhole(index, dimension)) {
      return Optional.of(new Span(0, dimension));
    }
    return Interval.of(Affine.of(index).toKExpr())
        .map(range -> new Span(range.low(), DimExpr.of(range.high() - range.low() + 1)))
        .or(() -> symbolic(Affine.of(index)));
  }

  /** The span of a sum of axes of which some have extents that are not known. */
  private static Optional<Span> symbolic(Affine index) {
    if (!index.constant().isConst()) {
      return Optional.empty();
    }
    long low = index.constant().constValue();
    DimExpr extent = DimExpr.ONE;
    long least = 1;
    for (Map.Entry<KExpr, DimExpr> term : index.terms().entrySet()) {
      if (!(term.getKey() instanceof KExpr.AxisRef ref) || !term.getValue().isConst()) {
        return Optional.empty();
      }
      DimExpr last = ref.axis().extent().minus(1);
      long by = term.getValue().constValue();
      if (by < 0 && !last.isConst()) {
        return Optional.empty();
      }
      low += by < 0 ? by * last.constValue() : 0;
      extent = extent.plus(last.times(Math.abs(by)));
      least += Math.abs(by) * (last.isConst() ? last.constValue() : -1);
    }
    // Where an extent is zero, the copy must not come out smaller than nothing.
    return least < 0 ? Optional.empty() : Optional.of(new Span(low, extent));
  }

  /** Whether the index is an axis that runs over the whole dimension, constant or not. */
  private static boolean isWhole(KExpr index, DimExpr dimension) {
    return index instanceof KExpr.AxisRef ref && ref.axis().extent().equals(dimension);
  }

  private static boolean variesBesides(KExpr expr, KExpr.At at) {
    if (expr.equals(at)) {
      return false;
    }
    return expr instanceof KExpr.AxisRef
        || KExprs.operands(expr).stream().anyMatch(e -> variesBesides(e, at));
  }

  /**
   * Whether the condition is exactly "every index lies in the buffer" (bounds that always hold may
   * be missing).
   */
  private static boolean isBoundsCheck(KExpr condition, KExpr.At at) {
    List<KExpr> terms = new ArrayList<>();
    conjunction(condition, terms);
    Set<String> checked = new HashSet<>();
    for (KExpr term : terms) {
      if (!(term instanceof KExpr.Cmp cmp) || cmp.a().scalar() != Scalar.INDEX) {
        return false;
      }
      boolean found = false;
      for (int d = 0; d < at.index().size() && !found; d++) {
        Affine low = Affine.of(K.sub(cmp.a(), at.index().get(d)));
        if (!low.equals(Affine.constant(DimExpr.ZERO))) {
          continue;
        }
        Affine bound = Affine.of(cmp.b());
        if (cmp.op() == CompareOp.GE && bound.equals(Affine.constant(DimExpr.ZERO))) {
          found = checked.add("low" + d);
        } else if (cmp.op() == CompareOp.LT
            && bound.equals(Affine.constant(at.buffer().shape().get(d)))) {
          found = checked.add("high" + d);
        }
      }
      if (!found) {
        return false;
      }
    }
    for (int d = 0; d < at.index().size(); d++) {
      KExpr index = at.index().get(d);
      if (isWhole(index, at.buffer().shape().get(d))) {
        continue;
      }
      boolean low =
          checked.contains("low" + d) || holds(new KExpr.Cmp(CompareOp.GE, index, K.index(0)));
      boolean high =
          checked.contains("high" + d)
              || holds(new KExpr.Cmp(CompareOp.LT, index, K.dim(at.buffer().shape().get(d))));
      if (!low || !high) {
        return false;
      }
    }
    return true;
  }

  private static boolean holds(KExpr.Cmp cmp) {
    return Interval.decide(cmp).orElse(false);
  }

  private static void conjunction(KExpr condition, List<KExpr> into) {
    if (condition instanceof KExpr.Bin and
        && and.op() == BinaryOp.AND
        && and.scalar() == Scalar.BOOL) {
      conjunction(and.a(), into);
      conjunction(and.b(), into);
    } else if (!(condition instanceof KExpr.IntLit literal && literal.value() != 0)) {
      into.add(condition);
    }
  }

  private KExpr copy(KExpr.If choice, KExpr.At at, List<Span> spans) {
    List<Axis> axes = new ArrayList<>();
    List<KExpr> source = new ArrayList<>();
    List<KExpr> target = new ArrayList<>();
    KExpr inside = K.bool(true);
    String name = "pad" + copies++;
    for (int d = 0; d < spans.size(); d++) {
      Span span = spans.get(d);
      Axis axis = new Axis(name + "_" + d, span.extent());
      KExpr index = K.add(K.axis(axis), K.index(span.low()));
      axes.add(axis);
      source.add(index);
      target.add(K.sub(at.index().get(d), K.index(span.low())));
      if (!span.equals(new Span(0, at.buffer().shape().get(d)))) {
        inside =
            K.and(
                inside,
                K.and(K.ge(index, K.index(0)), K.lt(index, K.dim(at.buffer().shape().get(d)))));
      }
    }
    KExpr read = new KExpr.At(at.buffer(), source);
    // An 8-bit code stays one: padding with the zero point is padding with zero.
    Optional<KExpr> code = paddingCode(choice, at);
    KExpr stored =
        code.isPresent()
            ? new KExpr.If(inside, read, code.get())
            : new KExpr.If(inside, replace(choice.then(), at, read), choice.otherwise());
    Buf buffer =
        new Buf(
            kernel.stages().getFirst().target().name() + "_" + name,
            stored.scalar(),
            axes.stream().map(Axis::extent).toList());
    stages.add(Stage.of(buffer, axes, stored));
    KExpr padded = new KExpr.At(buffer, target);
    return code.isPresent() ? replace(choice.then(), at, padded) : padded;
  }

  private static KExpr replace(KExpr expr, KExpr.At at, KExpr by) {
    return expr.equals(at) ? by : KExprs.mapOperands(expr, e -> replace(e, at, by));
  }

  /**
   * For {@code if inside then i32(x) - i32(z) else 0}: z; for {@code if inside then i32(x) else 0}:
   * 0.
   */
  private static Optional<KExpr> paddingCode(KExpr.If choice, KExpr.At at) {
    boolean zero = choice.otherwise() instanceof KExpr.IntLit literal && literal.value() == 0;
    if (!zero || (at.scalar() != Scalar.U8 && at.scalar() != Scalar.I8)) {
      return Optional.empty();
    }
    KExpr value = choice.then();
    if (isWidened(value, at)) {
      return Optional.of(K.castInRange(at.scalar(), K.i32(0)));
    }
    if (value instanceof KExpr.Bin sub
        && sub.op() == BinaryOp.SUB
        && isWidened(sub.a(), at)
        && sub.b() instanceof KExpr.To to
        && to.a().scalar() == at.scalar()) {
      return Optional.of(to.a());
    }
    return Optional.empty();
  }

  private static boolean isWidened(KExpr value, KExpr.At at) {
    return value instanceof KExpr.To to && to.scalar() == Scalar.I32 && to.a().equals(at);
  }
}
