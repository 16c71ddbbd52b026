package org.tersor.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class ScriptLivenessTest {
  private static Script.Step host(int from, int to) {
    return new Script.Host("op", Map.of(), List.of(from), List.of(to), "op " + from + " " + to);
  }

  private static Script script(List<Integer> constants, Script.Block main) {
    Script.Register any = new Script.Register("r", List.of());
    return new Script(
        "m", List.of(), List.of(), java.util.Collections.nCopies(10, any), constants, main);
  }

  private static List<Integer> ends(Script script, Script.Step step) {
    return List.copyOf(new TreeSet<>(ScriptLiveness.of(script).getOrDefault(step, List.of())));
  }

  @Test
  void aRegisterEndsWithItsLastReader() {
    Script.Step first = host(0, 1);
    Script.Step second = host(1, 2);
    Script.Step unread = host(1, 3);
    Script script =
        script(List.of(), new Script.Block(List.of(0), List.of(first, second, unread), List.of(2)));
    assertEquals(List.of(0), ends(script, first));
    assertEquals(List.of(), ends(script, second));
    assertEquals(List.of(1, 3), ends(script, unread));
  }

  @Test
  void whatALoopReadsLivesUntilTheLoopEnds() {
    Script.Step inner = host(0, 5);
    Script.Step last = host(5, 6);
    Script.Iterate loop =
        new Script.Iterate(
            new Script.Block(List.of(4), List.of(inner, last), List.of(6)),
            false,
            Script.ABSENT,
            Script.ABSENT,
            List.of(1),
            List.of(),
            List.of(),
            List.of(2),
            "loop");
    Script script = script(List.of(9), new Script.Block(List.of(0, 1), List.of(loop), List.of(2)));
    assertEquals(List.of(), ends(script, inner));
    assertEquals(List.of(5), ends(script, last));
    assertEquals(List.of(0, 1, 6), ends(script, loop));
  }

  @Test
  void constantsStay() {
    Script.Step step = host(0, 1);
    Script script = script(List.of(0), new Script.Block(List.of(), List.of(step), List.of(1)));
    assertEquals(List.of(), ends(script, step));
  }
}
