package org.tersor.passes.lower;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.LoopProgram;
import org.tersor.ir.kernel.RepeatedStages;
import org.tersor.ir.kernel.Stage;
import org.tersor.runtime.DimExpr;

/** Symbols whose values a kernel needs. */
final class KernelSymbols {
  private final Set<String> symbols = new TreeSet<>();

  private KernelSymbols() {}

  static Set<String> of(Kernel kernel) {
    KernelSymbols found = new KernelSymbols();
    kernel.inputs().forEach(found::buffer);
    kernel.outputs().forEach(found::buffer);
    kernel.stages().forEach(found::stage);
    kernel
        .program()
        .ifPresent(body -> {
          switch (body) {
            case LoopProgram program -> {
              program.dims().forEach(found::dim);
              program.temporaries().forEach(found::buffer);
              found.dim(program.tasks());
            }
            case RepeatedStages repeated -> {
              repeated.stages().forEach(found::stage);
              found.dim(repeated.turns());
              found.symbols.remove(RepeatedStages.symbol());
            }
          }
        });
    return found.symbols;
  }

  private void stage(Stage stage) {
    buffer(stage.target());
    axes(stage.axes());
    stage.index().forEach(this::expression);
    expression(stage.value());
  }

  private void dim(DimExpr dim) {
    if (!dim.isConst()) {
      symbols.addAll(dim.symbols());
    }
  }

  private void buffer(Buf buffer) {
    buffer.shape().forEach(this::dim);
  }

  private void axes(List<Axis> axes) {
    axes.forEach(axis -> dim(axis.extent()));
  }

  private void expression(KExpr expr) {
    KExprs.all(expr, KExpr.Dim.class).forEach(d -> dim(d.value()));
    KExprs.all(expr, KExpr.At.class).forEach(at -> buffer(at.buffer()));
    KExprs.all(expr, KExpr.Fold.class).forEach(fold -> axes(fold.axes()));
  }
}
