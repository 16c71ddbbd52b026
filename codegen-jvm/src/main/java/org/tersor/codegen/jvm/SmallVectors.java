package org.tersor.codegen.jvm;

import java.util.function.IntConsumer;
import org.objectweb.asm.Opcodes;

/**
 * Memory accesses of vectors of fewer than 64 bits, which the Vector API does not have: they fill
 * the low part of a vector of 64. Their bits move through a scalar, because a masked access of
 * bytes is no instruction where vectors are narrow enough for this to happen.
 */
final class SmallVectors {
  private static final String MEMORY = "org/tersor/runtime/KernelMemory";

  private final Code code;
  private final ClassCode owner;

  SmallVectors(Code code, ClassCode owner) {
    this.code = code;
    this.owner = owner;
  }

  /**
   * Pushes {@code k} elements of an array of their own kind.
   *
   * @param index pushes the index of element {@code at}
   */
  void load(Kind kind, int k, Env.Memory m, IntConsumer index) {
    Kind piece = piece(kind, k);
    code.species(piece, 8 / piece.bytes);
    if (kind == Kind.BYTE) {
      owner.pushView(code, piece);
      code.var(Opcodes.ALOAD, m.array());
      index.accept(0);
      code.invokeVirtual("java/lang/invoke/VarHandle", "get", "([BI)" + piece.letter);
    } else {
      element(m, index, 0);
      code.pushInt(0xFFFF);
      code.op(Opcodes.IAND);
      element(m, index, 1);
      code.pushInt(16);
      code.op(Opcodes.ISHL);
      code.op(Opcodes.IOR);
    }
    code.broadcast(piece);
    code.reinterpret(piece, kind);
  }

  /**
   * Pushes the first elements, zero after them.
   *
   * @param count pushes their number
   */
  void loadFirst(Kind kind, int k, Env.Memory m, IntConsumer index, Runnable count) {
    Kind piece = piece(kind, k);
    code.species(piece, 8 / piece.bytes);
    code.var(Opcodes.ALOAD, m.array());
    index.accept(0);
    count.run();
    code.pushInt(k);
    code.invokeStatic(MEMORY, "load", "(" + kind.array() + "III)I");
    if (piece == Kind.SHORT) {
      code.op(Opcodes.I2S);
    }
    code.broadcast(piece);
    code.reinterpret(piece, kind);
  }

  /** Stores the first elements of the vector of at most 64 bits on the stack. */
  void storeFirst(Kind kind, int k, Env.Memory m, IntConsumer index, Runnable count) {
    int mark = code.mark();
    int bits = code.newLocal(2);
    int vector = code.newLocal(1);
    code.reinterpret(kind, Kind.INT);
    code.var(Opcodes.ASTORE, vector);
    // By halves: HotSpot has no vectors of one long.
    intLane(vector, 0);
    if (kind.bytes * k > 4) {
      code.pushLong(0xFFFF_FFFFL);
      code.op(Opcodes.LAND);
      intLane(vector, 1);
      code.pushInt(32);
      code.op(Opcodes.LSHL);
      code.op(Opcodes.LOR);
    }
    code.var(Opcodes.LSTORE, bits);
    code.var(Opcodes.ALOAD, m.array());
    index.accept(0);
    code.var(Opcodes.LLOAD, bits);
    count.run();
    code.pushInt(k);
    code.invokeStatic(MEMORY, "store", "(" + kind.array() + "IJII)V");
    code.release(mark);
  }

  /** Stores the vector on the stack into an array of its kind. */
  void store(Kind kind, int k, Env.Memory m, IntConsumer index) {
    Kind piece = piece(kind, k);
    int mark = code.mark();
    int bits = code.newLocal(1);
    code.reinterpret(kind, piece);
    code.pushInt(0);
    code.invokeVirtual(piece.vector, "lane", "(I)" + piece.letter);
    code.var(Opcodes.ISTORE, bits);
    if (kind == Kind.BYTE) {
      owner.pushView(code, piece);
      code.var(Opcodes.ALOAD, m.array());
      index.accept(0);
      code.var(Opcodes.ILOAD, bits);
      code.invokeVirtual("java/lang/invoke/VarHandle", "set", "([BI" + piece.letter + ")V");
    } else {
      for (int i = 0; i < 2; i++) {
        code.var(Opcodes.ALOAD, m.array());
        index.accept(i);
        code.var(Opcodes.ILOAD, bits);
        if (i == 1) {
          code.pushInt(16);
          code.op(Opcodes.ISHR);
        }
        code.op(Opcodes.SASTORE);
      }
    }
    code.release(mark);
  }

  private void intLane(int vector, int lane) {
    code.var(Opcodes.ALOAD, vector);
    code.pushInt(lane);
    code.invokeVirtual(Kind.INT.vector, "lane", "(I)I");
    code.op(Opcodes.I2L);
  }

  private void element(Env.Memory m, IntConsumer index, int at) {
    code.var(Opcodes.ALOAD, m.array());
    index.accept(at);
    code.op(Opcodes.SALOAD);
  }

  /** The scalar of as many bits: two or four bytes, or two shorts. */
  private static Kind piece(Kind kind, int k) {
    return kind.bytes * k == 4 ? Kind.INT : Kind.SHORT;
  }
}
