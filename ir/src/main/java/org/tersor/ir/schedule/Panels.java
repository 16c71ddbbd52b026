package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
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
 * Operands of a {@link GemmSchedule} in the order in which its inner loop reads them. {@code group}
 * successive k share one step (4 bytes for Dot4, 2 BF16 for Dot2, else 1).
 */
final class Panels {
  /** Steps of an inner loop below which packing the rows pays: they make one long loop. */
  private static final long SHORTEST_RUN = 8;

  private final Scheduler scheduler;
  private final Contraction c;
  private final GemmTile tile;
  private final Scalar element;
  private final Scalar kept;
  private final int group;
  private final PanelCodes codes;
  private final boolean inMatrices;
  private final boolean columnAtLoad;
  private final boolean rowInPlace;
  private final KRuns runs;
  private final List<Axis> columnBatch;
  private final List<Axis> rowBatch;
  private Optional<Buf> columnPanel = Optional.empty();
  private Optional<Buf> rowPanel = Optional.empty();

  /**
   * @param element of what the inner loop multiplies
   * @param kept element of weights in memory, which becomes that when they are read
   * @param inMatrices whether matrix registers hold rows, one behind the other in memory
   */
  Panels(
      Scheduler scheduler,
      Contraction c,
      GemmTile tile,
      Scalar element,
      Scalar kept,
      int group,
      PanelCodes codes,
      boolean inMatrices) {
    this.scheduler = scheduler;
    this.c = c;
    this.tile = tile;
    this.element = element;
    this.kept = kept;
    this.group = group;
    this.codes = codes;
    this.inMatrices = inMatrices;
    this.columnAtLoad = isWeight(c.column());
    this.columnBatch = c.batch().stream().filter(c.column().axes()::contains).toList();
    this.rowBatch = c.batch().stream().filter(c.row().axes()::contains).toList();
    KRuns inPlace = KRuns.of(c.k(), c.row().whole());
    this.rowInPlace =
        !isWeight(c.row()) && canReadInPlace(inPlace) && !scheduler.steering().packs(c, tile);
    this.runs =
        rowInPlace ? inPlace : new KRuns(List.of(new Axis("k_step", c.extentK())), c.row().whole());
  }

  private boolean isWeight(Contraction.Factor factor) {
    return factor.buffers().stream().allMatch(scheduler::isConstant);
  }

  /** Whether the column panels are made at load and the same for the whole batch. */
  boolean sharesColumns() {
    return columnAtLoad && columnBatch.isEmpty() && !c.batch().isEmpty();
  }

  /** Steps of all inner loops together. */
  DimExpr steps() {
    return DimExpr.product(outerRuns().stream().map(Axis::extent).toList()).times(runSteps());
  }

  /** Steps of one inner loop. */
  DimExpr runSteps() {
    DimExpr steps = runs.inner().extent().ceilDiv(group);
    return inMatrices ? steps.ceilDiv(words()).times(words()) : steps;
  }

  /** Steps that a matrix register holds of a row. */
  int words() {
    long run = runs.inner().extent().ceilDiv(group).constValue();
    return rowInPlace ? MatrixTile.dividing(run) : MatrixTile.padding(run);
  }

  /** The loops around the inner loop, outermost first. */
  List<Axis> outerRuns() {
    return runs.axes().subList(0, runs.axes().size() - 1);
  }

  /** Whether a value of rows takes so long that they are packed for that alone. */
  static boolean computesWhenPacked(KExpr value) {
    return StageSimplifier.reads(value).size() > 2
        || !KExprs.all(value, KExpr.If.class).isEmpty()
        || !KExprs.all(value, KExpr.Un.class).isEmpty();
  }

  private boolean canReadInPlace(KRuns inPlace) {
    boolean columnIsMemory = columnAtLoad || c.k().size() == 1;
    boolean runIsShort =
        inPlace.axes().size() > 1
            && inPlace.inner().extent().isConst()
            && inPlace.inner().extent().constValue() < SHORTEST_RUN;
    if (!columnIsMemory || runIsShort || computesWhenPacked(c.row().whole())) {
      return false;
    }
    if (group == 1) {
      return true;
    }
    DimExpr run = inPlace.inner().extent();
    boolean whole = run.isConst() && run.constValue() % group == 0;
    boolean overlaps = !inMatrices && columnAtLoad && run.isConst() && run.constValue() >= group;
    boolean divides = whole && MatrixTile.dividing(run.constValue() / group) > 0;
    if (inMatrices && !divides) {
      return false;
    }
    if (codes.flip(c.row()).isEmpty() || !(whole || overlaps)) {
      return false;
    }
    Affine index =
        StageSimplifier.reads(KRuns.of(c.k(), c.row().value()).row()).values().iterator().next();
    return index.isLinearIn(inPlace.inner())
        && index.coefficient(inPlace.inner()).isConst(1)
        && (!inMatrices || c.m().filter(index::isLinearIn).isPresent());
  }

  /**
   * Declares and fills the panels that exist outside tasks.
   *
   * @param columns whether tiles read the column factor here
   */
  void prepare(boolean columns) {
    if (columnAtLoad && columns) {
      columnPanel =
          Optional.of(
              pack(
                  "columns",
                  kept,
                  c.column(),
                  columnBatch,
                  c.n(),
                  c.extentN(),
                  tile.width(),
                  true));
    }
    if (!rowInPlace) {
      rowPanel =
          Optional.of(
              pack(
                  "rows",
                  element,
                  c.row(),
                  rowBatch,
                  c.m().stream().toList(),
                  c.extentM(),
                  packedRows(),
                  isWeight(c.row())));
    }
  }

  /** Rows that stand side by side in a panel of rows. */
  private int packedRows() {
    return inMatrices ? 1 : tile.rows();
  }

  /** Element of a factor as a panel stores it. */
  private KExpr stored(Contraction.Factor factor, Scalar as) {
    return K.castInRange(as, group > 1 ? codes.code(factor) : factor.whole());
  }

  /** A k and whether its product belongs to the sum. */
  private record Place(KExpr k, KExpr counts) {}

  /** What stands at one part of a step. */
  private Place place(KExpr step, KExpr part) {
    KExpr steps = K.index(group);
    if (!overlaps()) {
      KExpr k = K.add(K.mul(step, steps), part);
      return new Place(k, K.lt(k, K.dim(c.extentK())));
    }
    // The last step of a run begins early, so as to read nothing beyond it: what the step before
    // has seen does not count again.
    KExpr perRun = K.dim(runSteps());
    long length = runs.inner().extent().constValue();
    KExpr first = K.mul(K.floorMod(step, perRun), steps);
    KExpr moved = K.min(first, K.index(length - group));
    KExpr at = K.add(moved, part);
    return new Place(K.add(K.mul(K.floorDiv(step, perRun), K.index(length)), at), K.ge(at, first));
  }

  /** Whether the last step of a run reads elements that the step before has read. */
  private boolean overlaps() {
    DimExpr run = runs.inner().extent();
    return rowInPlace && group > 1 && run.isConst() && run.constValue() % group != 0;
  }

  /** A stage writes [batch][x / width][steps][width][group], zero where x or k is outside. */
  private Buf pack(
      String name,
      Scalar as,
      Contraction.Factor factor,
      List<Axis> batch,
      List<Axis> x,
      DimExpr extent,
      int width,
      boolean atLoad) {
    Axis block = new Axis(name + "_block", extent.ceilDiv(width));
    Axis step = new Axis(name + "_step", steps());
    Axis lane = new Axis(name + "_lane", DimExpr.of(width));
    Axis part = new Axis(name + "_part", DimExpr.of(group));
    KExpr position = K.add(K.mul(K.axis(block), K.index(width)), K.axis(lane));
    Place place = place(K.axis(step), K.axis(part));
    Map<Axis, KExpr> replacement = new HashMap<>();
    Positions.decompose(position, x, replacement);
    Positions.decompose(place.k, c.k(), replacement);
    KExpr inside = K.and(K.lt(position, K.dim(extent)), place.counts);
    boolean words = group > 1;
    KExpr value = KExprs.substitute(words ? codes.code(factor) : factor.whole(), replacement);
    KExpr outside = K.literal(value.scalar(), 0L);
    KExpr guarded = K.castInRange(as, new KExpr.If(inside, value, outside));
    List<Axis> axes = new ArrayList<>(batch);
    axes.addAll(List.of(block, step, lane, part));
    Buf buffer =
        new Buf(
            c.stage().target().name() + "_" + name, as, axes.stream().map(Axis::extent).toList());
    scheduler.auxiliary(Stage.of(buffer, axes, guarded), atLoad);
    return StageSimplifier.flat(buffer);
  }

  /**
   * A column panel at one tile.
   *
   * @param first step of the panel that {@code base} is at
   */
  record Column(Buf buffer, Expr base, GemmTile tile, int group, Expr first) {
    /** The same panel from a later step on. */
    Column from(NestEmitter nest, Expr step) {
      Expr start = plus(base, times(step, LoopExprs.index((long) tile.width() * group)));
      return new Column(buffer, nest.let("cr", start), tile, group, plus(first, step));
    }

    /** Where a vector of a step begins. */
    Expr index(Expr k, int v) {
      Expr row = plus(base, times(k, LoopExprs.index((long) tile.width() * group)));
      return plus(row, LoopExprs.index((long) v * tile.lanes() * group));
    }

    Expr load(NestEmitter nest, Expr k, int v, Type type) {
      Expr index = index(k, v);
      Scalar kept = buffer.element();
      if (group > 1 || kept == type.scalar()) {
        return new Expr.Load(type, buffer.name(), index, Optional.empty());
      }
      Expr code =
          new Expr.Load(new Type(kept, type.lanes()), buffer.name(), index, Optional.empty());
      Expr number = new Expr.Cast(new Type(Scalar.I32, type.lanes()), code, true);
      return new Expr.Cast(type, number, true);
    }
  }

  private KExpr batchIndex(List<Axis> batch) {
    KExpr index = K.index(0);
    for (Axis axis : batch) {
      index = K.add(K.mul(index, K.dim(axis.extent())), K.axis(axis));
    }
    return index;
  }

  /** The panel of a tile: of the packed weights, or packed here into memory of the task. */
  Column column(NestEmitter nest, Expr columnTile, Expr n0) {
    if (columnPanel.isPresent()) {
      Expr block =
          plus(
              times(
                  nest.lower(batchIndex(columnBatch)), nest.dim(c.extentN().ceilDiv(tile.width()))),
              columnTile);
      Expr base =
          nest.let("cb", times(block, nest.dim(steps().times((long) tile.width() * group))));
      return new Column(columnPanel.get(), base, tile, group, index(0));
    }
    DimExpr size = steps().times((long) tile.width() * group);
    String name = nest.fresh("panel");
    nest.emit(new Stmt.Alloc(name, Type.of(element), nest.dim(size), Stmt.Space.LOCAL));
    new PanelPacker(
            nest,
            c,
            tile,
            name,
            group == 1 ? stored(c.column(), element) : codes.code(c.column()),
            group,
            scheduler.target().has(Target.Feature.LONG_FUNCTIONS))
        .pack(n0);
    return new Column(new Buf(name, element, List.of(size)), index(0), tile, group, index(0));
  }

  /** Whether the column panel is memory of the task rather than a parameter. */
  boolean columnInTask() {
    return columnPanel.isEmpty();
  }

  /**
   * What fetches the next panel while the tile at row {@code m0} reads {@code column}; empty if
   * that is no use.
   *
   * @param block the rows that read the panel one after another; empty: all rows
   */
  Optional<NextPanel> next(NestEmitter nest, Column column, Expr m0, Optional<RowBlock> block) {
    DimExpr elements = steps().times((long) tile.width() * group);
    DimExpr panels = c.extentN().ceilDiv(tile.width());
    if (columnInTask()
        || !scheduler.target().has(Target.Feature.PREFETCH)
        || !NextPanel.pays(column.buffer(), elements, panels)) {
      return Optional.empty();
    }
    DimExpr tiles = block.map(RowBlock::rows).orElse(c.extentM()).ceilDiv(tile.rows());
    Expr begin = block.map(RowBlock::begin).orElse(index(0));
    Expr number = new Expr.Binary(BinaryOp.FLOORDIV, minus(m0, begin), index(tile.rows()));
    if (block.isEmpty()) {
      List<Axis> sharing = c.batch().stream().filter(axis -> !columnBatch.contains(axis)).toList();
      Expr before = times(nest.lower(batchIndex(sharing)), nest.dim(tiles));
      number = plus(before, number);
      tiles = tiles.times(DimExpr.product(sharing.stream().map(Axis::extent).toList()));
    }
    return Optional.of(
        NextPanel.of(nest, column, elements, steps(), tiles, nest.let("pt", number)));
  }

  /**
   * What fetches the steps after a block while one of {@code tiles} tiles sums it.
   *
   * @param begin the block's first step
   * @param number the tile's
   */
  Optional<NextPanel> next(
      NestEmitter nest, Column column, Expr begin, long steps, long tiles, Expr number) {
    if (!scheduler.target().has(Target.Feature.PREFETCH)) {
      return Optional.empty();
    }
    DimExpr elements = DimExpr.of(steps * tile.width() * group);
    Column block = column.from(nest, begin);
    return Optional.of(
        NextPanel.of(nest, block, elements, DimExpr.of(steps), DimExpr.of(tiles), number)
            .from(nest, begin));
  }

  /** Rows of a task. */
  record RowBlock(Expr begin, DimExpr rows) {}

  /** Buffers that packing in a task reads. */
  List<Buf> columnReads() {
    return columnInTask() ? List.copyOf(StageSimplifier.buffers(c.column().whole())) : List.of();
  }

  /** Reads of the row factor; {@code k} is a step of the inner loop. */
  interface RowAccess {
    Expr load(NestEmitter nest, int row, Expr k, Type type);
  }

  /** Prepares reads of {@code rows} rows from {@code m0}, then runs {@code body}. */
  void rows(NestEmitter nest, Expr m0, int rows, Consumer<Buf> read, Consumer<RowAccess> body) {
    if (rowPanel.isPresent()) {
      read.accept(rowPanel.get());
      Expr base = nest.let("rb", rowBase(nest, m0));
      int stride = packedRows() * group;
      body.accept((_, i, k, type) -> {
        Expr index = plus(plus(base, times(k, index(stride))), index((long) i * group));
        return new Expr.Load(type.withLanes(1), rowPanel.get().name(), index, Optional.empty());
      });
      return;
    }
    StageSimplifier.buffers(c.row().whole()).forEach(read);
    // Rows are constant offsets from the first, so that all their addresses share one register.
    if (c.m().isPresent()) {
      nest.with(c.m().get(), m0, 1, () -> body.accept((n, i, k, type) -> inPlace(n, i, k, type)));
    } else {
      body.accept((n, i, k, type) -> inPlace(n, i, k, type));
    }
  }

  private Expr rowBase(NestEmitter nest, Expr m0) {
    DimExpr perBlock = steps().times((long) packedRows() * group);
    Expr batch =
        times(
            nest.lower(batchIndex(rowBatch)),
            nest.dim(c.extentM().ceilDiv(packedRows()).times(perBlock)));
    if (c.extentM().isConst()) {
      // m0 is a multiple of the tile's rows.
      return plus(batch, times(m0, nest.dim(steps().times(group))));
    }
    Expr rows = index(packedRows());
    Expr block = new Expr.Binary(BinaryOp.FLOORDIV, m0, rows);
    Expr inside = times(new Expr.Binary(BinaryOp.FLOORMOD, m0, rows), index(group));
    return plus(plus(batch, times(block, nest.dim(perBlock))), inside);
  }

  /** Scalar that a step reads, of products whose sums are of that. */
  Scalar word(Scalar sum) {
    return group > 1 ? Scalar.I32 : sum;
  }

  /** A word of the row factor as Dot4 or Dot2 takes it, from what {@link RowAccess} reads. */
  Expr codes(Expr read) {
    int flip = rowInPlace && group > 1 ? codes.flip(c.row()).orElseThrow() : 0;
    return flip == 0
        ? read
        : new Expr.Binary(BinaryOp.XOR, read, new Expr.IntConst(read.type(), flip));
  }

  private Expr inPlace(NestEmitter nest, int row, Expr k, Type type) {
    Map<Axis, KExpr> replacement = rowAt(row);
    if (group == 1) {
      Expr[] result = new Expr[1];
      Axis inner = runs.inner();
      KExpr value =
          Affine.canonical(KExprs.substitute(K.castInRange(element, runs.row()), replacement));
      nest.with(inner, k, 1, () -> result[0] = nest.lower(value));
      return result[0];
    }
    KExpr.At at = stored(replacement);
    Expr place = place(nest, at, k);
    return new Expr.Load(type.withLanes(1), at.buffer().name(), place, Optional.empty());
  }

  private KExpr.At stored(Map<Axis, KExpr> replacement) {
    KExpr stored = KRuns.of(c.k(), c.row().value()).row();
    return KExprs.all(Affine.canonical(KExprs.substitute(stored, replacement)), KExpr.At.class)
        .getFirst();
  }

  /** Where the word of a step begins. */
  private Expr place(NestEmitter nest, KExpr.At at, Expr k) {
    Axis inner = runs.inner();
    Expr[] result = new Expr[1];
    Axis step = new Axis(inner.name() + "#step", runSteps());
    KExpr grouped = K.mul(new KExpr.AxisRef(step), K.index(group));
    KExpr first =
        overlaps() ? K.min(grouped, K.index(inner.extent().constValue() - group)) : grouped;
    KExpr index = KExprs.substitute(at.index().getFirst(), Map.of(inner, first));
    nest.with(step, k, 1, () -> result[0] = nest.lower(Affine.of(index).toKExpr()));
    return result[0];
  }

  /** Rows of bytes in a buffer: where the first begins, and the distance from one to the next. */
  record Strided(Buf buffer, Expr index, Expr stride) {}

  /** Rows from {@code m0 + row} on at a step, where {@link #rows} has prepared reads from m0. */
  Strided strided(NestEmitter nest, Expr m0, int row, Expr k) {
    if (rowPanel.isPresent()) {
      Expr base = plus(rowBase(nest, m0), times(k, index(group)));
      DimExpr stride = steps().times(group);
      Expr rows = times(index(row), nest.dim(stride));
      return new Strided(rowPanel.get(), plus(base, rows), nest.dim(stride));
    }
    Axis m = c.m().orElseThrow();
    KExpr.At at = stored(rowAt(row));
    DimExpr stride = Affine.of(at.index().getFirst()).coefficient(m);
    return new Strided(at.buffer(), place(nest, at, k), nest.dim(stride));
  }

  private Map<Axis, KExpr> rowAt(int row) {
    return c.m().isPresent()
        ? Map.of(c.m().get(), K.add(K.axis(c.m().get()), K.index(row)))
        : Map.of();
  }
}
