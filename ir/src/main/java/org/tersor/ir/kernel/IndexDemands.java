package org.tersor.ir.kernel;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * What a kernel demands of indices that data give ({@link KExpr.Within}), as kernels of their own
 * that run before it. Each folds all of one index into a single number: a loop in the middle of
 * which something goes wrong could not stop, and would not be a loop of vectors.
 */
public final class IndexDemands {
  /**
   * One index of a kernel.
   *
   * @param kernel writes the largest of {@code index - least + Long.MIN_VALUE}, wrapping around,
   *     into its output, I64[1]: an index below the least is far above the most there
   * @param count how many indices there are, at most
   */
  public record Demand(Kernel kernel, DimExpr least, DimExpr most, DimExpr count) {}

  private record Found(KExpr.Within index, List<KExpr> conditions, Set<Axis> axes) {}

  private final Kernel kernel;
  private final Set<Found> found = new LinkedHashSet<>();

  private IndexDemands(Kernel kernel) {
    this.kernel = kernel;
  }

  /** The demands of a kernel, in order; the same one only once. */
  public static List<Demand> of(Kernel kernel) {
    IndexDemands demands = new IndexDemands(kernel);
    for (Stage stage : kernel.stages()) {
      stage.index().forEach(index -> demands.visit(index, List.of()));
      demands.visit(stage.value(), List.of());
    }
    return demands.found.stream().map(demands::demand).toList();
  }

  /** Looks for indices below the choices that must have been made for them. */
  private void visit(KExpr expr, List<KExpr> conditions) {
    switch (expr) {
      case KExpr.If choice -> {
        visit(choice.condition(), conditions);
        visit(choice.then(), with(conditions, choice.condition()));
        visit(choice.otherwise(), with(conditions, K.not(choice.condition())));
      }
      case KExpr.Within index -> {
        visit(index.value(), conditions);
        Set<Axis> axes = new LinkedHashSet<>();
        conditions.forEach(condition -> axes.addAll(KExprs.freeAxes(condition)));
        axes.addAll(KExprs.freeAxes(index.value()));
        found.add(new Found(index, conditions, axes));
      }
      default -> KExprs.operands(expr).forEach(operand -> visit(operand, conditions));
    }
  }

  private static List<KExpr> with(List<KExpr> conditions, KExpr one) {
    List<KExpr> all = new ArrayList<>(conditions);
    all.add(one);
    return all;
  }

  private Demand demand(Found one) {
    KExpr.Within index = one.index();
    KExpr start =
        K.sub(K.literal(Scalar.I64, Long.MIN_VALUE), K.cast(Scalar.I64, K.dim(index.least())));
    KExpr value = K.add(K.cast(Scalar.I64, index.value()), start);
    for (KExpr condition : one.conditions().reversed()) {
      value = K.select(condition, value, K.literal(Scalar.I64, Long.MIN_VALUE));
    }
    List<Axis> axes = List.copyOf(one.axes());
    KExpr largest = axes.isEmpty() ? value : K.fold(ReduceOp.MAX, axes, value);
    Buf out = new Buf("out0", Scalar.I64, List.of(DimExpr.ONE));
    List<Stage> stages = new ArrayList<>(before(largest));
    stages.add(Stage.of(out, List.of(new Axis("only", DimExpr.ONE)), largest));
    Set<String> read = new HashSet<>();
    stages.forEach(stage -> read.addAll(names(stage)));
    List<Buf> inputs =
        kernel.inputs().stream().filter(buffer -> read.contains(buffer.name())).toList();
    DimExpr count = DimExpr.product(axes.stream().map(Axis::extent).toList());
    return new Demand(
        new Kernel("range", inputs, List.of(out), stages), index.least(), index.most(), count);
  }

  /** Stages that make what an expression reads. */
  private List<Stage> before(KExpr expr) {
    Set<String> wanted = new HashSet<>();
    KExprs.all(expr, KExpr.At.class).forEach(at -> wanted.add(at.buffer().name()));
    List<Stage> stages = new ArrayList<>();
    for (Stage stage : kernel.stages().reversed()) {
      if (wanted.contains(stage.target().name())) {
        wanted.addAll(names(stage));
        stages.addFirst(stage);
      }
    }
    return stages;
  }

  private static Set<String> names(Stage stage) {
    Set<String> names = new HashSet<>();
    for (KExpr index : stage.index()) {
      KExprs.all(index, KExpr.At.class).forEach(at -> names.add(at.buffer().name()));
    }
    KExprs.all(stage.value(), KExpr.At.class).forEach(at -> names.add(at.buffer().name()));
    return names;
  }
}
