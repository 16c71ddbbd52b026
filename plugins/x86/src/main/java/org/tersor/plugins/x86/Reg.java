package org.tersor.plugins.x86;

/**
 * A register: one of the processor's, or one that the allocator gives a number. Identity counts.
 */
final class Reg implements Operand {
  /** Sets of registers. */
  enum Kind {
    INTEGER,
    VECTOR,
    MASK,
    NONE
  }

  static final Reg NONE = new Reg(Kind.NONE, -1);
  static final Reg RAX = new Reg(Kind.INTEGER, 0);
  static final Reg RCX = new Reg(Kind.INTEGER, 1);
  static final Reg RDX = new Reg(Kind.INTEGER, 2);
  static final Reg RBX = new Reg(Kind.INTEGER, 3);
  static final Reg RSP = new Reg(Kind.INTEGER, 4);
  static final Reg RBP = new Reg(Kind.INTEGER, 5);
  static final Reg RSI = new Reg(Kind.INTEGER, 6);
  static final Reg RDI = new Reg(Kind.INTEGER, 7);

  final Kind kind;

  /** Its number in the encoding; of a virtual register -1 until it has one. */
  private int number;

  private final boolean fixed;

  /** The allocator's number of it. */
  int index = -1;

  private Reg(Kind kind, int number) {
    this.kind = kind;
    this.number = number;
    this.fixed = true;
  }

  /** A register yet to be found. */
  Reg(Kind kind) {
    this.kind = kind;
    this.number = -1;
    this.fixed = false;
  }

  /** A register of the processor. */
  static Reg fixed(Kind kind, int number) {
    return new Reg(kind, number);
  }

  boolean isVirtual() {
    return !fixed;
  }

  int number() {
    if (number < 0) {
      throw new IllegalStateException("a register without a number");
    }
    return number;
  }

  void place(int where) {
    if (fixed) {
      throw new IllegalStateException("a fixed register");
    }
    number = where;
  }

  @Override
  public String toString() {
    String letter =
        switch (kind) {
          case INTEGER -> "r";
          case VECTOR -> "v";
          case MASK -> "k";
          case NONE -> "none";
        };
    return letter + (number < 0 ? "?" + System.identityHashCode(this) % 10000 : number);
  }
}
