package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;
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
import org.tersor.ir.schedule.GemmWays.Mode;
import org.tersor.ir.schedule.GemmWays.Order;
import org.tersor.runtime.DimExpr;

/**
 * Schedules a {@link Contraction}: panels of the column factor [n / width][k][width], packed at
 * load if it is constant, else by the task that uses them; the row factor read in place or packed
 * [m / rows][k][rows]; a register tile over the whole of k whose accumulators start with the
 * additive terms; the epilogue on registers.
 */
final class GemmSchedule {
  /** Rows from which on a tile pays whose columns fill less than half a vector. */
  private static final int FEW_ROWS = 4;

  /** Cost of a sum across lanes, in multiply-adds. */
  private static final long ACROSS = 8;

  private final Scheduler scheduler;
  private final Contraction c;
  private final Target target;
  private final Steering steering;
  private final GemmWays ways;
  private final Mode mode;
  private final GemmTile tile;

  /** Where sums are in matrix registers. */
  private final Optional<MatrixTile> matrices;

  private final Order order;

  private final Gemm8Bit integers;
  private final Optional<Bf16Pairs> pairs;
  private final Optional<ComputedRows> computed;
  private final Panels panels;
  private final Optional<CodedColumn> coded;
  private Optional<CodedPanels> codes = Optional.empty();
  private final NestEmitter nest;

  /** The contiguous output axes as one. */
  private final Axis fused;

  private final Map<String, Buf> reads = new LinkedHashMap<>();

  /** Stands for the finished sum in the epilogue. */
  private final KExpr accumulator;

  private GemmSchedule(Scheduler scheduler, Contraction match) {
    this.scheduler = scheduler;
    this.target = scheduler.target();
    this.pairs =
        CodedColumn.of(match, target).isPresent()
            ? Optional.empty()
            : Bf16Pairs.of(scheduler, match);
    Mode vectors =
        pairs.isPresent()
            ? Mode.DOT2
            : !match.isInteger() ? Mode.FLOAT : target.sumsBytes() ? Mode.DOT4 : Mode.EXACT_F32;
    this.steering = scheduler.steering();
    boolean small = target.has(Target.Feature.SMALL_MEMORY);
    this.coded =
        vectors == Mode.FLOAT && isWeight(scheduler, match.column())
            ? CodedColumn.of(match, target)
                .filter(codes -> codes.sumsCodes(target) || CodedColumn.readsCodes(match, small))
            : Optional.empty();
    this.computed =
        switch (vectors) {
          case EXACT_F32 -> ComputedRows.exact(scheduler, match);
          case FLOAT ->
              coded.isPresent() ? Optional.empty() : ComputedRows.floats(scheduler, match);
          default -> Optional.empty();
        };
    this.nest = new NestEmitter(new NestEmitter.LoopTarget(target.has(Target.Feature.FMA), 32));
    this.c =
        pairs.map(Bf16Pairs::product).or(() -> computed.map(ComputedRows::product)).orElse(match);
    int elementBytes = c.fold().scalar().bytes();
    boolean dots =
        vectors == Mode.DOT4 || coded.filter(codes -> codes.sumsCodes(target)).isPresent();
    List<GemmTile> tiles =
        GemmTile.choices(
            target,
            dots,
            coded.isPresent() ? 2 : 1,
            coded.filter(codes -> codes.inLanes(target)).isPresent(),
            c.extentM(),
            c.extentN(),
            target.lanes(elementBytes),
            coded.isPresent() ? 0 : sizeOr(c.extentK(), 0) * (dots ? 1 : elementBytes));
    this.ways = new GemmWays(scheduler, c, nest, vectors, coded, steering.isSilent());
    GemmWays.Way way = ways.choose(tiles);
    this.mode = way.matrices().isPresent() ? Mode.MATRICES : vectors;
    this.matrices = way.matrices();
    this.tile = steering.tile(c, way.tile());
    this.order = steering.isOutside(c) ? Order.ROWS : way.order();
    boolean bytes = mode == Mode.DOT4 || mode == Mode.MATRICES;
    this.integers = new Gemm8Bit(scheduler, match, bytes, mode == Mode.MATRICES);
    this.panels =
        new Panels(
            scheduler,
            c,
            tile,
            panelElement(),
            mode == Mode.EXACT_F32 && (small || (order == Order.BLOCKS && ways.weightsAreFar()))
                ? integers.difference()
                : panelElement(),
            bytes ? 4 : mode == Mode.DOT2 ? 2 : 1,
            pairs.<PanelCodes>map(each -> each).orElse(integers),
            mode == Mode.MATRICES);
    this.fused = c.n().size() == 1 ? c.n().getFirst() : new Axis("n_fused", c.extentN());
    Buf result = new Buf("#sum", c.fold().scalar(), List.of(DimExpr.ONE));
    this.accumulator = new KExpr.At(result, List.of(K.index(0)));
  }

  private static boolean isWeight(Scheduler scheduler, Contraction.Factor factor) {
    return factor.buffers().stream().allMatch(scheduler::isConstant);
  }

  private Scalar panelElement() {
    return switch (mode) {
      case FLOAT -> c.fold().scalar();
      case DOT4, MATRICES -> Scalar.U8;
      case DOT2 -> Scalar.BF16;
      case EXACT_F32 -> Scalar.F32;
    };
  }

  /**
   * Schedules the stage if it is a contraction worth the packing; false leaves it to {@link
   * LoopSchedule}.
   */
  static boolean apply(Scheduler scheduler, Stage stage) {
    Optional<Contraction> match = Contraction.match(stage);
    if (match.isEmpty() || !worthwhile(scheduler, match.get())) {
      return false;
    }
    GemmSchedule schedule = new GemmSchedule(scheduler, match.get());
    Optional<KExpr> epilogue = schedule.epilogue();
    if (epilogue.isEmpty()) {
      return false;
    }
    schedule.run(epilogue.get());
    return true;
  }

  private static boolean worthwhile(Scheduler scheduler, Contraction c) {
    long n = sizeOr(c.extentN(), 256);
    long m = sizeOr(c.extentM(), 256);
    long k = sizeOr(c.extentK(), 256);
    boolean weights = c.column().buffers().stream().allMatch(scheduler::isConstant);
    int lanes = Math.max(1, scheduler.target().lanes(c.fold().scalar().bytes()));
    if (k < 4) {
      return false;
    }
    if (n * 2 < lanes) {
      return weights && n >= 2 && m >= FEW_ROWS && beatsFold(c, n, k, lanes);
    }
    return m >= 2 || (weights && k >= 16);
  }

  /**
   * Whether columns that fill less than half a vector cost less than sums one by one: scalars, or
   * vectors along k if both factors lie that way, which end in a sum across lanes.
   */
  private static boolean beatsFold(Contraction c, long n, long k, int lanes) {
    return !FoldEmitter.foldsInVectors(c.fold(), lanes)
        || k * lanes <= 2 * n * (k + ACROSS * lanes);
  }

  private static long sizeOr(DimExpr extent, long otherwise) {
    return extent.isConst() ? extent.constValue() : otherwise;
  }

  /**
   * Value of the stage over the fused contiguous axis, with the sum replaced; empty if an access
   * does not walk it as one.
   */
  private Optional<KExpr> epilogue() {
    KExpr value = KExprs.rewrite(c.stage().value(), e -> e.equals(c.fold()) ? accumulator : e);
    if (c.n().size() == 1) {
      return Optional.of(value);
    }
    boolean[] fits = {true};
    KExpr fusedValue =
        StageSimplifier.mapIndices(
            value,
            index ->
                fuse(index)
                    .orElseGet(() -> {
                      fits[0] = false;
                      return index;
                    }));
    return fits[0] ? Optional.of(fusedValue) : Optional.empty();
  }

  private Optional<Affine> fuse(Affine index) {
    Axis last = c.n().getLast();
    DimExpr unit = index.coefficient(last);
    DimExpr expected = unit;
    Affine rest = index;
    for (Axis axis : c.n().reversed()) {
      if (!index.isLinearIn(axis) || !index.coefficient(axis).equals(expected)) {
        return Optional.empty();
      }
      expected = expected.times(axis.extent());
      rest = rest.without(axis);
    }
    return Optional.of(
        unit.isConst(0)
            ? rest
            : rest.plus(new Affine(Map.of(new KExpr.AxisRef(fused), unit), DimExpr.ZERO)));
  }

  private void run(KExpr fullEpilogue) {
    AdditiveStart split = AdditiveStart.of(fullEpilogue, accumulator, integers.correction());
    KExpr epilogue = split.epilogue();
    Optional<KExpr> start = split.start();
    steering.started(start);
    pairs.ifPresent(scheduler::round);
    computed.ifPresent(rows -> scheduler.auxiliary(rows.widening(), false));
    panels.prepare(coded.isEmpty());
    codes = coded.map(column -> new CodedPanels(scheduler, c, tile, column, order == Order.BLOCKS));
    LoopSchedule.Result code = tasks(epilogue, start);
    StageSimplifier.buffers(epilogue).stream()
        .filter(b -> !b.name().startsWith("#"))
        .forEach(this::read);
    start.ifPresent(s -> StageSimplifier.buffers(s).forEach(this::read));
    scheduler.launch(c.stage().target(), List.copyOf(reads.values()), code, false);
  }

  private void read(Buf buffer) {
    reads.put(buffer.name(), buffer);
  }

  private LoopSchedule.Result tasks(KExpr epilogue, Optional<KExpr> start) {
    if (order == Order.BLOCKS) {
      return tasks(epilogue, start, ways.blocksOutside(tile).orElseThrow());
    }
    long rowsPerTask =
        ways.rowsPerTask(tile, matrices.isPresent() ? MatrixTile.TASK_WORK : GemmWays.TASK_WORK);
    GemmTasks tasks =
        new GemmTasks(
            nest,
            c,
            GemmTasks.Places.of(
                c.extentM().ceilDiv(rowsPerTask),
                steering.isParallel(c.m().stream().toList(), c.n())),
            GemmTasks.Places.of(
                c.extentN().ceilDiv(tile.width()),
                steering.isParallel(c.n(), c.m().stream().toList())),
            panels.sharesColumns());
    tasks.forEach(
        order == Order.ROWS, (row, column) -> task(epilogue, start, row, rowsPerTask, column));
    return new LoopSchedule.Result(nest.finish(), nest.dims(), tasks.count());
  }

  private LoopSchedule.Result tasks(KExpr epilogue, Optional<KExpr> start, BlocksOutside blocks) {
    nest.loop(
        Stmt.LoopKind.PARALLEL,
        index(0),
        nest.dim(blocks.tasks()),
        1,
        task ->
            blocks.task(
                task,
                (columnTile, tiles) -> {
                  if (codes.isPresent()) {
                    codedTask(epilogue, start, blocks.count(), codes.get(), columnTile, tiles);
                  } else {
                    task(epilogue, start, blocks, columnTile, tiles);
                  }
                }));
    return new LoopSchedule.Result(nest.finish(), nest.dims(), blocks.tasks());
  }

  private void task(
      KExpr epilogue,
      Optional<KExpr> start,
      BlocksOutside blocks,
      Expr columnTile,
      BlocksOutside.Tiles tiles) {
    Expr n0 = nest.let("n", times(columnTile, index(tile.width())));
    Panels.Column column = panels.column(nest, columnTile, n0);
    read(column.buffer());
    String memory = nest.fresh("tile");
    RegisterTile.allocate(nest, memory, c.fold().scalar(), tile, blocks.count());
    int steps =
        mode == Mode.FLOAT
            ? GemmWays.FLOAT_BLOCK
            : Math.min(integers.exactSteps(), BlocksOutside.STEPS);
    Optional<WideBlock> wide =
        column.buffer().element() == panelElement()
            ? Optional.empty()
            : Optional.of(WideBlock.allocate(nest, tile, column, panelElement(), steps));
    BlockTile at =
        (m0, rows, number, next) -> {
          Expr origin = nest.let("o", times(number, index((long) tile.rows() * tile.width())));
          RegisterTile registers =
              new RegisterTile(nest, c, tile, fused, m0, rows, n0, memory, origin);
          return blockSums(gemmSums(registers, column, next));
        };
    tiles.forEach((m0, rows, number) ->
        at.of(m0, rows, number, Optional.empty()).begin(start.map(this::fusedStart)));
    new KBlocks(nest, panels, column)
        .forEach(
            steps,
            (begin, length, codes) -> {
              Consumer<KBlocks.Run> runs =
                  wide.map(block -> block.fill(begin, codes)).orElse(codes);
              tiles.forEach((m0, rows, number) -> {
                Optional<NextPanel> next =
                    panels.next(nest, column, begin, length, blocks.count(), number);
                BlockSums sums = at.of(m0, rows, number, next);
                sums.sums().rows(access -> sums.add(runs, access));
              });
            });
    tiles.forEach((m0, rows, number) -> {
      BlockSums sums = at.of(m0, rows, number, Optional.empty());
      store(epilogue, sums.tile(), sums.end(rows > 1 && throughMemory(epilogue)));
    });
  }

  private void codedTask(
      KExpr epilogue,
      Optional<KExpr> start,
      long tileCount,
      CodedPanels panels,
      Expr columnTile,
      BlocksOutside.Tiles tiles) {
    panels.reads(this::read);
    new ResidentCodes(nest, c, tile, fused, panels)
        .task(
            columnTile,
            tileCount,
            tiles,
            start.map(this::fusedStart),
            this::multiplyAdd,
            (registers, sums) -> store(epilogue, registers, new TileResults.Registers(sums)));
  }

  /** The sums of one of a task's tiles. */
  private interface BlockTile {
    BlockSums of(Expr m0, int rows, Expr number, Optional<NextPanel> next);
  }

  /**
   * What a stage reads as codes, if what {@code constant} says are weights.
   *
   * @param small see {@link CodedColumn#readsCodes}
   */
  static Scheduler.Codes codes(Stage stage, Predicate<Buf> constant, boolean small) {
    return Contraction.match(stage)
        .filter(c -> c.column().buffers().stream().allMatch(constant))
        .flatMap(c ->
            CodedColumn.of(c)
                .filter(match -> match.row().isPresent() || CodedColumn.readsCodes(c, small)))
        .map(match -> match.row().isPresent() ? Scheduler.Codes.BOTH : Scheduler.Codes.WEIGHTS)
        .orElse(Scheduler.Codes.NONE);
  }

  private void task(
      KExpr epilogue, Optional<KExpr> start, Expr rowBlock, long rowsPerTask, Expr columnTile) {
    Expr n0 = nest.let("n", times(columnTile, index(tile.width())));
    Expr begin = nest.let("mb", times(rowBlock, index(rowsPerTask)));
    Sums sums;
    if (codes.isPresent()) {
      CodedPanels reads = codes.get();
      reads.reads(this::read);
      sums =
          (registers, first, loop) ->
              results(
                  registers,
                  reads.emit(
                      registers, nest, panels, columnTile, this::multiplyAdd, this::read, first),
                  loop);
    } else {
      Panels.Column column = panels.column(nest, columnTile, n0);
      if (panels.columnInTask()) {
        panels.columnReads().forEach(this::read);
      } else {
        read(column.buffer());
      }
      sums =
          (registers, first, loop) -> {
            Optional<Panels.RowBlock> block =
                order == Order.ROWS
                    ? Optional.of(new Panels.RowBlock(begin, DimExpr.of(rowsPerTask)))
                    : Optional.empty();
            Optional<NextPanel> next = panels.next(nest, column, registers.m0(), block);
            return sums(registers, column, next, first, loop);
          };
    }
    String memory = nest.fresh("tile");
    memoryElement(epilogue)
        .ifPresent(element -> RegisterTile.allocate(nest, memory, element, tile, 1));
    Body body =
        (m0, rows) ->
            tile(
                epilogue,
                start,
                new RegisterTile(nest, c, tile, fused, m0, rows, n0, memory, index(0)),
                sums);
    Expr rows = nest.dim(c.extentM());
    boolean whole = c.extentM().isConst() && c.extentM().constValue() <= rowsPerTask;
    Expr end = whole ? rows : nest.let("me", min(plus(begin, index(rowsPerTask)), rows));
    boolean multiple = c.extentM().isConst() && c.extentM().constValue() % tile.rows() == 0;
    Expr full = multiple ? end : fullRows(begin, end);
    if (!full.equals(begin)) {
      nest.loop(Stmt.LoopKind.SERIAL, begin, full, tile.rows(), m0 -> body.of(m0, tile.rows()));
    }
    if (multiple) {
      return;
    }
    if (c.extentM().isConst()) {
      int tail = (int) (c.extentM().constValue() % tile.rows());
      // Only the last block has the tail: a loop of at most one turn.
      nest.loop(Stmt.LoopKind.SERIAL, full, end, tail, m0 -> body.of(m0, tail));
    } else {
      nest.loop(Stmt.LoopKind.SERIAL, full, end, 1, m0 -> body.of(m0, 1));
    }
  }

  private Expr fullRows(Expr begin, Expr end) {
    if (begin instanceof Expr.IntConst b && end instanceof Expr.IntConst e) {
      return index(b.value() + (e.value() - b.value()) / tile.rows() * tile.rows());
    }
    Expr tiles = new Expr.Binary(BinaryOp.FLOORDIV, minus(end, begin), index(tile.rows()));
    return nest.let("mf", plus(begin, times(tiles, index(tile.rows()))));
  }

  /** A tile of so many rows from {@code m0}. */
  private interface Body {
    void of(Expr m0, int rows);
  }

  private void tile(KExpr epilogue, Optional<KExpr> start, RegisterTile registers, Sums sums) {
    boolean loop = registers.rows() > 1 && throughMemory(epilogue);
    store(epilogue, registers, sums.of(registers, start.map(this::fusedStart), loop));
  }

  private void store(KExpr epilogue, RegisterTile registers, TileResults results) {
    results.forEach(
        registers,
        (sum, move) ->
            nest.defining(
                accumulator,
                sum,
                () ->
                    nest.store(
                        c.stage().target().name(),
                        move.apply(storeIndex()),
                        nest.lower(move.apply(epilogue)))));
  }

  private boolean throughMemory(KExpr epilogue) {
    return TileResults.throughMemory(target, epilogue, tile.rows() * tile.columns());
  }

  /** Type of the memory that tiles need; empty if they need none. */
  private Optional<Scalar> memoryElement(KExpr epilogue) {
    Scalar scalar = c.fold().scalar();
    boolean totals =
        coded.isEmpty()
            && switch (mode) {
              case EXACT_F32 -> BlockSums.needsTotals(panels, scalar, integers.exactSteps());
              case FLOAT -> ways.isLong();
              case MATRICES -> true;
              case DOT4, DOT2 -> false;
            };
    return totals
        ? Optional.of(scalar)
        : throughMemory(epilogue)
            ? Optional.of(mode == Mode.EXACT_F32 ? Scalar.F32 : scalar)
            : Optional.empty();
  }

  /** Emits the sums of a tile. */
  private interface Sums {
    /**
     * @param loop whether what follows reads the results from memory
     */
    TileResults of(RegisterTile registers, Optional<KExpr> start, boolean loop);
  }

  private TileResults sums(
      RegisterTile registers,
      Panels.Column column,
      Optional<NextPanel> next,
      Optional<KExpr> start,
      boolean loop) {
    GemmSums sums = gemmSums(registers, column, next);
    Scalar scalar = c.fold().scalar();
    return switch (mode) {
      case EXACT_F32 -> blockSums(sums).emit(start, loop);
      case FLOAT ->
          ways.isLong()
              ? blockSums(sums).emit(start, loop)
              : results(registers, sums.emit(scalar, start), loop);
      case MATRICES ->
          new MatrixSums(
                  registers,
                  nest,
                  sums,
                  panels,
                  matrices.orElseThrow().rows(),
                  c.row().element(),
                  c.column().element())
              .emit(start);
      case DOT4, DOT2 -> results(registers, sums.emit(scalar, start), loop);
    };
  }

  private GemmSums gemmSums(
      RegisterTile registers, Panels.Column column, Optional<NextPanel> next) {
    return new GemmSums(registers, nest, panels, column, this::multiplyAdd, this::read, next);
  }

  private BlockSums blockSums(GemmSums sums) {
    return mode == Mode.FLOAT
        ? new BlockSums(sums.tile(), nest, sums, Scalar.F32, GemmWays.FLOAT_BLOCK)
        : new BlockSums(sums.tile(), nest, sums, Scalar.I32, integers.exactSteps());
  }

  private TileResults results(RegisterTile registers, Expr[][] sums, boolean loop) {
    if (!loop) {
      return new TileResults.Registers(sums);
    }
    registers.forEach((i, v) -> registers.store(registers.slot(i, v), sums[i][v]));
    Scalar scalar = c.fold().scalar();
    return new TileResults.Memory(scalar, scalar, Optional.empty());
  }

  private KExpr storeIndex() {
    Affine index = Affine.of(c.stage().index().getFirst());
    return (c.n().size() == 1 ? index : fuse(index).orElseThrow()).toKExpr();
  }

  private Expr multiplyAdd(Expr row, Expr column, Expr sum) {
    if (mode == Mode.DOT2) {
      return new Expr.Dot2(sum, row, column);
    }
    if (mode == Mode.DOT4) {
      return integers.rowIsUnsigned()
          ? new Expr.Dot4(sum, row, column)
          : new Expr.Dot4(sum, column, row);
    }
    return target.has(Target.Feature.FMA)
        ? new Expr.Fma(row, column, sum)
        : new Expr.Binary(BinaryOp.ADD, new Expr.Binary(BinaryOp.MUL, row, column), sum);
  }

  /** The start term over the fused axis: corrections are made on the unfused axes. */
  private KExpr fusedStart(KExpr start) {
    return c.n().size() == 1
        ? start
        : StageSimplifier.mapIndices(start, index -> fuse(index).orElse(index));
  }
}
