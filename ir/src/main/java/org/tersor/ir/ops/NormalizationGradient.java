package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * The derivative of y = x^ * scale + bias with x^ = (x - mean) / sqrt(variance + epsilon), mean and
 * variance taken over some axes.
 *
 * @param axes over which the statistics go
 * @param centred whether the mean is subtracted
 * @param scale broadcasts to x
 */
record NormalizationGradient(List<Long> axes, boolean centred, double epsilon, Value scale) {
  /**
   * Parts of the gradient, those of scale and bias in the shape of x.
   *
   * @param x of the input
   * @param scaled of the scale, before it is summed up
   */
  record Parts(Value x, Value scaled) {}

  /** With g' = g * scale: (g' - mean(g') - x^ * mean(g' * x^)) / sigma. */
  Parts of(OpContext c, Differentiable.Pullback p) {
    return of(
        c, p, p.inputs().getFirst(), c.dims(0), p.gradient(), p.add("Mul", p.gradient(), scale));
  }

  /**
   * The same of operands in another shape.
   *
   * @param gradient by the result
   * @param inner that times the scale
   */
  Parts of(
      OpContext c,
      Differentiable.Pullback p,
      Value x,
      List<DimExpr> dims,
      Value gradient,
      Value inner) {
    DType type = c.dtype(0);
    Value middle = centred ? p.add("Sub", x, p.mean(c, x, dims, axes, type)) : x;
    Value variance = p.mean(c, p.add("Mul", middle, middle), dims, axes, type);
    Value sigma = p.add("Sqrt", p.add("Add", variance, p.number(type, epsilon)));
    Value normal = p.add("Div", middle, sigma);
    Value along = p.add("Mul", normal, p.mean(c, p.add("Mul", inner, normal), dims, axes, type));
    Value flat = centred ? p.add("Sub", inner, p.mean(c, inner, dims, axes, type)) : inner;
    return new Parts(
        p.add("Div", p.add("Sub", flat, along), sigma), p.add("Mul", gradient, normal));
  }
}
