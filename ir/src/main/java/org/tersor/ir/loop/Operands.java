package org.tersor.ir.loop;

import java.util.List;

/** The operands of expressions, for walks that treat most kinds alike. */
public final class Operands {
  private Operands() {}

  /** The expressions that one is made of, in the order of evaluation. */
  public static List<Expr> of(Expr e) {
    return switch (e) {
      case Expr.Load l ->
          l.mask().map(m -> List.of(l.index(), m)).orElseGet(() -> List.of(l.index()));
      case Expr.Unary u -> List.of(u.a());
      case Expr.Binary b -> List.of(b.a(), b.b());
      case Expr.Compare c -> List.of(c.a(), c.b());
      case Expr.Fma f -> List.of(f.a(), f.b(), f.c());
      case Expr.Select s -> List.of(s.condition(), s.then(), s.otherwise());
      case Expr.Cast c -> List.of(c.a());
      case Expr.Bits b -> List.of(b.a());
      case Expr.Dot2 d -> List.of(d.acc(), d.a(), d.b());
      case Expr.Dot4 d -> List.of(d.acc(), d.a(), d.b());
      case Expr.Reduce r -> List.of(r.a());
      case Expr.Broadcast b -> List.of(b.a());
      case Expr.Ramp r -> List.of(r.base());
      case Expr.Shuffle s -> List.of(s.a(), s.b());
      case Expr.LaneLt l -> List.of(l.count());
      case Expr.IntConst _, Expr.FloatConst _, Expr.Var _ -> List.of();
    };
  }
}
