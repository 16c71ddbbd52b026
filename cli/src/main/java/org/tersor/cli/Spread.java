package org.tersor.cli;

import java.util.ArrayList;
import java.util.List;

/**
 * A few of many things, spread evenly over all of them, of which at most twice as many are kept.
 */
final class Spread<T> {
  private final int wanted;
  private final List<T> kept = new ArrayList<>();
  private int stride = 1;
  private int seen;

  Spread(int wanted) {
    this.wanted = wanted;
  }

  void add(T thing) {
    if (seen++ % stride != 0) {
      return;
    }
    kept.add(thing);
    if (kept.size() == 2 * wanted) {
      for (int i = 1; i <= wanted - 1; i++) {
        kept.set(i, kept.get(2 * i));
      }
      kept.subList(wanted, kept.size()).clear();
      stride *= 2;
    }
  }

  int seen() {
    return seen;
  }

  List<T> chosen() {
    int count = Math.min(wanted, kept.size());
    List<T> chosen = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      chosen.add(kept.get((int) ((long) i * kept.size() / count)));
    }
    return chosen;
  }
}
