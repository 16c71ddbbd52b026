package org.tersor.passes.graph;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Codes as the bytes that integer kernels multiply.
 *
 * @param stored in the file: no tool reads a Cast from fewer bits before opset 25
 */
record ByteCodes(Rewrite rewrite, boolean stored) {

  static boolean isByte(DType type) {
    return type == DType.U8 || type == DType.I8;
  }

  /** Whether codes are bytes, or fewer bits that a byte holds. */
  static boolean fitsByte(DType type) {
    return type.isInteger() && type.bits() <= Byte.SIZE;
  }

  /**
   * Codes of fewer bits become bytes when the model is loaded: the file keeps them packed unless
   * bytes are to be stored.
   */
  Value widened(Value codes) {
    DType type = rewrite.tensorType(codes).orElseThrow().dtype();
    if (isByte(type)) {
      return codes;
    }
    if (stored) {
      return widened(rewrite.constant(codes).orElseThrow());
    }
    DType wide = type.isSigned() ? DType.I8 : DType.U8;
    Value output = rewrite.edit().value("", rewrite.tensorType(codes).get().withDtype(wide));
    rewrite
        .edit()
        .add(
            new Node(
                rewrite.edit().freshId(),
                "",
                new OpKey("", "Cast", LowerDecode.TWO_BITS),
                List.of(codes),
                List.of(output),
                Map.of("to", new Attribute.IntAttr(OnnxTypes.code(wide)))));
    return output;
  }

  /** Constants, of zero points above all, in the type of the bytes. */
  Value widened(Tensor zero) {
    if (isByte(zero.dtype())) {
      return rewrite.edit().constant("", Constant.of(zero));
    }
    Tensor wide = Tensor.zeros(zero.dtype().isSigned() ? DType.I8 : DType.U8, zero.shape());
    for (int i = 0; i < wide.size(); i++) {
      wide.setLong(i, zero.getLong(i));
    }
    return rewrite.edit().constant("", Constant.of(wide));
  }
}
