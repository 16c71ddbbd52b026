package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;

/**
 * Operations on the lanes of one vector register, floats and integers. Scalar floats are vectors of
 * one lane. Results are in new registers.
 */
final class Vectors {
  private final Code code;

  Vectors(Code code) {
    this.code = code;
  }

  /** The sign bit of a float. */
  private static long sign(Scalar s) {
    return s == Scalar.F32 ? 0x80000000L : Long.MIN_VALUE;
  }

  private Reg three(Op op, int size, Reg a, Operand b) {
    Reg t = Code.vector();
    code.three(op, size, t, a, b);
    return t;
  }

  private Reg three(Op op, int size, Reg a, Operand b, long imm) {
    Reg t = Code.vector();
    code.three(op, size, t, a, b).imm(imm);
    return t;
  }

  private Reg two(Op op, int size, Operand a) {
    Reg t = Code.vector();
    code.two(op, size, t, a);
    return t;
  }

  private Reg shift(Op op, int size, Reg a, int count) {
    Reg t = Code.vector();
    code.two(op, size, t, a).imm(count);
    return t;
  }

  private Reg zero() {
    return code.all(4, 0);
  }

  private Reg all(Scalar s, long value) {
    return code.all(s.bytes(), value);
  }

  static long bits(Scalar s, double value) {
    return s == Scalar.F32
        ? Float.floatToRawIntBits((float) value) & 0xFFFFFFFFL
        : Double.doubleToRawLongBits(value);
  }

  /** {@code type} is that of the lanes in the register. */
  Reg unary(UnaryOp.Primitive op, Type type, Reg a) {
    Scalar s = type.scalar();
    int size = Val.size(type);
    boolean single = s == Scalar.F32;
    return switch (op) {
      case NEG ->
          s.isFloat() ? logic(Op.VPXORD, size, a, all(s, sign(s))) : sub(s, size, zero(), a);
      case ABS ->
          s.isFloat()
              ? logic(Op.VPANDD, size, a, all(s, ~sign(s) & (single ? 0xFFFFFFFFL : -1L)))
              : s.isUnsigned() ? code.copy(a) : two(absolute(s), size, a);
      case NOT -> logic(Op.VPXORD, size, a, code.all(4, 0xFFFFFFFFL));
      case SQRT ->
          type.isVector()
              ? two(single ? Op.VSQRTPS : Op.VSQRTPD, size, a)
              : three(single ? Op.VSQRTSS : Op.VSQRTSD, size, a, a);
      case FLOOR -> round(s, size, a, 9);
      case CEIL -> round(s, size, a, 10);
      case TRUNC -> round(s, size, a, 11);
      case RINT -> round(s, size, a, 8);
      case POPCOUNT -> popcount(s, size, a);
    };
  }

  private Reg logic(Op op, int size, Reg a, Operand b) {
    return three(op, size, a, b);
  }

  private Reg round(Scalar s, int size, Reg a, int mode) {
    Reg t = Code.vector();
    code.two(s == Scalar.F32 ? Op.VRNDSCALEPS : Op.VRNDSCALEPD, size, t, a).imm(mode);
    return t;
  }

  /** Bits are added to pairs, fours, bytes, then bytes to the width. */
  private Reg popcount(Scalar s, int size, Reg a) {
    Reg ones = code.all(1, 0x55);
    Reg twos = code.all(1, 0x33);
    Reg fours = code.all(1, 0x0f);
    Reg x = sub(Scalar.U8, size, a, logic(Op.VPANDD, size, shift(Op.VPSRLQ, size, a, 1), ones));
    Reg high = logic(Op.VPANDD, size, shift(Op.VPSRLQ, size, x, 2), twos);
    x = three(Op.VPADDB, size, logic(Op.VPANDD, size, x, twos), high);
    x = three(Op.VPADDB, size, x, logic(Op.VPANDD, size, shift(Op.VPSRLQ, size, x, 4), fours));
    x = logic(Op.VPANDD, size, x, fours);
    for (int bytes = 1; bytes < s.bytes(); bytes *= 2) {
      x = three(Op.VPADDB, size, x, shift(Op.VPSRLQ, size, x, 8 * bytes));
    }
    return s.bytes() == 1 ? x : logic(Op.VPANDD, size, x, all(s, 0x7f));
  }

  private static Op absolute(Scalar s) {
    return switch (s.bytes()) {
      case 1 -> Op.VPABSB;
      case 2 -> Op.VPABSW;
      case 4 -> Op.VPABSD;
      default -> Op.VPABSQ;
    };
  }

  static Op add(int bytes) {
    return switch (bytes) {
      case 1 -> Op.VPADDB;
      case 2 -> Op.VPADDW;
      case 4 -> Op.VPADDD;
      default -> Op.VPADDQ;
    };
  }

  private Reg sub(Scalar s, int size, Reg a, Operand b) {
    return three(subtract(s), size, a, b);
  }

  private static Op subtract(Scalar s) {
    return switch (s.bytes()) {
      case 1 -> Op.VPSUBB;
      case 2 -> Op.VPSUBW;
      case 4 -> Op.VPSUBD;
      default -> Op.VPSUBQ;
    };
  }

  /** The instruction that does an operation alone, if there is one. */
  static Optional<Op> instruction(BinaryOp op, Type type) {
    Scalar s = type.scalar();
    if (s.isFloat()) {
      return floats(op, s == Scalar.F32, type.isVector());
    }
    return switch (op) {
      case ADD -> Optional.of(add(s.bytes()));
      case SUB -> Optional.of(subtract(s));
      case MUL ->
          switch (s.bytes()) {
            case 1 -> Optional.empty();
            case 2 -> Optional.of(Op.VPMULLW);
            case 4 -> Optional.of(Op.VPMULLD);
            default -> Optional.of(Op.VPMULLQ);
          };
      case AND -> Optional.of(s.bytes() == 8 ? Op.VPANDQ : Op.VPANDD);
      case OR -> Optional.of(s.bytes() == 8 ? Op.VPORQ : Op.VPORD);
      case XOR -> Optional.of(s.bytes() == 8 ? Op.VPXORQ : Op.VPXORD);
      case MIN, MAX -> Optional.of(extremum(op == BinaryOp.MAX, s));
      default -> Optional.empty();
    };
  }

  private static Optional<Op> floats(BinaryOp op, boolean single, boolean vector) {
    return switch (op) {
      case ADD ->
          Optional.of(vector ? single ? Op.VADDPS : Op.VADDPD : single ? Op.VADDSS : Op.VADDSD);
      case SUB ->
          Optional.of(vector ? single ? Op.VSUBPS : Op.VSUBPD : single ? Op.VSUBSS : Op.VSUBSD);
      case MUL ->
          Optional.of(vector ? single ? Op.VMULPS : Op.VMULPD : single ? Op.VMULSS : Op.VMULSD);
      case DIV ->
          Optional.of(vector ? single ? Op.VDIVPS : Op.VDIVPD : single ? Op.VDIVSS : Op.VDIVSD);
      default -> Optional.empty();
    };
  }

  private static Op extremum(boolean max, Scalar s) {
    boolean unsigned = s.isUnsigned();
    return switch (s.bytes()) {
      case 1 -> unsigned ? max ? Op.VPMAXUB : Op.VPMINUB : max ? Op.VPMAXSB : Op.VPMINSB;
      case 2 -> unsigned ? max ? Op.VPMAXUW : Op.VPMINUW : max ? Op.VPMAXSW : Op.VPMINSW;
      case 4 -> unsigned ? max ? Op.VPMAXUD : Op.VPMINUD : max ? Op.VPMAXSD : Op.VPMINSD;
      default -> unsigned ? max ? Op.VPMAXUQ : Op.VPMINUQ : max ? Op.VPMAXSQ : Op.VPMINSQ;
    };
  }

  static boolean commutes(BinaryOp op) {
    return switch (op) {
      case ADD, MUL, AND, OR, XOR, MIN, MAX -> true;
      default -> false;
    };
  }

  /** Whether {@link #binary} does it; divisions of integers are done lane by lane. */
  static boolean does(BinaryOp op, Scalar s) {
    return switch (op) {
      case ADD, SUB, MUL, AND, OR, XOR, MIN, MAX, SHL, SHR -> true;
      case DIV -> s.isFloat();
      case REM, FLOORDIV, FLOORMOD, FMOD, POW, ATAN2 -> false;
    };
  }

  /** {@code constant}: what every lane of b is, where that is known, of integers. */
  Reg binary(BinaryOp op, Type type, Reg a, Operand b, Optional<Long> constant) {
    Optional<Op> instruction = instruction(op, type);
    int size = Val.size(type);
    if (instruction.isPresent()) {
      return three(instruction.get(), size, a, b);
    }
    Scalar s = type.scalar();
    Reg second = b instanceof Reg r ? r : two(Op.VMOVDQU32, size, b);
    return switch (op) {
      case MIN, MAX -> floatExtremum(op == BinaryOp.MAX, type, a, second);
      case MUL -> multiplyBytes(size, a, second);
      case SHL, SHR ->
          constant.isPresent()
              ? shiftByNumber(op == BinaryOp.SHL, s, size, a, constant.get())
              : shift(op == BinaryOp.SHL, s, size, a, second);
      default -> throw new IllegalStateException(op + " of " + type);
    };
  }

  /** NaN where either is; the instruction tells zeros apart by their signs. */
  private Reg floatExtremum(boolean max, Type type, Reg a, Reg b) {
    boolean single = type.scalar() == Scalar.F32;
    int size = Val.size(type);
    Reg t = three(single ? Op.VRANGEPS : Op.VRANGEPD, size, a, b, max ? 5 : 4);
    Reg nan = Code.maskRegister();
    code.three(single ? Op.VCMPPS : Op.VCMPPD, size, nan, a, b).imm(Condition.UNORDERED);
    code.three(single ? Op.VADDPS : Op.VADDPD, size, t, a, b).mask(nan, false);
    return t;
  }

  /**
   * The plain instruction gives its second operand, x, where either is NaN and where both are zero:
   * right for every constant but NaN and the zero that must win over the other one in x. The
   * greatest of +0 and x becomes right by adding +0, which turns -0 into +0 and nothing else.
   */
  Optional<Reg> withConstant(boolean max, Type type, double constant, Operand x) {
    boolean negative = Double.doubleToRawLongBits(constant) < 0;
    if (Double.isNaN(constant) || (constant == 0 && !max && negative)) {
      return Optional.empty();
    }
    Scalar s = type.scalar();
    boolean single = s == Scalar.F32;
    int size = Val.size(type);
    Reg bound = all(s, bits(s, constant));
    Reg t =
        three(
            max ? single ? Op.VMAXPS : Op.VMAXPD : single ? Op.VMINPS : Op.VMINPD, size, bound, x);
    return Optional.of(
        constant == 0 && max && !negative
            ? three(single ? Op.VADDPS : Op.VADDPD, size, t, bound)
            : t);
  }

  /** Bytes are multiplied in words: the even ones, and the odd ones shifted down. */
  private Reg multiplyBytes(int size, Reg a, Reg b) {
    Reg even = logic(Op.VPANDD, size, three(Op.VPMULLW, size, a, b), code.all(2, 0xff));
    Reg odd = three(Op.VPMULLW, size, shift(Op.VPSRLW, size, a, 8), shift(Op.VPSRLW, size, b, 8));
    return logic(Op.VPORD, size, even, shift(Op.VPSLLW, size, odd, 8));
  }

  private Reg shift(boolean left, Scalar s, int size, Reg a, Reg b) {
    Reg count = logic(Op.VPANDD, size, b, all(s, 8 * s.bytes() - 1));
    boolean unsigned = s.isUnsigned();
    return switch (s.bytes()) {
      case 1 -> shiftBytes(left, unsigned, size, a, count);
      case 2 -> three(left ? Op.VPSLLVW : unsigned ? Op.VPSRLVW : Op.VPSRAVW, size, a, count);
      case 4 -> three(left ? Op.VPSLLVD : unsigned ? Op.VPSRLVD : Op.VPSRAVD, size, a, count);
      default -> three(left ? Op.VPSLLVQ : unsigned ? Op.VPSRLVQ : Op.VPSRAVQ, size, a, count);
    };
  }

  private Reg shiftBytes(boolean left, boolean unsigned, int size, Reg a, Reg count) {
    Reg low = code.all(2, 0xff);
    Reg evenCount = logic(Op.VPANDD, size, count, low);
    Reg oddCount = shift(Op.VPSRLW, size, count, 8);
    Op by = left ? Op.VPSLLVW : unsigned ? Op.VPSRLVW : Op.VPSRAVW;
    Reg even =
        left || unsigned
            ? logic(Op.VPANDD, size, a, low)
            : shift(Op.VPSRAW, size, shift(Op.VPSLLW, size, a, 8), 8);
    Reg odd = shift(left || unsigned ? Op.VPSRLW : Op.VPSRAW, size, a, 8);
    Reg evens = logic(Op.VPANDD, size, three(by, size, even, evenCount), low);
    Reg odds = shift(Op.VPSLLW, size, three(by, size, odd, oddCount), 8);
    return logic(Op.VPORD, size, evens, odds);
  }

  private Reg shiftByNumber(boolean left, Scalar s, int size, Reg a, long number) {
    int count = (int) (number & (8 * s.bytes() - 1));
    boolean unsigned = s.isUnsigned();
    return switch (s.bytes()) {
      case 1 -> shift(left, s, size, a, code.all(1, count));
      case 2 -> shift(left ? Op.VPSLLW : unsigned ? Op.VPSRLW : Op.VPSRAW, size, a, count);
      case 4 -> shift(left ? Op.VPSLLD : unsigned ? Op.VPSRLD : Op.VPSRAD, size, a, count);
      default -> shift(left ? Op.VPSLLQ : unsigned ? Op.VPSRLQ : Op.VPSRAQ, size, a, count);
    };
  }

  /** Lanes of one register that compare so, as a mask; beyond the register's lanes 0. */
  Reg compare(CompareOp op, Type type, Reg a, Operand b) {
    Scalar s = type.scalar();
    Reg t = Code.maskRegister();
    int size = Val.size(type);
    if (s.isFloat()) {
      code.three(s == Scalar.F32 ? Op.VCMPPS : Op.VCMPPD, size, t, a, b)
          .imm(Condition.ofFloats(op));
    } else {
      boolean unsigned = s.isUnsigned();
      Op by =
          switch (s.bytes()) {
            case 1 -> unsigned ? Op.VPCMPUB : Op.VPCMPB;
            case 2 -> unsigned ? Op.VPCMPUW : Op.VPCMPW;
            case 4 -> unsigned ? Op.VPCMPUD : Op.VPCMPD;
            default -> unsigned ? Op.VPCMPUQ : Op.VPCMPQ;
          };
      code.three(by, size, t, a, b).imm(Condition.ofIntegers(op));
    }
    return t;
  }

  /** Lanes that are not zero. */
  Reg nonZero(Type type, Reg a) {
    Scalar s = type.scalar();
    if (s.isFloat()) {
      return compare(CompareOp.NE, type, a, zero());
    }
    Reg t = Code.maskRegister();
    Op by =
        switch (s.bytes()) {
          case 1 -> Op.VPTESTMB;
          case 2 -> Op.VPTESTMW;
          case 4 -> Op.VPTESTMD;
          default -> Op.VPTESTMQ;
        };
    code.three(by, Val.size(type), t, a, a);
    return t;
  }

  /** {@code mask ? then : otherwise}. */
  Reg blend(int elementBytes, int size, Reg mask, Operand then, Reg otherwise) {
    Op op =
        switch (elementBytes) {
          case 1 -> Op.VPBLENDMB;
          case 2 -> Op.VPBLENDMW;
          case 4 -> Op.VPBLENDMD;
          default -> Op.VPBLENDMQ;
        };
    Reg t = Code.vector();
    code.three(op, size, t, otherwise, then).mask(mask, false);
    return t;
  }

  /** A constant in the lanes of a mask, 0 in others. */
  Reg where(Reg mask, int elementBytes, int size, long value) {
    Op op =
        switch (elementBytes) {
          case 1 -> Op.VPBROADCASTB;
          case 2 -> Op.VPBROADCASTW;
          case 4 -> Op.VPBROADCASTD;
          default -> Op.VPBROADCASTQ;
        };
    Reg t = Code.vector();
    code.two(op, size, t, code.element(elementBytes, value)).mask(mask, true);
    return t;
  }

  /**
   * Products of bytes summed without an instruction for it: bytes 0 and 2 of every word, then 1 and
   * 3, as 16 bits, so that no sum of two products leaves 32 bits.
   */
  void dot4(int size, Reg target, Reg sum, Reg a, Reg b) {
    Reg evenA = logic(Op.VPANDD, size, a, code.all(2, 0xff));
    Reg oddA = shift(Op.VPSRLW, size, a, 8);
    Reg evenB = shift(Op.VPSRAW, size, shift(Op.VPSLLW, size, b, 8), 8);
    Reg oddB = shift(Op.VPSRAW, size, b, 8);
    Reg even = three(Op.VPMADDWD, size, evenA, evenB);
    Reg odd = three(Op.VPMADDWD, size, oddA, oddB);
    code.three(Op.VPADDD, size, target, three(Op.VPADDD, size, even, odd), sum);
  }

  /** Halves combined until one lane is left in the low end of a register. */
  Reg reduce(BinaryOp op, Type type, List<Reg> parts) {
    List<Reg> left = new ArrayList<>(parts);
    Type type0 = type.withLanes(Val.lanes(type));
    while (left.size() > 1) {
      int half = left.size() / 2;
      for (int i = 0; i < half; i++) {
        left.set(i, binary(op, type0, left.get(i), left.get(i + half), Optional.empty()));
      }
      left = left.subList(0, half);
    }
    Reg x = left.getFirst();
    Scalar s = type.scalar();
    for (int lanes = type0.lanes() / 2; lanes > 0; lanes /= 2) {
      int bytes = lanes * s.bytes();
      Reg high = upper(x, bytes);
      // Two lanes keep the packed form; nothing looks at the lanes beyond.
      Type half = new Type(s, Math.max(2, lanes));
      x = binary(op, half, x, high, Optional.empty());
    }
    return x;
  }

  /** The bytes from {@code from} on, as many again, at the low end; from is a power of two. */
  Reg upper(Reg x, int from) {
    Reg t = Code.vector();
    switch (from) {
      case 32 -> code.read(Op.VEXTRACTI64X4, 64, x, Operand.NONE).target(t).imm(1);
      case 16 -> code.read(Op.VEXTRACTI32X4, 32, x, Operand.NONE).target(t).imm(1);
      default -> code.two(Op.VPSRLDQ, 16, t, x).imm(from);
    }
    return t;
  }
}
