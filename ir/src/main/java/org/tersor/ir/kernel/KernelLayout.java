package org.tersor.ir.kernel;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Kernels over buffers whose dimensions are stored in another order: the same values at other
 * addresses. Loops and sums follow the new order of addresses.
 */
public final class KernelLayout {
  private final Predicate<String> changes;
  private final Function<Integer, List<Integer>> order;

  private KernelLayout(Predicate<String> changes, Function<Integer, List<Integer>> order) {
    this.changes = changes;
    this.order = order;
  }

  /** [N, C, spatial...] becomes [N, spatial..., C] for the named buffers of rank 3 or more. */
  public static Kernel channelsLast(Kernel kernel, Set<String> buffers) {
    return new KernelLayout(
            buffers::contains,
            rank -> {
              List<Integer> order = new ArrayList<>();
              order.add(0);
              for (int d = 2; d < rank; d++) {
                order.add(d);
              }
              order.add(1);
              return order;
            })
        .apply(kernel);
  }

  /** Whether the order of channels and spatial dimensions makes a difference in memory. */
  public static boolean matters(Buf buffer) {
    return buffer.shape().size() >= 3
        && !buffer.shape().get(1).isConst(1)
        && buffer.shape().stream().skip(2).anyMatch(dim -> !dim.isConst(1));
  }

  /** The first dimension of one buffer becomes its last. */
  public static Kernel rotated(Kernel kernel, String buffer) {
    return new KernelLayout(
            buffer::equals,
            rank -> {
              List<Integer> order = new ArrayList<>();
              for (int d = 1; d < rank; d++) {
                order.add(d);
              }
              order.add(0);
              return order;
            })
        .apply(kernel);
  }

  /**
   * As {@link #rotated}, if every read of the buffer takes the innermost axis of its stage for the
   * first dimension alone.
   */
  public static Optional<Kernel> firstLast(Kernel kernel, String buffer) {
    boolean any = false;
    for (Stage stage : kernel.stages()) {
      for (KExpr.At at : KExprs.all(stage.value(), KExpr.At.class)) {
        if (!at.buffer().name().equals(buffer)) {
          continue;
        }
        if (at.index().size() < 3 || stage.axes().isEmpty()) {
          return Optional.empty();
        }
        Axis last = stage.axes().getLast();
        boolean first = KExprs.freeAxes(at.index().getFirst()).contains(last);
        boolean elsewhere =
            at.index().stream().skip(1).anyMatch(i -> KExprs.freeAxes(i).contains(last));
        if (!first || elsewhere) {
          return Optional.empty();
        }
        any = true;
      }
    }
    return any ? Optional.of(rotated(kernel, buffer)) : Optional.empty();
  }

  private Kernel apply(Kernel kernel) {
    return new Kernel(
        kernel.name(),
        kernel.inputs().stream().map(this::buffer).toList(),
        kernel.outputs().stream().map(this::buffer).toList(),
        kernel.stages().stream().map(this::stage).toList(),
        kernel.program());
  }

  private Buf buffer(Buf buffer) {
    return changes.test(buffer.name())
        ? new Buf(buffer.name(), buffer.element(), permuted(buffer.shape()))
        : buffer;
  }

  private <T> List<T> permuted(List<T> parts) {
    return order.apply(parts.size()).stream().map(parts::get).toList();
  }

  private Stage stage(Stage stage) {
    KExpr value = value(stage.value());
    if (!changes.test(stage.target().name())) {
      return new Stage(
          stage.target(), stage.axes(), stage.index().stream().map(this::value).toList(), value);
    }
    List<KExpr> index = permuted(stage.index()).stream().map(this::value).toList();
    List<Axis> axes = inOrder(stage.axes(), List.of(index));
    return new Stage(buffer(stage.target()), axes, index, value);
  }

  private KExpr value(KExpr expr) {
    return KExprs.rewrite(
        expr,
        e ->
            switch (e) {
              case KExpr.At at when changes.test(at.buffer().name()) ->
                  new KExpr.At(buffer(at.buffer()), permuted(at.index()));
              case KExpr.Fold fold -> fold(fold);
              default -> e;
            });
  }

  private KExpr fold(KExpr.Fold fold) {
    List<List<KExpr>> accesses = new ArrayList<>();
    for (KExpr.At at : KExprs.all(fold.body(), KExpr.At.class)) {
      if (changes.test(at.buffer().name())) {
        accesses.add(at.index());
      }
    }
    return new KExpr.Fold(fold.op(), inOrder(fold.axes(), accesses), fold.body());
  }

  /** Axes in the order of the dimensions that they walk; those of no access first. */
  private static List<Axis> inOrder(List<Axis> axes, List<List<KExpr>> accesses) {
    List<Axis> sorted = new ArrayList<>(axes);
    sorted.sort(Comparator.comparingInt(axis -> position(axis, accesses)));
    return sorted;
  }

  private static int position(Axis axis, List<List<KExpr>> accesses) {
    int position = -1;
    for (List<KExpr> index : accesses) {
      for (int d = 0; d < index.size(); d++) {
        if (new HashSet<>(KExprs.freeAxes(index.get(d))).contains(axis)) {
          position = Math.max(position, d);
        }
      }
    }
    return position;
  }
}
