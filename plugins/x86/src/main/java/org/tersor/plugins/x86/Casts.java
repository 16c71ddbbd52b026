package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/** Conversions of vectors, and of scalar floats, which are vectors of one lane. */
final class Casts {
  private final Code code;
  private final Masks masks;
  private final Pieces pieces;

  Casts(Code code, Masks masks, Pieces pieces) {
    this.code = code;
    this.masks = masks;
    this.pieces = pieces;
  }

  /** Neither is bool; lanes of one register or of many. */
  Val cast(Val a, Scalar to, boolean inRange) {
    Scalar from = a.type().scalar();
    if (from == to) {
      return a;
    }
    if (from == Scalar.F16) {
      Val single = each(a, Scalar.F32, size -> Op.VCVTPH2PS);
      return cast(single, to, inRange);
    }
    if (to == Scalar.F16) {
      return toHalf(from == Scalar.F32 ? a : cast(a, Scalar.F32, inRange));
    }
    if (from.isSmallFloat() || to.isSmallFloat()) {
      throw Faults.unsupported(
          "a conversion from " + from.text() + " to " + to.text(),
          "the legalizer must replace it by integer operations");
    }
    if (from.isFloat()) {
      return to.isFloat()
          ? each(a, to, size -> to == Scalar.F64 ? Op.VCVTPS2PD : Op.VCVTPD2PS)
          : inRange ? truncate(a, to) : saturate(a, to);
    }
    return to.isFloat() ? toFloat(a, to) : resize(a, to);
  }

  private Val toHalf(Val a) {
    return unit(
        a,
        Scalar.F16,
        part -> {
          Reg t = Code.vector();
          int size = Math.clamp(4L * unitLanes(a.type(), Scalar.F16), 16, 64);
          code.read(Op.VCVTPS2PH, size, part, Operand.NONE).target(t).imm(0);
          return t;
        });
  }

  /** Lanes that one instruction converts. */
  private static int unitLanes(Type from, Scalar to) {
    return Math.min(from.lanes(), 64 / Math.max(from.scalar().bytes(), to.bytes()));
  }

  private interface Choice {
    Op of(int size);
  }

  /** One instruction for as many lanes as fit. */
  private Val each(Val a, Scalar to, Choice op) {
    Type type = a.type();
    int lanes = unitLanes(type, to);
    int size = Math.clamp((long) lanes * Math.max(type.scalar().bytes(), to.bytes()), 16, 64);
    Op by = op.of(size);
    return unit(
        a,
        to,
        part -> {
          Reg t = Code.vector();
          if (by.form.equals("mr")) {
            code.read(by, size, part, Operand.NONE).target(t);
          } else {
            code.two(by, size, t, part);
          }
          return t;
        });
  }

  private Val unit(Val a, Scalar to, UnaryOperator<Reg> convert) {
    Type type = a.type();
    int lanes = unitLanes(type, to);
    int bytes = lanes * type.scalar().bytes();
    List<Reg> results = new ArrayList<>();
    for (int at = 0; at < type.lanes(); at += lanes) {
      Reg piece = pieces.slice(a.parts(), at * type.scalar().bytes(), bytes);
      results.add(convert.apply(piece));
    }
    return Val.of(type.withScalar(to), pieces.join(results, lanes * to.bytes()));
  }

  private Val resize(Val a, Scalar to) {
    Scalar from = a.type().scalar();
    if (from.bytes() == to.bytes()) {
      return a.as(a.type().withScalar(to));
    }
    return each(
        a, to, size -> from.bytes() < to.bytes() ? extend(from, to.bytes()) : narrow(from, to));
  }

  private static Op extend(Scalar from, int to) {
    boolean zero = !from.isSigned();
    return switch (from.bytes()) {
      case 1 ->
          switch (to) {
            case 2 -> zero ? Op.VPMOVZXBW : Op.VPMOVSXBW;
            case 4 -> zero ? Op.VPMOVZXBD : Op.VPMOVSXBD;
            default -> zero ? Op.VPMOVZXBQ : Op.VPMOVSXBQ;
          };
      case 2 -> to == 4 ? zero ? Op.VPMOVZXWD : Op.VPMOVSXWD : zero ? Op.VPMOVZXWQ : Op.VPMOVSXWQ;
      default -> zero ? Op.VPMOVZXDQ : Op.VPMOVSXDQ;
    };
  }

  private static Op narrow(Scalar from, Scalar to) {
    return switch (from.bytes()) {
      case 2 -> Op.VPMOVWB;
      case 4 -> to.bytes() == 1 ? Op.VPMOVDB : Op.VPMOVDW;
      default ->
          switch (to.bytes()) {
            case 1 -> Op.VPMOVQB;
            case 2 -> Op.VPMOVQW;
            default -> Op.VPMOVQD;
          };
    };
  }

  private Val toFloat(Val a, Scalar to) {
    Scalar from = a.type().scalar();
    if (from.bytes() < 4) {
      return toFloat(resize(a, Scalar.I32), to);
    }
    boolean unsigned = from.isUnsigned();
    boolean wide = from.bytes() == 8;
    return each(
        a,
        to,
        size ->
            to == Scalar.F32
                ? wide
                    ? unsigned ? Op.VCVTUQQ2PS : Op.VCVTQQ2PS
                    : unsigned ? Op.VCVTUDQ2PS : Op.VCVTDQ2PS
                : wide
                    ? unsigned ? Op.VCVTUQQ2PD : Op.VCVTQQ2PD
                    : unsigned ? Op.VCVTUDQ2PD : Op.VCVTDQ2PD);
  }

  /** To 32 bits or 64. */
  private static Op truncation(boolean single, Scalar to) {
    boolean unsigned = to.isUnsigned();
    if (to.bytes() == 8) {
      return single
          ? unsigned ? Op.VCVTTPS2UQQ : Op.VCVTTPS2QQ
          : unsigned ? Op.VCVTTPD2UQQ : Op.VCVTTPD2QQ;
    }
    return single
        ? unsigned ? Op.VCVTTPS2UDQ : Op.VCVTTPS2DQ
        : unsigned ? Op.VCVTTPD2UDQ : Op.VCVTTPD2DQ;
  }

  private Val truncate(Val a, Scalar to) {
    boolean single = a.type().scalar() == Scalar.F32;
    Scalar through = to.bytes() < 4 ? Scalar.I32 : to;
    Val whole = each(a, through, size -> truncation(single, through));
    return through == to ? whole : resize(whole, to);
  }

  /** NaN gives 0, and what is beyond the range its end. */
  private Val saturate(Val a, Scalar to) {
    Scalar from = a.type().scalar();
    boolean single = from == Scalar.F32;
    // A float has all numbers of these.
    boolean exact = to.bytes() < 4 || (!single && to.bytes() == 4);
    Scalar through = to.bytes() < 4 ? Scalar.I32 : to;
    int lanes = unitLanes(a.type(), through);
    int size = Math.clamp((long) lanes * Math.max(from.bytes(), through.bytes()), 16, 64);
    Type part = a.type().withLanes(lanes);
    int own = Val.size(part);
    Val whole =
        unit(
            a,
            through,
            x ->
                exact
                    ? clamped(x, from, to, through, own, size)
                    : corrected(x, from, to, own, size));
    return through == to ? whole : resize(whole, to);
  }

  /** Brought into the range first; the maximum of NaN and the low end is the low end. */
  private Reg clamped(Reg x, Scalar from, Scalar to, Scalar through, int own, int size) {
    boolean single = from == Scalar.F32;
    Reg low = code.all(from.bytes(), Vectors.bits(from, lowest(to)));
    Reg high = code.all(from.bytes(), Vectors.bits(from, limit(to) - 1));
    Reg y = Code.vector();
    code.three(single ? Op.VMAXPS : Op.VMAXPD, own, y, x, low);
    Reg z = Code.vector();
    code.three(single ? Op.VMINPS : Op.VMINPD, own, z, y, high);
    Reg number = ordered(x, single, own);
    Reg t = Code.vector();
    code.two(truncation(single, through), size, t, z).mask(number, true);
    return t;
  }

  private Reg ordered(Reg x, boolean single, int own) {
    Reg number = Code.maskRegister();
    code.three(single ? Op.VCMPPS : Op.VCMPPD, own, number, x, x).imm(Condition.ORDERED);
    return number;
  }

  /** The instruction gives one value for all that does not fit, which is replaced above. */
  private Reg corrected(Reg x, Scalar from, Scalar to, int own, int size) {
    boolean single = from == Scalar.F32;
    Reg t = Code.vector();
    if (to.isUnsigned()) {
      // Of NaN and 0 the second; what is too large has all bits set, which is right.
      Reg y = Code.vector();
      code.three(single ? Op.VMAXPS : Op.VMAXPD, own, y, x, code.all(4, 0));
      code.two(truncation(single, to), size, t, y);
      return t;
    }
    Reg number = ordered(x, single, own);
    code.two(truncation(single, to), size, t, x).mask(number, true);
    Reg large = Code.maskRegister();
    Reg limit = code.all(from.bytes(), Vectors.bits(from, limit(to)));
    code.three(single ? Op.VCMPPS : Op.VCMPPD, own, large, x, limit).imm(0x1d);
    Reg most = code.all(to.bytes(), to.bytes() == 8 ? Long.MAX_VALUE : Integer.MAX_VALUE);
    Reg result = Code.vector();
    code.three(to.bytes() == 8 ? Op.VPBLENDMQ : Op.VPBLENDMD, size, result, t, most)
        .mask(large, false);
    return result;
  }

  private static double limit(Scalar to) {
    return Math.scalb(1.0, 8 * to.bytes() - (to.isSigned() ? 1 : 0));
  }

  private static double lowest(Scalar to) {
    return to.isSigned() ? -limit(to) : 0;
  }

  /** A mask as numbers, or anything as a mask. */
  Optional<Val> withMasks(Val a, Type to) {
    if (Val.isMask(a.type())) {
      Scalar s = to.scalar();
      return Optional.of(masks.numbers(a, to, s.isFloat() ? Vectors.bits(s, 1) : 1));
    }
    return Val.isMask(to) ? Optional.of(masks.nonZero(a)) : Optional.empty();
  }
}
