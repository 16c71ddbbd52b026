package org.tersor.codegen.jvm;

import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.Scalar;

/** Java's primitive array elements: what a scalar type of the loop IR occupies on the JVM. */
enum Kind {
  BYTE('B', 1, "Byte", Opcodes.T_BYTE, Opcodes.BALOAD, Opcodes.BASTORE),
  SHORT('S', 2, "Short", Opcodes.T_SHORT, Opcodes.SALOAD, Opcodes.SASTORE),
  INT('I', 4, "Int", Opcodes.T_INT, Opcodes.IALOAD, Opcodes.IASTORE),
  LONG('J', 8, "Long", Opcodes.T_LONG, Opcodes.LALOAD, Opcodes.LASTORE),
  FLOAT('F', 4, "Float", Opcodes.T_FLOAT, Opcodes.FALOAD, Opcodes.FASTORE),
  DOUBLE('D', 8, "Double", Opcodes.T_DOUBLE, Opcodes.DALOAD, Opcodes.DASTORE);

  /** Letter in descriptors. */
  final char letter;

  final int bytes;

  /** As in the names of the Vector API. */
  final String word;

  /** Internal name of the vector class. */
  final String vector;

  final int newArrayCode;
  final int arrayLoad;
  final int arrayStore;

  Kind(char letter, int bytes, String word, int newArrayCode, int arrayLoad, int arrayStore) {
    this.letter = letter;
    this.bytes = bytes;
    this.word = word;
    this.vector = "jdk/incubator/vector/" + word + "Vector";
    this.newArrayCode = newArrayCode;
    this.arrayLoad = arrayLoad;
    this.arrayStore = arrayStore;
  }

  /** Kind of the elements; of INDEX, int. */
  static Kind of(Scalar scalar) {
    return switch (scalar) {
      case BOOL, I8, U8, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 -> BYTE;
      case I16, U16, F16, BF16 -> SHORT;
      case I32, U32, INDEX -> INT;
      case I64, U64 -> LONG;
      case F32 -> FLOAT;
      case F64 -> DOUBLE;
    };
  }

  /** The integer kind of the same size. */
  Kind integer() {
    return switch (this) {
      case FLOAT -> INT;
      case DOUBLE -> LONG;
      case BYTE, SHORT, INT, LONG -> this;
    };
  }

  String array() {
    return "[" + letter;
  }

  String vectorDescriptor() {
    return "L" + vector + ";";
  }

  /** Slots of a value on the stack. */
  int slots() {
    return this == LONG || this == DOUBLE ? 2 : 1;
  }

  private int typed(int intOpcode) {
    return switch (this) {
      case BYTE, SHORT, INT -> intOpcode;
      case LONG -> intOpcode + 1;
      case FLOAT -> intOpcode + 2;
      case DOUBLE -> intOpcode + 3;
    };
  }

  int localLoad() {
    return typed(Opcodes.ILOAD);
  }

  int localStore() {
    return typed(Opcodes.ISTORE);
  }

  /** IADD, ISUB, IMUL, IDIV, IREM or INEG for this kind. */
  int arithmetic(int intOpcode) {
    return typed(intOpcode);
  }
}
