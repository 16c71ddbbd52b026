package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.tersor.runtime.Tensor;

class PairedOutcomesTest {
  @Test
  void flipsAndDivergenceOfKnownAnswers() {
    Tensor reference = Tensor.of(new float[] {.9f, .1f, .2f, .8f, .7f, .3f}, 3, 2);
    float ln = (float) Math.log(3);
    Tensor logits = Tensor.of(new float[] {0, ln, ln, 0, ln, 0}, 3, 2);
    PairedOutcomes paired = new PairedOutcomes();
    paired.add(logits, reference, 0, 2, 0);
    paired.add(logits, reference, 2, 2, 0);
    paired.add(logits, reference, 4, 2, 0);
    assertEquals(1, paired.goodToBad());
    assertEquals(1, paired.badToGood());
    double expected =
        .9 * Math.log(.9 / .25)
            + .1 * Math.log(.1 / .75)
            + .2 * Math.log(.2 / .75)
            + .8 * Math.log(.8 / .25)
            + .7 * Math.log(.7 / .75)
            + .3 * Math.log(.3 / .25);
    assertEquals(expected / 3, paired.divergence(), 1e-6);
    assertEquals(1, paired.mcNemar());
  }

  /** 1 of 10 flips to one side: (1 + 10) / 1024, twice. */
  @Test
  void oneSidedFlipsAreUnlikely() {
    Tensor good = Tensor.of(new float[] {1, 0}, 1, 2);
    Tensor bad = Tensor.of(new float[] {0, 1}, 1, 2);
    PairedOutcomes paired = new PairedOutcomes();
    for (int i = 0; i < 10; i++) {
      paired.add(i == 0 ? good : bad, i == 0 ? bad : good, 0, 2, 0);
    }
    assertEquals(22.0 / 1024, paired.mcNemar(), 1e-12);
    assertEquals(0, new PairedOutcomes().flips());
    assertEquals(1, new PairedOutcomes().mcNemar());
  }
}
