package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Operators whose output is the input under another shape: Reshape, Flatten, Squeeze, Unsqueeze.
 */
final class ViewOperator extends OpBase implements Differentiable {

  private static final String SQUEEZE = "Squeeze";

  /** Output dimensions, or empty if not even their number is known. */
  interface Shape {
    Optional<List<DimExpr>> of(OpContext c);
  }

  private final Shape shape;

  private ViewOperator(OpSchema.Builder schema, Shape shape) {
    super(
        schema
            .types("T", Types.ALL)
            .types("I", Types.I64)
            .output("output", "T")
            .carries(OpSchema.Carries.SHAPED)
            .tolerance(OpSchema.Tolerance.EXACT));
    this.shape = shape;
  }

  /**
   * Squeeze of these axes, where every other axis has not one position: the data must see to it.
   */
  private static ViewOperator othersKept() {
    return new ViewOperator(
        OpSchema.of(OpKey.TERSOR, SQUEEZE, 1)
            .input("data", "T")
            .required("axes", AttributeKind.INTS),
        c -> {
          List<DimExpr> kept = new ArrayList<>(c.dims(0));
          long[] axes = c.intsAttr("axes").orElseThrow();
          for (int i = axes.length - 1; i >= 0; i--) {
            kept.remove((int) axes[i]);
          }
          // Constants that were folded since then may have told it.
          kept.removeIf(dim -> dim.isConst(1));
          kept.forEach(dim -> demandNotOne(c, dim));
          return Optional.of(kept);
        });
  }

  private static void demandNotOne(OpContext c, DimExpr dim) {
    c.demand(
        DimExpr.ZERO,
        ElementSymbols.isEqual(dim, DimExpr.ONE),
        "Squeeze without axes meets one position on an axis ("
            + dim
            + ") that compiled code keeps; give its axes, or the dimension when compiling");
  }

  static List<ViewOperator> all() {
    return List.of(
        othersKept(),
        new ViewOperator(
            OpSchema.of("", "Reshape", 1, 5, 13, 14, 19, 21, 23, 24, 25)
                .sample(
                    "data[d*]; -4: shape=reshape(data); 5-: shape[*]=reshape(data); allowzero=-")
                .input("data", "T")
                .optional("shape", "I")
                .attribute("shape", AttributeKind.INTS)
                .attribute("allowzero", AttributeKind.INT)
                .attribute("consumed_inputs", AttributeKind.INTS),
            ViewOperator::reshape),
        new ViewOperator(
            OpSchema.of("", "Flatten", 1, 9, 11, 13, 21, 23, 24, 25)
                .sample("input[d*]; axis=0..rank(input)")
                .input("input", "T")
                .attribute("axis", AttributeKind.INT),
            ViewOperator::flatten),
        new ViewOperator(
            OpSchema.of("", SQUEEZE, 1, 11, 13, 21, 23, 24, 25)
                .sample("data[d*]; -12: axes=ones(data); 13-: axes[*]=ones(data)")
                .input("data", "T")
                .optional("axes", "I")
                .attribute("axes", AttributeKind.INTS),
            ViewOperator::squeeze),
        new ViewOperator(
            OpSchema.of("", "Unsqueeze", 1, 11, 13, 21, 23, 24, 25)
                .sample("data[d*0-3]; -12: axes=axes(data, 2); 13-: axes[*]=axes(data, 2)")
                .input("data", "T")
                .optional("axes", "I")
                .attribute("axes", AttributeKind.INTS),
            ViewOperator::unsqueeze));
  }

  private static Optional<List<DimExpr>> reshape(OpContext c) {
    Optional<List<DimExpr>> wanted =
        c.version() < 5
            ? c.intsAttr("shape").map(DimExpr::list)
            : c.symbolic(1).or(() -> c.constant(1).map(t -> DimExpr.list(Shapes.longs(t))));
    if (wanted.isEmpty()) {
      boolean lengthKnown =
          c.hasInput(1) && c.in(1).isRanked() && c.rank(1) == 1 && c.dims(1).getFirst().isConst();
      if (!lengthKnown) {
        return Optional.empty();
      }
      List<DimExpr> dims = new ArrayList<>();
      for (int d = 0; d < Math.min(64, c.dims(1).getFirst().constValue()); d++) {
        dims.add(unknown(c, d));
      }
      return Optional.of(dims);
    }
    if (wanted.get().stream().anyMatch(d -> !d.isConst() && ElementSymbols.mayBeNegative(d))) {
      return c.in(0).isRanked() ? Optional.of(runtimeShape(c, wanted.get())) : wanted;
    }
    List<DimExpr> dims = new ArrayList<>(wanted.get());
    // Copied dimensions stand on both sides, so that one of 0 does not hide what -1 stands for.
    Set<Integer> copied = new TreeSet<>();
    int free = -1;
    for (int d = 0; d < dims.size(); d++) {
      if (dims.get(d).isConst(-1)) {
        if (free >= 0) {
          throw c.error("TSR-0303", "two dimensions of the new shape are -1");
        }
        free = d;
      } else if (dims.get(d).isConst() && dims.get(d).constValue() < -1) {
        throw c.error("TSR-0303", "dimension " + dims.get(d) + " of the new shape is negative");
      } else if (dims.get(d).isConst(0) && c.intAttr("allowzero", 0) == 0) {
        if (!c.in(0).isRanked()) {
          dims.set(d, unknown(c, d));
        } else if (d >= c.rank(0)) {
          throw c.error(
              "TSR-0303",
              "dimension "
                  + d
                  + " of the new shape is copied, but the input has rank "
                  + c.rank(0));
        } else {
          dims.set(d, c.dims(0).get(d));
          copied.add(d);
        }
      }
    }
    if (free >= 0) {
      dims.set(free, DimExpr.ONE);
      dims.set(
          free,
          c.in(0).isRanked()
              ? rest(c, productWithout(copied, c.dims(0)), productWithout(copied, dims))
              : unknown(c, free));
    } else if (c.in(0).isStatic()
        && dims.stream().allMatch(DimExpr::isConst)
        && !c.in(0).elements().equals(DimExpr.product(dims))) {
      throw c.error("TSR-0303", "shape " + dims + " has another number of elements");
    }
    return Optional.of(dims);
  }

  /** Where elements of the shape may turn out to be 0 or -1. */
  private static List<DimExpr> runtimeShape(OpContext c, List<DimExpr> wanted) {
    List<DimExpr> dims = new ArrayList<>();
    // Without the copied dimensions, of which there may be none.
    DimExpr elements = DimExpr.ONE;
    DimExpr others = DimExpr.ONE;
    for (int d = 0; d < Math.max(wanted.size(), c.rank(0)); d++) {
      DimExpr old = d < c.rank(0) ? c.dims(0).get(d) : DimExpr.ONE;
      if (d >= wanted.size()) {
        elements = elements.times(old);
        continue;
      }
      DimExpr dim = wanted.get(d);
      DimExpr kept = old;
      DimExpr factor = dim;
      if (c.intAttr("allowzero", 0) == 0 && d < c.rank(0) && (!dim.isConst() || dim.isConst(0))) {
        DimExpr isZero = ElementSymbols.isEqual(dim, DimExpr.ZERO);
        kept = ElementSymbols.select(isZero, DimExpr.ONE, old);
        factor = dim.plus(isZero);
        dim = dim.plus(isZero.times(old));
      }
      dims.add(c.abbreviate("copied" + d, dim));
      elements = elements.times(c.abbreviate("kept" + d, kept));
      DimExpr own = ElementSymbols.select(ElementSymbols.isNegative(factor), DimExpr.ONE, factor);
      others = others.times(c.abbreviate("factor" + d, own));
    }
    DimExpr free = c.abbreviate("free", elements.floorDiv(others.max(DimExpr.ONE)));
    for (int d = 0; d < dims.size(); d++) {
      DimExpr dim = dims.get(d);
      if (!dim.isConst() || dim.constValue() < 0) {
        DimExpr own = ElementSymbols.select(ElementSymbols.isNegative(dim), free, dim);
        dims.set(d, c.abbreviate("dim" + d, own));
      }
    }
    return dims;
  }

  private static DimExpr productWithout(Set<Integer> axes, List<DimExpr> dims) {
    List<DimExpr> others = new ArrayList<>(dims);
    axes.forEach(axis -> others.set(axis, DimExpr.ONE));
    return DimExpr.product(others);
  }

  private static DimExpr rest(OpContext c, DimExpr elements, DimExpr others) {
    if (others.isConst(0)) {
      return DimExpr.ZERO;
    }
    if (elements.isConst()
        && others.isConst()
        && elements.constValue() % others.constValue() != 0) {
      throw c.error("TSR-0303", elements + " elements cannot be split into groups of " + others);
    }
    return elements.floorDiv(others);
  }

  private static Optional<List<DimExpr>> flatten(OpContext c) {
    if (!c.in(0).isRanked()) {
      return Optional.of(List.of(unknown(c, 0), unknown(c, 1)));
    }
    int rank = c.rank(0);
    long axis = c.intAttr("axis", 1);
    if (axis < -rank || axis > rank) {
      throw c.error("TSR-0305", "axis " + axis + " is outside -" + rank + ".." + rank);
    }
    int at = (int) (axis < 0 ? axis + rank : axis);
    return Optional.of(
        List.of(Shapes.product(c.dims(0), 0, at), Shapes.product(c.dims(0), at, rank)));
  }

  /** Whether axes are given: by attribute or, from version 13 on, by input. */
  private static boolean hasAxes(OpContext c) {
    return c.version() < 13 ? c.has("axes") : c.hasInput(1);
  }

  /** The axes, if they are known. */
  private static Optional<long[]> axes(OpContext c) {
    return c.version() < 13
        ? c.intsAttr("axes")
        : c.hasInput(1) ? Shapes.constantLongs(c, 1) : Optional.empty();
  }

  /** The result where only the number of axes is known. */
  private static Optional<List<DimExpr>> unknownAxes(OpContext c, int sign) {
    return RuntimeAxes.count(c, 1)
        .map(count -> {
          List<DimExpr> dims = new ArrayList<>();
          for (int d = 0; d < c.rank(0) + sign * count; d++) {
            dims.add(unknown(c, d));
          }
          return dims;
        });
  }

  private static Optional<List<DimExpr>> squeeze(OpContext c) {
    if (!c.in(0).isRanked()) {
      return Optional.empty();
    }
    List<DimExpr> dims = c.dims(0);
    Optional<long[]> axes = axes(c);
    if (hasAxes(c) && axes.isEmpty()) {
      return RuntimeAxes.of(c, 1, dims.size())
          .filter(a -> a.count() <= dims.size())
          .map(a -> a.removed(dims))
          .or(() -> unknownAxes(c, -1));
    }
    Set<Integer> dropped = new TreeSet<>();
    if (axes.isPresent()) {
      for (long a : axes.get()) {
        int axis = c.axis(a, dims.size());
        if (dims.get(axis).isConst() && !dims.get(axis).isConst(1)) {
          throw c.error(
              "TSR-0303", "axis " + axis + " has " + dims.get(axis) + " positions, not 1");
        }
        dropped.add(axis);
      }
    } else {
      for (int d = 0; d < dims.size(); d++) {
        if (dims.get(d).isConst(1)) {
          dropped.add(d);
        } else if (dims.get(d).symbols().stream().anyMatch(ElementSymbols::isFromData)) {
          // Data decide whether it is 1, and so the rank.
          return Optional.empty();
        }
      }
    }
    List<DimExpr> result = new ArrayList<>();
    for (int d = 0; d < dims.size(); d++) {
      if (!dropped.contains(d)) {
        result.add(dims.get(d));
      }
    }
    return Optional.of(result);
  }

  private static Optional<List<DimExpr>> unsqueeze(OpContext c) {
    if (!c.in(0).isRanked()) {
      return Optional.empty();
    }
    if (!hasAxes(c)) {
      throw c.error("TSR-0304", "axes are missing");
    }
    Optional<long[]> known = axes(c);
    if (known.isEmpty()) {
      return c.symbolic(1)
          .flatMap(a -> RuntimeAxes.of(c, 1, c.rank(0) + a.size()))
          .map(a -> a.inserted(c.dims(0)))
          .or(() -> unknownAxes(c, 1));
    }
    long[] axes = known.get();
    int rank = c.rank(0) + axes.length;
    Set<Integer> added = new TreeSet<>();
    for (long a : axes) {
      if (!added.add(c.axis(a, rank))) {
        throw c.error("TSR-0305", "axis " + a + " is given twice");
      }
    }
    List<DimExpr> result = new ArrayList<>();
    int next = 0;
    for (int d = 0; d < rank; d++) {
      result.add(added.contains(d) ? DimExpr.ONE : c.dims(0).get(next++));
    }
    return Optional.of(result);
  }

  @Override
  List<ValueType> types(OpContext c) {
    Optional<List<DimExpr>> dims = shape.of(c);
    if (c.in(0).isRanked()) {
      dims.ifPresent(
          known -> c.demandEqual(() -> DimExpr.product(known), () -> c.in(0).elements()));
    }
    return List.of(type(c.dtype(0), dims));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    long[] dims = outType(c, 0).staticShape();
    Tensor x = c.input(0);
    if (Tensor.count(dims) != x.size()) {
      throw c.error(
          "TSR-0303",
          "shape " + java.util.Arrays.toString(dims) + " has another number of elements");
    }
    return List.of(x.reshaped(dims));
  }

  /**
   * Squeeze without axes whose rank data or input shapes decide: compiled code drops the axes that
   * have one position for sure.
   */
  private boolean assumesRank(OpContext c) {
    return c.node().op().type().equals(SQUEEZE)
        && c.node().op().domain().isEmpty()
        && !hasAxes(c)
        && !c.in(0).isStatic();
  }

  @Override
  Lowering code(OpContext c) {
    if (!assumesRank(c)) {
      return new Lowering.View(0);
    }
    List<DimExpr> dims = c.dims(0);
    List<Long> axes =
        LongStream.range(0, dims.size()).filter(d -> dims.get((int) d).isConst(1)).boxed().toList();
    return new Lowering.Decompose(b ->
        List.of(
            b.add(
                OpKey.TERSOR,
                SQUEEZE,
                Map.of("axes", new Attribute.IntsAttr(axes)),
                c.node().input(0))));
  }

  @Override
  public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
    boolean integer =
        c.inputType(0) instanceof TensorType t
            && (t.dtype() == DType.I64 || t.dtype() == DType.I32);
    return integer ? c.symbolic(0) : Optional.empty();
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    return List.of(p.reshape(c, p.gradient(), c.dims(0)));
  }
}
