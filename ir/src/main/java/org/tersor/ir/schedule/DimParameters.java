package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/**
 * Dimensions as expressions over the function's INDEX parameters, which are numbered in order of
 * first use: symbols come from a model and stay out of the code. Long expressions are parameters
 * themselves, computed once per call in 64 bits.
 */
final class DimParameters {
  /** Characters of an expression that becomes code. */
  private static final int LONGEST = 40;

  private final Map<DimExpr, String> names = new LinkedHashMap<>();
  private final String prefix;

  /** Symbols that are variables of the code. */
  private final Map<String, Expr> bound;

  DimParameters() {
    this("dim", Map.of());
  }

  /**
   * @param prefix what names of parameters begin with
   * @param bound symbols that are no parameters, and their values
   */
  DimParameters(String prefix, Map<String, Expr> bound) {
    this.prefix = prefix;
    this.bound = bound;
  }

  /** Name of the function's INDEX parameter {@code number}. */
  static String name(int number) {
    return "dim" + number;
  }

  /** Names of the function's INDEX parameters so far, in order. */
  List<String> names() {
    return List.copyOf(names.values());
  }

  /** The values of the function's INDEX parameters so far, in order. */
  List<DimExpr> values() {
    return List.copyOf(names.keySet());
  }

  private Expr parameter(DimExpr value) {
    return new Expr.Var(Type.INDEX, names.computeIfAbsent(value, v -> prefix + names.size()));
  }

  Expr expression(DimExpr value) {
    if (!value.isConst()
        && value.toString().length() > LONGEST
        && value.symbols().stream().noneMatch(bound::containsKey)) {
      return parameter(value);
    }
    return value.fold(
        new DimExpr.Algebra<Expr>() {
          @Override
          public Expr constant(long v) {
            return index(v);
          }

          @Override
          public Expr symbol(String name) {
            Expr variable = bound.get(name);
            return variable == null ? parameter(DimExpr.symbol(name)) : variable;
          }

          @Override
          public Expr add(Expr a, Expr b) {
            return plus(a, b);
          }

          @Override
          public Expr multiply(Expr a, Expr b) {
            return times(a, b);
          }

          @Override
          public Expr opaque(DimExpr.Kind kind, Expr a, Expr b) {
            return switch (kind) {
              case FLOORDIV -> new Expr.Binary(BinaryOp.FLOORDIV, a, b);
              case MOD -> new Expr.Binary(BinaryOp.FLOORMOD, a, b);
              case CEILDIV -> new Expr.Binary(BinaryOp.FLOORDIV, minus(plus(a, b), index(1)), b);
              case MIN -> min(a, b);
              case MAX -> new Expr.Binary(BinaryOp.MAX, a, b);
            };
          }
        });
  }
}
