package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.plugins.x86.Operand.Mem;

/** Lanes of two vectors in any order. */
final class Shuffles {
  private final Code code;
  private final Masks masks;
  private final Casts casts;
  private final Vectors vectors;
  private final Lanes lanes;

  Shuffles(Code code, Masks masks, Casts casts, Vectors vectors, Lanes lanes) {
    this.code = code;
    this.masks = masks;
    this.casts = casts;
    this.vectors = vectors;
    this.lanes = lanes;
  }

  Val shuffle(Val a, Val b, List<Integer> picks) {
    Type type = a.type().withLanes(picks.size());
    boolean scalars = !a.type().isVector() && !b.type().isVector();
    if (a.type().scalar() == Scalar.BOOL && !scalars) {
      return ofMasks(a, b, picks);
    }
    if (a.type().isVector() && b.type().isVector() && type.isVector()) {
      Optional<Val> quick = inRegisters(a, b, picks, type);
      if (quick.isPresent()) {
        return quick.get();
      }
    }
    return throughMemory(a, b, picks, type);
  }

  private Val ofMasks(Val a, Val b, List<Integer> picks) {
    Val result = shuffle(bytes(a), bytes(b), picks);
    return picks.size() == 1 ? Val.of(Type.BOOL, result.reg()) : masks.nonZero(result);
  }

  private Val bytes(Val a) {
    Type bytes = a.type().withScalar(Scalar.U8);
    return Val.isMask(a.type()) ? masks.numbers(a, bytes, 1) : a.as(bytes);
  }

  private Val throughMemory(Val a, Val b, List<Integer> picks, Type type) {
    Scalar s = type.scalar();
    Mem first = lanes.spread(a);
    Mem second = lanes.spread(b);
    int count = a.type().lanes();
    if (picks.size() == 1) {
      int pick = picks.getFirst();
      return lanes.load(
          s, pick < count ? lanes.lane(type, first, pick) : lanes.lane(type, second, pick - count));
    }
    Mem to = lanes.room(type);
    for (int i = 0; i < picks.size(); i++) {
      int pick = picks.get(i);
      Mem from =
          pick < count ? lanes.lane(type, first, pick) : lanes.lane(type, second, pick - count);
      lanes.store(s, lanes.load(s, from).reg(), lanes.lane(type, to, i));
    }
    return lanes.gathered(type, to);
  }

  /** Where each register of the result comes from two at most. */
  private Optional<Val> inRegisters(Val a, Val b, List<Integer> picks, Type type) {
    int bytes = type.scalar().bytes();
    int unit = bytes;
    List<Integer> wide = picks;
    // Lanes that stay together are moved together.
    while (unit < 8 && together(wide) && a.type().bytes() / unit % 2 == 0) {
      wide = halved(wide);
      unit *= 2;
    }
    if (unit == 1) {
      boolean small = type.bytes() <= 16 && a.type().bytes() <= 16 && b.type().bytes() <= 16;
      return Optional.of(
          small ? bytesOfSmall(a, b, picks, type) : asWords(byteOf(a), byteOf(b), picks, type));
    }
    List<Reg> sources = new ArrayList<>(a.parts());
    sources.addAll(b.parts());
    int perSource = Math.min(64, a.type().bytes()) / unit;
    int firstCount = a.type().bytes() / unit;
    int perResult = Math.min(64, type.bytes()) / unit;
    int size = Math.max(Val.size(type), Math.max(Val.size(a.type()), Val.size(b.type())));
    if (a.type().bytes() != b.type().bytes()) {
      return Optional.empty();
    }
    List<Reg> results = new ArrayList<>();
    for (int r = 0; r < wide.size(); r += perResult) {
      List<Integer> here = wide.subList(r, r + perResult);
      List<Integer> used = new ArrayList<>();
      for (int pick : here) {
        int source = source(pick, firstCount, perSource, a.parts().size());
        if (!used.contains(source)) {
          used.add(source);
        }
      }
      boolean identity = used.size() == 1;
      int[] from = new int[here.size()];
      int[] lane = new int[here.size()];
      for (int i = 0; i < here.size(); i++) {
        int pick = here.get(i);
        from[i] = used.indexOf(source(pick, firstCount, perSource, a.parts().size()));
        lane[i] = (pick < firstCount ? pick : pick - firstCount) % perSource;
        identity &= lane[i] == i;
      }
      List<Reg> parts = used.stream().map(sources::get).toList();
      results.add(identity ? parts.getFirst() : picked(parts, from, lane, unit, size));
    }
    return Optional.of(new Val(type, results, false));
  }

  /** Any type of one byte as U8. */
  private static Val byteOf(Val a) {
    return a.as(a.type().withScalar(Scalar.U8));
  }

  private static int source(int pick, int firstCount, int perSource, int firstParts) {
    return pick < firstCount ? pick / perSource : firstParts + (pick - firstCount) / perSource;
  }

  /** Lanes of many registers: of two at a time, which are put together by masks. */
  private Reg picked(List<Reg> sources, int[] from, int[] lane, int unit, int size) {
    Reg result = Reg.NONE;
    for (int first = 0; first < sources.size(); first += 2) {
      long[] order = new long[size / unit];
      long here = 0;
      for (int i = 0; i < from.length; i++) {
        if (from[i] / 2 == first / 2) {
          order[i] = (long) lane[i] + (from[i] == first ? 0 : size / unit);
          here |= 1L << i;
        }
      }
      List<Reg> pair = sources.subList(first, Math.min(first + 2, sources.size()));
      Reg some = permuted(pair, order, unit, size);
      if (result == Reg.NONE) {
        result = some;
      } else {
        long bits = here;
        Reg mask =
            code.once(
                code.level(),
                "mask " + bits,
                Reg.class,
                () -> masks.fromInteger(code.number(bits)));
        result = vectors.blend(unit, size, mask, some, result);
      }
    }
    return result;
  }

  private Reg permuted(List<Reg> sources, long[] order, int unit, int size) {
    Reg first = sources.getFirst();
    if (sources.size() == 1 && (unit == 2 || size > 16)) {
      Op op = unit == 2 ? Op.VPERMW : unit == 4 ? Op.VPERMD : Op.VPERMQ;
      Reg t = Code.vector();
      code.three(op, size, t, code.constant(unit, order), first);
      return t;
    }
    Op op = unit == 2 ? Op.VPERMT2W : unit == 4 ? Op.VPERMT2D : Op.VPERMT2Q;
    Reg index = code.constant(unit, order);
    Reg t = code.copy(first);
    code.three(op, size, t, index, sources.getLast());
    return t;
  }

  /** Bytes of registers of 16 at most: each source gives its own, and zeros elsewhere. */
  private Val bytesOfSmall(Val a, Val b, List<Integer> picks, Type type) {
    int count = a.type().lanes();
    Reg result = Reg.NONE;
    for (int side = 0; side < 2; side++) {
      long[] order = new long[16];
      boolean any = false;
      for (int i = 0; i < 16; i++) {
        int pick = i < picks.size() ? picks.get(i) - side * count : -1;
        boolean here = pick >= 0 && pick < (side == 0 ? count : b.type().lanes());
        order[i] = here ? pick : 0x80;
        any |= here;
      }
      if (any) {
        Reg t = Code.vector();
        Reg from = side == 0 ? a.reg() : b.reg();
        code.three(Op.VPSHUFB, 16, t, from, code.constant(1, order));
        Reg both = t;
        if (result != Reg.NONE) {
          both = Code.vector();
          code.three(Op.VPORD, 16, both, result, t);
        }
        result = both;
      }
    }
    return Val.of(type, result);
  }

  /** Bytes as words, which can go anywhere. */
  private Val asWords(Val a, Val b, List<Integer> picks, Type type) {
    Val words = shuffle(casts.cast(a, Scalar.U16, true), casts.cast(b, Scalar.U16, true), picks);
    return casts.cast(words, Scalar.U8, true).as(type);
  }

  private static boolean together(List<Integer> picks) {
    if (picks.size() % 2 != 0) {
      return false;
    }
    for (int i = 0; i < picks.size(); i += 2) {
      if (picks.get(i) % 2 != 0 || picks.get(i + 1) != picks.get(i) + 1) {
        return false;
      }
    }
    return true;
  }

  private static List<Integer> halved(List<Integer> picks) {
    List<Integer> half = new ArrayList<>();
    for (int i = 0; i < picks.size(); i += 2) {
      half.add(picks.get(i) / 2);
    }
    return half;
  }
}
