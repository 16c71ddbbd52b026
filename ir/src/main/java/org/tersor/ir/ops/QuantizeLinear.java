package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Minifloat;
import org.tersor.runtime.Tensor;

/**
 * QuantizeLinear (10, 13, 19, 21, 23, 24, 25) and com.microsoft QuantizeLinear: y = saturate(rint(x
 * / scale) + zero). One scale for the tensor; from 13 also one per index of axis; from 21 also one
 * per block of block_size along axis. Small float types from 19: x / scale is rounded to the type,
 * saturating unless saturate = 0.
 */
final class QuantizeLinear extends OpBase {
  static final Set<DType> CODES =
      Types.set(
          DType.U2,
          DType.I2,
          DType.U4,
          DType.I4,
          DType.U8,
          DType.I8,
          DType.U16,
          DType.I16,
          DType.F8E4M3FN,
          DType.F8E4M3FNUZ,
          DType.F8E5M2,
          DType.F8E5M2FNUZ,
          DType.F4E2M1);

  QuantizeLinear(String domain) {
    super(
        versions(domain, "QuantizeLinear")
            .input("x", "T1")
            .input("y_scale", "T2")
            .optional("y_zero_point", "T3")
            .output("y", "T3")
            .sample(
                "x[d*]; y_scale[]=positive; y_zero_point[]; axis=-; block_size=-; output_dtype=-;"
                    + " precision=-; saturate=- || 13-: x[a* n b*]; 13-: axis!=len(a);"
                    + " 13-: y_scale[n]=positive; 13-: y_zero_point[n]; block_size=-;"
                    + " output_dtype=-; precision=-; saturate=-")
            .attribute("axis", AttributeKind.INT)
            .attribute("block_size", AttributeKind.INT)
            .attribute("output_dtype", AttributeKind.INT)
            .attribute("precision", AttributeKind.INT)
            .attribute("saturate", AttributeKind.INT)
            .types("T1", Types.union(Types.FLOATS, Types.set(DType.I32)))
            .types("T2", Types.union(Types.FLOATS, Types.set(DType.I32, DType.F8E8M0)))
            .types("T3", CODES)
            .tolerance(OpSchema.Tolerance.ROUNDING));
  }

  static OpSchema.Builder versions(String domain, String name) {
    return domain.isEmpty()
        ? OpSchema.of(domain, name, 10, 13, 19, 21, 23, 24, 25)
        : OpSchema.of(domain, name, 1);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    checkGrains(c);
    return List.of(c.in(0).withDtype(Quant.outputType(c, 2)));
  }

  /** Scale and zero point: one, one per position of the axis, or one per block of it. */
  static void checkGrains(OpContext c) {
    for (int operand = 1; operand <= 2; operand++) {
      if (!c.hasInput(operand)
          || !c.in(operand).isRanked()
          || !c.in(0).isRanked()
          || c.rank(operand) == 0
          || (Quant.isScalar(c, operand) && c.intAttr("block_size", 0) == 0)) {
        continue;
      }
      String what = operand == 1 ? "scale" : "zero point";
      List<DimExpr> x = c.dims(0);
      List<DimExpr> own = c.dims(operand);
      int axis = c.axis(c.intAttr("axis", 1), x.size());
      boolean blocks = c.intAttr("block_size", 0) != 0;
      if (own.size() == 1 && !blocks) {
        Shapes.agree(c, what + "'s length", own.getFirst(), x.get(axis));
      } else if (own.size() != x.size()) {
        throw c.error("TSR-0303", "the " + what + " has neither rank 0 or 1 nor the input's");
      }
      for (int d = 0; d < own.size() && (own.size() > 1 || blocks); d++) {
        DimExpr wanted = x.get(d);
        if (d == axis) {
          long size = blockSize(c, operand, axis);
          wanted =
              wanted.isConst() ? DimExpr.of(Math.ceilDiv(wanted.constValue(), size)) : own.get(d);
        }
        Shapes.agree(c, what + "'s dimension " + d, own.get(d), wanted);
      }
    }
  }

  /** Index into a scale or zero point for the element of x at {@code axes}. */
  static List<KExpr> index(OpContext c, int operand, List<Axis> axes) {
    int rank = c.rank(operand);
    List<KExpr> index = new ArrayList<>();
    if (rank == 0 || Quant.isScalar(c, operand)) {
      for (int d = 0; d < rank; d++) {
        index.add(K.index(0));
      }
      return index;
    }
    int axis = c.axis(c.intAttr("axis", 1), axes.size());
    if (rank == 1 && c.intAttr("block_size", 0) == 0) {
      return List.of(K.axis(axes.get(axis)));
    }
    if (rank != axes.size()) {
      throw c.error(
          "TSR-0303", "input " + operand + " must be a scalar, of rank 1, or of the rank of x");
    }
    long block = blockSize(c, operand, axis);
    for (int d = 0; d < rank; d++) {
      KExpr at = K.axis(axes.get(d));
      index.add(d == axis ? K.floorDiv(at, K.index(block)) : at);
    }
    return index;
  }

  private static long blockSize(OpContext c, int operand, int axis) {
    long block = c.intAttr("block_size", 0);
    if (block < 0 || block > Integer.MAX_VALUE) {
      throw c.error("TSR-0304", "block_size is " + block);
    }
    if (block == 0 && c.dims(0).get(axis).isConst() && c.dims(operand).get(axis).isConst()) {
      block =
          Math.ceilDiv(
              c.dims(0).get(axis).constValue(),
              Math.max(1, c.dims(operand).get(axis).constValue()));
    }
    if (block == 0) {
      throw c.error("TSR-0304", "block_size is missing");
    }
    return block;
  }

  /** Position in a scale or zero point for the element of x at {@code index}. */
  static int position(EvalContext c, int operand, long[] index) {
    Tensor tensor = c.input(operand);
    if (tensor.rank() == 0 || Quant.isScalar(c, operand)) {
      return 0;
    }
    int axis = c.axis(c.intAttr("axis", 1), index.length);
    if (tensor.rank() == 1 && c.intAttr("block_size", 0) == 0) {
      return (int) index[axis];
    }
    long[] at = index.clone();
    at[axis] /= blockSize(c, operand, axis);
    return Shapes.ravel(at, tensor.shape());
  }

  @Override
  List<Tensor> values(EvalContext c) {
    checkGrains(c);
    Tensor x = c.input(0);
    DType type = Quant.outputType(c, 2);
    Tensor y = Shapes.allocate(c, type, x.shape());
    for (int i = 0; i < x.size(); i++) {
      long[] index = Shapes.unravel(i, x.shape());
      int at = position(c, 1, index);
      float scaled = (float) x.getDouble(i) / (float) c.input(1).getDouble(at);
      if (type.isFloat()) {
        // The zero point of a float type is 0.
        y.bytes()[i] = (byte) Minifloat.of(type).encode(scaled, c.intAttr("saturate", 1) != 0);
      } else {
        y.setLong(i, Quant.saturate(type, scaled, c.hasInput(2) ? c.input(2).getLong(at) : 0));
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    DType type = Quant.outputType(c, 2);
    KExpr x = K.cast(Scalar.F32, kernel.value(0, Shapes.refs(axes)));
    KExpr scaled = K.div(x, K.cast(Scalar.F32, K.at(kernel.in(1), index(c, 1, axes))));
    KExpr value;
    if (type.isFloat()) {
      double max = Minifloat.of(type).max();
      boolean saturate = c.intAttr("saturate", 1) != 0;
      value =
          K.cast(
              Scalar.of(type), saturate ? K.min(K.max(scaled, K.f32(-max)), K.f32(max)) : scaled);
    } else {
      KExpr zero = Quant.isZero(c, 2) ? K.i32(0) : Quant.zero(kernel, c, 2, index(c, 2, axes));
      value = Quant.saturated(type, scaled, zero);
    }
    kernel.stage(kernel.out(0), axes, value);
    return kernel.build();
  }
}
