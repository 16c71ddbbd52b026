package org.tersor.plugins.regex;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.op.OpRegistry;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.host.HostCall;
import org.tersor.runtime.host.HostOps;

class RegexMatchTest {
  private static byte[] match(String pattern, String... texts) {
    Tensor x = new Tensor(DType.STRING, new long[] {texts.length}, texts);
    HostCall call =
        new HostCall("n", List.of(Optional.of(x)), Map.of("pattern", List.of(pattern)), 1);
    HostOps ops = HostOps.standard(RegexMatchTest.class.getClassLoader());
    return ops.get("regex.match").run(call).getFirst().tensor("result").bytes();
  }

  @Test
  void theWholeStringCounts() {
    assertArrayEquals(new byte[] {1, 0, 0}, match("[a-z]+\\d{2}", "ab12", "ab123", "1ab12"));
    assertArrayEquals(new byte[] {1, 0}, match("(?i)ÄB|c", "äb", "ac"));
    assertArrayEquals(new byte[] {1, 1}, match(".*", "", "\uD83D\uDE00"));
  }

  @Test
  void theOperatorIsFound() {
    assertTrue(
        OpRegistry.standard().all().stream()
            .anyMatch(o -> o.schema().name().equals("RegexFullMatch")));
  }

  /** A backtracking matcher would take 2^40 steps. */
  @Test
  void timeIsLinearInTheText() {
    assertArrayEquals(new byte[] {0}, match("(a+)+$", "a".repeat(5000) + "b"));
    assertArrayEquals(new byte[] {0}, match("(a|a)*(a|a)*(a|a)*", "a".repeat(5000) + "b"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(((a{1000}){1000}){1000}){1000}",
        "((((((((a{9}){9}){9}){9}){9}){9}){9}){9})",
        "a{1000}{1000}",
        "(unclosed",
        "(?<=behind)a",
        "(a)\\1",
        "a{2000}",
        "[z-a]"
      })
  void patternsThatCannotBe(String pattern) {
    assertEquals("TSR-0304", assertThrows(TersorException.class, () -> match(pattern, "a")).code());
  }

  @Test
  void deepNesting() {
    String deep = "(".repeat(100_000) + "a" + ")".repeat(100_000);
    assertEquals("TSR-0304", assertThrows(TersorException.class, () -> match(deep, "a")).code());
  }
}
