package org.tersor.ir.schedule;

import java.util.List;
import java.util.Optional;

/**
 * What is wanted where several schedules compute the same bits, so that only their times differ: a
 * rule chooses where nothing is wanted.
 */
@FunctionalInterface
public interface Schedules {
  /** Nothing is wanted. */
  Schedules RULE = (target, shape, options) -> Optional.empty();

  /**
   * The schedule wanted for a class of shapes.
   *
   * @param target name of the target
   * @param shape the class, in words that stay the same from compilation to compilation
   * @param options what there is, the rule's choice first
   * @return one of the options; anything else is refused, and the rule's is taken
   */
  Optional<String> wanted(String target, String shape, List<String> options);

  /** Of every class the option of that number, or the last: for measuring and testing them all. */
  static Schedules option(int number) {
    return (target, shape, options) ->
        Optional.of(options.get(Math.clamp(number, 0, options.size() - 1)));
  }
}
