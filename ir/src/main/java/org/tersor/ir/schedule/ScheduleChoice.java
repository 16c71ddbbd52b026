package org.tersor.ir.schedule;

import java.util.List;
import java.util.Optional;

/**
 * One of several schedules that compute the same bits.
 *
 * @param shape class of shapes that it was chosen for, see {@link Schedules#wanted}
 * @param options the rule's choice first
 * @param taken one of the options
 * @param refused what was wanted and is none of the options
 */
public record ScheduleChoice(
    String shape, List<String> options, String taken, Optional<String> refused) {
  public ScheduleChoice {
    options = List.copyOf(options);
  }

  static ScheduleChoice of(Schedules schedules, String target, String shape, List<String> options) {
    Optional<String> wanted = schedules.wanted(target, shape, options);
    Optional<String> refused = wanted.filter(option -> !options.contains(option));
    String taken = refused.isEmpty() ? wanted.orElse(options.getFirst()) : options.getFirst();
    return new ScheduleChoice(shape, options, taken, refused);
  }

  /** What is taken where nothing is wanted. */
  public String rule() {
    return options.getFirst();
  }
}
