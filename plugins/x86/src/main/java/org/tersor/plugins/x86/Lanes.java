package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;
import org.tersor.plugins.x86.Operand.Mem;

/** Scalars in memory, and vectors by way of memory, lane by lane. */
final class Lanes {
  private final Code code;
  private final Masks masks;
  private final Pieces pieces;
  private final Ints ints;

  Lanes(Code code, Masks masks, Pieces pieces, Ints ints) {
    this.code = code;
    this.masks = masks;
    this.pieces = pieces;
    this.ints = ints;
  }

  Val load(Scalar s, Mem from) {
    Val to = Val.fresh(Type.of(s));
    Reg t = to.reg();
    switch (s) {
      case F32 -> code.two(Op.VLOADSS, 16, t, from);
      case F64 -> code.two(Op.VLOADSD, 16, t, from);
      case I8 -> code.two(Op.MOVSB, 4, t, from);
      case I16 -> code.two(Op.MOVSW, 4, t, from);
      case U16, F16, BF16 -> code.two(Op.MOVZW, 4, t, from);
      case U8, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 ->
          code.two(Op.MOVZB, 4, t, from);
      case I32, U32 -> code.two(Op.MOV, 4, t, from);
      case I64, U64, INDEX -> code.two(Op.MOV, 8, t, from);
      case BOOL -> {
        // Any byte but 0 is true.
        Reg bits = Code.integer();
        code.two(Op.MOVZB, 4, bits, from);
        return Val.of(Type.BOOL, ints.truth(Scalar.I32, bits));
      }
    }
    return to;
  }

  void store(Scalar s, Reg value, Mem to) {
    switch (s) {
      case F32 -> code.read(Op.VSTORESS, 16, value, to);
      case F64 -> code.read(Op.VSTORESD, 16, value, to);
      default -> {
        switch (s.bytes()) {
          case 1 -> code.read(Op.STOREB, 4, value, to);
          case 2 -> code.read(Op.STOREW, 4, value, to);
          case 4 -> code.read(Op.STORE, 4, value, to);
          default -> code.read(Op.STORE, 8, value, to);
        }
      }
    }
  }

  /** Room for all lanes of a type, a byte for a bool. */
  Mem room(Type type) {
    return Mem.frame(code.frame.allocate(Math.max(64, type.bytes()), 64));
  }

  /** Puts lanes into memory one after another. */
  Mem spread(Val value) {
    Type type = value.type();
    Mem room = room(type);
    if (!type.isVector()) {
      store(type.scalar(), value.reg(), room);
      return room;
    }
    Val numbers = Val.isMask(type) ? masks.numbers(value, type.withScalar(Scalar.U8), 1) : value;
    pieces.store(numbers.parts(), Val.size(numbers.type()), room);
    return room;
  }

  /** A vector from where its lanes are. */
  Val gathered(Type type, Mem room) {
    if (Val.isMask(type)) {
      return masks.nonZero(gathered(type.withScalar(Scalar.U8), room));
    }
    return Val.of(type, pieces.load(Val.count(type), Val.size(type), room));
  }

  Mem lane(Type type, Mem room, int i) {
    return room.plus(i * type.scalar().bytes());
  }

  /** A scalar operation in every lane. */
  Val each(Type type, List<Val> operands, Function<List<Val>, Reg> operation) {
    List<Mem> rooms = operands.stream().map(this::spread).toList();
    Mem to = room(type);
    for (int i = 0; i < type.lanes(); i++) {
      List<Val> scalars = new ArrayList<>();
      for (int k = 0; k < rooms.size(); k++) {
        Type own = operands.get(k).type();
        scalars.add(load(own.scalar(), lane(own, rooms.get(k), i)));
      }
      store(type.scalar(), operation.apply(scalars), lane(type, to, i));
    }
    return gathered(type, to);
  }
}
