package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Extrema over large windows, one direction after the other: the maximum of a window of n x m is
 * that of m maxima of n elements, which neighbouring windows have in common. An extremum is one of
 * its elements, so the order changes nothing.
 */
final class SeparableExtrema {
  private final Kernel kernel;
  private final List<Stage> stages = new ArrayList<>();
  private int parts;

  private SeparableExtrema(Kernel kernel) {
    this.kernel = kernel;
  }

  static Kernel apply(Kernel kernel) {
    SeparableExtrema windows = new SeparableExtrema(kernel);
    kernel.stages().forEach(windows::stage);
    return windows.parts == 0
        ? kernel
        : new Kernel(kernel.name(), kernel.inputs(), kernel.outputs(), windows.stages);
  }

  private void stage(Stage stage) {
    KExpr value = stage.value();
    List<KExpr.Fold> folds = KExprs.all(value, KExpr.Fold.class).stream().distinct().toList();
    if (folds.size() == 1) {
      KExpr.Fold whole = folds.getFirst();
      KExpr.Fold rest = whole;
      Optional<KExpr.Fold> less = split(stage, rest);
      while (less.isPresent()) {
        rest = less.get();
        less = split(stage, rest);
      }
      KExpr.Fold last = rest;
      value = KExprs.rewrite(value, e -> e.equals(whole) ? last : e);
    }
    stages.add(new Stage(stage.target(), stage.axes(), stage.index(), value));
  }

  /**
   * What a window reads.
   *
   * @param terms comparisons that hold where there is an element
   * @param outside the value elsewhere; of no meaning without comparisons
   */
  private record Window(KExpr.At at, List<KExpr> terms, KExpr outside) {
    static Optional<Window> of(KExpr body) {
      if (body instanceof KExpr.At at) {
        return Optional.of(new Window(at, List.of(), K.literal(at.scalar(), 0.0)));
      }
      List<KExpr> terms = new ArrayList<>();
      return body instanceof KExpr.If choice
              && choice.then() instanceof KExpr.At at
              && choice.otherwise() instanceof KExpr.FloatLit
              && conjunction(choice.condition(), terms)
          ? Optional.of(new Window(at, terms, choice.otherwise()))
          : Optional.empty();
    }

    private static boolean conjunction(KExpr condition, List<KExpr> terms) {
      if (condition instanceof KExpr.Bin and && and.op() == BinaryOp.AND) {
        return conjunction(and.a(), terms) && conjunction(and.b(), terms);
      }
      terms.add(condition);
      return condition instanceof KExpr.Cmp;
    }

    KExpr value(List<KExpr> conditions, KExpr read) {
      return conditions.isEmpty()
          ? read
          : new KExpr.If(conditions.stream().reduce(K::and).orElseThrow(), read, outside);
    }
  }

  /**
   * One tap less: its extrema become a stage of their own. Empty where that takes no fewer
   * comparisons.
   */
  private Optional<KExpr.Fold> split(Stage stage, KExpr.Fold fold) {
    boolean extremum = fold.op() == ReduceOp.MAX || fold.op() == ReduceOp.MIN;
    if (!extremum || !isFloat(fold.scalar())) {
      return Optional.empty();
    }
    Optional<Window> window = Window.of(fold.body());
    Axis tap = fold.axes().getLast();
    if (window.isEmpty() || !tap.extent().isConst()) {
      return Optional.empty();
    }
    List<KExpr> index = window.get().at.index();
    List<Integer> dimensions = new ArrayList<>();
    for (int d = 0; d < index.size(); d++) {
      if (KExprs.freeAxes(index.get(d)).contains(tap)) {
        dimensions.add(d);
      }
    }
    if (dimensions.size() != 1) {
      return Optional.empty();
    }
    int along = dimensions.getFirst();
    List<Axis> outputs =
        KExprs.freeAxes(index.get(along)).stream().filter(axis -> !axis.equals(tap)).toList();
    return outputs.size() == 1
            && stage.axes().contains(outputs.getFirst())
            && gains(stage, fold, window.get().at, along, outputs.getFirst())
        ? extrema(fold, window.get(), along, outputs.getFirst())
        : Optional.empty();
  }

  private static boolean isFloat(Scalar scalar) {
    return scalar == Scalar.F32 || scalar == Scalar.F64;
  }

  /** Whether two stages compare clearly less often than one. */
  private static boolean gains(Stage stage, KExpr.Fold fold, KExpr.At at, int along, Axis output) {
    long windows = 1;
    long rows = 1;
    for (int d = 0; d < at.index().size(); d++) {
      Set<Axis> axes = KExprs.freeAxes(at.index().get(d));
      DimExpr extent = at.buffer().shape().get(d);
      if (d == along || axes.stream().noneMatch(fold.axes()::contains)) {
        boolean whole = d == along || isWhole(at.index().get(d), extent);
        if (!whole) {
          return false;
        }
        continue;
      }
      List<Axis> ofStage = axes.stream().filter(stage.axes()::contains).toList();
      boolean known =
          ofStage.size() <= 1
              && !ofStage.contains(output)
              && extent.isConst()
              && ofStage.stream().allMatch(a -> a.extent().isConst());
      if (!known) {
        return false;
      }
      rows *= Math.min(extent.constValue(), 1 << 16);
      windows *= ofStage.stream().mapToLong(a -> a.extent().constValue()).findFirst().orElse(1);
    }
    double others = 1;
    for (Axis axis : fold.axes().subList(0, fold.axes().size() - 1)) {
      if (!axis.extent().isConst()) {
        return false;
      }
      others *= axis.extent().constValue();
    }
    double taps = fold.axes().getLast().extent().constValue();
    return (rows * taps + windows * others) * 3 <= windows * others * taps * 2;
  }

  private static boolean isWhole(KExpr index, DimExpr extent) {
    return extent.isConst(1)
        || (index instanceof KExpr.AxisRef ref && ref.axis().extent().equals(extent));
  }

  private Optional<KExpr.Fold> extrema(KExpr.Fold fold, Window window, int along, Axis output) {
    Axis tap = fold.axes().getLast();
    List<KExpr> inner = new ArrayList<>();
    List<KExpr> outer = new ArrayList<>();
    for (KExpr term : window.terms) {
      Set<Axis> axes = KExprs.freeAxes(term);
      boolean here = axes.contains(tap) || axes.contains(output);
      if (here && !Set.of(tap, output).containsAll(axes)) {
        return Optional.empty();
      }
      (here ? inner : outer).add(term);
    }
    String name = "extrema" + parts++;
    Map<Axis, KExpr> moved = new HashMap<>();
    List<Axis> axes = new ArrayList<>();
    List<KExpr> source = new ArrayList<>();
    List<KExpr> read = new ArrayList<>();
    for (int d = 0; d < window.at.index().size(); d++) {
      DimExpr extent = d == along ? output.extent() : window.at.buffer().shape().get(d);
      Axis axis = new Axis(name + "_" + d, extent);
      axes.add(axis);
      source.add(K.axis(axis));
      read.add(d == along ? K.axis(output) : window.at.index().get(d));
    }
    Axis turn = new Axis(name + "_tap", tap.extent());
    moved.put(tap, K.axis(turn));
    moved.put(output, source.get(along));
    source.set(along, KExprs.substitute(window.at.index().get(along), moved));
    List<KExpr> conditions = inner.stream().map(e -> KExprs.substitute(e, moved)).toList();
    KExpr element = window.value(conditions, new KExpr.At(window.at.buffer(), source));
    Buf buffer =
        new Buf(
            kernel.outputs().getFirst().name() + "_" + name,
            fold.scalar(),
            axes.stream().map(Axis::extent).toList());
    stages.add(Stage.of(buffer, axes, new KExpr.Fold(fold.op(), List.of(turn), element)));
    List<Axis> rest = fold.axes().subList(0, fold.axes().size() - 1);
    return Optional.of(
        new KExpr.Fold(fold.op(), rest, window.value(outer, new KExpr.At(buffer, read))));
  }
}
