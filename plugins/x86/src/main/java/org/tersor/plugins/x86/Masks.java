package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/** Vectors of bool in mask registers of 64 lanes; lanes beyond a type's are 0. */
final class Masks {
  private final Code code;
  private final Vectors vectors;

  Masks(Code code, Vectors vectors) {
    this.code = code;
    this.vectors = vectors;
  }

  static Type bools(int lanes) {
    return new Type(Scalar.BOOL, lanes);
  }

  private Reg three(Op op, Reg a, Reg b) {
    Reg t = Code.maskRegister();
    code.three(op, 8, t, a, b);
    return t;
  }

  private Reg shifted(Op op, Reg a, int count) {
    if (count == 0) {
      return a;
    }
    Reg t = Code.maskRegister();
    code.two(op, 8, t, a).imm(count);
    return t;
  }

  /** Without what is beyond the first lanes. */
  Reg trimmed(Reg mask, int lanes) {
    return lanes >= 64
        ? mask
        : shifted(Op.KSHIFTRQ, shifted(Op.KSHIFTLQ, mask, 64 - lanes), 64 - lanes);
  }

  /** The mask of the lanes in register {@code part} of a vector of {@code bytes} a lane. */
  Reg of(Val mask, int part, int bytes) {
    int lanes = Math.min(mask.type().lanes(), 64 / bytes);
    int first = part * lanes;
    return shifted(Op.KSHIFTRQ, mask.parts().get(first / 64), first % 64);
  }

  /** Masks of the registers of a vector, {@code lanes} each, as one value. */
  Val join(List<Reg> parts, int lanes, int all) {
    List<Reg> joined = new ArrayList<>();
    for (int first = 0; first < all; first += 64) {
      Reg mask = Reg.NONE;
      for (int at = first; at < Math.min(all, first + 64); at += lanes) {
        Reg up = shifted(Op.KSHIFTLQ, parts.get(at / lanes), at - first);
        mask = mask == Reg.NONE ? up : three(Op.KOR, mask, up);
      }
      joined.add(mask);
    }
    return new Val(bools(all), joined, false);
  }

  Val compare(CompareOp op, Val a, Val b) {
    Type type = a.type();
    if (Val.isMask(type)) {
      return ofMasks(op, a, b);
    }
    int lanes = Val.lanes(type);
    List<Reg> parts = new ArrayList<>();
    for (int i = 0; i < a.parts().size(); i++) {
      parts.add(exact(vectors.compare(op, type, a.parts().get(i), b.parts().get(i)), type));
    }
    return join(parts, lanes, type.lanes());
  }

  Val nonZero(Val a) {
    List<Reg> parts = new ArrayList<>();
    for (Reg part : a.parts()) {
      parts.add(exact(vectors.nonZero(a.type(), part), a.type()));
    }
    return join(parts, Val.lanes(a.type()), a.type().lanes());
  }

  /** Comparisons look at all lanes of a register. */
  private Reg exact(Reg mask, Type type) {
    return type.bytes() < 16 ? trimmed(mask, type.lanes()) : mask;
  }

  private Val ofMasks(CompareOp op, Val a, Val b) {
    // 0 < 1 on truth values.
    return switch (op) {
      case EQ -> not(each(Op.KXOR, a, b));
      case NE -> each(Op.KXOR, a, b);
      case LT -> each(Op.KANDN, a, b);
      case LE -> not(each(Op.KANDN, b, a));
      case GT -> each(Op.KANDN, b, a);
      case GE -> not(each(Op.KANDN, a, b));
    };
  }

  private Val each(Op op, Val a, Val b) {
    List<Reg> parts = new ArrayList<>();
    for (int i = 0; i < a.parts().size(); i++) {
      parts.add(three(op, a.parts().get(i), b.parts().get(i)));
    }
    return Val.of(a.type(), parts);
  }

  Val not(Val a) {
    int lanes = Math.min(64, a.type().lanes());
    List<Reg> parts = new ArrayList<>();
    for (Reg part : a.parts()) {
      Reg t = Code.maskRegister();
      code.two(
          switch (lanes) {
            case 64 -> Op.KNOTQ;
            case 32 -> Op.KNOTD;
            case 16 -> Op.KNOTW;
            default -> Op.KNOTB;
          },
          8,
          t,
          part);
      parts.add(lanes < 8 ? trimmed(t, lanes) : t);
    }
    return Val.of(a.type(), parts);
  }

  Val binary(BinaryOp op, Val a, Val b) {
    return switch (op) {
      case AND, MIN, MUL -> each(Op.KAND, a, b);
      case OR, MAX -> each(Op.KOR, a, b);
      case XOR -> each(Op.KXOR, a, b);
      case ADD, SUB, DIV, REM, FLOORDIV, FLOORMOD, SHL, SHR, FMOD, POW, ATAN2 ->
          throw Faults.unsupported(op + " of bool", "the kernel must cast to a number first");
    };
  }

  Val select(Val condition, Val then, Val otherwise) {
    return each(Op.KOR, each(Op.KAND, condition, then), each(Op.KANDN, condition, otherwise));
  }

  private static long full(int lanes) {
    return lanes >= 64 ? -1L : (1L << lanes) - 1;
  }

  Val constant(boolean value, int lanes) {
    long bits = value ? full(lanes) : 0;
    Reg mask =
        code.once(code.level(), "mask " + bits, Reg.class, () -> fromInteger(code.number(bits)));
    return Val.of(bools(lanes), java.util.Collections.nCopies(Val.count(bools(lanes)), mask))
        .shared();
  }

  Reg fromInteger(Reg bits) {
    Reg t = Code.maskRegister();
    code.two(Op.KMOVG, 8, t, bits);
    return t;
  }

  Reg toInteger(Reg mask) {
    Reg t = Code.integer();
    code.two(Op.KMOVTOG, 8, t, mask);
    return t;
  }

  /** A scalar truth value in every lane. */
  Val splat(Reg bool, int lanes) {
    Reg all = Code.integer();
    code.two(Op.MOV, 4, all, bool);
    code.change(Op.NEG, 8, all, 0);
    if (lanes < 64) {
      code.change(Op.SHRI, 8, all, 64 - lanes);
    }
    Reg mask = fromInteger(all);
    return Val.of(bools(lanes), java.util.Collections.nCopies(Val.count(bools(lanes)), mask))
        .shared();
  }

  /** Lane i is i < count. */
  Val below(Reg count, int lanes) {
    List<Reg> parts = new ArrayList<>();
    for (int first = 0; first < lanes; first += 64) {
      int here = Math.min(64, lanes - first);
      Reg n = code.copy(count);
      if (first > 0) {
        code.change(Op.SUBI, 8, n, first);
      }
      Reg zero = code.number(0);
      code.read(Op.TEST, 8, n, n);
      code.two(Op.CMOVCC, 8, n, zero).imm(Condition.NEGATIVE);
      Reg most = code.number(here);
      code.read(Op.CMP, 8, n, most);
      code.two(Op.CMOVCC, 8, n, most).imm(Condition.GREATER);
      Reg bits = Code.integer();
      code.three(Op.BZHI, 8, bits, n, code.number(-1));
      parts.add(fromInteger(bits));
    }
    return new Val(bools(lanes), parts, false);
  }

  /** All lanes to one. */
  Reg reduce(ReduceOp op, Val a, Ints ints) {
    int lanes = Math.min(64, a.type().lanes());
    Reg mask = a.parts().getFirst();
    for (Reg more : a.parts().subList(1, a.parts().size())) {
      mask = binary(op.combine(), Val.of(bools(64), mask), Val.of(bools(64), more)).reg();
    }
    Reg bits = toInteger(mask);
    return switch (op) {
      case AND, MIN, PROD -> {
        code.read(Op.CMP, 8, bits, code.number(full(lanes)));
        yield ints.flag(Condition.ZERO);
      }
      case OR, MAX -> {
        code.read(Op.TEST, 8, bits, bits);
        yield ints.flag(Condition.NOT_ZERO);
      }
      case XOR, SUM -> {
        Reg count = Code.integer();
        code.two(Op.POPCNT, 8, count, bits);
        code.change(Op.ANDI, 8, count, 1);
        yield count;
      }
    };
  }

  /** Bytes of 0 and 1, or of 0 and another constant of so many bytes a lane. */
  Val numbers(Val mask, Type type, long one) {
    List<Reg> parts = new ArrayList<>();
    int bytes = type.scalar().bytes();
    for (int i = 0; i < Val.count(type); i++) {
      parts.add(vectors.where(of(mask, i, bytes), bytes, Val.size(type), one));
    }
    return Val.of(type, parts);
  }
}
