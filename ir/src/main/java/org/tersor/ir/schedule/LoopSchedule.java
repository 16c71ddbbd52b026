package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.max;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.quotient;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.DimExpr;

/**
 * The schedule of every stage without a better one: loops in the order of the axes, the outermost
 * in parallel, the contiguous one in vectors with a masked tail, folds innermost (in vectors if the
 * output has no contiguous axis).
 */
final class LoopSchedule {
  /** Scalar operations that one task should hold at least. */
  private static final long TASK_WORK = 1 << 15;

  /** Most terms of a sum that are written out. */
  private static final int UNROLLED = 32;

  /** Most positions on a side of an axis whose windows have code of their own. */
  private static final long BORDER = 1;

  /** Longest sum that is written out for several points. */
  private static final int SHORT_SUM = 9;

  private final Stage stage;
  private final NestEmitter nest;
  private final Optional<Axis> vector;
  private final int lanes;
  private final GuardSplit split;

  /**
   * Whether points are windows: their code is long, so a row's last vector begins earlier and
   * computes some points again, instead of a copy of the code with masks. Not where a point reads
   * what it replaces.
   */
  private final boolean windows;

  /** Value of a point, without the guards that hold where it is lowered. */
  private KExpr value;

  /** Whether code is for the border of an axis. */
  private boolean atBorder;

  private final Chooser chooser;

  private final Neighbours neighbours;

  /** What a vector of points is for, if it has loops inside. */
  private Optional<Runnable> inVector = Optional.empty();

  /**
   * Short axes on whose position a value depends by choice: all of their points are computed
   * together, each from what it needs, and what several need once.
   */
  private final List<Axis> chosen;

  /** The axis of which a step computes several points. */
  private Optional<Axis> together = Optional.empty();

  private int count = 1;

  /** Takes one of several schedules, see {@link Scheduler#choose}. */
  @FunctionalInterface
  interface Chooser {
    /** What is taken where nothing is wanted. */
    Chooser RULE = (shape, options) -> options.getFirst();

    String choose(String shape, List<String> options);
  }

  LoopSchedule(Stage stage, Target target, Chooser chooser) {
    this.stage = stage;
    this.chooser = chooser;
    this.neighbours = new Neighbours(target);
    this.nest =
        new NestEmitter(new NestEmitter.LoopTarget(target.has(Target.Feature.FMA), UNROLLED));
    int widest = Math.max(4, widestElement(stage));
    int possible = target.lanes(widest);
    this.vector = possible > 1 ? vectorAxis(stage, possible) : Optional.empty();
    this.lanes = vector.isPresent() ? possible : 1;
    if (vector.isEmpty() && possible > 1) {
      nest.setFoldLanes(possible);
    }
    this.split = vector.flatMap(v -> GuardSplit.of(stage, v)).orElse(GuardSplit.none());
    this.value = stage.value();
    this.chosen = ChosenPoints.axes(stage, vector);
    this.windows =
        !KExprs.all(stage.value(), KExpr.Fold.class).isEmpty()
            && StageSimplifier.buffers(stage.value()).stream()
                .noneMatch(buffer -> buffer.name().equals(stage.target().name()));
  }

  /** Whether the loops need the guards of padded reads at the border only. */
  static boolean splitsGuards(Stage stage, Target target) {
    int possible = target.lanes(Math.max(4, widestElement(stage)));
    return possible > 1
        && vectorAxis(stage, possible).flatMap(vector -> GuardSplit.of(stage, vector)).isPresent();
  }

  /** A body, its INDEX parameters and the extent of its parallel loop. */
  record Result(Stmt body, List<DimExpr> dims, DimExpr tasks) {}

  Result emit() {
    List<Axis> order = new ArrayList<>(stage.axes());
    vector.ifPresent(v -> {
      order.remove(v);
      order.add(v);
    });
    order.removeAll(chosen);
    if (order.isEmpty()) {
      point();
      return new Result(nest.finish(), nest.dims(), DimExpr.ONE);
    }
    Axis outer = order.getFirst();
    long pointsPerStep = points(order.subList(1, order.size()));
    pointsPerStep = Math.min(1L << 40, pointsPerStep * points(chosen));
    long work =
        Math.max(1, Math.multiplyExact(Math.min(pointsPerStep, 1L << 40), foldWork(stage.value())));
    long grain = Math.max(1, TASK_WORK / work);
    if (order.size() == 1) {
      grain = (grain + lanes - 1) / lanes * lanes;
    }
    if (outer.extent().isConst()) {
      grain =
          Math.min(
              grain, Math.max(lanes, (outer.extent().constValue() + lanes - 1) / lanes * lanes));
    }
    long step = grain;
    DimExpr tasks = outer.extent().ceilDiv(step);
    nest.loop(
        Stmt.LoopKind.PARALLEL,
        index(0),
        nest.dim(tasks),
        1,
        task -> {
          Expr begin = nest.let("b", times(task, index(step)));
          boolean exact = outer.extent().isConst() && outer.extent().constValue() % step == 0;
          Expr stop = plus(begin, index(step));
          Expr end = exact ? stop : nest.let("e", min(stop, nest.dim(outer.extent())));
          boolean fullVectors = exact && step % lanes == 0;
          axisLoop(order, 0, begin, end, fullVectors);
        });
    return new Result(nest.finish(), nest.dims(), tasks);
  }

  private void axisLoop(List<Axis> order, int position, Expr begin, Expr end, boolean fullVectors) {
    Axis axis = order.get(position);
    Runnable body = () -> next(order, position + 1);
    if (vector.isEmpty() || !vector.get().equals(axis)) {
      Optional<GuardSplit.Interior> interior = atBorder ? Optional.empty() : split.interior(axis);
      if (interior.isPresent()) {
        splitLoop(axis, interior.get(), begin, end, body);
      } else {
        nest.loop(Stmt.LoopKind.SERIAL, axis, begin, end, 1, 1, body);
      }
      return;
    }
    if (fullVectors) {
      nest.loop(Stmt.LoopKind.SERIAL, axis, begin, end, lanes, lanes, body);
      return;
    }
    if (position > 0 && windows && axis.extent().isConst() && axis.extent().constValue() >= lanes) {
      Expr last = index(axis.extent().constValue() - lanes);
      nest.loop(
          Stmt.LoopKind.SERIAL,
          begin,
          end,
          lanes,
          at -> nest.with(axis, nest.let("v", min(at, last)), lanes, body));
      return;
    }
    Expr full = fullEnd(begin, end);
    if (!full.equals(begin)) {
      nest.loop(Stmt.LoopKind.SERIAL, axis, begin, full, lanes, lanes, body);
    }
    // At most one more vector, masked: a loop, so that nothing runs when the vectors came out even.
    nest.loop(
        Stmt.LoopKind.SERIAL,
        full,
        end,
        lanes,
        at -> nest.masked(minus(end, at), lanes, () -> nest.with(axis, at, lanes, body)));
  }

  /** The border before the interior, the interior without its guards, the border behind it. */
  private void splitLoop(
      Axis axis, GuardSplit.Interior interior, Expr begin, Expr end, Runnable body) {
    Expr from = between(begin, index(interior.from()), end);
    Expr to = between(begin, index(interior.to()), end);
    Optional<Map<Axis, WindowTaps>> taps = split.taps(axis);
    if (taps.isPresent()) {
      KExpr guarded = value;
      value = GuardSplit.inside(guarded, interior);
      fewerTaps(axis, taps.get(), 0, interior.from(), begin, from, body);
      interior(axis, from, to, body);
      fewerTaps(axis, taps.get(), interior.to(), axis.extent().constValue(), to, end, body);
      value = guarded;
      return;
    }
    border(axis, begin, from, body);
    KExpr guarded = value;
    value = GuardSplit.inside(guarded, interior);
    interior(axis, from, to, body);
    value = guarded;
    border(axis, to, end, body);
  }

  /**
   * Windows at the border, without guards: the positions from {@code first} to {@code last} - 1,
   * each with taps of its own if these are few, else with taps by a loop.
   */
  private void fewerTaps(
      Axis axis,
      Map<Axis, WindowTaps> taps,
      long first,
      long last,
      Expr begin,
      Expr end,
      Runnable body) {
    boolean few =
        last - first <= BORDER
            && KExprs.all(value, KExpr.Fold.class).stream()
                .allMatch(fold -> points(fold.axes()) <= SHORT_SUM);
    if (!few) {
      Map<Axis, WindowTaps.Range> ranges = new HashMap<>();
      taps.forEach((tap, of) -> ranges.put(tap, of.range()));
      points(axis, begin, end, 1, () -> nest.limiting(ranges, body));
      return;
    }
    for (long at = first; at < last; at++) {
      Map<Axis, WindowTaps.Range> ranges = new HashMap<>();
      for (Map.Entry<Axis, WindowTaps> tap : taps.entrySet()) {
        ranges.put(tap.getKey(), tap.getValue().at(at));
      }
      Expr from = last - first == 1 ? begin : between(begin, index(at), end);
      Expr to = last - first == 1 ? end : between(begin, index(at + 1), end);
      points(axis, from, to, 1, () -> nest.limiting(ranges, body));
    }
  }

  /** Points of an axis that is no vector's; no code where there are none. */
  private void points(Axis axis, Expr from, Expr to, int step, Runnable body) {
    boolean none =
        from instanceof Expr.IntConst first
            && to instanceof Expr.IntConst last
            && first.value() >= last.value();
    if (!none) {
      nest.loop(Stmt.LoopKind.SERIAL, axis, from, to, step, 1, body);
    }
  }

  private void interior(Axis axis, Expr from, Expr to, Runnable body) {
    if (!sharesReads(axis)) {
      points(axis, from, to, 1, body);
      return;
    }
    DimExpr extent = vector.orElseThrow().extent();
    Neighbours.Way way = neighbours.choose(chooser, shape(), axis.extent(), extent.ceilDiv(lanes));
    count = way.count();
    Expr end = plus(from, times(quotient(minus(to, from), count), index(count)));
    Expr rest = count == 1 ? from : named("g", end);
    if (way.vectorsOutside()) {
      inVector = Optional.of(() -> neighbours(axis, from, rest, to, this::point));
      body.run();
      inVector = Optional.empty();
    } else {
      neighbours(axis, from, rest, to, body);
    }
  }

  /** Points up to {@code rest} together, those after it one by one. */
  private void neighbours(Axis axis, Expr from, Expr rest, Expr to, Runnable body) {
    if (count > 1) {
      together = Optional.of(axis);
      points(axis, from, rest, count, body);
      together = Optional.empty();
    }
    points(axis, rest, to, 1, body);
  }

  /** Few points: their code is kept short rather than fast. */
  private void border(Axis axis, Expr begin, Expr end, Runnable body) {
    atBorder = true;
    nest.setUnroll(1);
    points(axis, begin, end, 1, body);
    nest.setUnroll(UNROLLED);
    atBorder = false;
  }

  /**
   * Whether windows of neighbouring points are worth computing together: short sums, written out,
   * of which they read most elements in common.
   */
  private boolean sharesReads(Axis axis) {
    List<KExpr.Fold> folds = KExprs.all(value, KExpr.Fold.class);
    boolean innermost =
        stage.axes().stream()
            .filter(a -> !vector.orElseThrow().equals(a))
            .toList()
            .getLast()
            .equals(axis);
    return innermost
        && folds.size() == 1
        && folds.getFirst().axes().stream().allMatch(a -> a.extent().isConst())
        && points(folds.getFirst().axes()) <= SHORT_SUM;
  }

  /** For tables of schedules. */
  private String shape() {
    KExpr.Fold fold = KExprs.all(value, KExpr.Fold.class).getFirst();
    List<DimExpr> reads =
        StageSimplifier.buffers(fold.body()).stream().map(Buf::elements).sorted(BY_TEXT).toList();
    return "windows "
        + fold.scalar().name().toLowerCase(Locale.ROOT)
        + " "
        + sizes(fold.axes())
        + " at "
        + sizes(stage.axes())
        + " of "
        + sizes(reads.stream(), "+");
  }

  private static final Comparator<DimExpr> BY_TEXT = Comparator.comparing(DimExpr::toString);

  /** Extents as tables of schedules name them. */
  static String sizes(List<Axis> axes) {
    return axes.isEmpty() ? "1" : sizes(axes.stream().map(Axis::extent), "x");
  }

  private static String sizes(Stream<DimExpr> sizes, String between) {
    return sizes
        .map(size -> size.isConst() ? Long.toString(size.constValue()) : "?")
        .collect(Collectors.joining(between));
  }

  private Expr between(Expr low, Expr at, Expr high) {
    return named("g", min(max(low, at), high));
  }

  private Expr named(String name, Expr value) {
    return value instanceof Expr.IntConst ? value : nest.let(name, value);
  }

  private Expr fullEnd(Expr begin, Expr end) {
    if (begin instanceof Expr.IntConst b && end instanceof Expr.IntConst e) {
      return index(b.value() + (e.value() - b.value()) / lanes * lanes);
    }
    Expr count = quotient(minus(end, begin), lanes);
    return nest.let("f", plus(begin, times(count, index(lanes))));
  }

  private void next(List<Axis> order, int position) {
    if (position == order.size()) {
      inVector.ifPresentOrElse(Runnable::run, this::point);
      return;
    }
    Axis axis = order.get(position);
    boolean full = axis.extent().isConst() && axis.extent().constValue() % lanes == 0;
    axisLoop(order, position, index(0), nest.dim(axis.extent()), full);
  }

  private void point() {
    if (!chosen.isEmpty()) {
      points(chosen, Map.of());
      return;
    }
    if (together.isEmpty() && inVector.isEmpty()) {
      nest.store(stage.target().name(), stage.index().getFirst(), nest.lower(value));
      return;
    }
    int points = together.isEmpty() ? 1 : count;
    List<Expr> values =
        neighbours.values(nest, IntStream.range(0, points).mapToObj(i -> moved(value, i)).toList());
    for (int i = 0; i < points; i++) {
      nest.store(stage.target().name(), moved(stage.index().getFirst(), i), values.get(i));
    }
  }

  /** The points of the axes that are chosen by, one by one. */
  private void points(List<Axis> axes, Map<Axis, KExpr> at) {
    if (!axes.isEmpty()) {
      for (long i = 0; i < axes.getFirst().extent().constValue(); i++) {
        Map<Axis, KExpr> next = new HashMap<>(at);
        next.put(axes.getFirst(), K.index(i));
        points(axes.subList(1, axes.size()), next);
      }
      return;
    }
    KExpr here =
        StageSimplifier.decided(
            Affine.canonical(KExprs.substitute(ChosenPoints.taken(value, at), at)));
    KExpr index = Affine.canonical(KExprs.substitute(stage.index().getFirst(), at));
    nest.store(stage.target().name(), index, nest.lower(here));
  }

  private KExpr moved(KExpr expr, int by) {
    Map<Axis, KExpr> move =
        together.map(axis -> Map.of(axis, K.add(K.axis(axis), K.index(by)))).orElse(Map.of());
    return Affine.canonical(KExprs.substitute(expr, move));
  }

  static long points(List<Axis> axes) {
    long points = 1;
    for (Axis axis : axes) {
      long extent = axis.extent().isConst() ? axis.extent().constValue() : 64;
      points = Math.min(1L << 40, points * Math.max(1, Math.min(extent, 1L << 20)));
    }
    return points;
  }

  /** Rough number of operations per point. */
  static long foldWork(KExpr value) {
    long work = 1;
    for (KExpr.Fold fold : KExprs.all(value, KExpr.Fold.class)) {
      work = Math.min(1L << 20, work + points(fold.axes()));
    }
    return work;
  }

  static int widestElement(Stage stage) {
    int widest = stage.target().element().bytes();
    for (KExpr.At at : KExprs.all(stage.value(), KExpr.At.class)) {
      widest = Math.max(widest, at.scalar().bytes());
    }
    for (KExpr.To to : KExprs.all(stage.value(), KExpr.To.class)) {
      if (to.scalar() != Scalar.INDEX) {
        widest = Math.max(widest, to.scalar().bytes());
      }
    }
    return widest;
  }

  /**
   * The axis along which the target is contiguous, if every access is contiguous or constant along
   * it.
   */
  static Optional<Axis> vectorAxis(Stage stage, int lanes) {
    Affine store = Affine.of(stage.index().getFirst());
    for (Axis axis : stage.axes().reversed()) {
      if (!store.isLinearIn(axis) || !store.coefficient(axis).isConst(1)) {
        continue;
      }
      boolean shortAxis = axis.extent().isConst() && axis.extent().constValue() * 2 < lanes;
      return !shortAxis && isVectorisable(stage.value(), axis)
          ? Optional.of(axis)
          : Optional.empty();
    }
    return Optional.empty();
  }

  /** Whether vectors of a read of every other element can be read whole. */
  private static boolean isPlain(KExpr.At at) {
    return at.scalar() != Scalar.BOOL && Bounds.hold(at);
  }

  static boolean isVectorisable(KExpr value, Axis axis) {
    for (Map.Entry<KExpr.At, Affine> read : StageSimplifier.reads(value).entrySet()) {
      DimExpr c = read.getValue().coefficient(axis);
      boolean steps = c.isConst(0) || c.isConst(1) || (c.isConst(2) && isPlain(read.getKey()));
      if (!read.getValue().isLinearIn(axis) || !steps) {
        return false;
      }
    }
    // Index arithmetic in vectors only where it is linear: quotients and remainders per lane cost
    // more than scalar code.
    boolean[] linear = {true};
    KExprs.visit(
        value,
        e -> {
          if (e.scalar() == Scalar.INDEX && !Affine.of(e).isLinearIn(axis)) {
            linear[0] = false;
          }
        });
    return linear[0];
  }
}
