package org.tersor.plugins.x86;

import org.tersor.plugins.x86.Operand.Mem;

/** An instruction over virtual registers. What it lacks is {@code NONE}, or 0. */
final class Ins {
  Op op;

  /**
   * Bytes of the operands: 4 or 8 of integers, 16, 32 or 64 of vectors (of the longest operand).
   */
  final int size;

  /** What it writes; read too if the operation is tied, or merges under a mask. */
  Reg target = Reg.NONE;

  /** A register that it reads. */
  Reg source = Reg.NONE;

  /** A register or memory that it reads (memory that it writes, of stores). */
  Operand operand = Operand.NONE;

  long imm;

  /** The lanes that it writes. */
  Reg mask = Reg.NONE;

  /** Whether other lanes become zero; else they keep what they are. */
  boolean zeroing;

  /** Whether memory is one element for all lanes. */
  boolean broadcast;

  /** Of jumps and labels. */
  Label label = Label.NONE;

  Ins(Op op, int size) {
    this.op = op;
    this.size = size;
  }

  Ins target(Reg reg) {
    target = reg;
    return this;
  }

  Ins source(Reg reg) {
    source = reg;
    return this;
  }

  Ins operand(Operand what) {
    operand = what;
    return this;
  }

  Ins imm(long value) {
    imm = value;
    return this;
  }

  Ins mask(Reg lanes, boolean zero) {
    mask = lanes;
    zeroing = zero;
    return this;
  }

  Ins broadcast() {
    broadcast = true;
    return this;
  }

  Ins label(Label where) {
    label = where;
    return this;
  }

  /** Whether the target's old contents matter. */
  boolean readsTarget() {
    return target != Reg.NONE
        && (op.tied
            || (mask != Reg.NONE && !zeroing && target.kind == Reg.Kind.VECTOR && !op.is("blend")));
  }

  boolean isMove() {
    return ((op == Op.MOV && size == 8) || op == Op.VMOVAPS || op == Op.KMOV)
        && target != Reg.NONE
        && operand instanceof Reg
        && mask == Reg.NONE;
  }

  boolean storesToMemory() {
    return target == Reg.NONE && operand instanceof Mem;
  }

  @Override
  public String toString() {
    return op
        + "."
        + size
        + " "
        + target
        + ", "
        + source
        + ", "
        + operand
        + (imm != 0 ? ", " + imm : "")
        + (mask == Reg.NONE ? "" : " {" + mask + (zeroing ? " z}" : "}"))
        + (broadcast ? " broadcast" : "");
  }
}
