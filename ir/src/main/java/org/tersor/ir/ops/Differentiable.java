package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
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
      if (!type.isStatic()) {
        throw c.error("TSR-0203", "the shape " + type + " must be known for its gradient");
      }
      return builder.constant("", Constant.of(Tensor.zeros(type.dtype(), type.staticShape())));
    }

    Value add(String type, Value... operands) {
      return builder.add(type, operands);
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
