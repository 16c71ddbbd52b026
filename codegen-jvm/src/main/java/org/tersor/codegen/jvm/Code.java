package org.tersor.codegen.jvm;

import org.objectweb.asm.Label;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;

/**
 * Bytecode of one method, with the instruction selection that has nothing to do with the loop IR.
 */
final class Code {
  static final String VECTOR = "jdk/incubator/vector/Vector";
  static final String MASK = "jdk/incubator/vector/VectorMask";
  static final String SPECIES = "jdk/incubator/vector/VectorSpecies";
  static final String OPERATORS = "jdk/incubator/vector/VectorOperators";
  static final String MATH = "org/tersor/runtime/KernelMath";

  final MethodVisitor mv;
  private int nextLocal;

  Code(MethodVisitor mv, int firstLocal) {
    this.mv = mv;
    this.nextLocal = firstLocal;
  }

  int mark() {
    return nextLocal;
  }

  /** Gives back the locals taken since {@code mark}. */
  void release(int mark) {
    nextLocal = mark;
  }

  int newLocal(int slots) {
    int local = nextLocal;
    nextLocal += slots;
    return local;
  }

  void op(int opcode) {
    mv.visitInsn(opcode);
  }

  void jump(int opcode, Label label) {
    mv.visitJumpInsn(opcode, label);
  }

  void label(Label label) {
    mv.visitLabel(label);
  }

  void var(int opcode, int local) {
    mv.visitVarInsn(opcode, local);
  }

  void pushInt(int value) {
    if (value >= -1 && value <= 5) {
      op(Opcodes.ICONST_0 + value);
    } else if (value == (byte) value) {
      mv.visitIntInsn(Opcodes.BIPUSH, value);
    } else if (value == (short) value) {
      mv.visitIntInsn(Opcodes.SIPUSH, value);
    } else {
      mv.visitLdcInsn(value);
    }
  }

  void pushLong(long value) {
    if (value == 0 || value == 1) {
      op(value == 0 ? Opcodes.LCONST_0 : Opcodes.LCONST_1);
    } else {
      mv.visitLdcInsn(value);
    }
  }

  void pushFloat(float value) {
    if (Float.floatToRawIntBits(value) == 0) {
      op(Opcodes.FCONST_0);
    } else {
      mv.visitLdcInsn(value);
    }
  }

  void pushDouble(double value) {
    if (Double.doubleToRawLongBits(value) == 0) {
      op(Opcodes.DCONST_0);
    } else {
      mv.visitLdcInsn(value);
    }
  }

  /** Pushes an integer as a value of that kind. */
  void pushConst(Kind kind, long value) {
    switch (kind) {
      case BYTE, SHORT, INT -> pushInt((int) value);
      case LONG -> pushLong(value);
      case FLOAT -> pushFloat((float) value);
      case DOUBLE -> pushDouble((double) value);
    }
  }

  /** A number as FLOAT or DOUBLE. */
  void pushFloating(Kind kind, double value) {
    if (kind == Kind.FLOAT) {
      pushFloat((float) value);
    } else {
      pushDouble(value);
    }
  }

  void invokeStatic(String owner, String name, String descriptor) {
    mv.visitMethodInsn(Opcodes.INVOKESTATIC, owner, name, descriptor, false);
  }

  void invokeVirtual(String owner, String name, String descriptor) {
    mv.visitMethodInsn(Opcodes.INVOKEVIRTUAL, owner, name, descriptor, false);
  }

  void invokeInterface(String owner, String name, String descriptor) {
    mv.visitMethodInsn(Opcodes.INVOKEINTERFACE, owner, name, descriptor, true);
  }

  void cast(String type) {
    mv.visitTypeInsn(Opcodes.CHECKCAST, type);
  }

  /** From a comparison's jump to 0 or 1 on the stack. */
  void booleanOf(int jumpIfTrue) {
    Label yes = new Label();
    Label end = new Label();
    jump(jumpIfTrue, yes);
    op(Opcodes.ICONST_0);
    jump(Opcodes.GOTO, end);
    label(yes);
    op(Opcodes.ICONST_1);
    label(end);
  }

  /** {@code ...; a, b -> ...; b, a} for stack values of 1 or 2 slots, when both are of one slot. */
  void swap() {
    op(Opcodes.SWAP);
  }

  // ---- Vector API

  /** Bytes of the species that holds {@code lanes} elements; at least 8, the smallest there is. */
  static int speciesBytes(Kind kind, int lanes) {
    return Math.max(8, kind.bytes * lanes);
  }

  /**
   * Lanes of that species; more than {@code lanes} if those do not fill 64 bits. The rest holds
   * garbage.
   */
  static int speciesLanes(Kind kind, int lanes) {
    return speciesBytes(kind, lanes) / kind.bytes;
  }

  static boolean padded(Kind kind, int lanes) {
    return kind.bytes * lanes < 8;
  }

  void species(Kind kind, int lanes) {
    mv.visitFieldInsn(
        Opcodes.GETSTATIC,
        kind.vector,
        "SPECIES_" + speciesBytes(kind, lanes) * 8,
        "L" + SPECIES + ";");
  }

  void operator(String name, String type) {
    mv.visitFieldInsn(Opcodes.GETSTATIC, OPERATORS, name, "L" + OPERATORS + "$" + type + ";");
  }

  /** {@code v, w -> v op w}. */
  void lanewise(Kind kind, String operator, boolean associative) {
    operator(operator, associative ? "Associative" : "Binary");
    swap();
    invokeVirtual(
        kind.vector,
        "lanewise",
        "(L" + OPERATORS + "$Binary;L" + VECTOR + ";)" + kind.vectorDescriptor());
  }

  /** {@code v, e -> v op e}, the scalar in every lane. */
  void lanewiseScalar(Kind kind, String operator, long e, boolean associative) {
    operator(operator, associative ? "Associative" : "Binary");
    pushConst(kind, e);
    invokeVirtual(
        kind.vector,
        "lanewise",
        "(L" + OPERATORS + "$Binary;" + kind.letter + ")" + kind.vectorDescriptor());
  }

  void lanewiseUnary(Kind kind, String operator) {
    operator(operator, "Unary");
    invokeVirtual(kind.vector, "lanewise", "(L" + OPERATORS + "$Unary;)" + kind.vectorDescriptor());
  }

  /** {@code v, w -> mask}. */
  void compare(Kind kind, String operator) {
    operator(operator, "Comparison");
    swap();
    invokeVirtual(
        kind.vector, "compare", "(L" + OPERATORS + "$Comparison;L" + VECTOR + ";)L" + MASK + ";");
  }

  /** {@code v -> mask} of v op e. */
  void compareScalar(Kind kind, String operator, long e) {
    operator(operator, "Comparison");
    pushConst(kind, e);
    invokeVirtual(
        kind.vector,
        "compare",
        "(L" + OPERATORS + "$Comparison;" + kind.letter + ")L" + MASK + ";");
  }

  /** {@code v, w, mask -> lanes of w where mask, else of v}. */
  void blend(Kind kind) {
    invokeVirtual(
        kind.vector, "blend", "(L" + VECTOR + ";L" + MASK + ";)" + kind.vectorDescriptor());
  }

  /** {@code species, e -> vector}. */
  void broadcast(Kind kind) {
    invokeStatic(
        kind.vector,
        "broadcast",
        "(L" + SPECIES + ";" + kind.letter + ")" + kind.vectorDescriptor());
  }

  void broadcastConst(Kind kind, int lanes, long value) {
    species(kind, lanes);
    pushConst(kind, value);
    broadcast(kind);
  }

  void broadcastFloat(Kind kind, int lanes, double value) {
    species(kind, lanes);
    pushFloating(kind, value);
    broadcast(kind);
  }

  /** {@code v -> v converted to (kind, lanes)} by an operator such as I2F. */
  void convert(String conversion, Kind kind, int lanes) {
    operator(conversion, "Conversion");
    species(kind, lanes);
    op(Opcodes.ICONST_0);
    invokeVirtual(
        VECTOR,
        "convertShape",
        "(L" + OPERATORS + "$Conversion;L" + SPECIES + ";I)L" + VECTOR + ";");
    cast(kind.vector);
  }

  /** The same bits and shape as lanes of another kind. */
  void reinterpret(Kind from, Kind to) {
    if (from != to) {
      invokeVirtual(from.vector, "reinterpretAs" + to.word + "s", "()" + to.vectorDescriptor());
    }
  }

  /** Part {@code part} of the vector as (kind, lanes), which must fill a species. */
  void part(Kind kind, int lanes, int part) {
    species(kind, lanes);
    pushInt(part);
    invokeVirtual(VECTOR, "reinterpretShape", "(L" + SPECIES + ";I)L" + VECTOR + ";");
    cast(kind.vector);
  }

  /** {@code array, index -> vector}, the array pushed after the species. */
  void fromArray(Kind kind, boolean masked) {
    invokeStatic(
        kind.vector,
        "fromArray",
        "(L"
            + SPECIES
            + ";"
            + kind.array()
            + "I"
            + (masked ? "L" + MASK + ";" : "")
            + ")"
            + kind.vectorDescriptor());
  }

  /** {@code vector, array, index[, mask] ->}. */
  void intoArray(Kind kind, boolean masked) {
    invokeVirtual(
        kind.vector,
        "intoArray",
        "(" + kind.array() + "I" + (masked ? "L" + MASK + ";" : "") + ")V");
  }

  void maskAll(Kind kind, int lanes, boolean value) {
    species(kind, lanes);
    pushInt(value ? 1 : 0);
    maskAll();
  }

  /** {@code species, boolean -> mask}. */
  void maskAll() {
    invokeInterface(SPECIES, "maskAll", "(Z)L" + MASK + ";");
  }

  void maskOp(String name) {
    invokeVirtual(MASK, name, "(L" + MASK + ";)L" + MASK + ";");
  }

  void maskNot() {
    invokeVirtual(MASK, "not", "()L" + MASK + ";");
  }

  /** {@code mask -> long}, lane i in bit i. */
  void maskToLong() {
    invokeVirtual(MASK, "toLong", "()J");
  }

  /** {@code long -> mask}. */
  void maskFromLong(Kind kind, int lanes) {
    int bits = newLocal(2);
    var(Opcodes.LSTORE, bits);
    species(kind, lanes);
    var(Opcodes.LLOAD, bits);
    invokeStatic(MASK, "fromLong", "(L" + SPECIES + ";J)L" + MASK + ";");
    release(bits);
  }

  /** A mask over {@code lanes} elements of one kind as a mask of another kind. */
  void maskCast(Kind from, Kind to, int lanes) {
    if (from == to) {
      return;
    }
    if (speciesLanes(from, lanes) == speciesLanes(to, lanes)) {
      species(to, lanes);
      invokeVirtual(MASK, "cast", "(L" + SPECIES + ";)L" + MASK + ";");
    } else {
      maskToLong();
      maskFromLong(to, lanes);
    }
  }
}
