package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.tersor.plugins.x86.Operand.Mem;
import org.tersor.plugins.x86.Operand.Place;

/**
 * Encodes instructions whose registers have numbers, with jumps, and a pool of constants behind the
 * code. Source: Intel SDM, volume 2.
 */
final class Assembler {
  private record Fixup(int at, int end, Label label, int constant) {}

  final Pool pool = new Pool();
  private byte[] code = new byte[4096];
  private int length;
  private final List<Fixup> fixups = new ArrayList<>();

  /** Arguments of a kernel begin behind the saved rbp and the address it returns to. */
  static final int ARGUMENTS = 16;

  int position() {
    return length;
  }

  /** Fills with instructions that do nothing. */
  void align(int bytes) {
    while (length % bytes != 0) {
      put(0x90);
    }
  }

  private void put(int b) {
    if (length == code.length) {
      code = Arrays.copyOf(code, 2 * length);
    }
    code[length++] = (byte) b;
  }

  private void put(long value, int bytes) {
    for (int i = 0; i < bytes; i++) {
      put((int) (value >> (8 * i)));
    }
  }

  /** A number between the code. */
  void data(long value, int bytes) {
    put(value, bytes);
  }

  /** The code, with jumps and constants in place. */
  byte[] finish() {
    align(64);
    int[] places = new int[pool.size()];
    // The largest first keeps all aligned.
    IntStream.range(0, pool.size())
        .boxed()
        .sorted(Comparator.comparingInt((Integer i) -> -pool.get(i).length))
        .forEach(i -> {
          places[i] = length;
          for (byte b : pool.get(i)) {
            put(b);
          }
        });
    for (Fixup f : fixups) {
      int target = f.constant >= 0 ? places[f.constant] : f.label.position();
      if (target < 0) {
        throw new IllegalStateException("a jump to nowhere");
      }
      int distance = target - f.end;
      for (int i = 0; i < 4; i++) {
        code[f.at + i] = (byte) (distance >> (8 * i));
      }
    }
    return Arrays.copyOf(code, length);
  }

  void emit(Ins ins) {
    switch (ins.op.encoding) {
      case LEG -> legacy(ins);
      case VEX -> vex(ins);
      case EVEX -> evex(ins);
      case NONE -> {
        if (ins.op == Op.LABEL) {
          ins.label.bind(length);
        }
      }
    }
  }

  /** The register in ModRM's middle field. */
  private static int field(Ins ins) {
    if (ins.op.digit >= 0) {
      return ins.op.digit;
    }
    return switch (ins.op.form) {
      case "mr" -> ins.source.number();
      default -> ins.target.number();
    };
  }

  /** The operand that ModRM and SIB name. */
  private static Operand place(Ins ins) {
    return ins.operand instanceof Operand.None ? ins.target : ins.operand;
  }

  private void legacy(Ins ins) {
    Op op = ins.op;
    boolean wide = ins.size == 8 && !op.is("wide");
    if (op.prefix != 0) {
      put(op.prefix);
    }
    int condition = op.is("cc") ? (int) (ins.imm & 0xf) : 0;
    switch (op.form) {
      case "-" -> {
        if (op.is("jump")) {
          jump(ins, condition);
          return;
        }
        if (wide && op == Op.CDQ) {
          put(0x48);
        }
        if (op == Op.VZEROUPPER) {
          put(0xc5);
          put(0xf8);
        }
        escape(op);
        put(op.opcode);
      }
      case "o" -> {
        int number = ins.target.number();
        int rex = (wide ? 8 : 0) | number >> 3;
        if (rex != 0) {
          put(0x40 | rex);
        }
        put(op.opcode + (number & 7));
        if (op.imm.equals("imm64")) {
          put(ins.imm, wide ? 8 : 4);
        }
      }
      default -> {
        int field = field(ins);
        Operand place = place(ins);
        int rex = (wide ? 8 : 0) | (field >> 3) << 2 | extension(place);
        boolean lowRegister =
            op.low
                && ((op.form.equals("mr") && field >= 4)
                    || (place instanceof Reg r && r.number() >= 4));
        if (rex != 0 || lowRegister) {
          put(0x40 | rex);
        }
        escape(op);
        boolean shortImm = op.imm.equals("immx") && ins.imm == (byte) ins.imm;
        put((op.opcode + condition) | (shortImm ? 2 : 0));
        int immBytes =
            switch (op.imm) {
              case "imm8" -> 1;
              case "imm32" -> 4;
              case "immx" -> shortImm ? 1 : 4;
              default -> 0;
            };
        modrm(field, place, 0, immBytes);
        put(ins.imm, immBytes);
      }
    }
  }

  private void escape(Op op) {
    if (op.map >= 1) {
      put(0x0f);
    }
  }

  private void jump(Ins ins, int condition) {
    Op op = ins.op;
    if (ins.label.isBound() && op != Op.CALL) {
      int distance = ins.label.position() - (length + 2);
      if (distance >= -128) {
        put(op == Op.JMP ? 0xeb : 0x70 + condition);
        put(distance);
        return;
      }
    }
    escape(op);
    put(op.opcode + condition);
    fixups.add(new Fixup(length, length + 4, ins.label, -1));
    put(0, 4);
  }

  /** Bits 1 (index) and 0 (base or register) of a REX prefix. */
  private static int extension(Operand place) {
    return switch (place) {
      case Reg r -> r.number() >> 3 & 1;
      case Mem m ->
          (m.index() == Reg.NONE ? 0 : (m.index().number() >> 3 & 1) << 1)
              | (m.base() == Reg.NONE ? 0 : m.base().number() >> 3 & 1);
      case Operand.None _ -> 0;
    };
  }

  private static int prefixCode(Op op) {
    return switch (op.prefix) {
      case 0x66 -> 1;
      case 0xf3 -> 2;
      case 0xf2 -> 3;
      default -> 0;
    };
  }

  private void vex(Ins ins) {
    Op op = ins.op;
    int field = field(ins);
    Operand place = place(ins);
    int extension = extension(place);
    int w = op.w >= 0 ? op.w : ins.size == 8 ? 1 : 0;
    int second = op.form.equals("rvm") ? ins.source.number() : 0;
    put(0xc4);
    put((~(field >> 3) & 1) << 7 | (~(extension >> 1) & 1) << 6 | (~extension & 1) << 5 | op.map);
    put(w << 7 | (~second & 15) << 3 | (op.l1 ? 4 : 0) | prefixCode(op));
    put(op.opcode);
    int immBytes = op.imm.isEmpty() ? 0 : 1;
    modrm(field, place, 0, immBytes);
    put(ins.imm, immBytes);
  }

  private void evex(Ins ins) {
    Op op = ins.op;
    int field = field(ins);
    Operand place = place(ins);
    int extension = extension(place);
    int x = extension >> 1;
    int high = 0;
    if (place instanceof Reg r) {
      x = r.number() >> 4 & 1;
    } else if (place instanceof Mem m && m.index() != Reg.NONE && op.is("vsib")) {
      high = m.index().number() >> 4 & 1;
    }
    int second =
        switch (op.form) {
          case "rvm" -> ins.source.number();
          case "vm" -> ins.target.number();
          default -> 0;
        };
    if (!op.is("vsib")) {
      high = second >> 4 & 1;
    }
    put(0x62);
    put(
        (~(field >> 3) & 1) << 7
            | (~x & 1) << 6
            | (~extension & 1) << 5
            | (~(field >> 4) & 1) << 4
            | op.map);
    put(op.w << 7 | (~second & 15) << 3 | 4 | prefixCode(op));
    boolean scalar = op.tuple.startsWith("s") && isScalar(op);
    int vectorLength = scalar ? 0 : ins.size == 64 ? 2 : ins.size == 32 ? 1 : 0;
    put(
        (ins.zeroing ? 0x80 : 0)
            | vectorLength << 5
            | (ins.broadcast ? 0x10 : 0)
            | (~high & 1) << 3
            | (ins.mask == Reg.NONE ? 0 : ins.mask.number()));
    put(op.opcode);
    int immBytes = op.imm.isEmpty() ? 0 : 1;
    modrm(field, place, op.memoryBytes(ins.size, ins.broadcast), immBytes);
    put(ins.imm, immBytes);
  }

  /** Operations on one lane say no length. */
  private static boolean isScalar(Op op) {
    return !op.name().contains("BROADCAST") && !op.is("vsib");
  }

  /**
   * ModRM, SIB and displacement.
   *
   * @param unit what a displacement of one byte counts in, 0 or 1: bytes
   */
  private void modrm(int field, Operand place, int unit, int immBytes) {
    int reg = (field & 7) << 3;
    switch (place) {
      case Reg r -> put(0xc0 | reg | (r.number() & 7));
      case Mem m -> memory(reg, m, Math.max(1, unit), immBytes);
      case Operand.None _ -> throw new IllegalStateException("an instruction without its operand");
    }
  }

  private void memory(int reg, Mem m, int unit, int immBytes) {
    switch (m.place()) {
      case POOL, LABEL -> {
        put(reg | 5);
        boolean constant = m.place() == Place.POOL;
        fixups.add(
            new Fixup(length, length + 4 + immBytes, m.label(), constant ? m.displacement() : -1));
        put(0, 4);
      }
      case FRAME -> based(reg, Reg.RSP, m.index(), m.scale(), m.displacement(), unit);
      case ARGUMENTS ->
          based(reg, Reg.RBP, m.index(), m.scale(), m.displacement() + ARGUMENTS, unit);
      case REGISTER -> {
        if (m.base() == Reg.NONE) {
          put(reg | 4);
          put(sib(m.scale(), m.index()) | 5);
          put(m.displacement(), 4);
        } else {
          based(reg, m.base(), m.index(), m.scale(), m.displacement(), unit);
        }
      }
    }
  }

  private static int sib(int scale, Reg index) {
    return index == Reg.NONE
        ? 4 << 3
        : Integer.numberOfTrailingZeros(scale) << 6 | (index.number() & 7) << 3;
  }

  private void based(int reg, Reg base, Reg index, int scale, int displacement, int unit) {
    int number = base.number() & 7;
    int mode;
    int small = displacement / unit;
    if (displacement == 0 && number != 5) {
      mode = 0;
    } else if (displacement % unit == 0 && small == (byte) small) {
      mode = 0x40;
    } else {
      mode = 0x80;
    }
    if (index == Reg.NONE && number != 4) {
      put(mode | reg | number);
    } else {
      put(mode | reg | 4);
      put(sib(scale, index) | number);
    }
    if (mode == 0x40) {
      put(small);
    } else if (mode == 0x80) {
      put(displacement, 4);
    }
  }
}
