package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import org.tersor.ir.dsl.LoopParser;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.LoopProgram;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.Lowering;
import org.tersor.runtime.DimExpr;

/** Kernels whose text is in the loop IR, generic in element types. */
final class LoopText {
  private LoopText() {}

  /**
   * A serial kernel.
   *
   * @param dims for each dimension parameter of the text, its value
   * @param types replacements of words in upper case between {@code $} signs
   */
  static Lowering compute(
      List<Buf> inputs,
      List<Buf> outputs,
      String text,
      List<DimExpr> dims,
      Map<String, String> types) {
    String own = text;
    for (var type : types.entrySet()) {
      own = own.replace("$" + type.getKey() + "$", type.getValue());
    }
    var function = LoopParser.parse(own);
    return new Lowering.Compute(
        new Kernel(
            function.name(),
            inputs,
            outputs,
            List.of(),
            java.util.Optional.of(new LoopProgram(function, dims, DimExpr.ONE))));
  }

  /** Whether element {@code load} differs from zero. */
  static String isNotZero(Scalar element, String load) {
    return switch (element) {
      case BOOL -> load;
      case F16, BF16, F32 -> "f32(" + load + ") != 0.0_f32";
      case F64 -> load + " != 0.0_f64";
      default -> "i64(" + load + ") != 0_i64";
    };
  }
}
