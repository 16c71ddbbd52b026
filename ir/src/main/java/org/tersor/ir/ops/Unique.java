package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Unique: the different slices along an axis, or elements of the flattened input, sorted or in the
 * order of their first occurrence; where each occurs first; which one each slice is; how often it
 * occurs. NaN comes last; as in numpy.unique, to which the specification refers, all NaN are one
 * element, but make slices along an axis different.
 */
final class Unique extends OpBase {
  Unique() {
    super(
        OpSchema.of("", "Unique", 11)
            .sample("X[d*1-3]; axis=axis(X); sorted=0|1")
            .input("X", "T")
            .output("Y", "T")
            .optionalOutput("indices", "I")
            .optionalOutput("inverse_indices", "I")
            .optionalOutput("counts", "I")
            .types("T", Types.ALL)
            .types("I", Types.I64)
            .attribute("axis", AttributeKind.INT)
            .attribute("sorted", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  @Override
  List<ValueType> types(OpContext c) {
    DimExpr count = unknown(c, 0);
    TensorType counts = TensorType.of(DType.I64, List.of(count));
    if (!c.has("axis")) {
      DimExpr all = c.in(0).isRanked() ? c.in(0).elements() : unknown(c, 1);
      return List.of(
          TensorType.of(c.dtype(0), List.of(count)),
          counts,
          TensorType.of(DType.I64, List.of(all)),
          counts);
    }
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0), counts, TensorType.of(DType.I64, List.of(unknown(c, 1))), counts);
    }
    int axis = c.axis(c.intAttr("axis", 0), c.rank(0));
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    DimExpr rows = dims.set(axis, count);
    return List.of(
        TensorType.of(c.dtype(0), dims), counts, TensorType.of(DType.I64, List.of(rows)), counts);
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Found found = Found.of(c);
    Tensor x = found.rows.x;
    int axis = found.rows.axis;
    long[] shape = x.shape().clone();
    shape[axis] = found.firsts.size();
    Tensor y = Shapes.allocate(c, x.dtype(), shape);
    long[] index = new long[shape.length];
    for (int i = 0; i < y.size(); i++) {
      long[] from = index.clone();
      from[axis] = found.firsts.get((int) index[axis]);
      Shapes.copy(x, Shapes.ravel(from, x.shape()), y, i);
      Shapes.next(index, shape);
    }
    return List.of(y, longs(found.firsts), longs(found.inverse), longs(found.counts));
  }

  static Tensor longs(List<? extends Number> numbers) {
    long[] all = numbers.stream().mapToLong(Number::longValue).toArray();
    return Tensor.of(all, all.length);
  }

  /**
   * What is different.
   *
   * @param firsts where each different slice occurs first
   * @param inverse which one each slice is
   * @param counts how often each occurs
   */
  record Found(Rows rows, List<Integer> firsts, List<Integer> inverse, List<Integer> counts) {
    static Found of(EvalContext c) {
      Tensor x = c.has("axis") ? c.input(0) : c.input(0).reshaped(c.input(0).size());
      boolean slices = c.has("axis");
      Rows rows = new Rows(x, slices ? c.axis(c.intAttr("axis", 0), x.rank()) : 0, !slices);
      List<Integer> firsts = new ArrayList<>();
      List<Integer> group = new ArrayList<>();
      // Quadratic, plainly: the definition.
      for (int r = 0; r < rows.count(); r++) {
        int known = -1;
        for (int k = 0; k < firsts.size() && known < 0; k++) {
          known = rows.compare(firsts.get(k), r) == 0 ? k : -1;
        }
        if (known < 0) {
          known = firsts.size();
          firsts.add(r);
        }
        group.add(known);
      }
      List<Integer> order = new ArrayList<>();
      for (int k = 0; k < firsts.size(); k++) {
        order.add(k);
      }
      if (c.intAttr("sorted", 1) != 0) {
        order.sort((a, b) -> rows.compare(firsts.get(a), firsts.get(b)));
      }
      return new Found(
          rows,
          order.stream().map(firsts::get).toList(),
          group.stream().map(order::indexOf).toList(),
          order.stream().map(k -> Collections.frequency(group, k)).toList());
    }
  }

  /**
   * Slices of an axis, compared element by element.
   *
   * @param nanIsOne whether NaN equals NaN
   */
  record Rows(Tensor x, int axis, boolean nanIsOne) {
    int count() {
      return (int) x.shape()[axis];
    }

    int compare(int a, int b) {
      if (a == b) {
        return 0;
      }
      long stride = Shapes.strides(x.shape())[axis];
      long[] shape = x.shape().clone();
      shape[axis] = 1;
      long[] index = new long[shape.length];
      long size = Tensor.count(shape);
      for (long i = 0; i < size; i++) {
        int base = Shapes.ravel(index, x.shape());
        int order = element((int) (base + a * stride), (int) (base + b * stride));
        if (order != 0) {
          return order;
        }
        Shapes.next(index, shape);
      }
      return 0;
    }

    private int element(int a, int b) {
      return switch (x.dtype()) {
        case STRING -> StringMoves.compare(x.strings()[a], x.strings()[b]);
        case U64 -> Long.compareUnsigned(x.getLong(a), x.getLong(b));
        case C64, C128 -> {
          int real = Double.compare(part(a, 0), part(b, 0));
          yield real != 0 ? real : Double.compare(part(a, 1), part(b, 1));
        }
        default ->
            x.dtype().isFloat()
                ? reals(x.getDouble(a) + 0.0, x.getDouble(b) + 0.0, a, b)
                : Long.compare(x.getLong(a), x.getLong(b));
      };
    }

    private int reals(double p, double q, int a, int b) {
      return Double.isNaN(p) && Double.isNaN(q) && !nanIsOne
          ? Integer.compare(a, b)
          : Double.compare(p, q);
    }

    private double part(int at, int which) {
      return x.dtype() == DType.C64 ? x.floats()[2 * at + which] : x.doubles()[2 * at + which];
    }
  }

  @Override
  Lowering code(OpContext c) {
    Value x = c.node().input(0);
    return new Lowering.Decompose(b -> {
      List<Value> found = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        found.add(b.value("", ValueType.UNKNOWN));
      }
      b.addNode(OpKey.TERSOR, UniqueSlices.NAME, c.node().attributes(), List.of(x), found);
      Value count = found.get(3);
      Value firsts =
          b.add(OpKey.TERSOR, DataSizedOperators.TakeFirst.NAME, Map.of(), found.getFirst(), count);
      Value counts =
          b.add(OpKey.TERSOR, DataSizedOperators.TakeFirst.NAME, Map.of(), found.get(2), count);
      return List.of(slices(b, c, firsts), firsts, found.get(1), counts)
          .subList(0, c.outputCount());
    });
  }

  private static Value slices(GraphBuilder b, OpContext c, Value positions) {
    Value x = c.node().input(0);
    return c.has("axis")
        ? b.add("Gather", Map.of("axis", new Attribute.IntAttr(c.intAttr("axis", 0))), x, positions)
        : b.add("Gather", b.add("Reshape", x, b.longs(-1)), positions);
  }

  /** The ranks of strings are as different as the strings: only the slices are gathered. */
  @Override
  Lowering strings(OpContext c) {
    return new Lowering.Decompose(b -> {
      Value ranks = b.add(OpKey.TERSOR, StringOperators.RANK, Map.of(), c.node().input(0));
      List<Value> outputs = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        outputs.add(b.value("", ValueType.UNKNOWN));
      }
      b.addNode("", "Unique", c.node().attributes(), List.of(ranks), outputs);
      outputs.set(0, slices(b, c, outputs.get(1)));
      return outputs.subList(0, c.outputCount());
    });
  }
}
