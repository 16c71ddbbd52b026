package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

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
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * Panels of a {@link CodedColumn}, made at load: codes [n / width][k / run][width][run] in bytes,
 * where a run is one code, or four where products of bytes are summed; or [n / width][k / run /
 * 2][width][run] with the codes of the next run in the high bits, where they are of four bits (in
 * the order of {@link RowHalves} where products are summed in 16 bits). Scales and zero points [n /
 * width][blocks][width]. A block is summed in registers as if its codes were the weights; then the
 * zero point times the sum of the row factor is taken away, unless it is a number that the codes
 * have lost before, and the rest scaled into the total.
 */
final class CodedPanels {
  /** Bytes of codes that are asked for before they are read. */
  private static final long AHEAD = 4096;

  private static final long LINE = 64;

  private final Scheduler scheduler;
  private final Contraction c;
  private final GemmTile tile;
  private final CodedColumn column;
  private final Optional<CodedDots> dots;

  /** Codes in a lane of a panel that stand in successive bytes, and codes in a byte. */
  private final long run;

  private final long group;
  private final Buf codes;
  private final Optional<Buf> scales;

  /** A panel, or a number that is the same everywhere. */
  private final Optional<KExpr> zeroNumber;

  private final Optional<Buf> zeros;

  /** Where codes become numbers. */
  private final Optional<CodedFloats> floats;

  /**
   * @param blocksOutside whether all rows of a task pass a block before the next begins
   */
  CodedPanels(
      Scheduler scheduler,
      Contraction c,
      GemmTile tile,
      CodedColumn column,
      boolean blocksOutside) {
    this.scheduler = scheduler;
    this.c = c;
    this.tile = tile;
    this.column = column;
    boolean integers = column.sumsCodes(scheduler.target());
    boolean lanes = column.inLanes(scheduler.target());
    this.run = integers || lanes ? CodedColumn.WORD : 1;
    this.group = column.nibbles(2 * run) ? 2 : 1;
    this.codes = packCodes();
    this.scales = column.column().scale().map(value -> packBlocks("scales", value));
    Optional<KExpr> zero = column.column().offset();
    this.zeroNumber = zero.filter(z -> KExprs.freeAxes(z).isEmpty() && isNumber(z));
    this.zeros =
        zeroNumber.isPresent() ? Optional.empty() : zero.map(value -> packBlocks("zeros", value));
    this.floats =
        integers
            ? Optional.empty()
            : Optional.of(
                new CodedFloats(
                    scheduler.target(),
                    column,
                    (int) group,
                    lanes ? Optional.of(LaneNumbers.of(zeroNumber)) : Optional.empty()));
    this.dots =
        integers
            ? Optional.of(new CodedDots(scheduler, c, column, blocksOutside))
            : Optional.empty();
  }

  private static boolean isNumber(KExpr expr) {
    return KExprs.all(expr, KExpr.At.class).isEmpty();
  }

  /** Buffers that tiles read. */
  void reads(Consumer<Buf> read) {
    read.accept(codes);
    scales.ifPresent(read);
    zeros.ifPresent(read);
    dots.ifPresent(d -> d.reads(read));
  }

  private Buf packCodes() {
    Axis step = new Axis("codes_step", DimExpr.of(steps()));
    Axis part = new Axis("codes_part", DimExpr.of(run));
    KExpr stored = K.i32(0);
    for (int high = (int) group - 1; high >= 0; high--) {
      KExpr code = K.sub(code(step, part, high), K.i32(column.column().low()));
      stored = K.binary(BinaryOp.OR, K.binary(BinaryOp.SHL, stored, K.i32(4)), code);
    }
    List<Axis> inner = List.of(column.blocks(), step);
    return pack("codes", Scalar.U8, inner, List.of(part), stored, K.i32(0));
  }

  private KExpr code(Axis step, Axis part, int high) {
    KExpr code = column.column().code();
    if (column.sumsShorts(scheduler.target())) {
      KExpr two = K.index(2);
      KExpr pair = K.add(K.mul(K.floorMod(K.axis(part), two), two), K.index(high));
      return RowHalves.inside(code, column, pair, K.axis(step), K.floorDiv(K.axis(part), two));
    }
    KExpr first = K.add(K.mul(K.axis(step), K.index(group * run)), K.index(high * run));
    return KExprs.substitute(code, Map.of(column.inside(), K.add(first, K.axis(part))));
  }

  private Buf packBlocks(String name, KExpr value) {
    return pack(name, Scalar.F32, List.of(column.blocks()), List.of(), value, K.f32(0));
  }

  /** A stage writes [n / width][inner...][width][innermost...], zero where n is outside. */
  private Buf pack(
      String name,
      Scalar element,
      List<Axis> inner,
      List<Axis> innermost,
      KExpr value,
      KExpr outside) {
    Axis block = new Axis(name + "_block", c.extentN().ceilDiv(tile.width()));
    Axis lane = new Axis(name + "_lane", DimExpr.of(tile.width()));
    KExpr position = K.add(K.mul(K.axis(block), K.index(tile.width())), K.axis(lane));
    Map<Axis, KExpr> replacement = new HashMap<>();
    Positions.decompose(position, c.n(), replacement);
    KExpr inside = K.lt(position, K.dim(c.extentN()));
    KExpr guarded = new KExpr.If(inside, KExprs.substitute(value, replacement), outside);
    List<Axis> axes = new ArrayList<>(List.of(block));
    axes.addAll(inner);
    axes.add(lane);
    axes.addAll(innermost);
    Buf buffer =
        new Buf(
            c.stage().target().name() + "_" + name,
            element,
            axes.stream().map(Axis::extent).toList());
    scheduler.auxiliary(Stage.of(buffer, axes, K.castInRange(element, guarded)), true);
    return StageSimplifier.flat(buffer);
  }

  /** The sums of a tile, of column tile number {@code columnTile}. */
  Expr[][] emit(
      RegisterTile registers,
      NestEmitter nest,
      Panels panels,
      Expr columnTile,
      GemmSums.MultiplyAdd multiplyAdd,
      Consumer<Buf> read,
      Optional<KExpr> start) {
    Expr.Var[][] totals = registers.accumulators(Scalar.F32, start);
    Totals inRegisters =
        new Totals() {
          @Override
          public Expr get(int i, int v) {
            return totals[i][v];
          }

          @Override
          public void set(int i, int v, Expr value) {
            nest.emit(new Stmt.Assign(totals[i][v].name(), value));
          }
        };
    Consumer<Summing> each =
        summing ->
            forEachBlock(
                nest,
                columnTile,
                place -> {
                  Part part = summing.of(place);
                  scale(registers, nest, part, columns(nest, place), inRegisters, multiplyAdd);
                });
    if (dots.isPresent()) {
      dots.get().rows(registers, nest, rows -> each.accept(place -> integers(rows, nest, place)));
    } else {
      panels.rows(
          nest,
          registers.m0(),
          registers.rows(),
          read,
          access -> each.accept(place -> floats(registers, nest, place, access, multiplyAdd)));
    }
    return totals;
  }

  /** A row of the task as a tile, with its place in the task's memory. */
  interface TileInMemory {
    RegisterTile of(Expr m0, Expr number);
  }

  /**
   * Sums all tiles of a task, whose totals are in memory, a block at a time: its columns are taken
   * apart once and stay in registers while all rows pass.
   */
  void emit(
      BlocksOutside.Tiles tiles,
      TileInMemory memory,
      NestEmitter nest,
      Expr columnTile,
      GemmSums.MultiplyAdd multiplyAdd) {
    CodedDots codedDots = dots.orElseThrow();
    forEachBlock(
        nest,
        columnTile,
        place -> {
          List<Expr[][]> vectors = new ArrayList<>();
          for (long step = 0; step < steps(); step++) {
            Expr[] words = words(nest, place.codes(), index(step));
            vectors.add(codedDots.vectors(nest, words, (int) group));
          }
          Columns columns = columns(nest, place);
          tiles.forEach((m0, _, number) -> {
            RegisterTile registers = memory.of(m0, number);
            codedDots.rows(
                registers,
                nest,
                each -> {
                  each.begin(place.block());
                  for (int step = 0; step < vectors.size(); step++) {
                    each.add(vectors.get(step), index(step));
                  }
                  scale(
                      registers,
                      nest,
                      each.finish(),
                      columns,
                      new Totals() {
                        @Override
                        public Expr get(int i, int v) {
                          return registers.load(Scalar.F32, registers.slot(i, v));
                        }

                        @Override
                        public void set(int i, int v, Expr value) {
                          registers.store(registers.slot(i, v), value);
                        }
                      },
                      multiplyAdd);
                });
          });
        });
  }

  /** Where a total of row i and vector v is. */
  private interface Totals {
    Expr get(int i, int v);

    void set(int i, int v, Expr value);
  }

  /**
   * A block of a column tile.
   *
   * @param block its number
   * @param codes where its codes begin
   * @param numbers where its scales and zero points begin
   */
  private record Place(Expr block, Expr codes, Expr numbers) {}

  private long steps() {
    return column.length() / (group * run);
  }

  private void forEachBlock(NestEmitter nest, Expr columnTile, Consumer<Place> body) {
    long blocks = column.blocks().extent().constValue();
    long blockCodes = steps() * tile.width() * run;
    Expr codeBase = nest.let("cb", times(columnTile, index(blocks * blockCodes)));
    Expr blockBase = nest.let("sb", times(columnTile, index(blocks * tile.width())));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        index(blocks),
        1,
        at -> {
          Expr numbers = nest.let("bb", plus(blockBase, times(at, index(tile.width()))));
          Expr from = nest.let("cf", plus(codeBase, times(at, index(blockCodes))));
          fetch(nest, codes, from, blockCodes);
          scales.ifPresent(scale -> fetch(nest, scale, numbers, tile.width()));
          body.accept(new Place(at, from, numbers));
        });
  }

  /**
   * Asks for what blocks further on read: panels follow one another in memory, and the memory
   * behind the caches takes as long to answer as several blocks to sum.
   */
  private void fetch(NestEmitter nest, Buf buffer, Expr from, long elements) {
    if (!scheduler.target().has(Target.Feature.PREFETCH)) {
      return;
    }
    long bytes = elements * buffer.element().bytes();
    long ahead = Math.ceilDiv(AHEAD, column.length() * tile.width() / group) * elements;
    for (long line = 0; line < bytes; line += LINE) {
      Expr at = plus(from, index(ahead + line / buffer.element().bytes()));
      nest.emit(new Stmt.Prefetch(buffer.name(), at));
    }
  }

  /** Sums a block. */
  private interface Summing {
    Part of(Place place);
  }

  /**
   * What a block gives before its columns' zero points and scales.
   *
   * @param sums of codes times the row factor, F32
   * @param rowSums sums of the row factor, one for each row; none if there are no zero points
   * @param scales of the rows' codes; none if they are numbers
   */
  record Part(Expr[][] sums, Expr[] rowSums, Expr[] scales) {}

  private Part floats(
      RegisterTile registers,
      NestEmitter nest,
      Place place,
      Panels.RowAccess access,
      GemmSums.MultiplyAdd multiplyAdd) {
    CodedFloats.Block block = floats.orElseThrow().block(registers, nest, access, multiplyAdd);
    Expr first = nest.let("kf", times(place.block(), index(column.length())));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        index(steps()),
        1,
        step ->
            block.add(
                words(nest, place.codes(), step), plus(first, times(step, index(group * run)))));
    return block.finish();
  }

  private Part integers(CodedDots.Rows rows, NestEmitter nest, Place place) {
    rows.begin(place.block());
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        index(steps()),
        1,
        step -> {
          Expr[] words = words(nest, place.codes(), step);
          rows.add(dots.orElseThrow().vectors(nest, words, (int) group), step);
        });
    return rows.finish();
  }

  private Expr zero(NestEmitter nest, Type type, Expr ofBlock, int v) {
    return zeros.isPresent()
        ? load(zeros.get(), type, ofBlock, v)
        : widen(nest.lower(zeroNumber.orElseThrow()), tile.lanes());
  }

  private Expr load(Buf buffer, Type type, Expr base, int v) {
    Expr at = plus(base, index((long) v * tile.lanes()));
    return new Expr.Load(type, buffer.name(), at, Optional.empty());
  }

  /** The codes of a step for each vector of the tile, in lanes of I32. */
  Expr[] words(NestEmitter nest, Expr from, Expr step) {
    Type bytes = new Type(Scalar.U8, tile.lanes());
    Type words = new Type(Scalar.I32, tile.lanes());
    Expr row = plus(from, times(step, index((long) tile.width() * run)));
    Expr[] loaded = new Expr[tile.columns()];
    for (int v = 0; v < loaded.length; v++) {
      Expr at = plus(row, index((long) v * tile.lanes() * run));
      Expr word =
          run == 4
              ? new Expr.Load(words, codes.name(), at, Optional.empty())
              : new Expr.Cast(
                  words, new Expr.Load(bytes, codes.name(), at, Optional.empty()), true);
      loaded[v] = nest.let("w", word);
    }
    return loaded;
  }

  /**
   * Numbers of a block's columns.
   *
   * @param scales factors of the sums; none if they have none
   * @param zeros what is taken away, with the sign turned; none if {@link CodedDots} or {@link
   *     LaneNumbers} take it
   */
  private record Columns(Expr[] scales, Expr[] zeros) {}

  private Columns columns(NestEmitter nest, Place place) {
    Type type = new Type(Scalar.F32, tile.lanes());
    boolean taken =
        column.column().offset().isEmpty()
            || dots.map(d -> !d.tellsSums()).orElseGet(() -> floats.orElseThrow().takeZero());
    Expr[] zeroPoints = new Expr[taken ? 0 : tile.columns()];
    for (int v = 0; v < zeroPoints.length; v++) {
      Expr zero = zero(nest, type, place.numbers(), v);
      zeroPoints[v] = nest.let("z", new Expr.Unary(UnaryOp.NEG, zero));
    }
    Expr[] factors = new Expr[scales.isPresent() ? tile.columns() : 0];
    for (int v = 0; v < factors.length; v++) {
      factors[v] = nest.let("f", load(scales.get(), type, place.numbers(), v));
    }
    return new Columns(factors, zeroPoints);
  }

  private static void scale(
      RegisterTile registers,
      NestEmitter nest,
      Part part,
      Columns columns,
      Totals totals,
      GemmSums.MultiplyAdd multiplyAdd) {
    registers.forEach((i, v) -> {
      Expr total = totals.get(i, v);
      Expr sum = part.sums[i][v];
      if (columns.zeros.length > 0) {
        sum = nest.let("p", multiplyAdd.apply(part.rowSums[i], columns.zeros[v], sum));
      }
      if (part.scales.length > 0) {
        sum = nest.let("p", new Expr.Binary(BinaryOp.MUL, sum, part.scales[i]));
      }
      Expr added =
          columns.scales.length > 0
              ? multiplyAdd.apply(sum, columns.scales[v], total)
              : new Expr.Binary(BinaryOp.ADD, total, sum);
      totals.set(i, v, added);
    });
  }
}
