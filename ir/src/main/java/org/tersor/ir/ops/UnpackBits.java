package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Codes of 2, 4 or 8 bits out of bytes: U8[.., m] to U8[.., m * 8 / bits], the low bits of a byte
 * first or, with high_first, the high ones.
 */
final class UnpackBits extends OpBase {
  static final String NAME = "unpack_bits";

  UnpackBits() {
    super(
        OpSchema.of(OpKey.TERSOR, NAME, 1)
            .input("x", "T")
            .output("y", "T")
            .types("T", Types.set(DType.U8))
            .required("bits", AttributeKind.INT)
            .attribute("high_first", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static int bits(OpContext c) {
    long bits = c.intAttr("bits", 0);
    if (bits != 2 && bits != 4 && bits != 8) {
      throw c.error("TSR-0304", "codes of " + bits + " bits; 2, 4 and 8 are defined");
    }
    return (int) bits;
  }

  @Override
  List<ValueType> types(OpContext c) {
    int per = 8 / bits(c);
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    dims.set(dims.size() - 1, dims.getLast().times(DimExpr.of(per)));
    return List.of(TensorType.of(DType.U8, dims));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    int bits = bits(c);
    int per = 8 / bits;
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, DType.U8, outType(c, 0).staticShape());
    for (int i = 0; i < y.size(); i++) {
      int place = c.intAttr("high_first", 0) != 0 ? per - 1 - i % per : i % per;
      y.setLong(i, (x.getLong(i / per) >> (place * bits)) & ((1 << bits) - 1));
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    int bits = bits(c);
    int per = 8 / bits;
    Buf x = in(c, 0);
    Buf y = out(c, 0, outType(c, 0));
    List<Axis> axes = Shapes.axes(y.shape());
    List<KExpr> index = Shapes.refs(axes);
    KExpr last = index.getLast();
    index.set(index.size() - 1, K.floorDiv(last, K.index(per)));
    KExpr place = K.cast(Scalar.I32, K.floorMod(last, K.index(per)));
    if (c.intAttr("high_first", 0) != 0) {
      place = K.sub(K.i32(per - 1), place);
    }
    KExpr code = K.cast(Scalar.I32, K.at(x, index));
    KExpr shifted = K.binary(BinaryOp.SHR, code, K.mul(place, K.i32(bits)));
    KExpr masked = K.binary(BinaryOp.AND, shifted, K.i32((1 << bits) - 1));
    return compute(List.of(x), y, List.of(Stage.of(y, axes, K.cast(Scalar.U8, masked))));
  }
}
