package org.tersor.plugins.x86;

/**
 * What an instruction reads or writes beside its first registers: a register, memory or nothing.
 */
sealed interface Operand permits Operand.None, Operand.Mem, Reg {
  /** No operand. */
  record None() implements Operand {}

  None NONE = new None();

  /** Where memory begins. */
  enum Place {
    /** At a register (or at 0 without one). */
    REGISTER,
    /** At the function's frame. */
    FRAME,
    /** At the function's arguments. */
    ARGUMENTS,
    /** At constant {@code displacement} of the pool. */
    POOL,
    /** At a label. */
    LABEL
  }

  /**
   * Memory at {@code base + index * scale + displacement}; registers may be {@link Reg#NONE}.
   *
   * @param label of {@link Place#LABEL}
   */
  record Mem(Place place, Reg base, Reg index, int scale, int displacement, Label label)
      implements Operand {
    static Mem of(Reg base, int displacement) {
      return new Mem(Place.REGISTER, base, Reg.NONE, 1, displacement, Label.NONE);
    }

    static Mem of(Reg base, Reg index, int scale, int displacement) {
      return new Mem(Place.REGISTER, base, index, scale, displacement, Label.NONE);
    }

    static Mem frame(int displacement) {
      return new Mem(Place.FRAME, Reg.NONE, Reg.NONE, 1, displacement, Label.NONE);
    }

    static Mem argument(int number) {
      return new Mem(Place.ARGUMENTS, Reg.NONE, Reg.NONE, 1, 8 * number, Label.NONE);
    }

    static Mem pool(int constant) {
      return new Mem(Place.POOL, Reg.NONE, Reg.NONE, 1, constant, Label.NONE);
    }

    static Mem at(Label label) {
      return new Mem(Place.LABEL, Reg.NONE, Reg.NONE, 1, 0, label);
    }

    Mem plus(int bytes) {
      return new Mem(place, base, index, scale, displacement + bytes, label);
    }

    Mem with(Reg newBase, Reg newIndex) {
      return new Mem(place, newBase, newIndex, scale, displacement, label);
    }
  }
}
