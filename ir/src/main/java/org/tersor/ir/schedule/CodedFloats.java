package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * Sums of a {@link CodedColumn} whose codes become numbers on the way, with rows of floats.
 *
 * @param group codes in a byte
 * @param numbers makes numbers of eight codes in a lane; empty where lanes have fewer
 */
record CodedFloats(Target target, CodedColumn column, int group, Optional<LaneNumbers> numbers) {
  /** Multiply-adds that do not wait for each other: two a cycle, which take four. */
  private static final int ENOUGH_CHAINS = 8;

  /** Whether the numbers have lost a zero point. */
  boolean takeZero() {
    return numbers.filter(LaneNumbers::lackZero).isPresent();
  }

  /** Declares the sums of a block. */
  Block block(
      RegisterTile registers,
      NestEmitter nest,
      Panels.RowAccess access,
      GemmSums.MultiplyAdd multiplyAdd) {
    return new Block(registers, nest, access, multiplyAdd);
  }

  /** The sums of one block of a tile. */
  final class Block {
    private final RegisterTile registers;
    private final NestEmitter nest;
    private final Panels.RowAccess access;
    private final GemmSums.MultiplyAdd multiplyAdd;
    private final Type type;

    /** Each sum once or in two parts, so that not all of its products wait for each other. */
    private final List<Expr.Var[][]> sums = new ArrayList<>();

    /** Sums of the row factor, one for each row: what a zero point is multiplied with. */
    private final Expr.Var[] rowSums;

    private Block(
        RegisterTile registers,
        NestEmitter nest,
        Panels.RowAccess access,
        GemmSums.MultiplyAdd multiplyAdd) {
      this.registers = registers;
      this.nest = nest;
      this.access = access;
      this.multiplyAdd = multiplyAdd;
      this.type = new Type(Scalar.F32, registers.shape().lanes());
      // Without broadcasts from memory tiles are narrow.
      boolean two =
          numbers.isPresent()
              && !target.has(Target.Feature.BROADCAST)
              && registers.rows() * registers.shape().columns() * 2 <= ENOUGH_CHAINS;
      for (int chain = 0; chain < (two ? 2 : 1); chain++) {
        sums.add(registers.accumulators(Scalar.F32, Optional.empty()));
      }
      this.rowSums =
          new Expr.Var[column.column().offset().isPresent() && !takeZero() ? registers.rows() : 0];
      for (int i = 0; i < rowSums.length; i++) {
        rowSums[i] = new Expr.Var(type, nest.fresh("x"));
        nest.emit(new Stmt.Local(rowSums[i].name(), LoopExprs.identity(ReduceOp.SUM, type)));
      }
    }

    /** Adds the products of a step, of successive k from {@code first}. */
    void add(Expr[] words, Expr first) {
      if (numbers.isPresent()) {
        numbers.get().forEach(nest, words, (part, vectors) -> add(first, part, vectors));
        return;
      }
      for (int part = 0; part < group; part++) {
        Expr[] vectors = new Expr[words.length];
        for (int v = 0; v < vectors.length; v++) {
          vectors[v] = nest.let("c", new Expr.Cast(type, half(words[v], part), true));
        }
        add(first, part, vectors);
      }
    }

    private void add(Expr first, int part, Expr[] vectors) {
      Expr.Var[][] chain = sums.get(part % sums.size());
      for (int i = 0; i < registers.rows(); i++) {
        Expr row = access.load(nest, i, plus(first, index(part)), type);
        Expr a = nest.let("a", widen(row, registers.shape().lanes()));
        if (rowSums.length > 0) {
          Expr.Var sum = rowSums[i];
          nest.emit(new Stmt.Assign(sum.name(), new Expr.Binary(BinaryOp.ADD, sum, a)));
        }
        for (int v = 0; v < vectors.length; v++) {
          Expr.Var sum = chain[i][v];
          nest.emit(new Stmt.Assign(sum.name(), multiplyAdd.apply(a, vectors[v], sum)));
        }
      }
    }

    /** One of the codes of each byte. */
    private Expr half(Expr word, int part) {
      if (group == 1) {
        return word;
      }
      Expr low =
          part == 0 ? word : new Expr.Binary(BinaryOp.SHR, word, new Expr.IntConst(word.type(), 4));
      // What is alone in its lane has nothing above it.
      return part == 1
          ? low
          : new Expr.Binary(BinaryOp.AND, low, new Expr.IntConst(word.type(), 15));
    }

    /** What the block gives. */
    CodedPanels.Part finish() {
      Expr[][] result = new Expr[registers.rows()][registers.shape().columns()];
      registers.forEach((i, v) ->
          result[i][v] =
              sums.stream()
                  .<Expr>map(chain -> chain[i][v])
                  .reduce((a, b) -> nest.let("p", new Expr.Binary(BinaryOp.ADD, a, b)))
                  .orElseThrow());
      return new CodedPanels.Part(result, rowSums, new Expr[0]);
    }
  }
}
