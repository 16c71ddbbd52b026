package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * An index as a sum of registers times constants.
 *
 * @param stable whether its registers keep their values as long as they are in scope
 */
record Linear(long constant, List<Term> terms, boolean stable) {
  /** A register that changes with each turn of the loop of that level, times a number. */
  record Term(Reg reg, int level, long factor) {}

  static Linear of(long constant) {
    return new Linear(constant, List.of(), true);
  }

  static Linear of(Reg reg, int level, boolean stable) {
    return new Linear(0, List.of(new Term(reg, level, 1)), stable);
  }

  Linear plus(Linear other, long times) {
    List<Term> sum = new ArrayList<>(terms);
    for (Term t : other.terms) {
      int at = -1;
      for (int i = 0; i < sum.size(); i++) {
        if (sum.get(i).reg == t.reg) {
          at = i;
        }
      }
      if (at < 0) {
        sum.add(new Term(t.reg, t.level, t.factor * times));
      } else {
        Term old = sum.get(at);
        sum.set(at, new Term(old.reg, old.level, old.factor + t.factor * times));
      }
    }
    sum.removeIf(t -> t.factor == 0);
    return new Linear(constant + other.constant * times, List.copyOf(sum), stable && other.stable);
  }

  Linear times(long factor) {
    return Linear.of(0).plus(this, factor);
  }

  boolean isConstant() {
    return terms.isEmpty();
  }

  /** The level of the innermost loop that it changes with. */
  int level() {
    return terms.stream().mapToInt(Term::level).max().orElse(0);
  }

  Linear where(Predicate<Term> wanted) {
    return new Linear(0, terms.stream().filter(wanted).toList(), stable);
  }
}
