package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.tersor.plugins.x86.Operand.Mem;

/**
 * Numbers for virtual registers by linear scan. Where there are too few, what is used least for its
 * length goes to memory, or is made again where it is read, and the scan starts anew.
 */
final class Allocator {
  /** rsp and rbp hold the frame and the arguments. */
  private static final int[] INTEGERS = {0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

  private static final int[] VECTORS = IntStream.range(0, 32).toArray();

  /** k0 means "no mask" where it is one. */
  private static final int[] MASKS = IntStream.range(1, 8).toArray();

  private final Frame frame;
  private List<Ins> code;

  /** Registers that live for one instruction: they are not spilled again. */
  private final Set<Reg> brief = new HashSet<>();

  private Allocator(List<Ins> code, Frame frame) {
    this.code = code;
    this.frame = frame;
  }

  /** The same code with numbers in all registers, and loads and stores where they are too few. */
  static List<Ins> allocate(List<Ins> code, Frame frame) {
    return new Allocator(code, frame).run();
  }

  private List<Ins> run() {
    while (true) {
      removeDead();
      Liveness live = new Liveness(code);
      BitSet spilled = scan(live);
      if (spilled.isEmpty()) {
        return code;
      }
      rewrite(live, spilled);
    }
  }

  /** Instructions whose result nobody reads. */
  private void removeDead() {
    boolean changed = true;
    while (changed) {
      Set<Reg> read = Collections.newSetFromMap(new IdentityHashMap<>());
      code.forEach(ins -> {
        boolean own = ins.readsTarget();
        Reg target = ins.target;
        Liveness.reads(
            ins,
            r -> {
              if (!own || r != target || ins.source == r || ins.operand == r) {
                read.add(r);
              }
            });
      });
      List<Ins> kept = new ArrayList<>(code.size());
      for (Ins ins : code) {
        boolean dead = ins.target.isVirtual() && !ins.op.effect && !read.contains(ins.target);
        if (!dead) {
          kept.add(ins);
        }
      }
      changed = kept.size() < code.size();
      code = kept;
    }
  }

  private static int[] numbers(Reg.Kind kind) {
    return switch (kind) {
      case INTEGER -> INTEGERS;
      case VECTOR -> VECTORS;
      case MASK -> MASKS;
      case NONE -> throw new IllegalStateException("no register");
    };
  }

  private BitSet scan(Liveness live) {
    int count = live.registers.size();
    int[] hints = hints(live);
    int[] numbers = new int[count];
    Arrays.fill(numbers, -1);
    Integer[] order = IntStream.range(0, count).boxed().toArray(Integer[]::new);
    Arrays.sort(order, Comparator.comparingInt((Integer r) -> live.start[r]));
    BitSet spilled = new BitSet();
    // By kind and number: the register that holds it, or -1.
    Map<Reg.Kind, int[]> holders = new EnumMap<>(Reg.Kind.class);
    for (Reg.Kind kind : Reg.Kind.values()) {
      int[] row = new int[32];
      Arrays.fill(row, -1);
      holders.put(kind, row);
    }
    for (int r : order) {
      Reg reg = live.registers.get(r);
      int[] row = Objects.requireNonNull(holders.get(reg.kind));
      for (int n = 0; n < 32; n++) {
        if (row[n] >= 0 && live.end[row[n]] < live.start[r]) {
          row[n] = -1;
        }
      }
      int free = -1;
      int victim = -1;
      int hint = hints[r] >= 0 ? numbers[hints[r]] : -1;
      for (int n : numbers(reg.kind)) {
        if (reg.kind == Reg.Kind.INTEGER && n <= 2 && isBlocked(live, r, n)) {
          continue;
        }
        if (row[n] < 0) {
          if (free < 0 || n == hint) {
            free = n;
          }
        } else if (!brief.contains(live.registers.get(row[n]))
            && (victim < 0 || cost(live, row[n]) < cost(live, row[victim]))) {
          victim = n;
        }
      }
      if (free < 0) {
        boolean self =
            !brief.contains(reg) && (victim < 0 || cost(live, r) <= cost(live, row[victim]));
        if (self) {
          spilled.set(r);
          continue;
        }
        if (victim < 0) {
          throw new IllegalStateException("an instruction needs too many registers");
        }
        spilled.set(row[victim]);
        free = victim;
      }
      row[free] = r;
      numbers[r] = free;
    }
    if (spilled.isEmpty()) {
      for (int r = 0; r < count; r++) {
        live.registers.get(r).place(numbers[r]);
      }
    }
    return spilled;
  }

  private static boolean isBlocked(Liveness live, int r, int number) {
    for (int[] range : live.blocked[number]) {
      if (range[0] <= live.end[r] && live.start[r] <= range[1]) {
        return true;
      }
    }
    return false;
  }

  private double cost(Liveness live, int r) {
    double length = live.end[r] - live.start[r] + 2;
    double each = live.writer[r] >= 0 && isMadeAnew(code.get(live.writer[r])) ? 0.5 : 1;
    return each * live.uses[r] / length;
  }

  /** Registers that moves would like to be the same. */
  private int[] hints(Liveness live) {
    int[] hints = new int[live.registers.size()];
    Arrays.fill(hints, -1);
    for (Ins ins : code) {
      if (ins.isMove() && ins.operand instanceof Reg from && from.isVirtual()) {
        if (ins.target.isVirtual() && live.start[from.index] < live.start[ins.target.index]) {
          hints[ins.target.index] = from.index;
        }
      }
    }
    return hints;
  }

  /** Whether an instruction depends on nothing that changes. */
  private static boolean isMadeAnew(Ins ins) {
    return switch (ins.op) {
      case MOVI, MOVIQ -> true;
      case MOV,
          LEA,
          VMOVDQU8,
          VMOVDQU16,
          VMOVDQU32,
          VMOVDQU64,
          VLOADSS,
          VLOADSD,
          VPBROADCASTB,
          VPBROADCASTW,
          VPBROADCASTD,
          VPBROADCASTQ ->
          ins.mask == Reg.NONE
              && ins.operand instanceof Mem m
              && m.base() == Reg.NONE
              && m.index() == Reg.NONE
              && (m.place() != Operand.Place.FRAME || ins.op == Op.LEA);
      default -> false;
    };
  }

  private void rewrite(Liveness live, BitSet spilled) {
    int count = live.registers.size();
    Ins[] made = new Ins[count];
    int[] slots = new int[count];
    for (int r = spilled.nextSetBit(0); r >= 0; r = spilled.nextSetBit(r + 1)) {
      int writer = live.writer[r];
      if (writer >= 0 && isMadeAnew(code.get(writer))) {
        made[r] = code.get(writer);
      } else {
        int bytes = live.registers.get(r).kind == Reg.Kind.VECTOR ? 64 : 8;
        slots[r] = frame.allocate(bytes, bytes);
      }
    }
    code = new Spiller(code, spilled, made, slots, brief).run();
  }
}
