package org.tersor.ir.kernel;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/** Traversals of kernel expressions. */
public final class KExprs {
  private KExprs() {}

  /** Rebuilds bottom-up; {@code change} sees each node after its operands were rebuilt. */
  public static KExpr rewrite(KExpr expr, UnaryOperator<KExpr> change) {
    return change.apply(mapOperands(expr, e -> rewrite(e, change)));
  }

  /** The same node with other operands. */
  public static KExpr mapOperands(KExpr expr, UnaryOperator<KExpr> map) {
    return switch (expr) {
      case KExpr.IntLit e -> e;
      case KExpr.FloatLit e -> e;
      case KExpr.AxisRef e -> e;
      case KExpr.Dim e -> e;
      case KExpr.At e -> new KExpr.At(e.buffer(), e.index().stream().map(map).toList());
      case KExpr.Un e -> new KExpr.Un(e.op(), map.apply(e.a()));
      case KExpr.Bin e -> new KExpr.Bin(e.op(), map.apply(e.a()), map.apply(e.b()));
      case KExpr.Cmp e -> new KExpr.Cmp(e.op(), map.apply(e.a()), map.apply(e.b()));
      case KExpr.If e ->
          new KExpr.If(map.apply(e.condition()), map.apply(e.then()), map.apply(e.otherwise()));
      case KExpr.To e -> new KExpr.To(e.scalar(), map.apply(e.a()), e.inRange());
      case KExpr.BitsAs e -> new KExpr.BitsAs(e.scalar(), map.apply(e.a()));
      case KExpr.Fold e -> new KExpr.Fold(e.op(), e.axes(), map.apply(e.body()));
      case KExpr.Within e -> new KExpr.Within(map.apply(e.value()), e.least(), e.most());
    };
  }

  /** Operands of a node, in order. */
  public static List<KExpr> operands(KExpr expr) {
    return switch (expr) {
      case KExpr.IntLit _, KExpr.FloatLit _, KExpr.AxisRef _, KExpr.Dim _ -> List.of();
      case KExpr.At e -> e.index();
      case KExpr.Un e -> List.of(e.a());
      case KExpr.Bin e -> List.of(e.a(), e.b());
      case KExpr.Cmp e -> List.of(e.a(), e.b());
      case KExpr.If e -> List.of(e.condition(), e.then(), e.otherwise());
      case KExpr.To e -> List.of(e.a());
      case KExpr.BitsAs e -> List.of(e.a());
      case KExpr.Fold e -> List.of(e.body());
      case KExpr.Within e -> List.of(e.value());
    };
  }

  /** Visits every node, operands first. */
  public static void visit(KExpr expr, Consumer<KExpr> visitor) {
    operands(expr).forEach(e -> visit(e, visitor));
    visitor.accept(expr);
  }

  /** Axes that the value depends on; those of inner folds are not free. */
  public static Set<Axis> freeAxes(KExpr expr) {
    Set<Axis> axes = new LinkedHashSet<>();
    collect(expr, axes);
    return axes;
  }

  private static void collect(KExpr expr, Set<Axis> axes) {
    switch (expr) {
      case KExpr.AxisRef e -> axes.add(e.axis());
      case KExpr.Fold e -> {
        Set<Axis> inner = new LinkedHashSet<>();
        collect(e.body(), inner);
        e.axes().forEach(inner::remove);
        axes.addAll(inner);
      }
      default -> operands(expr).forEach(e -> collect(e, axes));
    }
  }

  /** All nodes of a kind, operands first. */
  public static <T extends KExpr> List<T> all(KExpr expr, Class<T> kind) {
    List<T> found = new ArrayList<>();
    visit(
        expr,
        e -> {
          if (kind.isInstance(e)) {
            found.add(kind.cast(e));
          }
        });
    return found;
  }

  /** Replaces axes by expressions. */
  public static KExpr substitute(KExpr expr, java.util.Map<Axis, KExpr> replacement) {
    return rewrite(
        expr,
        e ->
            e instanceof KExpr.AxisRef ref && replacement.containsKey(ref.axis())
                ? replacement.get(ref.axis())
                : e);
  }
}
