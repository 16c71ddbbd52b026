package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import org.tersor.plugins.x86.Operand.Mem;

/**
 * Rewrites code so that some registers live in memory, or are made where they are read: as an
 * operand of the instruction where it takes memory, else by a load before.
 */
final class Spiller {
  private final List<Ins> code;
  private final BitSet spilled;
  private final Ins[] made;
  private final int[] slots;
  private final Set<Reg> brief;
  private final List<Ins> out = new ArrayList<>();

  /**
   * Over registers by their index.
   *
   * @param made instructions that make a register anew; others (null) have a slot
   */
  Spiller(List<Ins> code, BitSet spilled, Ins[] made, int[] slots, Set<Reg> brief) {
    this.code = code;
    this.spilled = spilled;
    this.made = made;
    this.slots = slots;
    this.brief = brief;
  }

  private boolean isSpilled(Reg r) {
    return r.isVirtual() && spilled.get(r.index);
  }

  List<Ins> run() {
    for (Ins ins : code) {
      if (ins.target.isVirtual() && spilled.get(ins.target.index)) {
        if (ins.op == Op.DECLARE || made[ins.target.index] != null) {
          continue;
        }
      }
      rewrite(ins);
    }
    return out;
  }

  private void rewrite(Ins ins) {
    if (ins.isMove() && ins.operand instanceof Reg from) {
      if (isSpilled(ins.target)) {
        Reg value = isSpilled(from) ? load(from) : from;
        out.add(store(value, slots[ins.target.index]));
        return;
      }
      if (isSpilled(from)) {
        loadInto(from, ins.target);
        return;
      }
    }
    if (ins.operand instanceof Reg r && isSpilled(r)) {
      if (!fold(ins, r)) {
        ins.operand = load(r);
      }
    } else if (ins.operand instanceof Mem m && (isSpilled(m.base()) || isSpilled(m.index()))) {
      Reg base = isSpilled(m.base()) ? load(m.base()) : m.base();
      Reg index = isSpilled(m.index()) ? m.index() == m.base() ? base : load(m.index()) : m.index();
      ins.operand = m.with(base, index);
    }
    if (isSpilled(ins.source)) {
      ins.source = load(ins.source);
    }
    if (isSpilled(ins.mask)) {
      ins.mask = load(ins.mask);
    }
    if (!isSpilled(ins.target)) {
      out.add(ins);
      return;
    }
    Reg target = ins.target;
    boolean inMemory =
        ins.op.encoding == Op.Encoding.LEG
            && ins.op.form.equals("m")
            && ins.operand instanceof Operand.None
            && ins.size == 8
            && !ins.op.low;
    if (inMemory) {
      ins.target = Reg.NONE;
      ins.operand = Mem.frame(slots[target.index]);
      out.add(ins);
      return;
    }
    ins.target = ins.readsTarget() ? load(target) : brief(target.kind);
    out.add(ins);
    out.add(store(ins.target, slots[target.index]));
  }

  private Reg brief(Reg.Kind kind) {
    Reg r = new Reg(kind);
    brief.add(r);
    return r;
  }

  /** Puts what a register stands for into the instruction itself. */
  private boolean fold(Ins ins, Reg r) {
    Op op = ins.op;
    if (op.registersOnly || op.low || ins.broadcast || op == Op.DECLARE) {
      return false;
    }
    if (op.encoding == Op.Encoding.LEG && ins.size < 4) {
      return false;
    }
    Ins maker = made[r.index];
    if (maker == null) {
      ins.operand = Mem.frame(slots[r.index]);
      return true;
    }
    if (!(maker.operand instanceof Mem m)) {
      return false;
    }
    return switch (maker.op) {
      case MOV -> {
        boolean fits = maker.size >= ins.size || op.encoding != Op.Encoding.LEG;
        if (fits) {
          ins.operand = m;
        }
        yield fits;
      }
      case VMOVDQU8, VMOVDQU16, VMOVDQU32, VMOVDQU64 -> {
        boolean fits = op.memoryBytes(ins.size, false) <= maker.size;
        if (fits) {
          ins.operand = m;
        }
        yield fits;
      }
      case VLOADSS, VLOADSD, VPBROADCASTD, VPBROADCASTQ -> {
        int bytes = maker.op.w == 1 ? 8 : 4;
        boolean scalar = op.tuple.equals("s" + bytes);
        boolean all =
            op.tuple.equals("fv")
                && op.w == maker.op.w
                && maker.op.name().contains("BROADCAST")
                && maker.size >= ins.size;
        if (scalar || all) {
          ins.operand = m;
          ins.broadcast = all;
        }
        yield scalar || all;
      }
      default -> false;
    };
  }

  private Reg load(Reg r) {
    Reg target = brief(r.kind);
    loadInto(r, target);
    return target;
  }

  private void loadInto(Reg r, Reg target) {
    Ins maker = made[r.index];
    if (maker == null) {
      Mem slot = Mem.frame(slots[r.index]);
      out.add(
          switch (r.kind) {
            case INTEGER -> new Ins(Op.MOV, 8).target(target).operand(slot);
            case VECTOR -> new Ins(Op.VMOVDQU64, 64).target(target).operand(slot);
            case MASK, NONE -> new Ins(Op.KMOV, 8).target(target).operand(slot);
          });
      return;
    }
    out.add(new Ins(maker.op, maker.size).target(target).operand(maker.operand).imm(maker.imm));
  }

  private static Ins store(Reg value, int slot) {
    Op op =
        switch (value.kind) {
          case INTEGER -> Op.STORE;
          case VECTOR -> Op.VSTOREDQU64;
          case MASK, NONE -> Op.KSTORE;
        };
    int size = value.kind == Reg.Kind.VECTOR ? 64 : 8;
    return new Ins(op, size).source(value).operand(Mem.frame(slot));
  }
}
