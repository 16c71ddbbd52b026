package org.tersor.passes.quant.method;

/**
 * The nearest codes of a grid over the range of the weights (RTN), or of the shrunk range with the
 * least error to the power 2.4.
 */
public record Rounding(boolean search) implements WeightMethod {
  @Override
  public String text() {
    return search ? "mse" : "rtn";
  }

  @Override
  public boolean needsInputs() {
    return false;
  }

  @Override
  public WeightProblem.Coded choose(WeightProblem problem) {
    return problem.rounded(problem.fitAll(search));
  }
}
