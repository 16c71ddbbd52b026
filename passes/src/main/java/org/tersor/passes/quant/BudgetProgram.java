package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.ojalgo.optimisation.Expression;
import org.ojalgo.optimisation.ExpressionsBasedModel;
import org.ojalgo.optimisation.Optimisation;
import org.ojalgo.optimisation.Variable;

/** One option for each item, so that the costs are least and the prices stay within a budget. */
final class BudgetProgram {
  /** The solver computes in floating point; what it finds is checked in exact sums of prices. */
  private static final double SLACK = 1e-9;

  private BudgetProgram() {}

  /**
   * An option of an item.
   *
   * @param cost what is to be small
   * @param price what the budget pays
   */
  record Entry(double cost, double price) {}

  /**
   * The chosen option of each item, by number.
   *
   * @return empty if nothing fits the budget
   */
  static Optional<int[]> solve(List<List<Entry>> items, double budget) {
    ExpressionsBasedModel model = new ExpressionsBasedModel();
    // Numbers of very different sizes: both sides are divided so that they are near one.
    double unit = Math.max(1e-300, Math.abs(budget));
    double most =
        items.stream().flatMap(List::stream).mapToDouble(e -> Math.abs(e.cost())).max().orElse(0);
    double scale = most > 0 ? most : 1;
    Expression limit = model.newExpression("budget").upper(budget / unit * (1 + SLACK));
    List<List<Variable>> all = new ArrayList<>();
    double cheapest = 0;
    for (int i = 0; i < items.size(); i++) {
      Expression one = model.newExpression("one of " + i).level(1);
      List<Variable> variables = new ArrayList<>();
      for (int o = 0; o < items.get(i).size(); o++) {
        Entry entry = items.get(i).get(o);
        Variable x = model.newVariable("x" + i + "_" + o).binary().weight(entry.cost() / scale);
        one.set(x, 1);
        limit.set(x, entry.price() / unit);
        variables.add(x);
      }
      cheapest += items.get(i).stream().mapToDouble(Entry::price).min().orElse(0);
      all.add(variables);
    }
    if (cheapest > budget * (1 + SLACK)) {
      return Optional.empty();
    }
    Optimisation.Result result = model.minimise();
    if (!result.getState().isFeasible()) {
      return Optional.empty();
    }
    int[] chosen = new int[items.size()];
    double price = 0;
    for (int i = 0; i < chosen.length; i++) {
      for (int o = 0; o < all.get(i).size(); o++) {
        if (result.doubleValue(model.indexOf(all.get(i).get(o))) > .5) {
          chosen[i] = o;
        }
      }
      price += items.get(i).get(chosen[i]).price();
    }
    return price <= budget * (1 + SLACK) ? Optional.of(chosen) : Optional.empty();
  }
}
