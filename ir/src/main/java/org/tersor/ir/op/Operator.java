package org.tersor.ir.op;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.Datum;

/**
 * Everything Tersor knows about one operator, all versions of it, in one place. {@link #eval} is
 * written from the specification with plain index loops in double arithmetic and is never derived
 * from {@link #lower}: a wrong kernel must not agree with itself.
 */
public interface Operator {
  OpSchema schema();

  /**
   * Types of the node's outputs, one per output (any for absent ones). Unknown ranks give unranked
   * types.
   */
  List<ValueType> infer(OpContext context);

  /** Values of the node's outputs, one per output. */
  List<? extends Datum> eval(EvalContext context);

  /** How it becomes code; all input ranks are known here. */
  Lowering lower(OpContext context);

  /**
   * How the operand that holds weights is stored in a number format; empty if the node has none.
   * Whether it is constant is for the caller to see.
   */
  default java.util.Optional<WeightLayout> weights(OpContext context) {
    return java.util.Optional.empty();
  }

  /**
   * Further operands that a number format may hold: they are decoded before they are used, so that
   * no arithmetic depends on the codes.
   */
  default List<WeightLayout> stored(OpContext context) {
    return List.of();
  }

  /**
   * The vectors that the rows of {@link #weights} are multiplied with, for given inputs: what
   * methods of quantization after training learn from. Nothing where rows are not factors of sums.
   */
  default void weightVectors(EvalContext context, WeightVectors vectors) {}

  /**
   * The same for an operand of {@link #stored}. All inputs of the node are given.
   *
   * @param input index of the operand
   */
  default void storedVectors(EvalContext context, int input, WeightVectors vectors) {}

  /** Where it adds numbers to the sums of an operand of {@link #stored}, if it does. */
  default java.util.Optional<StoredBias> storedBias(OpContext context, int input) {
    return java.util.Optional.empty();
  }

  /**
   * Elements of output 0 as expressions when they follow from shapes and symbolic integer inputs
   * (Shape, Gather, Concat, ...); used for values of rank at most 1 only.
   */
  default java.util.Optional<List<org.tersor.runtime.DimExpr>> symbolicOutput(OpContext context) {
    return java.util.Optional.empty();
  }
}
