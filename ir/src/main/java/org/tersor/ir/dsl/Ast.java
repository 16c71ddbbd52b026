package org.tersor.ir.dsl;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.runtime.TersorException;

/**
 * An expression of the kernel language before types are known. Kept by formats, whose definitions
 * are expanded at each use.
 */
sealed interface Ast {
  Pos at();

  /** Line and column, both from 1. */
  record Pos(int line, int column) {
    TersorException error(String code, String message) {
      return new TersorException(
          code, "kernel text, line " + line + " column " + column + ": " + message);
    }
  }

  /** A number as it is written, with its type suffix if it has one; whole unless it has a point. */
  record Num(Pos at, String text, boolean whole) implements Ast {}

  record Truth(Pos at, boolean value) implements Ast {}

  record Name(Pos at, String name, boolean quoted) implements Ast {}

  /** A function, a cast (in range with {@code !}) or a definition of a format. */
  record Call(Pos at, String name, boolean bang, List<Ast> args) implements Ast {}

  record Load(Pos at, String name, List<Ast> index) implements Ast {}

  /** A load through another shape or type than the buffer was declared with. */
  record View(Pos at, String name, String type, List<Ast> shape, List<Ast> index) implements Ast {}

  /** {@code b.q[i]}, {@code b.scale}. */
  record Field(Pos at, String block, String field, Optional<List<Ast>> index) implements Ast {}

  record Neg(Pos at, Ast a) implements Ast {}

  record Bin(Pos at, String op, Ast a, Ast b) implements Ast {}

  record Fold(Pos at, ReduceOp op, List<AxisDecl> axes, Ast body) implements Ast {}

  /** An axis; its extent is inferred where it is left out. */
  record AxisDecl(Pos at, String name, Optional<Ast> extent) {}

  /** Operands of a node. */
  default List<Ast> operands() {
    return switch (this) {
      case Num _, Truth _, Name _ -> List.of();
      case Call e -> e.args;
      case Load e -> e.index;
      case View e -> e.index;
      case Field e -> e.index.orElse(List.of());
      case Neg e -> List.of(e.a);
      case Bin e -> List.of(e.a, e.b);
      case Fold e -> List.of(e.body);
    };
  }
}
