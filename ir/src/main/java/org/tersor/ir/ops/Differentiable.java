package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** An operator that knows its derivative, as other operators. */
interface Differentiable {
  /** Version of operators that a derivative may use whatever the model imports. */
  int MODERN = 18;

  /**
   * The vector-Jacobian product: for every input the sum over the outputs' elements of their
   * gradient times their derivative by the input; {@link Value#NONE} where it is zero or the input
   * is no real number.
   *
   * @param c the node, with its types
   */
  List<Value> gradients(OpContext c, Pullback p);

  /**
   * What a derivative is built from.
   *
   * @param inputs of the node, in the graph that is built
   * @param outputs likewise
   * @param gradient of output 0
   */
  record Pullback(
      GraphBuilder builder, int opset, List<Value> inputs, List<Value> outputs, Value gradient) {

    Value number(DType dtype, double value) {
      Tensor tensor = Tensor.zeros(dtype);
      tensor.setDouble(0, value);
      return builder.constant("", Constant.of(tensor));
    }

    /** Zeros of a type whose shape is known. */
    Value zeros(OpContext c, TensorType type) {
      return builder.constant("", Constant.of(Tensor.zeros(type.dtype(), known(c, type))));
    }

    /** The shape of the first input, which must be known. */
    long[] extents(OpContext c) {
      return known(c, c.in(0));
    }

    private static long[] known(OpContext c, TensorType type) {
      if (!type.isStatic()) {
        throw c.error("TSR-0203", "the shape " + type + " must be known for its gradient");
      }
      return type.staticShape();
    }

    Value add(String type, Value... operands) {
      return builder.add(type, operands);
    }

    /** A node of a version that has the operator as the derivative needs it. */
    Value modern(String type, Map<String, Attribute> attributes, Value... operands) {
      builder.pin("", MODERN);
      Value result = builder.add(type, attributes, operands);
      builder.pin("", opset);
      return result;
    }

    /** The operator applied to the positions of its first input's elements. */
    Value positions(OpContext c) {
      Tensor all = Shapes.allocate(c, DType.I64, extents(c));
      for (int i = 0; i < all.size(); i++) {
        all.setLong(i, i);
      }
      List<Value> operands = new ArrayList<>(inputs);
      operands.set(0, builder.constant("", Constant.of(all)));
      return builder.add(
          "", c.node().op().type(), c.node().attributes(), operands.toArray(Value[]::new));
    }

    /** The gradient's elements added at positions of the first input. */
    Value back(OpContext c, Value positions) {
      TensorType x = c.in(0);
      long count = LongStream.of(extents(c)).reduce(1, Math::multiplyExact);
      Value all = zeros(c, TensorType.of(x.dtype(), count));
      Value flat = builder.add("Reshape", positions, builder.longs(-1));
      Value sums =
          modern(
              "ScatterND",
              Map.of("reduction", new Attribute.StringAttr("add")),
              all,
              modern("Unsqueeze", Map.of(), flat, builder.longs(1)),
              builder.add("Reshape", gradient, builder.longs(-1)));
      return reshape(c, sums, x.dims());
    }

    /** A vector over the channels, of shape [C, 1, ...] to go with [N, C, ...]. */
    Value channels(OpContext c, Value vector) {
      List<DimExpr> dims = new ArrayList<>(List.of(c.dims(0).get(1)));
      while (dims.size() < c.rank(0) - 1) {
        dims.add(DimExpr.ONE);
      }
      return reshape(c, vector, dims);
    }

    /** The sum over all but the channels, as a vector. */
    Value perChannel(OpContext c, Value value) {
      List<Long> axes = new ArrayList<>();
      for (long d = 0; d < c.rank(0); d++) {
        if (d != 1) {
          axes.add(d);
        }
      }
      return reshape(c, sum(value, axes), List.of(c.dims(0).get(1)));
    }

    Value permuted(Value value, List<Long> order) {
      return builder.add("Transpose", Map.of("perm", new Attribute.IntsAttr(order)), value);
    }

    /** The mean over axes of known extents, which are kept with extent 1. */
    Value mean(OpContext c, Value value, List<DimExpr> dims, List<Long> axes, DType dtype) {
      return share(c, sum(value, axes), dims, axes, dtype);
    }

    /** A sum over axes of known extents, divided among what was summed. */
    Value share(OpContext c, Value sum, List<DimExpr> dims, List<Long> axes, DType dtype) {
      double count = 1;
      for (long axis : axes) {
        DimExpr dim = dims.get((int) axis);
        if (!dim.isConst()) {
          throw c.error("TSR-0203", "the extent " + dim + " must be known for its gradient");
        }
        count *= dim.constValue();
      }
      return add("Div", sum, number(dtype, count));
    }

    /** The last two of {@code rank} dimensions exchanged. */
    Value transposed(Value value, int rank) {
      List<Long> order = new ArrayList<>();
      for (long d = 0; d < rank - 2; d++) {
        order.add(d);
      }
      order.add(rank - 1L);
      order.add(rank - 2L);
      return builder.add("Transpose", Map.of("perm", new Attribute.IntsAttr(order)), value);
    }

    /** The sum over axes that are kept with extent 1. */
    Value sum(Value value, List<Long> axes) {
      if (axes.isEmpty()) {
        return value;
      }
      if (opset < 13) {
        return builder.add("ReduceSum", Map.of("axes", new Attribute.IntsAttr(axes)), value);
      }
      return builder.add(
          "ReduceSum", value, builder.longs(axes.stream().mapToLong(Long::longValue).toArray()));
    }

    /** A gradient of the broadcast shape {@code from} for an operand of shape {@code to}. */
    Value unbroadcast(OpContext c, Value value, List<DimExpr> from, List<DimExpr> to) {
      List<Long> axes = new ArrayList<>();
      int skip = from.size() - to.size();
      for (int d = 0; d < from.size(); d++) {
        boolean repeated = d < skip || (to.get(d - skip).isConst(1) && !from.get(d).isConst(1));
        if (repeated) {
          axes.add((long) d);
        } else if (!to.get(d - skip).equals(from.get(d))) {
          throw c.error(
              "TSR-0203",
              "whether "
                  + to
                  + " is repeated along dimension "
                  + d
                  + " must be known for its"
                  + " gradient");
        }
      }
      Value sum = sum(value, axes);
      return skip == 0 ? sum : reshape(c, sum, to);
    }

    /** {@code value} with the dimensions {@code to}; at most one of them is no number. */
    Value reshape(OpContext c, Value value, List<DimExpr> to) {
      long[] shape = new long[to.size()];
      int open = 0;
      for (int d = 0; d < shape.length; d++) {
        open += to.get(d).isConst() ? 0 : 1;
        shape[d] = to.get(d).isConst() ? to.get(d).constValue() : -1;
      }
      if (open > 1 || opset < 5) {
        throw c.error("TSR-0203", "the shape " + to + " must be known for its gradient");
      }
      return builder.add("Reshape", value, builder.longs(shape));
    }
  }
}
