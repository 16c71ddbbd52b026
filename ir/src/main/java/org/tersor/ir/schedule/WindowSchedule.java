package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/**
 * Schedules {@link ByteWindows} with Dot4: a strip of columns, one vector of lanes wide, becomes
 * words of four elements of a column each (border included, so that no sum has guards), then every
 * window sums the words of its columns. A strip stays in the first-level cache, and a column serves
 * all windows that it belongs to.
 */
final class WindowSchedule {
  private static final long TASK_WORK = 1 << 15;

  /** Neighbouring windows computed together, as the rule has it, and what else there is. */
  private static final List<String> TOGETHER = List.of("4", "2", "3", "6", "8");

  private final Scheduler scheduler;
  private final ByteWindows windows;
  private final Stage stage;
  private final Gemm8Bit integers;
  private final NestEmitter nest;
  private final int lanes;
  private final int words;
  private final int together;
  private final List<Buf> weights = new ArrayList<>();
  private final Map<String, Buf> reads = new LinkedHashMap<>();

  /** Stands for the finished sum in the epilogue. */
  private final KExpr accumulator;

  private WindowSchedule(Scheduler scheduler, ByteWindows windows) {
    this.scheduler = scheduler;
    this.windows = windows;
    this.stage = windows.sum().stage();
    this.integers = new Gemm8Bit(scheduler, windows.sum(), true);
    this.nest =
        new NestEmitter(new NestEmitter.LoopTarget(scheduler.target().has(Target.Feature.FMA), 32));
    this.lanes = scheduler.target().lanes(Scalar.I32.bytes());
    this.words = windows.wordsPerColumn();
    this.together =
        Integer.parseInt(
            scheduler.choose(
                "byte windows "
                    + LoopSchedule.sizes(windows.sum().fold().axes())
                    + " at "
                    + LoopSchedule.sizes(stage.axes())
                    + " step "
                    + windows.step(),
                TOGETHER));
    this.accumulator =
        new KExpr.At(new Buf("#sum", Scalar.I32, List.of(DimExpr.ONE)), List.of(K.index(0)));
  }

  /** Whether a simplified stage, with its guards, is one for this schedule. */
  static boolean fits(Scheduler scheduler, Stage stage) {
    return ByteWindows.match(stage, scheduler.target(), scheduler::isConstant)
        .filter(w -> new Gemm8Bit(scheduler, w.sum(), true).columnIsCentred())
        .isPresent();
  }

  /** Schedules a stage if it is one for this schedule. */
  static boolean apply(Scheduler scheduler, Stage stage) {
    if (!fits(scheduler, stage)) {
      return false;
    }
    ByteWindows windows =
        ByteWindows.match(stage, scheduler.target(), scheduler::isConstant).orElseThrow();
    new WindowSchedule(scheduler, windows).run();
    return true;
  }

  private void run() {
    KExpr value =
        KExprs.rewrite(stage.value(), e -> e.equals(windows.sum().fold()) ? accumulator : e);
    AdditiveStart split = AdditiveStart.of(value, accumulator, integers.correction());
    for (int word = 0; word < words; word++) {
      weights.add(weightWords(word));
    }
    LoopSchedule.Result code = tasks(split);
    StageSimplifier.buffers(integers.code(windows.sum().row(), windows.image()))
        .forEach(this::read);
    weights.forEach(this::read);
    StageSimplifier.buffers(split.epilogue()).stream()
        .filter(b -> !b.name().startsWith("#"))
        .forEach(this::read);
    split.start().ifPresent(s -> StageSimplifier.buffers(s).forEach(this::read));
    scheduler.launch(stage.target(), List.copyOf(reads.values()), code, false);
  }

  private void read(Buf buffer) {
    reads.put(buffer.name(), buffer);
  }

  /** Weights of one word of every column: [k][lane], four bytes each, zero where there is none. */
  private Buf weightWords(int word) {
    Optional<KExpr> bytes = Optional.empty();
    for (int part = 0; part < ByteWindows.WORD; part++) {
      Optional<Map<Axis, KExpr>> place = place(word, part);
      if (place.isPresent()) {
        KExpr code = KExprs.substitute(integers.code(windows.sum().column()), place.get());
        KExpr low = K.binary(BinaryOp.AND, Affine.canonical(code), K.i32(255));
        KExpr shifted = part == 0 ? low : K.binary(BinaryOp.SHL, low, K.i32(8L * part));
        bytes = Optional.of(bytes.map(b -> K.binary(BinaryOp.OR, b, shifted)).orElse(shifted));
      }
    }
    List<Axis> axes = List.of(windows.k(), windows.lane());
    Buf buffer =
        new Buf(
            stage.target().name() + "_words" + word,
            Scalar.I32,
            axes.stream().map(Axis::extent).toList());
    scheduler.auxiliary(Stage.of(buffer, axes, bytes.orElseThrow()), true);
    return StageSimplifier.flat(buffer);
  }

  /** Positions of the taps of one byte of a word; empty beyond the last. */
  private Optional<Map<Axis, KExpr>> place(int word, int part) {
    List<List<Long>> places = windows.places();
    int at = word * ByteWindows.WORD + part;
    if (at >= places.size()) {
      return Optional.empty();
    }
    Map<Axis, KExpr> positions = new HashMap<>();
    for (int i = 0; i < windows.taps().size(); i++) {
      positions.put(windows.taps().get(i), K.index(places.get(at).get(i)));
    }
    return Optional.of(positions);
  }

  private LoopSchedule.Result tasks(AdditiveStart split) {
    List<Axis> outer =
        stage.axes().stream()
            .filter(axis -> !axis.equals(windows.lane()) && !axis.equals(windows.along()))
            .toList();
    DimExpr rows = DimExpr.product(outer.stream().map(Axis::extent).toList());
    long grain = grain();
    DimExpr tasks = rows.ceilDiv(grain);
    nest.loop(
        Stmt.LoopKind.PARALLEL,
        index(0),
        nest.dim(tasks),
        1,
        task -> {
          String strip = nest.fresh("strip");
          DimExpr size = windows.column().extent().times((long) words * lanes);
          nest.emit(new Stmt.Alloc(strip, Type.of(Scalar.I32), nest.dim(size), Stmt.Space.LOCAL));
          if (grain == 1) {
            Positions.bind(nest, task, outer, () -> row(strip, split));
            return;
          }
          Expr begin = nest.let("b", times(task, index(grain)));
          Expr end = nest.let("e", min(plus(begin, index(grain)), nest.dim(rows)));
          nest.loop(
              Stmt.LoopKind.SERIAL,
              begin,
              end,
              1,
              row -> Positions.bind(nest, row, outer, () -> row(strip, split)));
        });
    return new LoopSchedule.Result(nest.finish(), nest.dims(), tasks);
  }

  private long grain() {
    long work = 1;
    List<Axis> axes = new ArrayList<>(windows.sum().k());
    axes.add(windows.along());
    axes.add(windows.lane());
    for (Axis axis : axes) {
      long extent = axis.extent().isConst() ? axis.extent().constValue() : 64;
      work = Math.min(TASK_WORK, work * Math.clamp(extent, 1, TASK_WORK));
    }
    return Math.max(1, TASK_WORK / work);
  }

  /** All windows of a row of the output. */
  private void row(String strip, AdditiveStart split) {
    DimExpr extent = windows.lane().extent();
    Runnable body = () -> strip(strip, split);
    Expr end = nest.dim(extent);
    boolean whole = extent.isConst() && extent.constValue() % lanes == 0;
    Expr full =
        extent.isConst()
            ? index(extent.constValue() / lanes * lanes)
            : nest.let(
                "f", times(new Expr.Binary(BinaryOp.FLOORDIV, end, index(lanes)), index(lanes)));
    nest.loop(Stmt.LoopKind.SERIAL, windows.lane(), index(0), full, lanes, lanes, body);
    if (!whole) {
      nest.loop(
          Stmt.LoopKind.SERIAL,
          full,
          end,
          lanes,
          at ->
              nest.masked(minus(end, at), lanes, () -> nest.with(windows.lane(), at, lanes, body)));
    }
  }

  private void strip(String strip, AdditiveStart split) {
    columns(strip);
    Axis along = windows.along();
    Expr end = nest.dim(along.extent());
    Expr full =
        along.extent().isConst()
            ? index(along.extent().constValue() / together * together)
            : nest.let(
                "f",
                times(new Expr.Binary(BinaryOp.FLOORDIV, end, index(together)), index(together)));
    sums(index(0), full, together, strip, split);
    sums(full, end, 1, strip, split);
  }

  /** Fills the strip: the border with all guards, the interior without those that hold there. */
  private void columns(String strip) {
    List<KExpr> taps = new ArrayList<>();
    for (int tap = 0; tap < windows.places().size(); tap++) {
      Map<Axis, KExpr> place = place(tap / ByteWindows.WORD, tap % ByteWindows.WORD).orElseThrow();
      KExpr code = KExprs.substitute(integers.code(windows.sum().row(), windows.image()), place);
      taps.add(StageSimplifier.decided(Affine.canonical(code)));
    }
    Axis column = windows.column();
    Expr end = nest.dim(column.extent());
    Optional<GuardSplit.Interior> interior = GuardSplit.interior(guards(taps), column);
    if (interior.isEmpty()) {
      columns(strip, taps, index(0), end);
      return;
    }
    Expr from = index(interior.get().from());
    Expr to = index(interior.get().to());
    columns(strip, taps, index(0), from);
    List<KExpr> inside = taps.stream().map(t -> GuardSplit.inside(t, interior.get())).toList();
    Optional<KExpr> others =
        inside.stream()
            .flatMap(t -> KExprs.all(t, KExpr.If.class).stream())
            .map(KExpr.If::condition)
            .distinct()
            .reduce(K::and);
    Runnable guarded = () -> columns(strip, inside, from, to);
    if (others.isEmpty()) {
      guarded.run();
    } else {
      // Between the upper and the lower border nothing is guarded.
      List<KExpr> free = inside.stream().map(WindowSchedule::unguarded).toList();
      Expr condition = nest.lower(others.get());
      Stmt then = nest.block(() -> columns(strip, free, from, to));
      nest.emit(new Stmt.If(condition, then, Optional.of(nest.block(guarded))));
    }
    columns(strip, taps, to, end);
  }

  private static Set<KExpr> guards(List<KExpr> taps) {
    Set<KExpr> guards = new LinkedHashSet<>();
    for (KExpr tap : taps) {
      for (KExpr.If choice : KExprs.all(tap, KExpr.If.class)) {
        guards.addAll(KExprs.all(choice.condition(), KExpr.Cmp.class));
      }
    }
    return guards;
  }

  private static KExpr unguarded(KExpr code) {
    return KExprs.rewrite(code, e -> e instanceof KExpr.If choice ? choice.then() : e);
  }

  /** Words of a range of columns. */
  private void columns(String strip, List<KExpr> taps, Expr from, Expr to) {
    if (from.equals(to)) {
      return;
    }
    nest.loop(
        Stmt.LoopKind.SERIAL,
        windows.column(),
        from,
        to,
        1,
        1,
        () -> {
          for (int word = 0; word < words; word++) {
            nest.emit(new Stmt.Store(strip, at(word), bytes(taps, word), Optional.empty()));
          }
        });
  }

  /** Where a word of the present column is in the strip. */
  private Expr at(int word) {
    KExpr column = K.mul(K.axis(windows.column()), K.index((long) words * lanes));
    return nest.lower(Affine.of(K.add(column, K.index((long) word * lanes))).toKExpr());
  }

  private Expr bytes(List<KExpr> taps, int word) {
    Type type = new Type(Scalar.I32, lanes);
    Optional<Expr> bytes = Optional.empty();
    int first = word * ByteWindows.WORD;
    for (int i = first; i < Math.min(taps.size(), first + ByteWindows.WORD); i++) {
      Expr code = widen(nest.lower(taps.get(i)), lanes);
      Expr shifted =
          i == first
              ? code
              : new Expr.Binary(BinaryOp.SHL, code, new Expr.IntConst(type, 8L * (i - first)));
      bytes =
          Optional.of(
              bytes.<Expr>map(b -> new Expr.Binary(BinaryOp.OR, b, shifted)).orElse(shifted));
    }
    return bytes.orElseThrow();
  }

  /** {@code together} neighbouring windows at a time. */
  private void sums(Expr from, Expr to, int together, String strip, AdditiveStart split) {
    if (from.equals(to)) {
      return;
    }
    nest.loop(
        Stmt.LoopKind.SERIAL,
        windows.along(),
        from,
        to,
        together,
        1,
        () -> {
          List<Expr> sums = sums(together, strip, split.start());
          List<Expr> values = new ArrayList<>();
          for (int i = 0; i < together; i++) {
            KExpr value = moved(split.epilogue(), i);
            nest.defining(
                accumulator, sums.get(i), () -> values.add(nest.let("r", nest.lower(value))));
          }
          for (int i = 0; i < together; i++) {
            nest.store(stage.target().name(), moved(stage.index().getFirst(), i), values.get(i));
          }
        });
  }

  private List<Expr> sums(int together, String strip, Optional<KExpr> start) {
    Type type = new Type(Scalar.I32, lanes);
    List<Expr> sums = new ArrayList<>();
    for (int i = 0; i < together; i++) {
      int move = i;
      Expr initial =
          start
              .map(s -> widen(nest.lower(moved(s, move)), lanes))
              .orElse(new Expr.IntConst(type, 0));
      Expr.Var sum = new Expr.Var(type, nest.fresh("acc"));
      nest.emit(new Stmt.Local(sum.name(), initial));
      sums.add(sum);
    }
    KExpr first = K.mul(K.axis(windows.along()), K.index(windows.step() * words * lanes));
    Expr base = nest.lower(Affine.of(first).toKExpr());
    Map<Long, Expr> loaded = new HashMap<>();
    for (long k = 0; k < windows.k().extent().constValue(); k++) {
      for (int word = 0; word < words; word++) {
        Expr weight = widen(nest.lower(weight(word, k)), lanes);
        for (int i = 0; i < together; i++) {
          long column = i * windows.step() + k * windows.dilation();
          long offset = (column * words + word) * lanes;
          Expr image =
              loaded.computeIfAbsent(
                  offset,
                  o ->
                      nest.let(
                          "w", new Expr.Load(type, strip, plus(base, index(o)), Optional.empty())));
          Expr sum = sums.get(i);
          nest.emit(new Stmt.Assign(((Expr.Var) sum).name(), new Expr.Dot4(sum, image, weight)));
        }
      }
    }
    return sums;
  }

  private KExpr weight(int word, long k) {
    Axis lane = windows.lane();
    KExpr index = K.add(K.mul(K.index(k), K.dim(lane.extent())), K.axis(lane));
    return new KExpr.At(weights.get(word), List.of(Affine.of(index).toKExpr()));
  }

  private KExpr moved(KExpr expr, int by) {
    Axis along = windows.along();
    return Affine.canonical(
        KExprs.substitute(expr, Map.of(along, K.add(K.axis(along), K.index(by)))));
  }
}
