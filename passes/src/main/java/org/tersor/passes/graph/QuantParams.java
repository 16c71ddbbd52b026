package org.tersor.passes.graph;

import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Constant parameters of a QuantizeLinear or DequantizeLinear node.
 *
 * @param scale float, scalar or per channel
 * @param zeroPoint of the type of the codes, as many elements as {@code scale}
 * @param axis channel axis, where there is more than one scale
 */
public record QuantParams(Tensor scale, Tensor zeroPoint, long axis) {
  /**
   * What the node says, if it is of one of the two kinds, its parameters are constant and it is not
   * blocked.
   */
  public static Optional<QuantParams> of(Graph graph, Node node) {
    boolean quantizes = isQuantize(node);
    if (!quantizes && !isDequantize(node)) {
      return Optional.empty();
    }
    if (node.attributes().get("block_size") instanceof Attribute.IntAttr block
        && block.value() != 0) {
      return Optional.empty();
    }
    Optional<Tensor> scale =
        graph.constant(node.input(1)).map(Constant::load).filter(t -> t.dtype().isFloat());
    if (scale.isEmpty()) {
      return Optional.empty();
    }
    Optional<Tensor> zero = graph.constant(node.input(2)).map(Constant::load);
    if (node.input(2).isPresent() && zero.isEmpty()) {
      return Optional.empty();
    }
    if (zero.isEmpty()) {
      Value codes = quantizes ? node.output(0) : node.input(0);
      if (!(graph.type(codes) instanceof org.tersor.ir.graph.ValueType.TensorType type)) {
        return Optional.empty();
      }
      zero = Optional.of(Tensor.zeros(type.dtype(), scale.get().shape()));
    }
    long axis = node.attributes().get("axis") instanceof Attribute.IntAttr a ? a.value() : 1;
    return Optional.of(
        new QuantParams(scale.get(), zero.get(), scale.get().size() == 1 ? 1 : axis));
  }

  public static boolean isQuantize(Node node) {
    return node.op().type().equals("QuantizeLinear") && known(node);
  }

  public static boolean isDequantize(Node node) {
    return node.op().type().equals("DequantizeLinear") && known(node);
  }

  private static boolean known(Node node) {
    return node.op().domain().isEmpty() || node.op().domain().equals("com.microsoft");
  }

  public boolean perTensor() {
    return scale.size() == 1;
  }

  /** Type of the codes. */
  public DType codes() {
    return zeroPoint.dtype();
  }

  /** Scale of a per-tensor scheme. */
  public double scalarScale() {
    return scale.getDouble(0);
  }

  /** Zero point of a per-tensor scheme. */
  public long scalarZero() {
    return zeroPoint.getLong(0);
  }

  /** Whether both mean the same codes for the same numbers. */
  public boolean same(QuantParams other) {
    if (scale.size() != other.scale.size()
        || zeroPoint.size() != other.zeroPoint.size()
        || codes() != other.codes()) {
      return false;
    }
    if (scale.size() > 1 && axis != other.axis) {
      return false;
    }
    for (int i = 0; i < scale.size(); i++) {
      if (scale.getDouble(i) != other.scale.getDouble(i)) {
        return false;
      }
    }
    for (int i = 0; i < zeroPoint.size(); i++) {
      if (zeroPoint.getLong(i) != other.zeroPoint.getLong(i)) {
        return false;
      }
    }
    return true;
  }
}
