package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * A value in registers. A scalar is in one: floats in the low lane of a vector register, all else
 * in an integer register, sign- or zero-extended to 32 bits where it has fewer (the upper half is
 * anything), bool as 0 or 1. A vector lies in registers of 64 bytes one after another (one of 16 or
 * 32 if that is enough; what is beyond its lanes is anything), a vector of bool in masks of 64
 * lanes (beyond its lanes 0).
 *
 * @param owned whether nothing else refers to its registers
 */
record Val(Type type, List<Reg> parts, boolean owned) {
  static Val of(Type type, Reg reg) {
    return new Val(type, List.of(reg), true);
  }

  static Val of(Type type, List<Reg> parts) {
    return new Val(type, parts, true);
  }

  Val shared() {
    return new Val(type, parts, false);
  }

  /** The same registers as another type. */
  Val as(Type other) {
    return new Val(other, parts, owned);
  }

  Reg reg() {
    if (parts.size() != 1) {
      throw new IllegalStateException(type + " is in " + parts.size() + " registers");
    }
    return parts.getFirst();
  }

  static boolean isMask(Type type) {
    return type.scalar() == Scalar.BOOL && type.isVector();
  }

  /** Whether a type's values are in integer registers. */
  static boolean isInteger(Type type) {
    return !type.isVector() && !type.scalar().isFloat();
  }

  static Reg.Kind kind(Type type) {
    return isMask(type) ? Reg.Kind.MASK : isInteger(type) ? Reg.Kind.INTEGER : Reg.Kind.VECTOR;
  }

  /** Number of registers. */
  static int count(Type type) {
    return isMask(type) ? (type.lanes() + 63) / 64 : Math.max(1, type.bytes() / 64);
  }

  /** Bytes of each register that a vector takes. */
  static int size(Type type) {
    return Math.clamp(type.bytes(), 16, 64);
  }

  /** Lanes in each register of a vector. */
  static int lanes(Type type) {
    return Math.min(type.lanes(), 64 / type.scalar().bytes());
  }

  /** New registers for a type. */
  static Val fresh(Type type) {
    List<Reg> parts = new ArrayList<>();
    for (int i = 0; i < count(type); i++) {
      parts.add(new Reg(kind(type)));
    }
    return new Val(type, Collections.unmodifiableList(parts), true);
  }
}
