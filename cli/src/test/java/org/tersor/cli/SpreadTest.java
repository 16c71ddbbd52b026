package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class SpreadTest {
  private static List<Integer> chosen(int count) {
    Spread<Integer> spread = new Spread<>(8);
    for (int i = 0; i < count; i++) {
      spread.add(i);
    }
    assertEquals(count, spread.seen());
    return spread.chosen();
  }

  @Test
  void fewThingsAreAllTaken() {
    assertEquals(List.of(), chosen(0));
    assertEquals(List.of(0, 1, 2, 3, 4), chosen(5));
    assertEquals(List.of(0, 1, 3, 4, 6, 7, 9, 10), chosen(12));
  }

  @Test
  void manyAreSpreadOverAll() {
    for (int count : new int[] {16, 17, 100, 999, 4096}) {
      List<Integer> few = chosen(count);
      assertEquals(8, few.size());
      assertEquals(0, few.getFirst());
      for (int i = 1; i < few.size(); i++) {
        int gap = few.get(i) - few.get(i - 1);
        assertTrue(gap >= 1 && gap <= count / 4, count + ": " + few);
      }
      assertTrue(few.getLast() >= count / 2, count + ": " + few);
    }
  }
}
