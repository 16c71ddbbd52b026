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
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * Panels of a {@link CodedColumn}, made at load: codes [n / width][k / run][width][run] in bytes,
 * where a run is one code, or four where products of bytes are summed; or [n / width][k / run /
 * 2][width][run] with the codes of the next run in the high bits, where they are of four bits.
 * Scales and zero points [n / width][blocks][width]. A block is summed in registers as if its codes
 * were the weights; then the zero point times the sum of the row factor is taken away, unless it is
 * a number that the codes have lost before, and the rest scaled into the total.
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

  /** What makes numbers of eight codes in a lane; empty where lanes have fewer, or codes do. */
  private final Optional<LaneNumbers> numbers;

  CodedPanels(Scheduler scheduler, Contraction c, GemmTile tile, CodedColumn column) {
    this.scheduler = scheduler;
    this.c = c;
    this.tile = tile;
    this.column = column;
    boolean integers = column.sumsCodes(scheduler.target());
    boolean words =
        integers
            || (column.nibbles(LaneNumbers.CODES) && scheduler.target().lanes(Float.BYTES) > 1);
    this.run = words ? CodedColumn.WORD : 1;
    this.group = column.nibbles(2 * run) ? 2 : 1;
    this.codes = packCodes();
    this.scales = column.column().scale().map(value -> packBlocks("scales", value));
    Optional<KExpr> zero = column.column().offset();
    this.zeroNumber = zero.filter(z -> KExprs.freeAxes(z).isEmpty() && isNumber(z));
    this.zeros =
        zeroNumber.isPresent() ? Optional.empty() : zero.map(value -> packBlocks("zeros", value));
    this.numbers = words && !integers ? Optional.of(LaneNumbers.of(zeroNumber)) : Optional.empty();
    this.dots = integers ? Optional.of(new CodedDots(scheduler, c, column)) : Optional.empty();
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
    Axis step = new Axis("codes_step", DimExpr.of(column.length() / (group * run)));
    Axis part = new Axis("codes_part", DimExpr.of(run));
    KExpr stored = K.i32(0);
    for (long half = group - 1; half >= 0; half--) {
      KExpr first = K.add(K.mul(K.axis(step), K.index(group * run)), K.index(half * run));
      KExpr k = K.add(first, K.axis(part));
      KExpr code =
          K.sub(
              KExprs.substitute(column.column().code(), Map.of(column.inside(), k)),
              K.i32(column.column().low()));
      stored = K.binary(BinaryOp.OR, K.binary(BinaryOp.SHL, stored, K.i32(4)), code);
    }
    List<Axis> inner = List.of(column.blocks(), step);
    return pack("codes", Scalar.U8, inner, List.of(part), stored, K.i32(0));
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
    Type type = new Type(Scalar.F32, tile.lanes());
    Expr.Var[][] totals = registers.accumulators(Scalar.F32, start);
    long blocks = column.blocks().extent().constValue();
    long steps = column.length() / (group * run);
    long stepBytes = (long) tile.width() * run;
    Expr codeBase = nest.let("cb", times(columnTile, index(blocks * steps * stepBytes)));
    Expr blockBase = nest.let("sb", times(columnTile, index(blocks * tile.width())));
    Consumer<Summing> each =
        summing ->
            nest.loop(
                Stmt.LoopKind.SERIAL,
                index(0),
                index(blocks),
                1,
                at -> {
                  Expr ofBlock = nest.let("bb", plus(blockBase, times(at, index(tile.width()))));
                  Expr from = nest.let("cf", plus(codeBase, times(at, index(steps * stepBytes))));
                  fetch(nest, codes, from, steps * stepBytes);
                  scales.ifPresent(scale -> fetch(nest, scale, ofBlock, tile.width()));
                  Part part = summing.of(at, from);
                  scale(registers, nest, type, ofBlock, part, totals, multiplyAdd);
                });
    if (dots.isPresent()) {
      dots.get()
          .rows(
              registers,
              nest,
              rows -> each.accept((at, from) -> integers(rows, nest, from, at, steps)));
    } else {
      panels.rows(
          nest,
          registers.m0(),
          registers.rows(),
          read,
          access ->
              each.accept(
                  (at, from) -> floats(registers, nest, from, at, steps, access, multiplyAdd)));
    }
    return totals;
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

  /** Sums a block whose codes begin at {@code from}. */
  private interface Summing {
    Part of(Expr block, Expr from);
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
      Expr from,
      Expr at,
      long steps,
      Panels.RowAccess access,
      GemmSums.MultiplyAdd multiplyAdd) {
    Type type = new Type(Scalar.F32, tile.lanes());
    Expr first = nest.let("kf", times(at, index(column.length())));
    Expr.Var[][] parts = registers.accumulators(Scalar.F32, Optional.empty());
    Expr.Var[] rowSums = rowSums(registers, nest, type);
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        index(steps),
        1,
        step -> step(registers, nest, from, first, step, parts, rowSums, access, multiplyAdd));
    return new Part(parts, rowSums, new Expr[0]);
  }

  private Part integers(CodedDots.Rows rows, NestEmitter nest, Expr from, Expr at, long steps) {
    rows.begin(at);
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        index(steps),
        1,
        step -> rows.add(words(nest, from, step), step, (int) group));
    return rows.finish();
  }

  /** Sums of the row factor, one for each row: what a zero point is multiplied with. */
  private Expr.Var[] rowSums(RegisterTile registers, NestEmitter nest, Type type) {
    boolean zero =
        column.column().offset().isPresent() && numbers.filter(LaneNumbers::lackZero).isEmpty();
    Expr.Var[] sums = new Expr.Var[zero ? registers.rows() : 0];
    for (int i = 0; i < sums.length; i++) {
      sums[i] = new Expr.Var(type, nest.fresh("x"));
      nest.emit(new Stmt.Local(sums[i].name(), LoopExprs.identity(ReduceOp.SUM, type)));
    }
    return sums;
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

  /** One of the {@code group} codes of each byte. */
  private Expr half(Expr word, int part) {
    if (group == 1) {
      return word;
    }
    Type type = word.type();
    Expr low = part == 0 ? word : new Expr.Binary(BinaryOp.SHR, word, new Expr.IntConst(type, 4));
    // What is alone in its lane has nothing above it.
    return part == 1 ? low : new Expr.Binary(BinaryOp.AND, low, new Expr.IntConst(type, 15));
  }

  private void step(
      RegisterTile registers,
      NestEmitter nest,
      Expr from,
      Expr first,
      Expr step,
      Expr.Var[][] parts,
      Expr.Var[] rowSums,
      Panels.RowAccess access,
      GemmSums.MultiplyAdd multiplyAdd) {
    Type type = new Type(Scalar.F32, tile.lanes());
    Expr[] words = words(nest, from, step);
    Expr k = plus(first, times(step, index(group * run)));
    if (numbers.isPresent()) {
      numbers
          .get()
          .forEach(
              nest,
              words,
              (part, vectors) ->
                  add(
                      registers,
                      nest,
                      plus(k, index(part)),
                      vectors,
                      parts,
                      rowSums,
                      access,
                      multiplyAdd));
      return;
    }
    for (int part = 0; part < group; part++) {
      Expr[] vectors = new Expr[words.length];
      for (int v = 0; v < vectors.length; v++) {
        vectors[v] = nest.let("c", new Expr.Cast(type, half(words[v], part), true));
      }
      add(registers, nest, plus(k, index(part)), vectors, parts, rowSums, access, multiplyAdd);
    }
  }

  private void add(
      RegisterTile registers,
      NestEmitter nest,
      Expr k,
      Expr[] vectors,
      Expr.Var[][] parts,
      Expr.Var[] rowSums,
      Panels.RowAccess access,
      GemmSums.MultiplyAdd multiplyAdd) {
    Type type = new Type(Scalar.F32, tile.lanes());
    for (int i = 0; i < registers.rows(); i++) {
      Expr a = nest.let("a", widen(access.load(nest, i, k, type), tile.lanes()));
      if (rowSums.length > 0) {
        Expr.Var sum = rowSums[i];
        nest.emit(new Stmt.Assign(sum.name(), new Expr.Binary(BinaryOp.ADD, sum, a)));
      }
      for (int v = 0; v < vectors.length; v++) {
        Expr.Var sum = parts[i][v];
        nest.emit(new Stmt.Assign(sum.name(), multiplyAdd.apply(a, vectors[v], sum)));
      }
    }
  }

  private void scale(
      RegisterTile registers,
      NestEmitter nest,
      Type type,
      Expr ofBlock,
      Part part,
      Expr.Var[][] totals,
      GemmSums.MultiplyAdd multiplyAdd) {
    Expr[] zero = new Expr[part.rowSums.length > 0 ? tile.columns() : 0];
    for (int v = 0; v < zero.length; v++) {
      zero[v] = nest.let("z", new Expr.Unary(UnaryOp.NEG, zero(nest, type, ofBlock, v)));
    }
    Expr[] factors = new Expr[tile.columns()];
    for (int v = 0; v < factors.length && scales.isPresent(); v++) {
      factors[v] = nest.let("f", load(scales.get(), type, ofBlock, v));
    }
    registers.forEach((i, v) -> {
      Expr.Var total = totals[i][v];
      Expr sum = part.sums[i][v];
      if (zero.length > 0) {
        sum = nest.let("p", multiplyAdd.apply(part.rowSums[i], zero[v], sum));
      }
      if (part.scales.length > 0) {
        sum = nest.let("p", new Expr.Binary(BinaryOp.MUL, sum, part.scales[i]));
      }
      Expr added =
          scales.isPresent()
              ? multiplyAdd.apply(sum, factors[v], total)
              : new Expr.Binary(BinaryOp.ADD, total, sum);
      nest.emit(new Stmt.Assign(total.name(), added));
    });
  }
}
