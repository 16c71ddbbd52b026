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
 * Panels of a {@link CodedColumn}, made at load: codes [n / width][k][width] in bytes, or [n /
 * width][k / 2][width] with the code of the next k in the high bits; scales and zero points [n /
 * width][blocks][width]. A block is summed in registers as if its codes were the weights; then the
 * zero point times the sum of the row factor is taken away, and the rest scaled into the total.
 */
final class CodedPanels {
  private final Scheduler scheduler;
  private final Contraction c;
  private final GemmTile tile;
  private final CodedColumn column;
  private final int group;
  private final Buf codes;
  private final Optional<Buf> scales;

  /** A panel, or a number that is the same everywhere. */
  private final Optional<KExpr> zeroNumber;

  private final Optional<Buf> zeros;

  CodedPanels(Scheduler scheduler, Contraction c, GemmTile tile, CodedColumn column) {
    this.scheduler = scheduler;
    this.c = c;
    this.tile = tile;
    this.column = column;
    this.group = column.nibble() ? 2 : 1;
    this.codes = packCodes();
    this.scales = column.scale().map(value -> packBlocks("scales", value));
    this.zeroNumber = column.zero().filter(z -> KExprs.freeAxes(z).isEmpty() && isNumber(z));
    this.zeros =
        zeroNumber.isPresent()
            ? Optional.empty()
            : column.zero().map(value -> packBlocks("zeros", value));
  }

  private static boolean isNumber(KExpr expr) {
    return KExprs.all(expr, KExpr.At.class).isEmpty();
  }

  /** Buffers that tiles read. */
  void reads(Consumer<Buf> read) {
    read.accept(codes);
    scales.ifPresent(read);
    zeros.ifPresent(read);
  }

  private Buf packCodes() {
    Axis step = new Axis("codes_step", DimExpr.of(column.length() / group));
    List<Axis> inner = List.of(column.blocks(), step);
    KExpr stored = K.i32(0);
    for (int part = group - 1; part >= 0; part--) {
      KExpr k = K.add(K.mul(K.axis(step), K.index(group)), K.index(part));
      KExpr code =
          K.sub(KExprs.substitute(column.code(), Map.of(column.inside(), k)), K.i32(column.low()));
      stored = K.binary(BinaryOp.OR, K.binary(BinaryOp.SHL, stored, K.i32(4)), code);
    }
    return pack("codes", Scalar.U8, inner, stored, K.i32(0));
  }

  private Buf packBlocks(String name, KExpr value) {
    return pack(name, Scalar.F32, List.of(column.blocks()), value, K.f32(0));
  }

  /** A stage writes [n / width][inner...][width], zero where n is outside. */
  private Buf pack(String name, Scalar element, List<Axis> inner, KExpr value, KExpr outside) {
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
    long length = column.length();
    long steps = length / group;
    Expr codeBase = nest.let("cb", times(columnTile, index(blocks * steps * tile.width())));
    Expr blockBase = nest.let("sb", times(columnTile, index(blocks * tile.width())));
    panels.rows(
        nest,
        registers.m0(),
        registers.rows(),
        read,
        access ->
            nest.loop(
                Stmt.LoopKind.SERIAL,
                index(0),
                index(blocks),
                1,
                at -> {
                  Expr ofBlock = nest.let("bb", plus(blockBase, times(at, index(tile.width()))));
                  Expr from =
                      nest.let("cf", plus(codeBase, times(at, index(steps * tile.width()))));
                  Expr first = nest.let("kf", times(at, index(length)));
                  Expr.Var[][] parts = registers.accumulators(Scalar.F32, Optional.empty());
                  Expr.Var[] rowSums = rowSums(registers, nest, type);
                  nest.loop(
                      Stmt.LoopKind.SERIAL,
                      index(0),
                      index(steps),
                      1,
                      step ->
                          step(
                              registers,
                              nest,
                              from,
                              first,
                              step,
                              parts,
                              rowSums,
                              access,
                              multiplyAdd));
                  scale(registers, nest, type, ofBlock, parts, rowSums, totals, multiplyAdd);
                }));
    return totals;
  }

  /** Sums of the row factor, one for each row: what a zero point is multiplied with. */
  private Expr.Var[] rowSums(RegisterTile registers, NestEmitter nest, Type type) {
    Expr.Var[] sums = new Expr.Var[column.zero().isPresent() ? registers.rows() : 0];
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
    Type bytes = new Type(Scalar.U8, tile.lanes());
    Type words = new Type(Scalar.I32, tile.lanes());
    Type type = new Type(Scalar.F32, tile.lanes());
    Expr row = plus(from, times(step, index(tile.width())));
    Expr[] loaded = new Expr[tile.columns()];
    for (int v = 0; v < loaded.length; v++) {
      loaded[v] = nest.let("w", new Expr.Cast(words, load(codes, bytes, row, v), true));
    }
    for (int part = 0; part < group; part++) {
      Expr[] vectors = new Expr[tile.columns()];
      for (int v = 0; v < vectors.length; v++) {
        Expr code =
            group == 1
                ? loaded[v]
                : part == 0
                    ? new Expr.Binary(BinaryOp.AND, loaded[v], new Expr.IntConst(words, 15))
                    : new Expr.Binary(BinaryOp.SHR, loaded[v], new Expr.IntConst(words, 4));
        vectors[v] = nest.let("c", new Expr.Cast(type, code, true));
      }
      Expr k = plus(first, plus(times(step, index(group)), index(part)));
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
  }

  private void scale(
      RegisterTile registers,
      NestEmitter nest,
      Type type,
      Expr ofBlock,
      Expr.Var[][] parts,
      Expr.Var[] rowSums,
      Expr.Var[][] totals,
      GemmSums.MultiplyAdd multiplyAdd) {
    Expr[] zero = new Expr[rowSums.length > 0 ? tile.columns() : 0];
    for (int v = 0; v < zero.length; v++) {
      zero[v] = nest.let("z", new Expr.Unary(UnaryOp.NEG, zero(nest, type, ofBlock, v)));
    }
    Expr[] factors = new Expr[tile.columns()];
    for (int v = 0; v < factors.length && scales.isPresent(); v++) {
      factors[v] = nest.let("f", load(scales.get(), type, ofBlock, v));
    }
    registers.forEach((i, v) -> {
      Expr.Var total = totals[i][v];
      Expr part =
          zero.length == 0
              ? parts[i][v]
              : nest.let("p", multiplyAdd.apply(rowSums[i], zero[v], parts[i][v]));
      Expr sum =
          scales.isPresent()
              ? multiplyAdd.apply(part, factors[v], total)
              : new Expr.Binary(BinaryOp.ADD, total, part);
      nest.emit(new Stmt.Assign(total.name(), sum));
    });
  }
}
