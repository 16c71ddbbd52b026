package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Node;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Functions that ONNX Runtime computes with an absolute error instead of a relative one: its
 * polynomials of erf, tanh and the logistic function, and differences with 1.
 */
final class Approximations {
  private static final Set<String> OPERATORS =
      Set.of(
          "Sigmoid",
          "Tanh",
          "Erf",
          "Gelu",
          "BiasGelu",
          "CausalConvWithState",
          "FastGelu",
          "FusedGemm",
          "QuickGelu",
          "Swish",
          "Mish",
          "Elu",
          "Celu",
          "Selu",
          "Softplus");

  /** Differences with 1 and logarithms of what is near 1, in every type. */
  private static final Set<String> DIFFERENCES =
      Set.of("HardSigmoid", "LogSoftmax", "SoftmaxCrossEntropyLoss");

  private Approximations() {}

  /** The number of whose last place an error of a node is a multiple; 0 if of the result's own. */
  static double scale(Node node, List<Optional<Tensor>> operands) {
    List<Tensor> floats =
        operands.stream().flatMap(Optional::stream).filter(t -> t.dtype().isFloat()).toList();
    boolean polynomial =
        OPERATORS.contains(node.op().type())
            && floats.stream().noneMatch(t -> t.dtype() == DType.F64);
    if (!polynomial && !DIFFERENCES.contains(node.op().type())) {
      return 0;
    }
    // A bias is added before the function.
    return Math.max(1, floats.stream().mapToDouble(Approximations::largest).sum());
  }

  private static double largest(Tensor operand) {
    double largest = 0;
    for (int i = 0; i < operand.size(); i++) {
      double value = Math.abs(operand.getDouble(i));
      largest = Double.isFinite(value) ? Math.max(largest, value) : largest;
    }
    return largest;
  }

  static String markdown() {
    return """
    Results may differ by what a few roundings in each operator change at the outputs, measured for every graph. In these operators
    ONNX Runtime's error is a few units in the last place of 1 or of the largest operand, not of the result (its polynomials of erf,
    tanh and the logistic function; differences with 1), except in float64:
    """
        + String.join(", ", OPERATORS.stream().sorted().toList())
        + "; in every type "
        + String.join(", ", DIFFERENCES.stream().sorted().toList())
        + ".\n";
  }
}
