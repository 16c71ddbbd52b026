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
  private final Pieces pieces;
  private final Lanes lanes;

  Shuffles(Code code, Masks masks, Pieces pieces, Lanes lanes) {
    this.code = code;
    this.masks = masks;
    this.pieces = pieces;
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
      return Optional.empty();
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
      if (used.size() > 2) {
        return Optional.empty();
      }
      long[] order = new long[size / unit];
      boolean identity = true;
      for (int i = 0; i < here.size(); i++) {
        int pick = here.get(i);
        int source = source(pick, firstCount, perSource, a.parts().size());
        int lane = (pick < firstCount ? pick : pick - firstCount) % perSource;
        order[i] = lane + (source == used.getFirst() ? 0 : size / unit);
        identity &= order[i] == i;
      }
      results.add(
          identity ? sources.get(used.getFirst()) : permuted(sources, used, order, unit, size));
    }
    return Optional.of(new Val(type, results, false));
  }

  private static int source(int pick, int firstCount, int perSource, int firstParts) {
    return pick < firstCount ? pick / perSource : firstParts + (pick - firstCount) / perSource;
  }

  private Reg permuted(List<Reg> sources, List<Integer> used, long[] order, int unit, int size) {
    Reg first = sources.get(used.getFirst());
    if (used.size() == 1 && (unit != 8 || size > 16) && (unit != 4 || size > 16)) {
      Op op = unit == 2 ? Op.VPERMW : unit == 4 ? Op.VPERMD : Op.VPERMQ;
      Reg t = Code.vector();
      code.three(op, size, t, code.constant(unit, order), first);
      return t;
    }
    Op op = unit == 2 ? Op.VPERMT2W : unit == 4 ? Op.VPERMT2D : Op.VPERMT2Q;
    Reg t = code.copy(first);
    code.three(op, size, t, code.constant(unit, order), sources.get(used.getLast()));
    return t;
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
