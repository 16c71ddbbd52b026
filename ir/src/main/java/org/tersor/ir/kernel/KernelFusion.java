package org.tersor.ir.kernel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.tersor.ir.loop.BinaryOp;

/**
 * Joins kernels so that a value never leaves registers between its producer and its only consumer:
 * elementwise producers move into whatever reads them; a producer with a sum moves into a consumer
 * that reads it point by point (its epilogue).
 */
public final class KernelFusion {
  /** Largest number of expression nodes that a fused stage may have. */
  private static final int MAX_SIZE = 400;

  /**
   * A kernel and the values that its operands stand for.
   *
   * @param inputs value of each of {@link Kernel#inputs}
   * @param outputs value of each of {@link Kernel#outputs}
   * @param origin the nodes it computes, for reports
   */
  public record Unit(Kernel kernel, List<Integer> inputs, List<Integer> outputs, String origin) {
    public Unit {
      inputs = List.copyOf(inputs);
      outputs = List.copyOf(outputs);
    }
  }

  /**
   * Fuses what can be fused.
   *
   * @param units in execution order
   * @param escaping values needed outside (graph outputs, host steps)
   * @param fixed values that keep the order of their elements: no sum writes a slice of one
   *     directly, as the copy is what brings it from the layout of sums
   */
  public static List<Unit> fuse(List<Unit> units, Set<Integer> escaping, Set<Integer> fixed) {
    return new KernelFusion(units, fixed).run(escaping);
  }

  /**
   * Moves elementwise producers into one kernel, and theirs, whatever they cost there.
   *
   * @param producers by the value that they give; each has one output
   */
  public static Unit pull(Unit into, Map<Integer, Unit> producers) {
    Unit unit = into;
    for (int i = 0; i < unit.inputs.size(); i++) {
      int value = unit.inputs.get(i);
      Unit producer = producers.get(value);
      Optional<Unit> fused =
          producer == null || hasFold(producer.kernel)
              ? Optional.empty()
              : join(
                  producer,
                  seen(unit, value, producer.kernel.outputs().getFirst()),
                  value,
                  true,
                  false);
      if (fused.isPresent()) {
        unit = fused.get();
        i = -1;
      }
    }
    Kernel kernel =
        new Kernel(
            into.kernel.name(), unit.kernel.inputs(), unit.kernel.outputs(), unit.kernel.stages());
    return unit.equals(into) ? into : new Unit(kernel, unit.inputs, unit.outputs, into.origin);
  }

  /** The unit as it reads a value in the shape that the value was written in. */
  private static Unit seen(Unit unit, int value, Buf written) {
    Kernel kernel = unit.kernel;
    Map<String, Buf> changed = new HashMap<>();
    List<Buf> inputs = new ArrayList<>(kernel.inputs());
    for (int i = 0; i < inputs.size(); i++) {
      Buf buffer = inputs.get(i);
      if (unit.inputs.get(i) == value
          && !buffer.shape().equals(written.shape())
          && buffer.elements().equals(written.elements())) {
        inputs.set(i, new Buf(buffer.name(), buffer.element(), written.shape()));
        changed.put(buffer.name(), inputs.get(i));
      }
    }
    if (changed.isEmpty()) {
      return unit;
    }
    List<Stage> stages = new ArrayList<>();
    for (Stage stage : kernel.stages()) {
      KExpr seen =
          KExprs.rewrite(
              stage.value(),
              e ->
                  e instanceof KExpr.At at && changed.get(at.buffer().name()) != null
                      ? at(changed.getOrDefault(at.buffer().name(), at.buffer()), at)
                      : e);
      stages.add(new Stage(stage.target(), stage.axes(), stage.index(), seen));
    }
    return new Unit(
        new Kernel(kernel.name(), inputs, kernel.outputs(), stages),
        unit.inputs,
        unit.outputs,
        unit.origin);
  }

  /** The same element of a buffer of another shape. */
  private static KExpr at(Buf buffer, KExpr.At at) {
    KExpr flat = K.index(0);
    for (int d = 0; d < at.index().size(); d++) {
      flat = K.add(K.mul(flat, K.dim(at.buffer().shape().get(d))), at.index().get(d));
    }
    List<KExpr> index = new ArrayList<>();
    for (int d = buffer.shape().size() - 1; d >= 0; d--) {
      KExpr extent = K.dim(buffer.shape().get(d));
      index.addFirst(d == 0 ? flat : K.floorMod(flat, extent));
      flat = K.floorDiv(flat, extent);
    }
    return new KExpr.At(buffer, index);
  }

  private static boolean hasFold(Kernel kernel) {
    return kernel.stages().size() != 1
        || !KExprs.all(kernel.stages().getFirst().value(), KExpr.Fold.class).isEmpty();
  }

  /** Units by their place in the execution order; one that went into another leaves its place. */
  private final TreeMap<Integer, Unit> alive = new TreeMap<>();

  private final Map<Integer, Integer> producers = new HashMap<>();
  private final Map<Integer, Set<Integer>> consumers = new HashMap<>();

  private final Set<Integer> fixed;

  private KernelFusion(List<Unit> units, Set<Integer> fixed) {
    this.fixed = fixed;
    for (int place = 0; place < units.size(); place++) {
      int at = place;
      alive.put(at, units.get(at));
      units.get(at).outputs.forEach(v -> producers.put(v, at));
      units.get(at).inputs.forEach(v -> consumers(v).add(at));
    }
  }

  private Set<Integer> consumers(int value) {
    return consumers.computeIfAbsent(value, v -> new HashSet<>());
  }

  private List<Unit> run(Set<Integer> escaping) {
    for (int place : List.copyOf(alive.keySet())) {
      Unit start = alive.get(place);
      if (start == null) {
        continue;
      }
      Unit unit = start;
      for (int i = 0; i < unit.inputs.size(); i++) {
        int value = unit.inputs.get(i);
        Integer from = producers.get(value);
        Unit producer = from == null ? null : alive.get(from);
        if (from == null
            || producer == null
            || escaping.contains(value)
            || consumers(value).size() != 1
            || producer.outputs.size() != 1) {
          continue;
        }
        boolean slices = unit.outputs.stream().noneMatch(fixed::contains);
        Optional<Unit> fused = join(producer, unit, value, false, slices);
        if (fused.isPresent()) {
          replace(from, producer, place, unit, fused.get());
          unit = fused.get();
          i = -1; // the producer's own inputs are the unit's now
        }
      }
    }
    return List.copyOf(alive.values());
  }

  private void replace(int from, Unit producer, int place, Unit consumer, Unit fused) {
    alive.remove(from);
    alive.put(place, fused);
    producer.outputs.forEach(producers::remove);
    producer.inputs.forEach(v -> consumers(v).remove(from));
    consumer.inputs.forEach(v -> consumers(v).remove(place));
    fused.inputs.forEach(v -> consumers(v).add(place));
  }

  /**
   * @param any whether a producer may move into a sum whatever it costs there
   * @param slices whether a sum may move into what writes a slice
   */
  private static Optional<Unit> join(
      Unit producer, Unit consumer, int value, boolean any, boolean slices) {
    Kernel p = producer.kernel;
    if (p.program().isPresent() || consumer.kernel.program().isPresent()) {
      return Optional.empty();
    }
    Stage last = p.stages().getLast();
    Buf written = p.outputs().getFirst();
    boolean identity = last.target().equals(written) && isPoint(last.index(), written, last.axes());
    boolean writtenOnce =
        p.stages().stream().filter(s -> s.target().name().equals(written.name())).count() == 1;
    if (!identity || !writtenOnce) {
      return Optional.empty();
    }
    Kernel c = consumer.kernel;
    Set<String> names = new HashSet<>();
    for (int i = 0; i < consumer.inputs.size(); i++) {
      if (consumer.inputs.get(i) == value) {
        if (!c.inputs().get(i).shape().equals(written.shape())
            || c.inputs().get(i).element() != written.element()) {
          return Optional.empty();
        }
        names.add(c.inputs().get(i).name());
      }
    }
    boolean hasFold = !KExprs.all(last.value(), KExpr.Fold.class).isEmpty();
    // Work of earlier stages of the producer stays where it is: only a producer of one stage moves
    // into a consumer of several.
    for (Stage stage : c.stages()) {
      if (!canInline(stage, names, last, hasFold, any, slices)) {
        return Optional.empty();
      }
    }
    if (hasFold && c.stages().stream().filter(s -> reads(s.value(), names)).count() > 1) {
      return Optional.empty();
    }
    return Optional.of(inline(producer, consumer, value, names));
  }

  private static boolean reads(KExpr value, Set<String> names) {
    return KExprs.all(value, KExpr.At.class).stream()
        .anyMatch(at -> names.contains(at.buffer().name()));
  }

  private static boolean canInline(
      Stage stage,
      Set<String> names,
      Stage producer,
      boolean hasFold,
      boolean any,
      boolean slices) {
    List<KExpr.At> ats =
        KExprs.all(stage.value(), KExpr.At.class).stream()
            .filter(at -> names.contains(at.buffer().name()))
            .toList();
    if (ats.isEmpty()) {
      return true;
    }
    int size = size(producer.value());
    if (size(stage.value()) + size * ats.size() > MAX_SIZE) {
      return false;
    }
    for (KExpr index : stage.index()) {
      if (reads(index, names)) {
        return false;
      }
    }
    boolean inFold =
        KExprs.all(stage.value(), KExpr.Fold.class).stream()
            .anyMatch(fold -> reads(fold.body(), names));
    boolean pointwise =
        ats.stream().allMatch(at -> isPoint(at.index(), at.buffer(), stage.axes()))
            && (isPoint(stage.index(), stage.target(), stage.axes()) || (slices && isSlice(stage)));
    if (hasFold) {
      boolean otherFold = !KExprs.all(stage.value(), KExpr.Fold.class).isEmpty();
      return pointwise && !inFold && !otherFold;
    }
    // Inside a fold a producer is evaluated once per use: only what costs next to nothing.
    return any || !inFold || size <= 3;
  }

  /** Whether a stage writes a part of its target: each dimension by one axis, from a number on. */
  private static boolean isSlice(Stage stage) {
    List<Axis> open = new ArrayList<>(stage.axes());
    open.removeIf(axis -> axis.extent().isConst(1));
    for (KExpr index : stage.index()) {
      if (KExprs.freeAxes(index).isEmpty()) {
        continue;
      }
      KExpr moving =
          index instanceof KExpr.Bin sum
                  && sum.op() == BinaryOp.ADD
                  && KExprs.freeAxes(sum.b()).isEmpty()
              ? sum.a()
              : index;
      if (open.isEmpty() || !moving.equals(K.axis(open.removeFirst()))) {
        return false;
      }
    }
    return open.isEmpty();
  }

  /**
   * Whether an index is that of the current point, for points that cover the buffer; dimensions of
   * extent 1 need no axis.
   */
  private static boolean isPoint(List<KExpr> index, Buf buffer, List<Axis> axes) {
    List<Axis> open = new ArrayList<>(axes);
    open.removeIf(axis -> axis.extent().isConst(1));
    for (int d = 0; d < index.size(); d++) {
      boolean only = buffer.shape().get(d).isConst(1);
      if (only && index.get(d).equals(K.index(0))) {
        continue;
      }
      if (open.isEmpty()
          || !index.get(d).equals(K.axis(open.getFirst()))
          || !open.removeFirst().extent().equals(buffer.shape().get(d))) {
        return false;
      }
    }
    return open.isEmpty();
  }

  private static int size(KExpr expr) {
    int[] count = {0};
    KExprs.visit(expr, e -> count[0]++);
    return count[0];
  }

  private static Unit inline(Unit producer, Unit consumer, int value, Set<String> replaced) {
    // One name space: producer's buffers get a prefix unless both bind the same value.
    Map<Integer, String> nameOf = new HashMap<>();
    List<Buf> inputs = new ArrayList<>();
    List<Integer> inputValues = new ArrayList<>();
    for (int i = 0; i < consumer.inputs.size(); i++) {
      if (consumer.inputs.get(i) != value) {
        inputs.add(consumer.kernel.inputs().get(i));
        inputValues.add(consumer.inputs.get(i));
        nameOf.putIfAbsent(consumer.inputs.get(i), consumer.kernel.inputs().get(i).name());
      }
    }
    Set<String> taken = new HashSet<>();
    consumer.kernel.inputs().forEach(b -> taken.add(b.name()));
    consumer.kernel.outputs().forEach(b -> taken.add(b.name()));
    consumer.kernel.stages().forEach(s -> taken.add(s.target().name()));
    Map<String, String> rename = new LinkedHashMap<>();
    for (Buf buf : allBuffers(producer.kernel)) {
      String fresh = buf.name();
      for (int n = 0; taken.contains(fresh); n++) {
        fresh = buf.name() + "p" + n;
      }
      rename.put(buf.name(), fresh);
      taken.add(fresh);
    }
    Map<Axis, Axis> axisRename = new HashMap<>();
    Set<String> axisNames = new HashSet<>();
    consumer.kernel.stages().forEach(s -> collectAxes(s, axisNames));
    Kernel p = rename(producer.kernel, rename, axisNames, axisRename);
    for (int i = 0; i < producer.inputs.size(); i++) {
      inputs.add(p.inputs().get(i));
      inputValues.add(producer.inputs.get(i));
    }
    Stage last = p.stages().getLast();
    List<Stage> stages = new ArrayList<>(p.stages().subList(0, p.stages().size() - 1));
    for (Stage stage : consumer.kernel.stages()) {
      KExpr inlined =
          KExprs.rewrite(
              stage.value(),
              e -> {
                if (e instanceof KExpr.At at && replaced.contains(at.buffer().name())) {
                  Map<Axis, KExpr> point = new HashMap<>();
                  for (int d = 0; d < last.index().size(); d++) {
                    if (last.index().get(d) instanceof KExpr.AxisRef ref) {
                      point.put(ref.axis(), at.index().get(d));
                    }
                  }
                  return KExprs.substitute(last.value(), point);
                }
                return e;
              });
      stages.add(new Stage(stage.target(), stage.axes(), stage.index(), inlined));
    }
    String name =
        producer.kernel.name().equals(consumer.kernel.name())
            ? producer.kernel.name()
            : shortName(producer.kernel.name(), consumer.kernel.name());
    Kernel kernel = new Kernel(name, inputs, consumer.kernel.outputs(), stages);
    return new Unit(
        kernel, inputValues, consumer.outputs, producer.origin + " + " + consumer.origin);
  }

  private static String shortName(String producer, String consumer) {
    String joined = producer + "_" + consumer;
    return joined.length() > 40 ? joined.substring(0, 40) : joined;
  }

  private static List<Buf> allBuffers(Kernel kernel) {
    Set<Buf> all = new LinkedHashSet<>(kernel.inputs());
    all.addAll(kernel.outputs());
    kernel.stages().forEach(s -> all.add(s.target()));
    return List.copyOf(all);
  }

  private static void collectAxes(Stage stage, Set<String> names) {
    stage.axes().forEach(a -> names.add(a.name()));
    KExprs.all(stage.value(), KExpr.Fold.class)
        .forEach(f -> f.axes().forEach(a -> names.add(a.name())));
  }

  private static Kernel rename(
      Kernel kernel, Map<String, String> buffers, Set<String> takenAxes, Map<Axis, Axis> axes) {
    List<Stage> stages = new ArrayList<>();
    for (Stage stage : kernel.stages()) {
      KExpr value = renameExpr(stage.value(), buffers, takenAxes, axes);
      List<Axis> newAxes = stage.axes().stream().map(a -> renameAxis(a, takenAxes, axes)).toList();
      List<KExpr> index =
          stage.index().stream().map(e -> renameExpr(e, buffers, takenAxes, axes)).toList();
      stages.add(new Stage(renameBuf(stage.target(), buffers), newAxes, index, value));
    }
    return new Kernel(
        kernel.name(),
        kernel.inputs().stream().map(b -> renameBuf(b, buffers)).toList(),
        kernel.outputs().stream().map(b -> renameBuf(b, buffers)).toList(),
        stages);
  }

  private static Buf renameBuf(Buf buf, Map<String, String> names) {
    return new Buf(names.getOrDefault(buf.name(), buf.name()), buf.element(), buf.shape());
  }

  private static Axis renameAxis(Axis axis, Set<String> taken, Map<Axis, Axis> done) {
    return done.computeIfAbsent(
        axis,
        a -> {
          String fresh = a.name();
          for (int n = 0; taken.contains(fresh); n++) {
            fresh = a.name() + "p" + n;
          }
          taken.add(fresh);
          return new Axis(fresh, a.extent());
        });
  }

  private static KExpr renameExpr(
      KExpr expr, Map<String, String> buffers, Set<String> taken, Map<Axis, Axis> axes) {
    return KExprs.rewrite(
        expr,
        e ->
            switch (e) {
              case KExpr.At at -> new KExpr.At(renameBuf(at.buffer(), buffers), at.index());
              case KExpr.AxisRef ref -> new KExpr.AxisRef(renameAxis(ref.axis(), taken, axes));
              case KExpr.Fold fold ->
                  new KExpr.Fold(
                      fold.op(),
                      fold.axes().stream().map(a -> renameAxis(a, taken, axes)).toList(),
                      fold.body());
              default -> e;
            });
  }
}
