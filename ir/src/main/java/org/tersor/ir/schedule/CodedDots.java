package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
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

/**
 * The row factor of a {@link CodedColumn} as codes: a block is a sum of products of bytes, with
 * four successive k in a lane, or of products of 16 bits in the halves of a lane. What a zero point
 * of all columns takes from it is where the sum begins, or joins it at its end; where columns have
 * their own, the sums of the rows' codes are told.
 */
final class CodedDots {
  private static final int HALF = 16;

  private static final int LOW_HALF = 0xffff;

  private static final int LOW_BITS = 0x0f0f0f0f;

  private final Scheduler scheduler;
  private final Contraction c;
  private final CodedColumn column;
  private final KExpr.At codes;
  private final Optional<KExpr> scale;

  /**
   * Over rows and blocks: where the sum {@link #starts} if it does, else what joins the sum of
   * {@link #halves} (I32), or the sum of the codes (F32).
   */
  private final Optional<KExpr.At> term;

  private final boolean starts;

  private final boolean blocksOutside;

  /** Where products are of 16 bits, the codes of the rows in that form. */
  private final Optional<RowHalves> halves;

  /**
   * @param blocksOutside whether all rows of a task pass a block before the next begins; then each
   *     block has its rows side by side
   */
  CodedDots(Scheduler scheduler, Contraction c, CodedColumn column, boolean blocksOutside) {
    this.scheduler = scheduler;
    this.blocksOutside = blocksOutside;
    this.c = c;
    this.column = column;
    BlockCode row = column.row().orElseThrow();
    KExpr.At stored = row.stored().orElseThrow();
    this.codes =
        blocksOutside && !column.sumsShorts(scheduler.target())
            ? ofBlocks("codes", stored, column.inside())
            : stored;
    this.scale = row.scale().map(value -> isRead(value) ? value : ofBlocks("scale", value));
    this.halves =
        column.sumsShorts(scheduler.target())
            ? Optional.of(RowHalves.of(scheduler, c, column))
            : Optional.empty();
    Optional<KExpr> zero = column.column().offset();
    OptionalInt number = zero.map(CodedDots::number).orElse(OptionalInt.empty());
    this.starts =
        number.isPresent()
            && halves.stream().allMatch(each -> RowHalves.canStart(column, number.getAsInt()));
    KExpr sum = K.sum(List.of(column.inside()), row.code());
    this.term =
        number.isPresent()
            ? Optional.of(ofBlocks("term", term(sum, K.i32(-number.getAsInt()))))
            : zero.map(each -> ofBlocks("term", K.cast(Scalar.F32, sum)));
  }

  private KExpr term(KExpr sum, KExpr factor) {
    KExpr product = K.mul(sum, factor);
    if (halves.isEmpty()) {
      return product;
    }
    return starts ? halves.get().start(factor) : K.add(product, K.i32(-RowHalves.UNSIGNED));
  }

  /** A zero point of all columns. */
  private static OptionalInt number(KExpr zero) {
    return zero instanceof KExpr.FloatLit z && z.value() == (byte) z.value()
        ? OptionalInt.of((byte) z.value())
        : OptionalInt.empty();
  }

  /** Whether tiles need not compute a value, such as a quotient, again for each of its columns. */
  private static boolean isRead(KExpr value) {
    return value instanceof KExpr.At || value instanceof KExpr.FloatLit;
  }

  /** A value of rows and blocks, and of axes within these, in memory. */
  private KExpr.At ofBlocks(String name, KExpr value, Axis... inside) {
    List<Axis> axes = new ArrayList<>(c.stage().axes());
    axes.retainAll(KExprs.freeAxes(value));
    axes.addFirst(column.blocks());
    axes.addAll(List.of(inside));
    Buf buffer =
        new Buf(
            c.stage().target().name() + "_row" + name,
            value.scalar(),
            axes.stream().map(Axis::extent).toList());
    scheduler.auxiliary(Stage.of(buffer, axes, value), false);
    return new KExpr.At(StageSimplifier.flat(buffer), List.of(Positions.flat(axes)));
  }

  /** Whether sums of the rows' codes are told, for zero points of columns to be taken away. */
  boolean tellsSums() {
    return term.filter(value -> value.scalar() == Scalar.F32).isPresent();
  }

  void reads(Consumer<Buf> read) {
    read.accept(halves.map(RowHalves::buffer).orElse(codes.buffer()));
    term.ifPresent(t -> read.accept(t.buffer()));
    scale.ifPresent(s -> StageSimplifier.buffers(s).forEach(read));
  }

  private static Type shorts(int lanes) {
    return new Type(Scalar.I16, 2 * lanes);
  }

  /**
   * What the words of a step are to {@link Rows#add}, for each of its parts: four bytes, or two
   * halves, a lane.
   *
   * @param words four bytes a lane; with {@code parts} 2, the codes of the first four k in their
   *     low bits, those of the next four in their high bits; or as in {@link RowHalves}
   */
  Expr[][] vectors(NestEmitter nest, Expr[] words, int parts) {
    Expr[][] vectors = new Expr[halves.isPresent() ? RowHalves.PAIRS : parts][words.length];
    for (int part = 0; part < vectors.length; part++) {
      for (int v = 0; v < words.length; v++) {
        vectors[part][v] =
            halves.isPresent()
                ? shifted(nest, words[v], RowHalves.shift(part))
                : parts == 1 ? words[v] : picked(nest, words[v], 4 * part);
      }
    }
    return vectors;
  }

  private static Expr picked(NestEmitter nest, Expr word, int shift) {
    Type type = word.type();
    Expr low =
        shift == 0 ? word : new Expr.Binary(BinaryOp.SHR, word, new Expr.IntConst(type, shift));
    return nest.let("c", new Expr.Binary(BinaryOp.AND, low, new Expr.IntConst(type, LOW_BITS)));
  }

  /** Halves without their lowest bits. */
  private static Expr shifted(NestEmitter nest, Expr word, int shift) {
    Type shorts = shorts(word.type().lanes());
    if (shift == 0) {
      return new Expr.Bits(shorts, word);
    }
    Expr halves = new Expr.Bits(shorts.withScalar(Scalar.U16), word);
    Expr high = new Expr.Binary(BinaryOp.SHR, halves, new Expr.IntConst(halves.type(), shift));
    return nest.let("c", new Expr.Bits(shorts, high));
  }

  /** Runs {@code body} with the rows of a tile. */
  void rows(RegisterTile registers, NestEmitter nest, Consumer<Rows> body) {
    Runnable run = () -> body.accept(new Rows(registers, nest));
    if (c.m().isPresent()) {
      nest.with(c.m().get(), registers.m0(), 1, run);
    } else {
      run.run();
    }
  }

  /** Rows of a tile, one block after another. */
  final class Rows {
    private final RegisterTile registers;
    private final NestEmitter nest;
    private final int lanes;
    private final Expr.Var[][] sums;

    /** The sums of every other part, so that no chain of them is long; none if empty. */
    private final Expr.Var[][] others;

    private final Expr[] rowSums;

    /** What joins sums of halves when they are whole. */
    private final Expr[] joining;

    private Expr block = index(0);

    /** Parts of steps that are in the sums. */
    private int parts;

    private Rows(RegisterTile registers, NestEmitter nest) {
      this.registers = registers;
      this.nest = nest;
      this.lanes = registers.shape().lanes();
      this.sums = new Expr.Var[registers.rows()][registers.shape().columns()];
      this.others = new Expr.Var[blocksOutside ? registers.rows() : 0][registers.shape().columns()];
      this.rowSums = new Expr[tellsSums() ? registers.rows() : 0];
      this.joining = new Expr[halves.isPresent() && !starts ? registers.rows() : 0];
    }

    /** A value of row i in the block, where {@code step} is {@code at}. */
    private Expr of(int i, KExpr value, Axis step, Expr at) {
      Map<Axis, KExpr> moved = new HashMap<>();
      c.m().ifPresent(m -> moved.put(m, K.add(K.axis(m), K.index(i))));
      KExpr there = Affine.canonical(KExprs.substitute(value, moved));
      Expr[] result = new Expr[1];
      nest.with(
          column.blocks(),
          block,
          1,
          () -> nest.with(step, at, 1, () -> result[0] = nest.lower(there)));
      return result[0];
    }

    private Expr ofBlock(int i, KExpr value) {
      return nest.let("x", widen(of(i, value, column.inside(), index(0)), lanes));
    }

    /** Declares the sums of a block. */
    void begin(Expr at) {
      block = at;
      parts = 0;
      for (int i = 0; i < rowSums.length; i++) {
        rowSums[i] = ofBlock(i, term.orElseThrow());
      }
      for (int i = 0; i < sums.length; i++) {
        Expr start = start(i);
        for (int v = 0; v < sums[i].length; v++) {
          sums[i][v] = declared(start);
          if (others.length > 0) {
            others[i][v] = declared(new Expr.IntConst(start.type(), 0));
          }
        }
      }
    }

    private Expr.Var declared(Expr start) {
      Expr.Var sum = new Expr.Var(start.type(), nest.fresh("d"));
      nest.emit(new Stmt.Local(sum.name(), start));
      return sum;
    }

    private Expr start(int i) {
      if (starts) {
        Expr value = ofBlock(i, term.orElseThrow());
        return halves.isPresent() ? nest.let("x", new Expr.Bits(shorts(lanes), value)) : value;
      }
      Type type = new Type(Scalar.I32, lanes);
      return halves.isPresent()
          ? new Expr.Bits(shorts(lanes), new Expr.IntConst(type, RowHalves.UNSIGNED))
          : new Expr.IntConst(type, 0);
    }

    /** Adds the products of a step with {@link #vectors} of the columns. */
    void add(Expr[][] vectors, Expr step) {
      for (int part = 0; part < vectors.length; part++, parts++) {
        for (int i = 0; i < sums.length; i++) {
          Expr factor =
              halves.isPresent()
                  ? nest.let("a", new Expr.Bits(shorts(lanes), halves(i, step, part)))
                  : nest.let("a", four(i, step, vectors.length, part));
          for (int v = 0; v < sums[i].length; v++) {
            Expr.Var sum = others.length > 0 && parts % 2 == 1 ? others[i][v] : sums[i][v];
            Expr column = vectors[part][v];
            Expr added =
                halves.isPresent()
                    ? new Expr.Binary(
                        BinaryOp.ADD, sum, new Expr.Binary(BinaryOp.MUL, column, factor))
                    : new Expr.Dot4(sum, column, factor);
            nest.emit(new Stmt.Assign(sum.name(), added));
          }
        }
      }
    }

    private Expr halves(int i, Expr step, int pair) {
      RowHalves rows = halves.orElseThrow();
      return widen(of(i, rows.at(pair), rows.step(), step), lanes);
    }

    /** Four k of a row, which are part {@code part} of {@code parts} in a step. */
    private Expr four(int i, Expr step, int parts, int part) {
      Axis axis = new Axis(column.inside().name() + "#step", column.inside().extent());
      KExpr k = K.add(K.mul(K.axis(axis), K.index(4L * parts)), K.index(4L * part));
      KExpr place = KExprs.substitute(codes.index().getFirst(), Map.of(column.inside(), k));
      Expr at = of(i, place, axis, step);
      return widen(new Expr.Load(Type.I32, codes.buffer().name(), at, Optional.empty()), lanes);
    }

    private Expr sum(int i, int v) {
      return others.length > 0
          ? new Expr.Binary(BinaryOp.ADD, sums[i][v], others[i][v])
          : sums[i][v];
    }

    /** A sum as I32, from its halves if it has such. */
    private Expr whole(int i, Expr sum) {
      if (halves.isEmpty()) {
        return sum;
      }
      Type type = new Type(Scalar.I32, lanes);
      Expr both = nest.let("b", new Expr.Bits(type, sum));
      Expr high = new Expr.Binary(BinaryOp.SHR, both, new Expr.IntConst(type, HALF));
      Expr low = new Expr.Binary(BinaryOp.AND, both, new Expr.IntConst(type, LOW_HALF));
      Expr whole = new Expr.Binary(BinaryOp.ADD, high, low);
      return joining.length > 0 ? new Expr.Binary(BinaryOp.ADD, whole, joining[i]) : whole;
    }

    /** What the block gives. */
    CodedPanels.Part finish() {
      Type type = new Type(Scalar.F32, lanes);
      for (int i = 0; i < joining.length; i++) {
        joining[i] =
            rowSums.length == 0 && term.isPresent()
                ? ofBlock(i, term.get())
                : new Expr.IntConst(new Type(Scalar.I32, lanes), -RowHalves.UNSIGNED);
      }
      Expr[][] result = new Expr[sums.length][registers.shape().columns()];
      registers.forEach(
          (i, v) -> result[i][v] = nest.let("p", new Expr.Cast(type, whole(i, sum(i, v)), true)));
      Expr[] scales = new Expr[scale.isPresent() ? sums.length : 0];
      for (int i = 0; i < scales.length; i++) {
        scales[i] = ofBlock(i, scale.orElseThrow());
      }
      return new CodedPanels.Part(result, rowSums, scales);
    }
  }
}
