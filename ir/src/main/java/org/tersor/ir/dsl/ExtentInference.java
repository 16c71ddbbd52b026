package org.tersor.ir.dsl;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Buf;
import org.tersor.runtime.DimExpr;

/**
 * Finds extents that are left out: those of the dimensions which an axis indexes alone, and of the
 * last dimension of an encoded operand read by {@code decode(W[n], k / B, k % B)}.
 */
final class ExtentInference {
  private final KernScope scope;

  ExtentInference(KernScope scope) {
    this.scope = scope;
  }

  /** Extents of all folds. */
  Ast fill(Ast ast) {
    return switch (ast) {
      case Ast.Num e -> e;
      case Ast.Truth e -> e;
      case Ast.Name e -> e;
      case Ast.Call e -> new Ast.Call(e.at(), e.name(), e.bang(), fill(e.args()));
      case Ast.Load e -> new Ast.Load(e.at(), e.name(), fill(e.index()));
      case Ast.View e -> new Ast.View(e.at(), e.name(), e.type(), e.shape(), fill(e.index()));
      case Ast.Field e -> new Ast.Field(e.at(), e.block(), e.field(), e.index().map(this::fill));
      case Ast.Neg e -> new Ast.Neg(e.at(), fill(e.a()));
      case Ast.Bin e -> new Ast.Bin(e.at(), e.op(), fill(e.a()), fill(e.b()));
      case Ast.Fold e -> {
        List<Ast.AxisDecl> axes = new ArrayList<>();
        for (Ast.AxisDecl axis : e.axes()) {
          axes.add(axis(axis, List.of(e.body())));
        }
        yield new Ast.Fold(e.at(), e.op(), axes, fill(e.body()));
      }
    };
  }

  private List<Ast> fill(List<Ast> asts) {
    return asts.stream().map(this::fill).toList();
  }

  /** The axis with its extent if some use tells it; a contradiction is an error. */
  Ast.AxisDecl axis(Ast.AxisDecl axis, List<Ast> uses) {
    if (axis.extent().isPresent()) {
      return axis;
    }
    List<DimExpr> found = new ArrayList<>();
    uses.forEach(use -> collect(use, axis.name(), found));
    for (DimExpr extent : found) {
      if (!extent.equals(found.getFirst())) {
        throw axis.at()
            .error(
                "TSR-1004",
                "axis "
                    + axis.name()
                    + " indexes dimensions of "
                    + found.getFirst()
                    + " and of "
                    + extent
                    + "; write its extent");
      }
    }
    return found.isEmpty()
        ? axis
        : new Ast.AxisDecl(
            axis.at(), axis.name(), Optional.of(literal(axis.at(), found.getFirst())));
  }

  /** A dimension as an expression of the language. */
  private static Ast literal(Ast.Pos at, DimExpr dim) {
    return dim.fold(
        new DimExpr.Algebra<Ast>() {
          @Override
          public Ast constant(long value) {
            return new Ast.Num(at, Long.toString(value), true);
          }

          @Override
          public Ast symbol(String name) {
            return new Ast.Name(at, name, true);
          }

          @Override
          public Ast add(Ast a, Ast b) {
            return new Ast.Bin(at, "+", a, b);
          }

          @Override
          public Ast multiply(Ast a, Ast b) {
            return new Ast.Bin(at, "*", a, b);
          }

          @Override
          public Ast opaque(DimExpr.Kind kind, Ast a, Ast b) {
            return new Ast.Call(at, kind.text(), false, List.of(a, b));
          }
        });
  }

  private void collect(Ast ast, String axis, List<DimExpr> found) {
    if (ast instanceof Ast.Fold fold && fold.axes().stream().anyMatch(a -> a.name().equals(axis))) {
      return;
    }
    switch (ast) {
      case Ast.Load e -> {
        List<DimExpr> shape =
            Optional.ofNullable(scope.buffers.get(e.name()))
                .map(Buf::shape)
                .or(() ->
                    Optional.ofNullable(scope.encoded.get(e.name())).map(KernScope.Encoded::shape))
                .orElse(List.of());
        for (int d = 0; d < Math.min(shape.size(), e.index().size()); d++) {
          if (isAxis(e.index().get(d), axis)) {
            found.add(shape.get(d));
          }
        }
      }
      case Ast.View e -> {
        for (int d = 0; d < Math.min(e.shape().size(), e.index().size()); d++) {
          if (isAxis(e.index().get(d), axis)) {
            found.add(KernNumbers.dim(e.shape().get(d)));
          }
        }
      }
      case Ast.Call e -> decoded(e, axis).ifPresent(found::add);
      default -> {}
    }
    ast.operands().forEach(operand -> collect(operand, axis, found));
  }

  private static boolean isAxis(Ast ast, String axis) {
    return ast instanceof Ast.Name name && name.name().equals(axis);
  }

  /** The last dimension of W in {@code decode(W[n], k / B, k % B)}. */
  private Optional<DimExpr> decoded(Ast.Call e, String axis) {
    if (e.args().size() != 3) {
      return Optional.empty();
    }
    String name =
        switch (e.args().getFirst()) {
          case Ast.Load load -> load.name();
          case Ast.Name plain -> plain.name();
          default -> "";
        };
    return Optional.ofNullable(scope.encoded.get(name))
        .filter(operand ->
            split(e.args().get(1), "/", axis, operand.format().block())
                && split(e.args().get(2), "%", axis, operand.format().block()))
        .map(operand -> operand.shape().getLast());
  }

  private static boolean split(Ast ast, String op, String axis, int block) {
    return ast instanceof Ast.Bin bin
        && bin.op().equals(op)
        && isAxis(bin.a(), axis)
        && bin.b() instanceof Ast.Num num
        && num.text().equals(Integer.toString(block));
  }
}
