package org.tersor.plugins.x86;

import java.util.Optional;
import org.tersor.ir.loop.Expr;
import org.tersor.plugins.x86.Operand.Mem;

/** Operands of instructions. */
final class Operations {
  private Operations() {}

  /** An operand in memory: a vector, or an element for all lanes. */
  record Folded(Mem memory, boolean broadcast) {}

  /** An operand in registers or in memory. */
  record Source(Optional<Val> value, Optional<Folded> folded) {
    static Source of(Val value) {
      return new Source(Optional.of(value), Optional.empty());
    }

    static Source of(Folded folded) {
      return new Source(Optional.empty(), Optional.of(folded));
    }

    /** For register {@code part} of a vector. */
    Operand operand(int part) {
      return value
          .<Operand>map(v -> v.parts().get(part))
          .orElseGet(() -> {
            Folded f = folded.orElseThrow();
            return f.broadcast ? f.memory : f.memory.plus(64 * part);
          });
    }

    boolean broadcast() {
      return folded.map(Folded::broadcast).orElse(false);
    }
  }

  /** A constant with other lanes. */
  static Expr withLanes(Expr constant, int lanes) {
    return switch (constant) {
      case Expr.IntConst c -> new Expr.IntConst(c.type().withLanes(lanes), c.value());
      case Expr.FloatConst c -> new Expr.FloatConst(c.type().withLanes(lanes), c.value());
      default -> throw new IllegalStateException("no constant");
    };
  }
}
