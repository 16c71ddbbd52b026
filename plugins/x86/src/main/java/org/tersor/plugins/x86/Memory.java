package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.plugins.x86.Operand.Mem;

/** Loads and stores: plain, masked, gathered and scattered. */
final class Memory {
  private final Code code;
  private final Masks masks;
  private final Pieces pieces;
  private final Lanes lanes;
  private final Ints ints;
  private final Indices indices;
  private final Exprs exprs;

  Memory(
      Code code, Masks masks, Pieces pieces, Lanes lanes, Ints ints, Indices indices, Exprs exprs) {
    this.code = code;
    this.masks = masks;
    this.pieces = pieces;
    this.lanes = lanes;
    this.ints = ints;
    this.indices = indices;
    this.exprs = exprs;
  }

  private static Op loadOp(int elementBytes) {
    return switch (elementBytes) {
      case 1 -> Op.VMOVDQU8;
      case 2 -> Op.VMOVDQU16;
      case 4 -> Op.VMOVDQU32;
      default -> Op.VMOVDQU64;
    };
  }

  private static Op storeOp(int elementBytes) {
    return switch (elementBytes) {
      case 1 -> Op.VSTOREDQU8;
      case 2 -> Op.VSTOREDQU16;
      case 4 -> Op.VSTOREDQU32;
      default -> Op.VSTOREDQU64;
    };
  }

  /** From memory; registers are the caller's. */
  Val load(Type type, Scope.Buffer buffer, Expr index, Optional<Expr> mask) {
    if (index.type().isVector()) {
      return gather(type, buffer, index, mask);
    }
    Mem at = indices.address(buffer, indices.linear(index));
    if (type.isVector()) {
      return vector(type, at, mask.map(exprs::value));
    }
    if (mask.isEmpty()) {
      return lanes.load(type.scalar(), at);
    }
    return guarded(type, exprs.scalar(mask.get()).reg(), at);
  }

  private Val guarded(Type type, Reg condition, Mem at) {
    Val result = Val.fresh(type);
    zero(result);
    ints.guarded(condition, result.reg(), () -> lanes.load(type.scalar(), at).reg());
    return result;
  }

  private void zero(Val value) {
    for (Reg part : value.parts()) {
      if (part.kind == Reg.Kind.INTEGER) {
        code.number(part, 0);
      } else {
        code.move(part, code.all(4, 0));
      }
    }
  }

  private Val vector(Type type, Mem at, Optional<Val> mask) {
    if (Val.isMask(type)) {
      return masks.nonZero(vector(type.withScalar(Scalar.U8), at, mask));
    }
    int bytes = type.scalar().bytes();
    List<Reg> parts = new ArrayList<>();
    for (int i = 0; i < Val.count(type); i++) {
      Reg t = Code.vector();
      Mem from = at.plus(64 * i);
      if (mask.isPresent()) {
        Reg on = masks.of(mask.get(), i, bytes);
        code.two(loadOp(bytes), Val.size(type), t, from).mask(on, true);
      } else {
        switch (type.bytes()) {
          case 2 -> {
            Reg bits = Code.integer();
            code.two(Op.MOVZW, 4, bits, from);
            code.two(Op.VMOVD, 16, t, bits);
          }
          case 4 -> code.two(Op.VMOVD, 16, t, from);
          case 8 -> code.two(Op.VMOVQ, 16, t, from);
          default -> code.two(loadOp(bytes), Val.size(type), t, from);
        }
      }
      parts.add(t);
    }
    return Val.of(type, parts);
  }

  private Val gather(Type type, Scope.Buffer buffer, Expr index, Optional<Expr> mask) {
    int bytes = type.scalar().bytes();
    int stride = buffer.element().bytes();
    if (index instanceof Expr.Ramp ramp && ramp.stride() * stride == bytes) {
      return vector(
          type, indices.address(buffer, indices.linear(ramp.base())), mask.map(exprs::value));
    }
    Optional<Val> on = mask.map(exprs::value);
    boolean bool = type.scalar() == Scalar.BOOL;
    if (bytes < 4 || bool) {
      return laneByLane(type, buffer, index, on);
    }
    Val at = exprs.value(index);
    List<Reg> pieceList = new ArrayList<>();
    int count = Math.min(8, type.lanes());
    int size = Math.clamp(8L * count, 16, 64);
    Mem base = indices.address(buffer, Linear.of(0));
    for (int i = 0; i < at.parts().size(); i++) {
      Reg t = code.copy(code.all(4, 0));
      Reg lanesOn = Code.maskRegister();
      if (on.isPresent()) {
        code.move(lanesOn, masks.of(on.get(), i, 8));
      } else {
        code.move(lanesOn, masks.constant(true, 8).reg());
      }
      Mem from =
          new Mem(
              base.place(),
              base.base(),
              at.parts().get(i),
              stride,
              base.displacement(),
              Label.NONE);
      code.two(bytes == 4 ? Op.VPGATHERQD : Op.VPGATHERQQ, size, t, from).mask(lanesOn, false);
      pieceList.add(t);
    }
    return Val.of(type, pieces.join(pieceList, count * bytes));
  }

  /** Where lane i of an index is. */
  private List<Linear> each(Expr index) {
    int count = index.type().lanes();
    List<Linear> places = new ArrayList<>();
    if (index instanceof Expr.Ramp ramp) {
      Linear base = indices.linear(ramp.base());
      for (int i = 0; i < count; i++) {
        places.add(base.plus(Linear.of(ramp.stride() * i), 1));
      }
      return places;
    }
    Val at = exprs.value(index);
    Mem room = lanes.spread(at);
    for (int i = 0; i < count; i++) {
      Reg lane = lanes.load(Scalar.INDEX, room.plus(8 * i)).reg();
      places.add(Linear.of(lane, code.level(), true));
    }
    return places;
  }

  private Val laneByLane(Type type, Scope.Buffer buffer, Expr index, Optional<Val> mask) {
    Scalar s = type.scalar();
    List<Linear> places = each(index);
    Optional<Mem> on = mask.map(lanes::spread);
    Mem to = lanes.room(type);
    for (int i = 0; i < type.lanes(); i++) {
      Mem from = indices.address(buffer, places.get(i));
      int lane = i;
      Val value =
          on.map(room -> guarded(Type.of(s), lanes.load(Scalar.BOOL, room.plus(lane)).reg(), from))
              .orElseGet(() -> lanes.load(s, from));
      lanes.store(s, value.reg(), lanes.lane(type, to, i));
    }
    return lanes.gathered(type, to);
  }

  void store(Scope.Buffer buffer, Expr index, Val value, Optional<Expr> mask) {
    Type type = value.type();
    boolean ramp =
        index instanceof Expr.Ramp r
            && r.stride() * buffer.element().bytes() == type.scalar().bytes();
    if (index.type().isVector() && !ramp) {
      scatter(buffer, index, value, mask.map(exprs::value));
      return;
    }
    Expr first = index instanceof Expr.Ramp r ? r.base() : index;
    Mem at = indices.address(buffer, indices.linear(first));
    if (type.isVector()) {
      vector(at, value, mask.map(exprs::value));
      return;
    }
    if (mask.isEmpty()) {
      lanes.store(type.scalar(), value.reg(), at);
      return;
    }
    Label end = new Label();
    Reg condition = exprs.scalar(mask.get()).reg();
    code.read(Op.TEST, 4, condition, condition);
    code.jump(Condition.ZERO, end);
    lanes.store(type.scalar(), value.reg(), at);
    code.label(end);
  }

  private void vector(Mem at, Val value, Optional<Val> mask) {
    Type type = value.type();
    if (Val.isMask(type)) {
      vector(at, masks.numbers(value, type.withScalar(Scalar.U8), 1), mask);
      return;
    }
    int bytes = type.scalar().bytes();
    for (int i = 0; i < value.parts().size(); i++) {
      Reg part = value.parts().get(i);
      Mem to = at.plus(64 * i);
      if (mask.isPresent()) {
        Reg on = masks.of(mask.get(), i, bytes);
        code.read(storeOp(bytes), Val.size(type), part, to).mask(on, false);
        continue;
      }
      switch (type.bytes()) {
        case 2 -> {
          Reg bits = Code.integer();
          code.read(Op.VMOVDTO, 16, part, Operand.NONE).target(bits);
          code.read(Op.STOREW, 4, bits, to);
        }
        case 4 -> code.read(Op.VMOVDTO, 16, part, to);
        case 8 -> code.read(Op.VMOVQTO, 16, part, to);
        default -> code.read(storeOp(bytes), Val.size(type), part, to);
      }
    }
  }

  /** In the order of lanes, so that later ones win. */
  private void scatter(Scope.Buffer buffer, Expr index, Val value, Optional<Val> mask) {
    Type type = value.type();
    List<Linear> places = each(index);
    Optional<Mem> on = mask.map(lanes::spread);
    Mem from = lanes.spread(value);
    for (int i = 0; i < type.lanes(); i++) {
      Val lane = lanes.load(type.scalar(), lanes.lane(type, from, i));
      Mem to = indices.address(buffer, places.get(i));
      Label end = new Label();
      if (on.isPresent()) {
        Reg condition = lanes.load(Scalar.BOOL, on.get().plus(i)).reg();
        code.read(Op.TEST, 4, condition, condition);
        code.jump(Condition.ZERO, end);
      }
      lanes.store(type.scalar(), lane.reg(), to);
      code.label(end);
    }
  }
}
