package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import org.tersor.plugins.x86.Operand.Mem;

/** Vectors taken apart and put together by bytes. */
final class Pieces {
  private final Code code;

  Pieces(Code code) {
    this.code = code;
  }

  /**
   * {@code bytes} from {@code offset} on at the low end of a register; the offset is a multiple of
   * bytes, and both are powers of two or 0.
   */
  Reg slice(List<Reg> parts, int offset, int bytes) {
    Reg part = parts.get(offset / 64);
    int at = offset % 64;
    if (at == 0) {
      return part;
    }
    Reg t = Code.vector();
    if (bytes == 32) {
      code.read(Op.VEXTRACTI64X4, 64, part, Operand.NONE).target(t).imm(1);
      return t;
    }
    Reg lane = part;
    if (at >= 16) {
      code.read(Op.VEXTRACTI32X4, at >= 32 ? 64 : 32, part, Operand.NONE).target(t).imm(at / 16);
      lane = t;
    }
    if (at % 16 != 0) {
      Reg shifted = Code.vector();
      code.two(Op.VPSRLDQ, 16, shifted, lane).imm(at % 16);
      return shifted;
    }
    return lane;
  }

  /** Pieces of so many bytes each, one after another, as the registers of a vector. */
  List<Reg> join(List<Reg> pieces, int bytes) {
    List<Reg> left = pieces;
    int each = bytes;
    while (each < 64 && left.size() > 1) {
      List<Reg> next = new ArrayList<>();
      for (int i = 0; i < left.size(); i += 2) {
        next.add(pair(left.get(i), left.get(i + 1), each));
      }
      left = next;
      each *= 2;
    }
    return left;
  }

  private Reg pair(Reg low, Reg high, int bytes) {
    Reg t = Code.vector();
    switch (bytes) {
      case 32 -> code.three(Op.VINSERTI64X4, 64, t, low, high).imm(1);
      case 16 -> code.three(Op.VINSERTI32X4, 32, t, low, high).imm(1);
      case 8 -> code.three(Op.VPUNPCKLQDQ, 16, t, low, high);
      default -> {
        // The high piece moves up, and the low one loses what is above it.
        Reg up = Code.vector();
        code.two(Op.VPSLLDQ, 16, up, high).imm(bytes);
        Reg only = Code.vector();
        code.two(Op.VPSLLDQ, 16, only, low).imm(16 - bytes);
        Reg down = Code.vector();
        code.two(Op.VPSRLDQ, 16, down, only).imm(16 - bytes);
        code.three(Op.VPORD, 16, t, down, up);
      }
    }
    return t;
  }

  /** Stores all bytes of a vector (what its registers have beyond its bytes, too). */
  void store(List<Reg> parts, int size, Mem to) {
    for (int i = 0; i < parts.size(); i++) {
      code.read(Op.VSTOREDQU32, size, parts.get(i), to.plus(64 * i));
    }
  }

  List<Reg> load(int count, int size, Mem from) {
    List<Reg> parts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Reg t = Code.vector();
      code.two(Op.VMOVDQU32, size, t, from.plus(64 * i));
      parts.add(t);
    }
    return parts;
  }
}
