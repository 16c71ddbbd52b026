package org.tersor.plugins.x86;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import org.tersor.plugins.x86.Operand.Mem;

/**
 * From where to where each virtual register of a function is in use: an instruction reads at twice
 * its number and writes one later. Loops are the only way back, so a register that is in use when
 * one begins is so until it ends.
 */
final class Liveness {
  /** A loop. */
  private static final class Loop {
    /** Number of its first instruction. */
    final int begin;

    /** The position of its last one. */
    int end;

    Loop(int begin) {
      this.begin = begin;
    }
  }

  final List<Reg> registers = new ArrayList<>();
  final int[] start;
  final int[] end;

  /** How often it is read and written, where a loop has eight turns. */
  final double[] uses;

  /** The only instruction that writes it, -1 for none, -2 for several. */
  final int[] writer;

  /** For the fixed registers rax, rcx and rdx: where they are in use, from and to in turn. */
  final List<int[]>[] blocked;

  @SuppressWarnings({"unchecked", "rawtypes"}) // an array of lists
  Liveness(List<Ins> code) {
    code.forEach(ins -> visit(ins, r -> r.index = -1));
    code.forEach(ins ->
        visit(
            ins,
            r -> {
              if (r.index < 0) {
                r.index = registers.size();
                registers.add(r);
              }
            }));
    int count = registers.size();
    start = new int[count];
    end = new int[count];
    uses = new double[count];
    writer = new int[count];
    blocked = new List[] {new ArrayList<>(), new ArrayList<>(), new ArrayList<>()};
    Arrays.fill(start, -1);
    Arrays.fill(writer, -1);
    Deque<Loop> loops = new ArrayDeque<>();
    List<Loop>[] extended = new List[count];
    int[] lastFixed = {-1, -1, -1};
    for (int i = 0; i < code.size(); i++) {
      Ins ins = code.get(i);
      if (ins.op == Op.LOOP) {
        loops.push(new Loop(i));
      } else if (ins.op == Op.END) {
        loops.pop().end = 2 * i + 1;
      }
      int at = i;
      double weight = Math.pow(8, Math.min(loops.size(), 10));
      reads(ins, r -> occurs(r, 2 * at, weight, loops, extended));
      if (ins.target.isVirtual()) {
        occurs(ins.target, 2 * i + 1, weight, loops, extended);
        writer[ins.target.index] = writer[ins.target.index] == -1 ? i : -2;
      }
      fixed(ins, i, lastFixed);
    }
    for (int r = 0; r < count; r++) {
      if (extended[r] != null) {
        for (Loop loop : extended[r]) {
          end[r] = Math.max(end[r], loop.end);
        }
      }
    }
  }

  private void occurs(
      Reg r, int position, double weight, Deque<Loop> loops, List<Loop>[] extended) {
    int index = r.index;
    if (start[index] < 0) {
      start[index] = position;
    }
    end[index] = Math.max(end[index], position);
    uses[index] += weight;
    Loop outermost = null;
    for (Loop loop : loops) {
      if (2 * loop.begin > start[index]) {
        outermost = loop;
      } else {
        break;
      }
    }
    if (outermost != null) {
      if (extended[index] == null) {
        extended[index] = new ArrayList<>(1);
      }
      if (extended[index].isEmpty() || extended[index].getLast() != outermost) {
        extended[index].add(outermost);
      }
    }
  }

  /** Divisions and calls of the system use registers of their own choice. */
  private void fixed(Ins ins, int i, int[] last) {
    for (int r = 0; r < 3; r++) {
      boolean division = ins.op == Op.IDIV || ins.op == Op.DIV;
      boolean read =
          (ins.op == Op.CDQ && r == 0) || (division && r != 1) || isFixed(ins.operand, r);
      boolean written =
          (ins.op == Op.CDQ && r == 2) || (division && r != 1) || isFixed(ins.target, r);
      if (read && last[r] >= 0) {
        blocked[r].add(new int[] {2 * last[r] + 1, 2 * i});
      }
      if (written) {
        blocked[r].add(new int[] {2 * i + 1, 2 * i + 1});
      }
      if (read || written) {
        last[r] = i;
      }
    }
  }

  private static boolean isFixed(Operand operand, int number) {
    return operand instanceof Reg r
        && !r.isVirtual()
        && r.kind == Reg.Kind.INTEGER
        && r.number() == number;
  }

  /** Virtual registers that an instruction reads. */
  static void reads(Ins ins, Consumer<Reg> to) {
    virtual(ins.source, to);
    switch (ins.operand) {
      case Reg r -> virtual(r, to);
      case Mem m -> {
        virtual(m.base(), to);
        virtual(m.index(), to);
      }
      case Operand.None _ -> {}
    }
    virtual(ins.mask, to);
    if (ins.readsTarget()) {
      virtual(ins.target, to);
    }
  }

  private static void visit(Ins ins, Consumer<Reg> to) {
    reads(ins, to);
    virtual(ins.target, to);
  }

  private static void virtual(Reg r, Consumer<Reg> to) {
    if (r.isVirtual()) {
      to.accept(r);
    }
  }
}
