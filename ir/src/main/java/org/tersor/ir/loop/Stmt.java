package org.tersor.ir.loop;

import java.util.List;
import java.util.Optional;

/** A loop-IR statement. */
public sealed interface Stmt {

  record Block(List<Stmt> body) implements Stmt {
    public Block {
      body = List.copyOf(body);
    }
  }

  /** Kinds of {@link For}. */
  enum LoopKind {
    SERIAL,
    /**
     * Independent iterations: tasks on a CPU, blocks in CUDA. Only as the outermost loop of a
     * function.
     */
    PARALLEL,
    /**
     * Independent iterations: threads of a block in CUDA, a serial loop elsewhere. Only directly
     * inside PARALLEL (through Block, Let, Alloc, and SERIAL loops, which all threads run in step).
     */
    LANES
  }

  /**
   * {@code for var = begin; var < end; var += step}; var is INDEX; the bounds are evaluated once;
   * step is positive.
   */
  record For(LoopKind kind, String var, Expr begin, Expr end, int step, Stmt body)
      implements Stmt {}

  record While(Expr condition, Stmt body) implements Stmt {}

  /** Binds a value for the rest of the enclosing block. */
  record Let(String name, Expr value) implements Stmt {}

  /** Declares a mutable scalar or vector for the rest of the enclosing block. */
  record Local(String name, Expr initial) implements Stmt {}

  /** Assigns a {@link Local}. */
  record Assign(String name, Expr value) implements Stmt {}

  /**
   * Stores the lanes of {@code value} at consecutive elements from {@code index} (or one element
   * per lane if index is a vector, later lanes winning). Element type = the buffer's, or of other
   * width: bits are reinterpreted as in {@link Expr.Load}. Lanes with a false mask write nothing.
   */
  record Store(String buffer, Expr index, Expr value, Optional<Expr> mask) implements Stmt {}

  record If(Expr condition, Stmt then, Optional<Stmt> otherwise) implements Stmt {}

  /** Where an {@link Alloc} lives. */
  enum Space {
    /** Registers: indexed by constants only, elements may be vectors. */
    REGISTER,
    /** Private memory of one task (of one thread in CUDA). */
    LOCAL,
    /** Shared by the lanes of one block in CUDA; private memory of the task elsewhere. */
    SHARED
  }

  /**
   * A buffer for the rest of the enclosing block; contents are undefined. Only REGISTER elements
   * may have lanes.
   */
  record Alloc(String buffer, Type element, Expr count, Space space) implements Stmt {}

  record Prefetch(String buffer, Expr index) implements Stmt {}

  /** Ends a phase of LANES loops: stands where those stand, between them. */
  record Barrier() implements Stmt {}

  /**
   * Something done with a matrix register: {@code rows} of {@code words} of 4 bytes each, at most
   * {@link #MOST} of both. Registers have names of their own, of which {@link #REGISTERS} can be in
   * scope, and stand outside of LANES loops.
   */
  sealed interface Tile extends Stmt {
    int MOST = 16;
    int REGISTERS = 8;

    /** Declares a register of I32 zeros for the rest of the enclosing block. */
    record Zero(String name, int rows, int words) implements Tile {}

    /**
     * Declares a register for the rest of the enclosing block: row r is what a buffer of bytes
     * holds from {@code index + r * stride} on.
     */
    record Load(String name, int rows, int words, String buffer, Expr index, Expr stride)
        implements Tile {}

    /**
     * {@code sum[r][c] += a[r][w].i * b[w][c].i} over all words w of {@code a} and their bytes i,
     * in I32 that wraps; {@code sum} is a {@link Zero}. The bytes are U8 or I8.
     */
    record Dot(String sum, Scalar aBytes, String a, Scalar bBytes, String b) implements Tile {}

    /** Stores row r of a {@link Zero} from {@code index + r * stride} on into a buffer of I32. */
    record Store(String buffer, Expr index, Expr stride, String name) implements Tile {}
  }
}
