package org.tersor.ir.loop;

import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.loop.InterpreterExprs.Frame;
import org.tersor.ir.loop.InterpreterExprs.Scalars;

/** Matrix registers in the interpreter: words as I32, kept where register tiles are. */
final class InterpreterTiles {
  private InterpreterTiles() {}

  static Consumer<Frame> of(InterpreterExprs exprs, Stmt.Tile tile) {
    return switch (tile) {
      case Stmt.Tile.Zero t -> {
        int number = define(exprs, t.name());
        yield frame -> frame.registers[number] = new long[t.rows()][t.words()];
      }
      case Stmt.Tile.Load t -> load(exprs, t);
      case Stmt.Tile.Dot t -> {
        int sum = number(exprs, t.sum());
        int a = number(exprs, t.a());
        int b = number(exprs, t.b());
        yield frame ->
            dot(
                frame.registers[sum],
                frame.registers[a],
                t.aBytes() == Scalar.U8,
                frame.registers[b],
                t.bBytes() == Scalar.U8);
      }
      case Stmt.Tile.Store t -> {
        Scalars index = exprs.scalar(t.index());
        Scalars stride = exprs.scalar(t.stride());
        int memory = exprs.buffer(t.buffer()).number();
        int number = number(exprs, t.name());
        yield frame -> {
          long[][] rows = frame.registers[number];
          long at = index.get(frame);
          for (long[] row : rows) {
            for (int w = 0; w < row.length; w++) {
              frame.memory[memory].write(4, at, 4 * w, row[w]);
            }
            at = Math.addExact(at, stride.get(frame));
          }
        };
      }
    };
  }

  private static int define(InterpreterExprs exprs, String name) {
    return exprs.defineBuffer(name, Scalar.I32, Optional.of(Type.I32)).number();
  }

  private static int number(InterpreterExprs exprs, String name) {
    return exprs.buffer(name).number();
  }

  private static Consumer<Frame> load(InterpreterExprs exprs, Stmt.Tile.Load t) {
    Scalars index = exprs.scalar(t.index());
    Scalars stride = exprs.scalar(t.stride());
    int memory = exprs.buffer(t.buffer()).number();
    int number = define(exprs, t.name());
    return frame -> {
      long[][] rows = new long[t.rows()][t.words()];
      long at = index.get(frame);
      for (long[] row : rows) {
        for (int w = 0; w < row.length; w++) {
          row[w] = frame.memory[memory].read(Scalar.I32, 4, at, 4 * w);
        }
        at = Math.addExact(at, stride.get(frame));
      }
      frame.registers[number] = rows;
    };
  }

  private static void dot(
      long[][] sum, long[][] a, boolean aUnsigned, long[][] b, boolean bUnsigned) {
    for (int r = 0; r < sum.length; r++) {
      for (int c = 0; c < sum[r].length; c++) {
        int total = (int) sum[r][c];
        for (int w = 0; w < b.length; w++) {
          for (int i = 0; i < 32; i += 8) {
            total += part(a[r][w], i, aUnsigned) * part(b[w][c], i, bUnsigned);
          }
        }
        sum[r][c] = total;
      }
    }
  }

  private static int part(long word, int shift, boolean unsigned) {
    return unsigned ? (int) (word >> shift & 0xFF) : (byte) (word >> shift);
  }
}
