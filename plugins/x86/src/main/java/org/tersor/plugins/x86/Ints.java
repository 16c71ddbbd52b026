package org.tersor.plugins.x86;

import java.util.Optional;
import java.util.function.Supplier;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;

/** Scalar integers and scalar bool in integer registers. Results are in new registers. */
final class Ints {
  private final Code code;

  Ints(Code code) {
    this.code = code;
  }

  static int size(Scalar s) {
    return s.bytes() == 8 ? 8 : 4;
  }

  /** Brings the low bits into the form that registers have; the register itself is changed. */
  Reg normal(Scalar s, Reg r) {
    switch (s) {
      case I8 -> code.two(Op.MOVSB, 4, r, r);
      case I16 -> code.two(Op.MOVSW, 4, r, r);
      case U8, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 ->
          code.two(Op.MOVZB, 4, r, r);
      case U16, F16, BF16 -> code.two(Op.MOVZW, 4, r, r);
      case BOOL, I32, U32, I64, U64, INDEX, F32, F64 -> {}
    }
    return r;
  }

  Reg unary(UnaryOp.Primitive op, Scalar s, Reg a) {
    int size = size(s);
    Reg t = code.copy(a);
    switch (op) {
      case NEG -> code.change(Op.NEG, size, t, 0);
      case NOT -> {
        if (s == Scalar.BOOL) {
          code.change(Op.XORI, 4, t, 1);
          return t;
        }
        code.change(Op.NOT, size, t, 0);
      }
      case ABS -> {
        if (!s.isUnsigned()) {
          code.change(Op.NEG, size, t, 0);
          code.two(Op.CMOVCC, size, t, a).imm(Condition.NEGATIVE);
        }
      }
      case POPCOUNT -> {
        switch (s.bytes()) {
          case 1 -> code.two(Op.MOVZB, 4, t, a);
          case 2 -> code.two(Op.MOVZW, 4, t, a);
          default -> {}
        }
        Reg count = Code.integer();
        code.two(Op.POPCNT, size, count, t);
        return count;
      }
      case SQRT, FLOOR, CEIL, TRUNC, RINT ->
          throw new IllegalStateException(op + " of " + s.text());
    }
    return normal(s, t);
  }

  /** {@code constant}: what b is, where that is known. */
  Reg binary(BinaryOp op, Scalar s, Reg a, Reg b, Optional<Long> constant) {
    int size = size(s);
    return switch (op) {
      case ADD -> normal(s, tied(Op.ADD, size, a, b));
      case SUB -> normal(s, tied(Op.SUB, size, a, b));
      case MUL -> normal(s, tied(Op.IMUL, size, a, b));
      case AND -> tied(Op.AND, size, a, b);
      case OR -> tied(Op.OR, size, a, b);
      case XOR -> tied(Op.XOR, size, a, b);
      case MIN -> pick(CompareOp.LT, s, a, b);
      case MAX -> pick(CompareOp.GT, s, a, b);
      case SHL, SHR -> shift(op == BinaryOp.SHL, s, a, b, constant);
      case DIV ->
          constant.isPresent() ? byConstant(true, s, a, b, constant.get()) : divide(true, s, a, b);
      case REM ->
          constant.isPresent()
              ? byConstant(false, s, a, b, constant.get())
              : divide(false, s, a, b);
      case FLOORDIV -> floor(true, a, b, constant);
      case FLOORMOD -> floor(false, a, b, constant);
      case FMOD, POW, ATAN2 -> throw Faults.notLegal(op);
    };
  }

  private Reg tied(Op op, int size, Reg a, Reg b) {
    Reg t = code.copy(a);
    code.two(op, size, t, b);
    return t;
  }

  /** a if it compares so with b, else b. */
  private Reg pick(CompareOp better, Scalar s, Reg a, Reg b) {
    Reg t = code.copy(b);
    int size = size(s);
    code.read(Op.CMP, size, a, b);
    code.two(Op.CMOVCC, size, t, a).imm(Condition.of(better, !s.isUnsigned()));
    return t;
  }

  private Reg shift(boolean left, Scalar s, Reg a, Reg b, Optional<Long> constant) {
    int size = size(s);
    int most = 8 * s.bytes() - 1;
    Op byNumber = left ? Op.SHLI : s.isUnsigned() ? Op.SHRI : Op.SARI;
    if (constant.isPresent()) {
      Reg t = code.copy(a);
      code.change(byNumber, size, t, constant.get() & most);
      return normal(s, t);
    }
    Reg count = b;
    if (s.bytes() < 4) {
      count = code.copy(b);
      code.change(Op.ANDI, 4, count, most);
    }
    Reg t = Code.integer();
    Op op = left ? Op.SHLX : s.isUnsigned() ? Op.SHRX : Op.SARX;
    code.three(op, size, t, count, a);
    return normal(s, t);
  }

  private Reg byConstant(boolean quotient, Scalar s, Reg a, Reg b, long divisor) {
    int width = 8 * s.bytes();
    if (divisor == 0) {
      return code.number(0);
    }
    if (divisor == -1 && s.isSigned()) {
      return quotient ? unary(UnaryOp.Primitive.NEG, s, a) : code.number(0);
    }
    if (s.isUnsigned() && Long.bitCount(divisor) == 1) {
      Reg t = code.copy(a);
      if (quotient) {
        code.change(Op.SHRI, width == 64 ? 8 : 4, t, Long.numberOfTrailingZeros(divisor));
      } else {
        code.two(Op.AND, size(s), t, code.number(divisor - 1));
      }
      return t;
    }
    return normal(s, plain(quotient, s, a, b));
  }

  /** A division that cannot fail: of 32 bits or less by way of 64. */
  private Reg plain(boolean quotient, Scalar s, Reg a, Reg b) {
    boolean unsigned = s.isUnsigned();
    int size = size(s);
    Operand divisor = b;
    if (unsigned) {
      code.two(Op.MOV, size, Reg.RAX, a);
      code.change(Op.MOVI, 8, Reg.RDX, 0);
      code.add(new Ins(Op.DIV, size).operand(divisor));
    } else {
      Reg wide = b;
      if (size == 4) {
        wide = Code.integer();
        code.two(Op.MOVSD, 8, wide, b);
        code.two(Op.MOVSD, 8, Reg.RAX, a);
      } else {
        code.two(Op.MOV, 8, Reg.RAX, a);
      }
      code.add(new Ins(Op.CDQ, 8));
      code.add(new Ins(Op.IDIV, 8).operand(wide));
    }
    Reg result = Code.integer();
    code.two(Op.MOV, 8, result, quotient ? Reg.RAX : Reg.RDX);
    return result;
  }

  /** x / 0 and x % 0 are 0; the smallest integer / -1 wraps. */
  private Reg divide(boolean quotient, Scalar s, Reg a, Reg b) {
    int size = size(s);
    Reg result = code.number(0);
    Label end = new Label();
    code.read(Op.TEST, size, b, b);
    code.jump(Condition.ZERO, end);
    if (size == 8 && s.isSigned()) {
      Label usual = new Label();
      code.add(new Ins(Op.CMPI, 8).operand(b).imm(-1));
      code.jump(Condition.NOT_ZERO, usual);
      if (quotient) {
        Reg negative = code.copy(a);
        code.change(Op.NEG, 8, negative, 0);
        code.move(result, negative);
      }
      code.jump(end);
      code.label(usual);
    }
    code.move(result, plain(quotient, s, a, b));
    code.label(end);
    return normal(s, result);
  }

  /** Of INDEX: toward minus infinity; 0 by what is not positive. */
  private Reg floor(boolean quotient, Reg a, Reg b, Optional<Long> constant) {
    if (constant.isPresent()) {
      long divisor = constant.get();
      if (divisor <= 0) {
        return code.number(0);
      }
      if (Long.bitCount(divisor) == 1) {
        Reg t = code.copy(a);
        if (quotient) {
          code.change(Op.SARI, 8, t, Long.numberOfTrailingZeros(divisor));
        } else if (divisor - 1 == (int) (divisor - 1)) {
          code.change(Op.ANDI, 8, t, divisor - 1);
        } else {
          code.two(Op.AND, 8, t, code.number(divisor - 1));
        }
        return t;
      }
      return floored(quotient, a, b);
    }
    Reg result = code.number(0);
    Label end = new Label();
    code.read(Op.TEST, 8, b, b);
    code.jump(Condition.NOT_GREATER, end);
    code.move(result, floored(quotient, a, b));
    code.label(end);
    return result;
  }

  private Reg floored(boolean quotient, Reg a, Reg b) {
    code.two(Op.MOV, 8, Reg.RAX, a);
    code.add(new Ins(Op.CDQ, 8));
    code.add(new Ins(Op.IDIV, 8).operand(b));
    Reg result = Code.integer();
    Reg rest = Code.integer();
    if (quotient) {
      code.two(Op.MOV, 8, result, Reg.RAX);
    }
    code.two(Op.MOV, 8, rest, Reg.RDX);
    // All ones where the remainder is negative.
    Reg sign = code.copy(rest);
    code.change(Op.SARI, 8, sign, 63);
    if (quotient) {
      code.two(Op.ADD, 8, result, sign);
      return result;
    }
    code.two(Op.AND, 8, sign, b);
    code.two(Op.ADD, 8, rest, sign);
    return rest;
  }

  /** The truth of a comparison as 0 or 1. */
  Reg compare(CompareOp op, Scalar s, Reg a, Reg b) {
    code.read(Op.CMP, size(s), a, b);
    return flag(Condition.of(op, s.isSigned()));
  }

  /** A condition of the last comparison as 0 or 1. */
  Reg flag(int condition) {
    Reg t = Code.integer();
    code.change(Op.SETCC, 4, t, condition);
    Reg bool = Code.integer();
    code.two(Op.MOVZB, 4, bool, t);
    return bool;
  }

  /** Whether a number is not zero. */
  Reg truth(Scalar s, Reg a) {
    code.read(Op.TEST, size(s), a, a);
    return flag(Condition.NOT_ZERO);
  }

  Reg select(Reg condition, Reg then, Reg otherwise) {
    Reg t = code.copy(otherwise);
    code.read(Op.TEST, 4, condition, condition);
    code.two(Op.CMOVCC, 8, t, then).imm(Condition.NOT_ZERO);
    return t;
  }

  /** Integer (or bool) to integer. */
  Reg convert(Scalar from, Scalar to, Reg a) {
    Reg t = Code.integer();
    if (size(to) == 8 && size(from) == 4) {
      // The upper half is anything.
      if (from.isSigned()) {
        code.two(Op.MOVSD, 8, t, a);
      } else {
        code.two(Op.MOV, 4, t, a);
      }
      return t;
    }
    code.move(t, a);
    return normal(to, t);
  }

  /** Runs code only where a condition holds, with a register that keeps 0 otherwise. */
  Reg guarded(Reg condition, Reg result, Supplier<Reg> value) {
    Label end = new Label();
    code.read(Op.TEST, 4, condition, condition);
    code.jump(Condition.ZERO, end);
    code.move(result, value.get());
    code.label(end);
    return result;
  }
}
