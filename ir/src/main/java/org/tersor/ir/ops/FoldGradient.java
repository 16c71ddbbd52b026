package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;

/**
 * Derivatives of folds over axes or windows. Results and their gradients keep the folded axes with
 * extent 1 and are repeated along them.
 *
 * @param c the node
 * @param p what the derivative is built from
 * @param result of the node
 * @param gradient of that result
 */
record FoldGradient(OpContext c, Differentiable.Pullback p, Value result, Value gradient) {
  private Value x() {
    return p.inputs().getFirst();
  }

  private DType type() {
    return c.dtype(0);
  }

  private Value node(String type, Value... operands) {
    return p.modern(type, Map.of(), operands);
  }

  private Value choice(Value condition, Value then, Value otherwise) {
    return node("Where", condition, then, otherwise);
  }

  private Value numbers(Value flags) {
    return p.modern("Cast", Map.of("to", new Attribute.IntAttr(TypeNumbers.number(type()))), flags);
  }

  /**
   * Of y = (sum of |x|^e)^(1/e): sign(x) |x|^(e-1) y^(1-e), 0 where y is.
   *
   * @param spread a number of each result given to the elements that the result was made of
   */
  Value norm(double exponent, UnaryOperator<Value> spread) {
    Value share = gradient;
    if (exponent != 1) {
      Value zero = p.number(type(), 0);
      Value none = node("Equal", result, zero);
      // Of the numbers that are not taken, too, so that no result is infinite.
      Value root = choice(none, p.number(type(), 1), result);
      share = node("Mul", gradient, node("Pow", root, p.number(type(), 1 - exponent)));
      share = choice(none, zero, share);
    }
    Value slope = exponent == 2 ? x() : node("Sign", x());
    if (exponent != 1 && exponent != 2) {
      Value power = node("Pow", node("Abs", x()), p.number(type(), exponent - 1));
      slope = node("Mul", slope, power);
    }
    return node("Mul", slope, spread.apply(share));
  }

  /** Of the sum of squares: 2 x. */
  Value squares() {
    return node("Mul", gradient, node("Add", x(), x()));
  }

  /** Of y = log(sum of x): exp(-y), the same for every element. */
  Value logarithm() {
    return node("Mul", gradient, node("Exp", node("Neg", result)));
  }

  /** Of y = log(sum of exp(x)): exp(x - y). */
  Value exponentials() {
    return node("Mul", gradient, node("Exp", node("Sub", x(), result)));
  }

  /** Of the largest or smallest element; equal ones share it. */
  Value extreme(List<Long> axes) {
    Value chosen = numbers(node("Equal", x(), result));
    return node("Mul", node("Div", gradient, p.sum(chosen, axes)), chosen);
  }

  /** Of a product: for every element the product of the others, one of which may be 0. */
  Value product(List<Long> axes) {
    Value zero = p.number(type(), 0);
    Value one = p.number(type(), 1);
    Value isZero = node("Equal", x(), zero);
    Value zeros = p.sum(numbers(isZero), axes);
    Value factors = choice(isZero, one, x());
    Value product =
        p.modern(
            "ReduceProd",
            Map.of("noop_with_empty_axes", new Attribute.IntAttr(1)),
            factors,
            p.builder().longs(axes.stream().mapToLong(Long::longValue).toArray()));
    Value ofZero = choice(node("Equal", zeros, one), product, zero);
    Value ofOthers = choice(node("Equal", zeros, zero), node("Div", product, factors), zero);
    return node("Mul", gradient, choice(isZero, ofZero, ofOthers));
  }
}
