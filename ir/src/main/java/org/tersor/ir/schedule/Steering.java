package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.tersor.ir.dsl.ScheduleHint;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;

/**
 * A schedule line on one target: answers what a schedule would otherwise choose, and remembers
 * which directives were followed, because one without effect is a mistake of whoever wrote it.
 */
final class Steering {
  private final Kernel kernel;
  private final Target target;
  private final Optional<ScheduleHint> hint;
  private final Set<ScheduleHint.Directive> followed = new HashSet<>();

  private Steering(Kernel kernel, Target target, Optional<ScheduleHint> hint) {
    this.kernel = kernel;
    this.target = target;
    this.hint = hint;
  }

  static Steering of(Kernel kernel, Target target, Optional<ScheduleHint> hint) {
    Steering all = new Steering(kernel, target, hint);
    all.checkNames();
    boolean here =
        target.kind() != Target.Kind.CUDA
            && target.vectorBytes() > 0
            && all.all(ScheduleHint.Tile.class).stream()
                .allMatch(
                    t -> t.vector().isEmpty() || t.vector().get() * 4 == target.vectorBytes());
    return here ? all : new Steering(kernel, target, Optional.empty());
  }

  private <T> List<T> all(Class<T> kind) {
    return hint.stream()
        .flatMap(h -> h.directives().stream())
        .filter(kind::isInstance)
        .map(kind::cast)
        .toList();
  }

  private RuntimeException error(ScheduleHint.Directive directive, String code, String message) {
    ScheduleHint line = hint.orElseThrow();
    return line.places().get(line.directives().indexOf(directive)).error(code, message);
  }

  private void checkNames() {
    Set<String> axes = new LinkedHashSet<>();
    for (Stage stage : kernel.stages()) {
      stage.axes().forEach(axis -> axes.add(axis.name()));
      KExprs.all(stage.value(), KExpr.Fold.class)
          .forEach(fold -> fold.axes().forEach(axis -> axes.add(axis.name())));
    }
    Set<String> buffers = new LinkedHashSet<>();
    kernel.inputs().forEach(buffer -> buffers.add(buffer.name()));
    for (ScheduleHint.Directive d : all(ScheduleHint.Directive.class)) {
      switch (d) {
        case ScheduleHint.Tile t -> check(d, "axis", t.axis(), axes);
        case ScheduleHint.Order o -> o.axes().forEach(axis -> check(d, "axis", axis, axes));
        case ScheduleHint.Parallel p -> check(d, "axis", p.axis(), axes);
        case ScheduleHint.Pack p -> check(d, "input", p.buffer(), buffers);
        case ScheduleHint.Init i -> check(d, "input", i.buffer(), buffers);
      }
    }
  }

  private void check(ScheduleHint.Directive d, String what, String name, Set<String> known) {
    if (!known.contains(name)) {
      throw error(
          d,
          "TSR-1003",
          "kernel " + kernel.name() + " has no " + what + " " + name + "; it has " + known);
    }
  }

  /** Whether the line speaks of an axis, which then must not be merged with another. */
  boolean names(Axis axis) {
    return all(ScheduleHint.Directive.class).stream()
        .anyMatch(d ->
            switch (d) {
              case ScheduleHint.Tile t -> t.axis().equals(axis.name());
              case ScheduleHint.Order o -> o.axes().contains(axis.name());
              case ScheduleHint.Parallel p -> p.axis().equals(axis.name());
              case ScheduleHint.Pack _, ScheduleHint.Init _ -> false;
            });
  }

  /** Whether no line asks for anything. */
  boolean isSilent() {
    return hint.isEmpty();
  }

  private static boolean has(List<Axis> axes, String name) {
    return axes.stream().anyMatch(axis -> axis.name().equals(name));
  }

  private <T extends ScheduleHint.Directive> Optional<T> follow(Class<T> kind, Predicate<T> fits) {
    Optional<T> found = all(kind).stream().filter(fits).findFirst();
    found.ifPresent(followed::add);
    return found;
  }

  /** The tile asked for; what the line leaves open is as in {@code chosen}. */
  GemmTile tile(Contraction c, GemmTile chosen) {
    Optional<ScheduleHint.Tile> width = follow(ScheduleHint.Tile.class, t -> has(c.n(), t.axis()));
    Optional<ScheduleHint.Tile> rows =
        follow(ScheduleHint.Tile.class, t -> has(c.m().stream().toList(), t.axis()));
    int lanes = chosen.lanes();
    width
        .filter(t -> t.size() % lanes != 0)
        .ifPresent(t -> {
          throw error(
              t,
              "TSR-1004",
              t.size() + " is not a multiple of " + lanes + " lanes on " + target.name());
        });
    GemmTile tile =
        new GemmTile(
            rows.map(ScheduleHint.Tile::size).orElse(chosen.rows()),
            width.map(t -> t.size() / lanes).orElse(chosen.columns()),
            lanes);
    if ((width.isPresent() || rows.isPresent()) && !tile.fits(target)) {
      throw error(
          width.or(() -> rows).orElseThrow(),
          "TSR-1004",
          "a tile of %d rows and %d vectors needs %d vector registers, %s leaves %d for it: choose a smaller one"
              .formatted(
                  tile.rows(),
                  tile.columns(),
                  tile.registers(target),
                  target.name(),
                  target.registers() - 1));
    }
    return tile;
  }

  /** Whether the row factor is to be packed; checks the layouts of both factors. */
  boolean packs(Contraction c, GemmTile tile) {
    String n = c.n().size() == 1 ? c.n().getFirst().name() : "n";
    layout(c.column(), c, n, tile.width());
    return layout(c.row(), c, c.m().map(Axis::name).orElse("m"), tile.rows());
  }

  private boolean layout(Contraction.Factor factor, Contraction c, String axis, int size) {
    Optional<ScheduleHint.Pack> pack =
        follow(
            ScheduleHint.Pack.class,
            p -> factor.buffers().stream().map(Buf::name).anyMatch(p.buffer()::equals));
    if (pack.isEmpty()) {
      return false;
    }
    String k = c.k().size() == 1 ? c.k().getFirst().name() : "k";
    List<String> panels = List.of(axis + "/" + size, k, axis + "%" + size);
    List<String> asked = pack.get().layout().stream().map(s -> s.replace(" ", "")).toList();
    if (!asked.equals(panels)) {
      throw error(
          pack.get(),
          "TSR-1004",
          "%s can be packed as [%s] only"
              .formatted(pack.get().buffer(), String.join("][", panels)));
    }
    return true;
  }

  /** Whether tasks divide these axes, given those that they divide else. */
  boolean isParallel(List<Axis> axes, List<Axis> others) {
    boolean asked = follow(ScheduleHint.Parallel.class, p -> has(axes, p.axis())).isPresent();
    return asked || follow(ScheduleHint.Parallel.class, p -> has(others, p.axis())).isEmpty();
  }

  /** Whether the rows are the outer of the two loops over tiles. */
  boolean isOutside(Contraction c) {
    Optional<ScheduleHint.Order> order =
        follow(
            ScheduleHint.Order.class,
            o ->
                o.axes().stream().anyMatch(name -> has(c.n(), name))
                    && o.axes().stream().anyMatch(name -> has(c.m().stream().toList(), name)));
    return order
        .map(o ->
            o.axes().stream()
                .filter(name -> has(c.n(), name) || has(c.m().stream().toList(), name))
                .findFirst()
                .map(first -> !has(c.n(), first))
                .orElse(false))
        .orElse(false);
  }

  /** The accumulators' start terms are known. */
  void started(Optional<KExpr> start) {
    List<String> buffers =
        start.stream().flatMap(s -> StageSimplifier.buffers(s).stream()).map(Buf::name).toList();
    for (ScheduleHint.Init init : all(ScheduleHint.Init.class)) {
      if (buffers.contains(init.buffer())) {
        followed.add(init);
      }
    }
  }

  /** A stage whose loops stand in the order asked for, the parallel one outside. */
  Stage order(Stage stage) {
    List<Axis> axes = new ArrayList<>(stage.axes());
    follow(ScheduleHint.Order.class, o -> axes.stream().anyMatch(a -> o.axes().contains(a.name())))
        .ifPresent(o -> {
          List<Axis> named =
              o.axes().stream()
                  .flatMap(name -> stage.axes().stream().filter(a -> a.name().equals(name)))
                  .toList();
          axes.removeAll(named);
          axes.addAll(0, named);
        });
    follow(ScheduleHint.Parallel.class, p -> has(axes, p.axis()))
        .ifPresent(p -> {
          Axis outer =
              axes.stream().filter(a -> a.name().equals(p.axis())).findFirst().orElseThrow();
          axes.remove(outer);
          axes.addFirst(outer);
        });
    return new Stage(stage.target(), axes, stage.index(), stage.value());
  }

  /** Nothing more will be scheduled. */
  void finish() {
    for (ScheduleHint.Directive d : all(ScheduleHint.Directive.class)) {
      if (!followed.contains(d)) {
        throw error(
            d,
            "TSR-1004",
            "no schedule of kernel " + kernel.name() + " on " + target.name() + " can do this");
      }
    }
  }
}
