package org.tersor.plugins.x86;

import org.tersor.plugins.x86.Operand.Mem;

/** Short forms for code over the processor's own registers. */
final class Hand {
  /** Registers that a C function leaves as they are, but rsp and rbp. */
  private static final Reg[] KEPT = {
    Reg.RBX,
    Reg.fixed(Reg.Kind.INTEGER, 12),
    Reg.fixed(Reg.Kind.INTEGER, 13),
    Reg.fixed(Reg.Kind.INTEGER, 14),
    Reg.fixed(Reg.Kind.INTEGER, 15)
  };

  static final Reg R8 = Reg.fixed(Reg.Kind.INTEGER, 8);
  static final Reg R9 = Reg.fixed(Reg.Kind.INTEGER, 9);

  final Assembler assembler;

  Hand(Assembler assembler) {
    this.assembler = assembler;
  }

  void label(Label label) {
    assembler.emit(new Ins(Op.LABEL, 0).label(label));
  }

  void two(Op op, Reg target, Operand operand) {
    assembler.emit(new Ins(op, 8).target(target).operand(operand));
  }

  void load(Reg target, Mem from) {
    two(Op.MOV, target, from);
  }

  void store(Reg source, Mem to) {
    assembler.emit(new Ins(Op.STORE, 8).source(source).operand(to));
  }

  void number(Reg target, long value) {
    assembler.emit(new Ins(Op.MOVIQ, 8).target(target).imm(value));
  }

  void change(Op op, Reg target, long imm) {
    assembler.emit(new Ins(op, 8).target(target).imm(imm));
  }

  void compare(Reg a, Operand b) {
    assembler.emit(new Ins(Op.CMP, 8).source(a).operand(b));
  }

  void compare(Reg a, long imm) {
    assembler.emit(new Ins(Op.CMPI, 8).operand(a).imm(imm));
  }

  void jump(int condition, Label label) {
    assembler.emit(new Ins(Op.JCC, 0).imm(condition).label(label));
  }

  void jump(Label label) {
    assembler.emit(new Ins(Op.JMP, 0).label(label));
  }

  void call(Label label) {
    assembler.emit(new Ins(Op.CALL, 0).label(label));
  }

  void call(Reg address) {
    assembler.emit(new Ins(Op.CALLM, 8).operand(address));
  }

  /** Begins a function with room under rbp - 40, which the stack pointer ends. */
  void enter(int bytes) {
    frame(0);
    for (Reg kept : KEPT) {
      assembler.emit(new Ins(Op.PUSH, 8).target(kept));
    }
    change(Op.SUBI, Reg.RSP, (bytes + 15) / 16 * 16 + 8);
  }

  /** Ends a function of C's convention that {@link #enter} began. */
  void leave() {
    two(Op.LEA, Reg.RSP, Mem.of(Reg.RBP, -8 * KEPT.length));
    for (int i = KEPT.length - 1; i >= 0; i--) {
      assembler.emit(new Ins(Op.POP, 8).target(KEPT[i]));
    }
    assembler.emit(new Ins(Op.VZEROUPPER, 4));
    assembler.emit(new Ins(Op.POP, 8).target(Reg.RBP));
    assembler.emit(new Ins(Op.RET, 8));
  }

  /** A frame of rbp with so many bytes under it. */
  void frame(int bytes) {
    assembler.emit(new Ins(Op.PUSH, 8).target(Reg.RBP));
    two(Op.MOV, Reg.RBP, Reg.RSP);
    if (bytes > 0) {
      change(Op.SUBI, Reg.RSP, (bytes + 15) / 16 * 16L);
    }
  }

  void unframe() {
    two(Op.MOV, Reg.RSP, Reg.RBP);
    assembler.emit(new Ins(Op.POP, 8).target(Reg.RBP));
    assembler.emit(new Ins(Op.RET, 8));
  }

  static Mem local(int number) {
    return Mem.of(Reg.RBP, -8 * (KEPT.length + number));
  }
}
