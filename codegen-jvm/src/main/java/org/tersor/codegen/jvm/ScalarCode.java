package org.tersor.codegen.jvm;

import org.objectweb.asm.Label;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;

/**
 * Operations on one element on the Java stack. Types under 32 bits are ints there, sign- or
 * zero-extended; U32 and INDEX are ints, U64 is a long; BOOL is 0 or 1; small floats are the
 * zero-extended codes.
 */
final class ScalarCode {
  private final Code code;

  ScalarCode(Code code) {
    this.code = code;
  }

  /** Extends the low bits of the int on the stack as the type wants it. */
  void canonical(Scalar type) {
    switch (type) {
      case I8 -> code.op(Opcodes.I2B);
      case I16 -> code.op(Opcodes.I2S);
      case U8, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 -> {
        code.pushInt(0xFF);
        code.op(Opcodes.IAND);
      }
      case U16, F16, BF16 -> {
        code.pushInt(0xFFFF);
        code.op(Opcodes.IAND);
      }
      case BOOL, I32, U32, I64, U64, F32, F64, INDEX -> {}
    }
  }

  /** After an element was read from an array. */
  void loaded(Scalar type) {
    if (type == Scalar.BOOL) {
      code.booleanOf(Opcodes.IFNE);
    } else if (type.isUnsigned() || type.isSmallFloat()) {
      canonical(type);
    }
  }

  void constant(Scalar type, long value) {
    switch (Kind.of(type)) {
      case BYTE -> code.pushInt(type == Scalar.I8 ? (byte) value : (int) value & 0xFF);
      case SHORT -> code.pushInt(type == Scalar.I16 ? (short) value : (int) value & 0xFFFF);
      case INT -> code.pushInt((int) value);
      case LONG -> code.pushLong(value);
      case FLOAT -> code.pushFloat((float) value);
      case DOUBLE -> code.pushDouble((double) value);
    }
  }

  void unary(UnaryOp op, Scalar type) {
    Kind kind = Kind.of(type);
    String same = "(" + stack(kind) + ")" + stack(kind);
    switch (primitive(op)) {
      case NEG -> {
        code.op(kind.arithmetic(Opcodes.INEG));
        canonical(type);
      }
      case ABS -> {
        if (!type.isUnsigned()) {
          code.invokeStatic("java/lang/Math", "abs", same);
          canonical(type);
        }
      }
      case NOT -> {
        if (type == Scalar.BOOL) {
          code.op(Opcodes.ICONST_1);
          code.op(Opcodes.IXOR);
        } else {
          code.pushConst(kind, -1);
          code.op(kind == Kind.LONG ? Opcodes.LXOR : Opcodes.IXOR);
          canonical(type);
        }
      }
      case SQRT -> code.invokeStatic(Code.MATH, "sqrt", same);
      case FLOOR -> code.invokeStatic(Code.MATH, "floor", same);
      case CEIL -> code.invokeStatic(Code.MATH, "ceil", same);
      case TRUNC -> code.invokeStatic(Code.MATH, "trunc", same);
      case RINT -> code.invokeStatic(Code.MATH, "rint", same);
      case POPCOUNT -> {
        if (kind == Kind.LONG) {
          code.invokeStatic("java/lang/Long", "bitCount", "(J)I");
          code.op(Opcodes.I2L);
        } else {
          if (kind != Kind.INT) {
            code.pushInt(kind == Kind.BYTE ? 0xFF : 0xFFFF);
            code.op(Opcodes.IAND);
          }
          code.invokeStatic("java/lang/Integer", "bitCount", "(I)I");
        }
      }
    }
  }

  void binary(BinaryOp op, Scalar type) {
    Kind kind = Kind.of(type);
    String same = "(" + stack(kind) + stack(kind) + ")" + stack(kind);
    boolean bit32 = (type.isUnsigned() && kind == Kind.INT) || type == Scalar.U64;
    switch (op) {
      case ADD -> arithmetic(Opcodes.IADD, kind, type);
      case SUB -> arithmetic(Opcodes.ISUB, kind, type);
      case MUL -> arithmetic(Opcodes.IMUL, kind, type);
      case DIV -> {
        if (type.isFloat()) {
          code.op(kind.arithmetic(Opcodes.IDIV));
        } else {
          code.invokeStatic(Code.MATH, bit32 ? "divUnsigned" : "div", same);
          canonical(type);
        }
      }
      case REM -> code.invokeStatic(Code.MATH, bit32 ? "remUnsigned" : "rem", same);
      case FLOORDIV -> code.invokeStatic(Code.MATH, "floorDiv", same);
      case FLOORMOD -> code.invokeStatic(Code.MATH, "floorMod", same);
      case MIN ->
          code.invokeStatic(
              bit32 ? Code.MATH : "java/lang/Math", bit32 ? "minUnsigned" : "min", same);
      case MAX ->
          code.invokeStatic(
              bit32 ? Code.MATH : "java/lang/Math", bit32 ? "maxUnsigned" : "max", same);
      case AND -> code.op(kind == Kind.LONG ? Opcodes.LAND : Opcodes.IAND);
      case OR -> code.op(kind == Kind.LONG ? Opcodes.LOR : Opcodes.IOR);
      case XOR -> code.op(kind == Kind.LONG ? Opcodes.LXOR : Opcodes.IXOR);
      case SHL -> shift(kind, type, Opcodes.ISHL, Opcodes.LSHL);
      case SHR -> {
        if (type.isUnsigned()) {
          shift(kind, type, Opcodes.IUSHR, Opcodes.LUSHR);
        } else {
          shift(kind, type, Opcodes.ISHR, Opcodes.LSHR);
        }
      }
      case FMOD -> code.op(kind.arithmetic(Opcodes.IREM));
      case POW, ATAN2 -> throw notLegal(op);
    }
  }

  private void arithmetic(int intOpcode, Kind kind, Scalar type) {
    code.op(kind.arithmetic(intOpcode));
    canonical(type);
  }

  private void shift(Kind kind, Scalar type, int intOpcode, int longOpcode) {
    if (kind == Kind.LONG) {
      code.op(Opcodes.L2I);
      code.op(longOpcode);
      return;
    }
    if (kind != Kind.INT) {
      code.pushInt(kind.bytes * 8 - 1);
      code.op(Opcodes.IAND);
    }
    code.op(intOpcode);
    canonical(type);
  }

  /** {@code a, b -> } and a jump where {@code a op b} is {@code wanted}. */
  void jumpIf(CompareOp op, Scalar type, boolean wanted, Label target) {
    Kind kind = Kind.of(type);
    boolean less = op == CompareOp.LT || op == CompareOp.LE;
    switch (kind) {
      case BYTE, SHORT, INT -> {
        if (type != Scalar.U32) {
          code.jump(Opcodes.IF_ICMPEQ - Opcodes.IFEQ + zeroJump(op, wanted), target);
          return;
        }
        code.invokeStatic("java/lang/Integer", "compareUnsigned", "(II)I");
      }
      case LONG -> {
        if (type == Scalar.U64) {
          code.invokeStatic("java/lang/Long", "compareUnsigned", "(JJ)I");
        } else {
          code.op(Opcodes.LCMP);
        }
      }
      // A NaN must make every comparison but NE false.
      case FLOAT -> code.op(less ? Opcodes.FCMPG : Opcodes.FCMPL);
      case DOUBLE -> code.op(less ? Opcodes.DCMPG : Opcodes.DCMPL);
    }
    code.jump(zeroJump(op, wanted), target);
  }

  private static int zeroJump(CompareOp op, boolean wanted) {
    return switch (op) {
      case EQ -> wanted ? Opcodes.IFEQ : Opcodes.IFNE;
      case NE -> wanted ? Opcodes.IFNE : Opcodes.IFEQ;
      case LT -> wanted ? Opcodes.IFLT : Opcodes.IFGE;
      case LE -> wanted ? Opcodes.IFLE : Opcodes.IFGT;
      case GT -> wanted ? Opcodes.IFGT : Opcodes.IFLE;
      case GE -> wanted ? Opcodes.IFGE : Opcodes.IFLT;
    };
  }

  /** {@code a, b -> 0 or 1}. */
  void compare(CompareOp op, Scalar type) {
    Label yes = new Label();
    Label end = new Label();
    jumpIf(op, type, true, yes);
    code.op(Opcodes.ICONST_0);
    code.jump(Opcodes.GOTO, end);
    code.label(yes);
    code.op(Opcodes.ICONST_1);
    code.label(end);
  }

  void fma(Scalar type) {
    String t = stack(Kind.of(type));
    code.invokeStatic("java/lang/Math", "fma", "(" + t + t + t + ")" + t);
  }

  void cast(Scalar from, Scalar to, boolean inRange) {
    if (from == to) {
      return;
    }
    if (from.isSmallFloat()) {
      code.mv.visitLdcInsn(from.dtype().name());
      code.invokeStatic(Code.MATH, "decodeFloat", "(ILjava/lang/String;)F");
      cast(Scalar.F32, to, inRange);
    } else if (to.isSmallFloat()) {
      if (Kind.of(from) == Kind.LONG) {
        code.pushInt(from == Scalar.U64 ? 1 : 0);
        code.invokeStatic(Code.MATH, "sticky", "(JZ)D");
      } else {
        cast(from, Scalar.F64, false);
      }
      code.mv.visitLdcInsn(to.dtype().name());
      code.invokeStatic(Code.MATH, "encode", "(DLjava/lang/String;)I");
    } else if (to == Scalar.BOOL) {
      code.pushConst(Kind.of(from), 0);
      compare(CompareOp.NE, from);
    } else if (from.isFloat()) {
      fromFloat(from, to, inRange);
    } else if (to.isFloat()) {
      toFloat(from, to);
    } else {
      integer(from, to);
    }
  }

  private void fromFloat(Scalar from, Scalar to, boolean inRange) {
    boolean single = from == Scalar.F32;
    String argument = single ? "(F)" : "(D)";
    switch (to) {
      case F32 -> code.op(Opcodes.D2F);
      case F64 -> code.op(Opcodes.F2D);
      case I64 -> code.op(single ? Opcodes.F2L : Opcodes.D2L);
      case U64 -> code.invokeStatic(Code.MATH, "toUnsignedLong", argument + "J");
      case U32 -> code.invokeStatic(Code.MATH, "toUnsignedInt", argument + "I");
      case I32, INDEX -> code.op(single ? Opcodes.F2I : Opcodes.D2I);
      default -> {
        code.op(single ? Opcodes.F2I : Opcodes.D2I);
        if (inRange) {
          canonical(to);
        } else {
          code.pushInt((int) to.dtype().minValue());
          code.pushInt((int) to.dtype().maxValue());
          code.invokeStatic(Code.MATH, "clamp", "(III)I");
        }
      }
    }
  }

  private void toFloat(Scalar from, Scalar to) {
    boolean single = to == Scalar.F32;
    if (from == Scalar.U64) {
      code.invokeStatic(
          Code.MATH, single ? "unsignedToFloat" : "unsignedToDouble", single ? "(J)F" : "(J)D");
      return;
    }
    if (from == Scalar.U32) {
      integer(Scalar.U32, Scalar.I64);
    }
    boolean wide = from == Scalar.U32 || from == Scalar.I64;
    code.op(wide ? (single ? Opcodes.L2F : Opcodes.L2D) : (single ? Opcodes.I2F : Opcodes.I2D));
  }

  private void integer(Scalar from, Scalar to) {
    boolean fromLong = Kind.of(from) == Kind.LONG;
    boolean toLong = Kind.of(to) == Kind.LONG;
    if (fromLong && !toLong) {
      code.op(Opcodes.L2I);
    } else if (!fromLong && toLong) {
      code.op(Opcodes.I2L);
      if (from == Scalar.U32) {
        code.pushLong(0xFFFF_FFFFL);
        code.op(Opcodes.LAND);
      }
    }
    canonical(to);
  }

  /** The bits of an element as those of another type of the same size. */
  void bits(Scalar from, Scalar to) {
    Kind a = Kind.of(from);
    Kind b = Kind.of(to);
    if (a == Kind.FLOAT && b == Kind.INT) {
      code.invokeStatic("java/lang/Float", "floatToRawIntBits", "(F)I");
    } else if (a == Kind.DOUBLE && b == Kind.LONG) {
      code.invokeStatic("java/lang/Double", "doubleToRawLongBits", "(D)J");
    } else if (a == Kind.INT && b == Kind.FLOAT) {
      code.invokeStatic("java/lang/Float", "intBitsToFloat", "(I)F");
    } else if (a == Kind.LONG && b == Kind.DOUBLE) {
      code.invokeStatic("java/lang/Double", "longBitsToDouble", "(J)D");
    } else {
      canonical(to);
    }
  }

  static String stack(Kind kind) {
    return kind.bytes < 4 ? "I" : String.valueOf(kind.letter);
  }

  static UnaryOp.Primitive primitive(UnaryOp op) {
    return op.primitive().orElseThrow(() -> notLegal(op));
  }

  static IllegalArgumentException notLegal(Enum<?> op) {
    return new IllegalArgumentException("the function was not legalised: " + op);
  }
}
