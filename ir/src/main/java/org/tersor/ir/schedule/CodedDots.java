package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
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

/**
 * The row factor of a {@link CodedColumn} as codes: a block is a sum of products of bytes, with
 * four successive k in a lane, or of products of 16 bits in the halves of a lane. What a zero point
 * of all columns takes from it is added to the sum; where columns have their own, the sums of the
 * rows' codes are told.
 */
final class CodedDots {
  private static final int HALF = 16;

  private final Contraction c;
  private final CodedColumn column;
  private final KExpr.At codes;
  private final Optional<KExpr> scale;

  /** I32 that joins the sum, or F32 the sum of the codes; over rows and blocks. */
  private final Optional<KExpr.At> term;

  /** Where products are of 16 bits, the codes of the rows in that form. */
  private final Optional<RowHalves> halves;

  CodedDots(Scheduler scheduler, Contraction c, CodedColumn column) {
    this.c = c;
    this.column = column;
    BlockCode row = column.row().orElseThrow();
    this.codes = row.stored().orElseThrow();
    this.scale = row.scale();
    this.term = column.column().offset().map(zero -> term(scheduler, row.code(), zero));
    this.halves =
        column.sumsShorts(scheduler.target())
            ? Optional.of(RowHalves.of(scheduler, c, column))
            : Optional.empty();
  }

  private KExpr.At term(Scheduler scheduler, KExpr code, KExpr zero) {
    KExpr sum = K.sum(List.of(column.inside()), code);
    boolean whole = zero instanceof KExpr.FloatLit z && z.value() == (byte) z.value();
    KExpr value =
        whole
            ? K.mul(sum, K.i32(-(long) ((KExpr.FloatLit) zero).value()))
            : K.cast(Scalar.F32, sum);
    List<Axis> axes = new ArrayList<>(c.stage().axes());
    axes.retainAll(KExprs.freeAxes(code));
    axes.add(column.blocks());
    Buf buffer =
        new Buf(
            c.stage().target().name() + "_rowterm",
            value.scalar(),
            axes.stream().map(Axis::extent).toList());
    scheduler.auxiliary(Stage.of(buffer, axes, value), false);
    return new KExpr.At(StageSimplifier.flat(buffer), List.of(Positions.flat(axes)));
  }

  void reads(Consumer<Buf> read) {
    read.accept(halves.map(RowHalves::buffer).orElse(codes.buffer()));
    term.ifPresent(t -> read.accept(t.buffer()));
    scale.ifPresent(s -> StageSimplifier.buffers(s).forEach(read));
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
    private final Expr[] rowSums;

    /** What joins sums of halves when they are whole. */
    private final Expr[] starts;

    private Expr block = index(0);

    private Rows(RegisterTile registers, NestEmitter nest) {
      this.registers = registers;
      this.nest = nest;
      this.lanes = registers.shape().lanes();
      this.sums = new Expr.Var[registers.rows()][registers.shape().columns()];
      this.rowSums =
          new Expr[term.filter(t -> t.scalar() == Scalar.F32).isPresent() ? registers.rows() : 0];
      this.starts =
          new Expr
              [halves.isPresent() && term.isPresent() && rowSums.length == 0
                  ? registers.rows()
                  : 0];
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
      Type type = halves.isPresent() ? shorts() : new Type(Scalar.I32, lanes);
      for (int i = 0; i < sums.length; i++) {
        Expr start = new Expr.IntConst(type, 0);
        if (rowSums.length > 0) {
          rowSums[i] = ofBlock(i, term.orElseThrow());
        } else if (term.isPresent() && halves.isEmpty()) {
          start = ofBlock(i, term.get());
        }
        for (int v = 0; v < sums[i].length; v++) {
          sums[i][v] = new Expr.Var(type, nest.fresh("d"));
          nest.emit(new Stmt.Local(sums[i][v].name(), start));
        }
      }
    }

    private Type shorts() {
      return new Type(Scalar.I16, 2 * lanes);
    }

    /**
     * Adds the products of a step.
     *
     * @param words four bytes a lane; with {@code parts} 2, the codes of the first four k in their
     *     low bits, those of the next four in their high bits
     */
    void add(Expr[] words, Expr step, int parts) {
      if (halves.isPresent()) {
        addHalves(halves.get(), words, step);
        return;
      }
      for (int part = 0; part < parts; part++) {
        Expr[] vectors = new Expr[words.length];
        for (int v = 0; v < vectors.length; v++) {
          vectors[v] = parts == 1 ? words[v] : picked(words[v], 4 * part, 0x0f0f0f0f);
        }
        addBytes(vectors, step, parts, part);
      }
    }

    private Expr picked(Expr word, int shift, int mask) {
      Type type = word.type();
      Expr low =
          shift == 0 ? word : new Expr.Binary(BinaryOp.SHR, word, new Expr.IntConst(type, shift));
      return nest.let("c", new Expr.Binary(BinaryOp.AND, low, new Expr.IntConst(type, mask)));
    }

    /** Four bits of each half; the highest ones have nothing above them that a mask would clear. */
    private Expr pair(Expr word, int shift) {
      if (shift != HALF - 4) {
        return new Expr.Bits(shorts(), picked(word, shift, 0x000f000f));
      }
      Expr halves = new Expr.Bits(shorts().withScalar(Scalar.U16), word);
      Expr high = new Expr.Binary(BinaryOp.SHR, halves, new Expr.IntConst(halves.type(), shift));
      return nest.let("c", new Expr.Bits(shorts(), high));
    }

    private void addHalves(RowHalves rows, Expr[] words, Expr step) {
      for (int pair = 0; pair < RowHalves.PAIRS; pair++) {
        Expr[] vectors = new Expr[words.length];
        for (int v = 0; v < vectors.length; v++) {
          vectors[v] = pair(words[v], RowHalves.shift(pair));
        }
        for (int i = 0; i < sums.length; i++) {
          Expr row = widen(of(i, rows.at(pair), rows.step(), step), lanes);
          Expr a = nest.let("a", new Expr.Bits(shorts(), row));
          for (int v = 0; v < vectors.length; v++) {
            Expr.Var sum = sums[i][v];
            Expr product = new Expr.Binary(BinaryOp.MUL, vectors[v], a);
            nest.emit(new Stmt.Assign(sum.name(), new Expr.Binary(BinaryOp.ADD, sum, product)));
          }
        }
      }
    }

    /** Adds the products of four k, which are part {@code part} of {@code parts} in a step. */
    private void addBytes(Expr[] vectors, Expr step, int parts, int part) {
      Axis axis = new Axis(column.inside().name() + "#step", column.inside().extent());
      KExpr k = K.add(K.mul(K.axis(axis), K.index(4L * parts)), K.index(4L * part));
      KExpr place = KExprs.substitute(codes.index().getFirst(), Map.of(column.inside(), k));
      for (int i = 0; i < sums.length; i++) {
        Expr at = of(i, place, axis, step);
        Expr four =
            nest.let(
                "a",
                widen(new Expr.Load(Type.I32, codes.buffer().name(), at, Optional.empty()), lanes));
        for (int v = 0; v < vectors.length; v++) {
          Expr.Var sum = sums[i][v];
          nest.emit(new Stmt.Assign(sum.name(), new Expr.Dot4(sum, vectors[v], four)));
        }
      }
    }

    /** A sum as I32, from its halves if it has such. */
    private Expr whole(int i, Expr sum) {
      if (halves.isEmpty()) {
        return sum;
      }
      Type type = new Type(Scalar.I32, lanes);
      Expr both = nest.let("b", new Expr.Bits(type, sum));
      Expr half = new Expr.IntConst(type, HALF);
      Expr low = new Expr.Binary(BinaryOp.SHR, new Expr.Binary(BinaryOp.SHL, both, half), half);
      Expr whole = new Expr.Binary(BinaryOp.ADD, new Expr.Binary(BinaryOp.SHR, both, half), low);
      return starts.length > 0 ? new Expr.Binary(BinaryOp.ADD, whole, starts[i]) : whole;
    }

    /** What the block gives. */
    CodedPanels.Part finish() {
      Type type = new Type(Scalar.F32, lanes);
      for (int i = 0; i < starts.length; i++) {
        starts[i] = ofBlock(i, term.orElseThrow());
      }
      Expr[][] result = new Expr[sums.length][registers.shape().columns()];
      registers.forEach(
          (i, v) -> result[i][v] = nest.let("p", new Expr.Cast(type, whole(i, sums[i][v]), true)));
      Expr[] scales = new Expr[scale.isPresent() ? sums.length : 0];
      for (int i = 0; i < scales.length; i++) {
        scales[i] = ofBlock(i, scale.orElseThrow());
      }
      return new CodedPanels.Part(result, rowSums, scales);
    }
  }
}
