package org.tersor.ir.schedule;

import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/** Loop expressions that schedules build: INDEX arithmetic folds constants on the way. */
final class LoopExprs {
  private LoopExprs() {}

  static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  static Expr plus(Expr a, Expr b) {
    if (a instanceof Expr.IntConst x && b instanceof Expr.IntConst y) {
      return index(x.value() + y.value());
    }
    return isConst(a, 0) ? b : isConst(b, 0) ? a : new Expr.Binary(BinaryOp.ADD, a, b);
  }

  static Expr minus(Expr a, Expr b) {
    if (a instanceof Expr.IntConst x && b instanceof Expr.IntConst y) {
      return index(x.value() - y.value());
    }
    return isConst(b, 0) ? a : new Expr.Binary(BinaryOp.SUB, a, b);
  }

  static Expr times(Expr a, Expr b) {
    if (a instanceof Expr.IntConst x && b instanceof Expr.IntConst y) {
      return index(x.value() * y.value());
    }
    return isConst(a, 1) ? b : isConst(b, 1) ? a : new Expr.Binary(BinaryOp.MUL, a, b);
  }

  static Expr min(Expr a, Expr b) {
    if (a instanceof Expr.IntConst x && b instanceof Expr.IntConst y) {
      return index(Math.min(x.value(), y.value()));
    }
    return new Expr.Binary(BinaryOp.MIN, a, b);
  }

  static Expr max(Expr a, Expr b) {
    if (a instanceof Expr.IntConst x && b instanceof Expr.IntConst y) {
      return index(Math.max(x.value(), y.value()));
    }
    return new Expr.Binary(BinaryOp.MAX, a, b);
  }

  /** The quotient, rounded down. */
  static Expr quotient(Expr a, long by) {
    return a instanceof Expr.IntConst x
        ? index(Math.floorDiv(x.value(), by))
        : new Expr.Binary(BinaryOp.FLOORDIV, a, index(by));
  }

  static boolean isConst(Expr e, long value) {
    return e instanceof Expr.IntConst c && c.value() == value;
  }

  /** A scalar in every one of {@code lanes} lanes; a vector of that many as it is. */
  static Expr widen(Expr a, int lanes) {
    if (a.type().lanes() == lanes) {
      return a;
    }
    return switch (a) {
      case Expr.IntConst c -> new Expr.IntConst(c.type().withLanes(lanes), c.value());
      case Expr.FloatConst c -> new Expr.FloatConst(c.type().withLanes(lanes), c.value());
      default -> new Expr.Broadcast(a, lanes);
    };
  }

  /** The value that leaves every other one alone under {@code op}. */
  static Expr identity(ReduceOp op, Type type) {
    Scalar scalar = type.scalar();
    if (scalar.isFloat()) {
      double value =
          switch (op) {
            case SUM -> 0;
            case PROD -> 1;
            case MIN -> Double.POSITIVE_INFINITY;
            case MAX -> Double.NEGATIVE_INFINITY;
            case AND, OR, XOR -> throw new IllegalArgumentException(op + " of floats");
          };
      return new Expr.FloatConst(type, value);
    }
    if (scalar == Scalar.BOOL) {
      boolean one = op == ReduceOp.AND || op == ReduceOp.MIN || op == ReduceOp.PROD;
      return new Expr.IntConst(type, one ? 1 : 0);
    }
    int bits = scalar.bytes() * 8;
    long highest = scalar.isSigned() ? ~(-1L << (bits - 1)) : bits == 64 ? -1L : ~(-1L << bits);
    long lowest = scalar.isSigned() ? -1L << (bits - 1) : 0;
    return new Expr.IntConst(
        type,
        switch (op) {
          case SUM, OR, XOR -> 0;
          case PROD -> 1;
          case MIN -> highest;
          case MAX -> lowest;
          case AND -> scalar.isSigned() || bits == 64 ? -1L : highest;
        });
  }
}
