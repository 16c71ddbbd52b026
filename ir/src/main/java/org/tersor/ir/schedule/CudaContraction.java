package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/**
 * Schedules a {@link Contraction} for CUDA: a block of 16 x 16 threads computes a tile of the
 * output, some steps of k at a time, as {@link CudaTile} says. The threads bring both factors into
 * shared memory together, then each adds up its own rows and columns in registers; rows and columns
 * of a thread are 16 apart, so that neighbouring threads touch neighbouring elements. Additive
 * terms start the sums. 8-bit factors are four to a word, for {@link Expr.Dot4}. What lies beyond
 * the output is zero in shared memory and not stored.
 */
final class CudaContraction {
  private static final int SIDE = CudaTile.SIDE;
  private static final int THREADS = SIDE * SIDE;

  /** A contraction smaller than this along any side is left to one thread per element. */
  private static final int SMALLEST = 8;

  private final Scheduler scheduler;
  private final Contraction c;
  private final NestEmitter nest = new NestEmitter(new NestEmitter.LoopTarget(true, 16));
  private final Gemm8Bit integers;
  private final CudaTile tile;

  /** Values of k in one step. */
  private final int group;

  /** Type of sums. */
  private final Type type;

  private final Side rows;
  private final Side columns;
  private final Axis stepBlock;

  /** The block of steps that is asked for: up to the one after the last. */
  private final Axis nextBlock;

  private final Axis stepInTile;
  private final KExpr accumulator;
  private final AdditiveStart value;
  private final String sums;

  private CudaContraction(Scheduler scheduler, Contraction c, CudaTile tile) {
    this.scheduler = scheduler;
    this.c = c;
    this.tile = tile;
    this.integers = new Gemm8Bit(scheduler, c, c.isInteger());
    this.group = c.isInteger() ? 4 : 1;
    this.type = Type.of(c.fold().scalar());
    this.rows = new Side("row", c.row(), c.m().stream().toList(), c.extentM(), tile.rows());
    this.columns = new Side("column", c.column(), c.n(), c.extentN(), tile.columns());
    this.stepBlock = new Axis("step_block", steps().ceilDiv(tile.steps()));
    this.nextBlock = new Axis("next_block", stepBlock.extent().plus(DimExpr.ONE));
    this.stepInTile = new Axis("step_in_tile", DimExpr.of(tile.steps()));
    this.accumulator =
        new KExpr.At(new Buf("#sum", c.fold().scalar(), List.of(DimExpr.ONE)), List.of(K.index(0)));
    this.value =
        AdditiveStart.of(
            KExprs.rewrite(c.stage().value(), e -> e.equals(c.fold()) ? accumulator : e),
            accumulator,
            integers.correction());
    this.sums = nest.fresh("sums");
  }

  /** Schedules the stage if it is a contraction that fills tiles. */
  static boolean apply(Scheduler scheduler, Stage stage) {
    Optional<Contraction> match = Contraction.match(stage).filter(CudaContraction::worthwhile);
    match.ifPresent(c -> {
      CudaTile.Plan plan = CudaTile.plan(c);
      CudaSplit.apply(c, plan.parts())
          .ifPresentOrElse(
              split -> {
                scheduler.temporary(split.sums().target(), false);
                Contraction parts = Contraction.match(split.sums()).orElseThrow();
                new CudaContraction(scheduler, parts, plan.tiles().getFirst()).run();
                CudaSchedule.apply(scheduler, split.rest(), false);
              },
              () -> new CudaContraction(scheduler, c, choose(scheduler, c, plan.tiles())).run());
    });
    return match.isPresent();
  }

  private static CudaTile choose(Scheduler scheduler, Contraction c, List<CudaTile> tiles) {
    String shape =
        "product %s %s by %s over %s of %s"
            .formatted(
                c.fold().scalar().text(),
                LoopSchedule.sizes(c.m().stream().toList()),
                LoopSchedule.sizes(c.n()),
                LoopSchedule.sizes(c.k()),
                LoopSchedule.sizes(c.batch()));
    String taken = scheduler.choose(shape, tiles.stream().map(CudaTile::text).toList());
    return tiles.stream().filter(tile -> tile.text().equals(taken)).findFirst().orElseThrow();
  }

  private static boolean worthwhile(Contraction c) {
    return List.of(c.extentM(), c.extentN(), c.extentK()).stream()
        .allMatch(extent -> !extent.isConst() || extent.constValue() >= SMALLEST);
  }

  private DimExpr steps() {
    return c.extentK().ceilDiv(group);
  }

  /** Something done with a word: its number, its step and its position in the tile. */
  private interface WordBody {
    void accept(int part, Expr step, Expr at);
  }

  /** One side of the tile: a factor, the output axes it has for itself, and their tiling. */
  private final class Side {
    private final Contraction.Factor factor;
    private final List<Axis> axes;
    private final DimExpr extent;

    /** Positions of one thread. */
    private final int each;

    private final Axis block;
    private final Axis thread;
    private final Axis inTile;

    /** Whether neighbours in memory follow one another along k. */
    private final boolean alongK;

    private final String shared;

    /** The words of the next block of steps, each thread's own. */
    private final String next;

    Side(String name, Contraction.Factor factor, List<Axis> axes, DimExpr extent, int each) {
      this.factor = factor;
      this.axes = axes;
      this.extent = extent;
      this.each = each;
      this.block = new Axis(name + "_block", extent.ceilDiv(width()));
      this.thread = new Axis(name + "_thread", DimExpr.of(SIDE));
      this.inTile = new Axis(name + "_in_tile", DimExpr.of(width()));
      this.alongK =
          StageSimplifier.reads(factor.value()).values().stream()
              .anyMatch(read -> read.coefficient(c.k().getLast()).isConst(1));
      this.shared = nest.fresh(name + "s");
      this.next = nest.fresh("next_" + name + "s");
    }

    int width() {
      return each * SIDE;
    }

    /** Words from one step to the next in shared memory; odd where threads write along k. */
    int pitch() {
      return width() + (alongK ? 1 : 0);
    }

    KExpr first() {
      return K.mul(K.axis(block), K.index(width()));
    }

    /** The position of a thread's number i. */
    KExpr position(int i) {
      return K.add(first(), K.add(K.axis(thread), K.index((long) i * SIDE)));
    }

    private boolean divides() {
      return extent.isConst() && extent.constValue() % width() == 0;
    }

    KExpr inside(KExpr position) {
      return divides() ? K.bool(true) : K.lt(position, K.dim(extent));
    }

    /** Words that a thread brings at once. */
    int words() {
      return tile.steps() * each / SIDE;
    }

    void allocate() {
      nest.emit(
          new Stmt.Alloc(shared, type, index((long) tile.steps() * pitch()), Stmt.Space.SHARED));
      nest.emit(new Stmt.Alloc(next, type, index((long) THREADS * words()), Stmt.Space.SHARED));
    }

    /** Brings a thread's words of one block of steps into registers of its own. */
    void fetch(Expr lane) {
      eachWord(lane, (part, _, _) -> nest.emit(store(next, own(lane, part), word())));
    }

    /** Makes the tile in shared memory of what the threads have fetched. */
    void share(Expr lane) {
      eachWord(
          lane,
          (part, step, at) ->
              nest.emit(
                  store(
                      shared,
                      plus(times(step, index(pitch())), at),
                      new Expr.Load(type, next, own(lane, part), Optional.empty()))));
    }

    private Expr own(Expr lane, int part) {
      return plus(times(lane, index(words())), index(part));
    }

    /** Runs {@code body} for each word of a thread, at its step and its position in the tile. */
    private void eachWord(Expr lane, WordBody body) {
      int inner = alongK ? tile.steps() : width();
      for (int part = 0; part < words(); part++) {
        int number = part;
        Expr element = nest.let("e", plus(lane, index((long) part * THREADS)));
        Expr fast = nest.let("f", new Expr.Binary(BinaryOp.FLOORMOD, element, index(inner)));
        Expr slow = nest.let("g", new Expr.Binary(BinaryOp.FLOORDIV, element, index(inner)));
        Expr step = alongK ? fast : slow;
        Expr at = alongK ? slow : fast;
        nest.with(
            stepInTile,
            step,
            1,
            () -> nest.with(inTile, at, 1, () -> body.accept(number, step, at)));
      }
    }

    private Expr word() {
      KExpr step = K.add(K.mul(K.axis(nextBlock), K.index(tile.steps())), K.axis(stepInTile));
      if (group == 1) {
        return nest.lower(element(factor.whole(), step));
      }
      Optional<Expr> word = Optional.empty();
      for (int part = 0; part < group; part++) {
        KExpr k = K.add(K.mul(step, K.index(group)), K.index(part));
        Expr code =
            new Expr.Binary(
                BinaryOp.SHL,
                new Expr.Binary(
                    BinaryOp.AND,
                    nest.lower(element(integers.code(factor), k)),
                    new Expr.IntConst(Type.I32, 255)),
                new Expr.IntConst(Type.I32, 8L * part));
        word = Optional.of(word.<Expr>map(w -> new Expr.Binary(BinaryOp.OR, w, code)).orElse(code));
      }
      return word.orElseThrow();
    }

    /** The factor at the tile's current position and at k, zero outside. */
    private KExpr element(KExpr of, KExpr k) {
      KExpr position = K.add(first(), K.axis(inTile));
      Map<Axis, KExpr> at = new HashMap<>();
      Positions.decompose(position, axes, at);
      Positions.decompose(k, c.k(), at);
      // Always, as the block of steps after the last one is asked for too.
      KExpr inside = K.and(inside(position), K.lt(k, K.dim(c.extentK())));
      return guarded(inside, Affine.canonical(KExprs.substitute(of, at)));
    }
  }

  private KExpr guarded(KExpr inside, KExpr then) {
    return inside instanceof KExpr.IntLit
        ? then
        : new KExpr.If(inside, then, K.literal(then.scalar(), 0L));
  }

  private void run() {
    List<Axis> blocks = new ArrayList<>(c.batch());
    blocks.addAll(List.of(rows.block, columns.block));
    DimExpr tasks = DimExpr.product(blocks.stream().map(Axis::extent).toList());
    nest.loop(
        Stmt.LoopKind.PARALLEL,
        index(0),
        nest.dim(tasks),
        1,
        task -> Positions.bind(nest, task, blocks, this::block));
    Map<String, Buf> reads = new LinkedHashMap<>();
    List<KExpr> all = new ArrayList<>(List.of(c.row().whole(), c.column().whole()));
    all.add(value.epilogue());
    value.start().ifPresent(all::add);
    for (KExpr each : all) {
      StageSimplifier.buffers(each).stream()
          .filter(b -> !b.name().startsWith("#"))
          .forEach(b -> reads.put(b.name(), b));
    }
    LoopSchedule.Result code = new LoopSchedule.Result(nest.finish(), nest.dims(), tasks);
    scheduler.launch(c.stage().target(), List.copyOf(reads.values()), code, false);
  }

  private void block() {
    rows.allocate();
    columns.allocate();
    // Each thread uses its own elements only of these, which a backend keeps in registers.
    nest.emit(new Stmt.Alloc(sums, type, index((long) THREADS * each()), Stmt.Space.SHARED));
    lanes(this::start);
    fetch(index(0));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        stepBlock,
        index(0),
        nest.dim(stepBlock.extent()),
        1,
        1,
        () -> {
          lanes(lane -> {
            rows.share(lane);
            columns.share(lane);
          });
          nest.emit(new Stmt.Barrier());
          // Asked for before the products, which need not wait for it.
          fetch(plus(nest.lower(K.axis(stepBlock)), index(1)));
          lanes(this::multiply);
          nest.emit(new Stmt.Barrier());
        });
    lanes(this::finish);
  }

  /** Brings what a block of steps needs into registers. */
  private void fetch(Expr block) {
    nest.with(
        nextBlock,
        block,
        1,
        () ->
            lanes(lane -> {
              rows.fetch(lane);
              columns.fetch(lane);
            }));
  }

  private static Stmt store(String buffer, Expr at, Expr value) {
    return new Stmt.Store(buffer, at, value, Optional.empty());
  }

  private int each() {
    return rows.each * columns.each;
  }

  private void lanes(Consumer<Expr> body) {
    nest.loop(Stmt.LoopKind.LANES, index(0), index(THREADS), 1, body);
  }

  private Expr own(Expr lane, int i, int j) {
    return plus(times(lane, index(each())), index((long) i * columns.each + j));
  }

  private void forEach(BiConsumer<Integer, Integer> body) {
    for (int i = 0; i < rows.each; i++) {
      for (int j = 0; j < columns.each; j++) {
        body.accept(i, j);
      }
    }
  }

  /** Row and column of a thread in its block. */
  private Expr threadRow(Expr lane) {
    return nest.let("y", new Expr.Binary(BinaryOp.FLOORDIV, lane, index(SIDE)));
  }

  private Expr threadColumn(Expr lane) {
    return nest.let("x", new Expr.Binary(BinaryOp.FLOORMOD, lane, index(SIDE)));
  }

  private void atThread(Expr y, Expr x, Runnable body) {
    nest.with(rows.thread, y, 1, () -> nest.with(columns.thread, x, 1, body));
  }

  /** An expression over the output axes, at a thread's row i and column j. */
  private KExpr moved(KExpr of, int i, int j) {
    Map<Axis, KExpr> at = new HashMap<>();
    Positions.decompose(rows.position(i), rows.axes, at);
    Positions.decompose(columns.position(j), columns.axes, at);
    return Affine.canonical(KExprs.substitute(of, at));
  }

  private void start(Expr lane) {
    KExpr zero = K.literal(c.fold().scalar(), 0L);
    Expr y = threadRow(lane);
    Expr x = threadColumn(lane);
    atThread(
        y,
        x,
        () ->
            forEach((i, j) -> {
              KExpr inside =
                  K.and(rows.inside(rows.position(i)), columns.inside(columns.position(j)));
              KExpr first =
                  value.start().map(start -> guarded(inside, moved(start, i, j))).orElse(zero);
              nest.emit(new Stmt.Store(sums, own(lane, i, j), nest.lower(first), Optional.empty()));
            }));
  }

  private void multiply(Expr lane) {
    Expr y = threadRow(lane);
    Expr x = threadColumn(lane);
    Expr.Var[] locals = new Expr.Var[each()];
    forEach((i, j) -> {
      Expr.Var local = new Expr.Var(type, nest.fresh("s"));
      locals[i * columns.each + j] = local;
      Expr old = new Expr.Load(type, sums, own(lane, i, j), Optional.empty());
      nest.emit(new Stmt.Local(local.name(), old));
    });
    boolean whole = steps().isConst() && steps().constValue() % tile.steps() == 0;
    Expr done = times(nest.lower(K.axis(stepBlock)), index(tile.steps()));
    Expr end =
        whole
            ? index(tile.steps())
            : nest.let("n", min(index(tile.steps()), minus(nest.dim(steps()), done)));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        end,
        1,
        k -> {
          Expr[] a = factors(rows, k, y);
          Expr[] b = factors(columns, k, x);
          forEach((i, j) -> {
            Expr.Var sum = locals[i * columns.each + j];
            nest.emit(new Stmt.Assign(sum.name(), multiplyAdd(a[i], b[j], sum)));
          });
        });
    forEach((i, j) ->
        nest.emit(
            new Stmt.Store(sums, own(lane, i, j), locals[i * columns.each + j], Optional.empty())));
  }

  private Expr[] factors(Side side, Expr k, Expr thread) {
    Expr first = nest.let("p", plus(times(k, index(side.pitch())), thread));
    Expr[] values = new Expr[side.each];
    for (int i = 0; i < side.each; i++) {
      Expr at = plus(first, index((long) i * SIDE));
      values[i] = nest.let("w", new Expr.Load(type, side.shared, at, Optional.empty()));
    }
    return values;
  }

  private Expr multiplyAdd(Expr row, Expr column, Expr sum) {
    if (type.scalar() != Scalar.I32) {
      return new Expr.Fma(row, column, sum);
    }
    return integers.rowIsUnsigned()
        ? new Expr.Dot4(sum, row, column)
        : new Expr.Dot4(sum, column, row);
  }

  private void finish(Expr lane) {
    Expr y = threadRow(lane);
    Expr x = threadColumn(lane);
    KExpr target = c.stage().index().getFirst();
    forEach((i, j) -> {
      Expr sum = new Expr.Load(type, sums, own(lane, i, j), Optional.empty());
      // Bound inside, so that no read moves out of the guard.
      Stmt.Block body =
          nest.block(() ->
              atThread(
                  y,
                  x,
                  () ->
                      nest.defining(
                          accumulator,
                          nest.let("s", sum),
                          () ->
                              nest.store(
                                  c.stage().target().name(),
                                  moved(target, i, j),
                                  nest.lower(moved(value.epilogue(), i, j))))));
      List<Expr> guards = new ArrayList<>();
      guard(rows, y, i).ifPresent(guards::add);
      guard(columns, x, j).ifPresent(guards::add);
      guards.stream()
          .reduce((a, b) -> new Expr.Binary(BinaryOp.AND, a, b))
          .ifPresentOrElse(
              inside -> nest.emit(new Stmt.If(inside, body, Optional.empty())),
              () -> body.body().forEach(nest::emit));
    });
  }

  private Optional<Expr> guard(Side side, Expr thread, int i) {
    if (side.divides()) {
      return Optional.empty();
    }
    Expr position = plus(nest.lower(side.first()), plus(thread, index((long) i * SIDE)));
    return Optional.of(new Expr.Compare(CompareOp.LT, position, nest.dim(side.extent)));
  }
}
