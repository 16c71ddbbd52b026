package org.tersor.ir.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.tersor.runtime.DimExpr;

/**
 * The body of a kernel of which some stages run again and again, as the steps of a recurrence: a
 * turn reads what the turn before it wrote. The number of turns need not be known.
 *
 * @param before run once, first
 * @param turns how often {@code turn} runs, which may be never
 * @param turn stages whose expressions may hold {@link #TURN}, their shapes and extents may not
 * @param after run once, last
 */
public record RepeatedStages(List<Stage> before, DimExpr turns, List<Stage> turn, List<Stage> after)
    implements KernelProgram {
  /** The number of the present turn, from 0. */
  public static final DimExpr TURN = DimExpr.symbol("_turn");

  public RepeatedStages {
    before = List.copyOf(before);
    turn = List.copyOf(turn);
    after = List.copyOf(after);
  }

  /** Name of the symbol {@link #TURN}. */
  public static String symbol() {
    return TURN.toString();
  }

  /** All stages, those of a turn once. */
  public List<Stage> stages() {
    List<Stage> all = new ArrayList<>(before);
    all.addAll(turn);
    all.addAll(after);
    return all;
  }

  /**
   * The stages in the order in which they run, without repetition.
   *
   * @param count the number of turns
   */
  public List<Stage> writtenOut(long count) {
    List<Stage> all = new ArrayList<>(before);
    for (long i = 0; i < count; i++) {
      DimExpr number = DimExpr.of(i);
      turn.forEach(stage -> all.add(numbered(stage, number)));
    }
    all.addAll(after);
    return all;
  }

  private static Stage numbered(Stage stage, DimExpr number) {
    UnaryOperator<KExpr> change =
        expr ->
            KExprs.rewrite(
                expr,
                e ->
                    e instanceof KExpr.Dim dim
                        ? K.dim(
                            dim.value()
                                .substitute(
                                    name -> name.equals(symbol()) ? number : DimExpr.symbol(name)))
                        : e);
    return new Stage(
        stage.target(),
        stage.axes(),
        stage.index().stream().map(change).toList(),
        change.apply(stage.value()));
  }
}
