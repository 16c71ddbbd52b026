package org.tersor.ir.format;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.dsl.FormatDef;

/**
 * A number format for weights; found by ServiceLoader. The layout and the value of a code are
 * stated by {@link #dsl()} alone, and every backend computes them from that text; what is written
 * in Java is the choice of parameters and codes. Methods (rounding, GPTQ, AWQ, ...) work on any
 * format through {@link #fit} and {@link #code}.
 */
public interface NumberFormat {
  /** The name in plans and texts; also the name that {@link #dsl()} defines. */
  String id();

  /** Short names under which people ask for the format, e.g. of a scheme that it stands for. */
  default List<String> aliases() {
    return List.of();
  }

  /** The text of one {@code format}. */
  String dsl();

  /** {@link #dsl()} parsed. */
  default FormatDef definition() {
    return FormatDef.parse(dsl());
  }

  /**
   * Parameters for values that share them: a block, a row or the tensor, whichever section of the
   * text has the fields that are not codes.
   *
   * @param values finite numbers, at least one; a last block may be shorter than the others
   * @param importance a weight of the squared error of each value, or empty for equal ones
   * @return every field of that section but the code field; numbers that the fields can store
   */
  BlockParameters fit(float[] values, float[] importance);

  /** The code whose value is nearest. */
  long code(float value, BlockParameters parameters);

  /** As {@link #code(float, BlockParameters)} where the grid depends on the place in the block. */
  default long code(float value, BlockParameters parameters, int position) {
    return code(value, parameters);
  }

  /**
   * The same grid with every value larger by a number, as nearly as the format can store it; empty
   * if its grid cannot move.
   */
  default Optional<BlockParameters> moved(BlockParameters parameters, double by) {
    return Optional.empty();
  }

  /** The field that holds one integer code per value. */
  default String codeField() {
    return "q";
  }

  /** The format of activations that these weights are multiplied with; none: they stay float. */
  default Optional<String> activation() {
    return Optional.empty();
  }

  /** What {@link FormatTestKit} holds the format to. */
  ErrorBudget budget();
}
