package org.tersor.ir.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.dsl.LoopParser;
import org.tersor.runtime.TersorException;

class LoopTextTest {
  @Test
  void randomFunctionsRoundTripAndVerify() {
    for (int seed = 0; seed < 1500; seed++) {
      LoopFunction function = new RandomLoops(seed).function();
      String text = LoopPrinter.print(function);
      LoopFunction parsed;
      try {
        parsed = LoopParser.parse(text);
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + seed + "\n" + text, e);
      }
      assertEquals(function, parsed, text);
      assertEquals(text, LoopPrinter.print(parsed));
      assertEquals(List.of(), LoopVerifier.verify(function), text);
    }
  }

  @Test
  void readsAsAPersonWritesIt() {
    LoopFunction f =
        LoopParser.parse(
            """
            # adds one to every element
            kernel increment(a: f32, b: mut f32; n) {
              for parallel i in 0 .. (n + 15) / 16 {
                let m = lanelt(n - i * 16, 16);
                let v = a[i * 16 as f32x16 if m];
                b[i * 16 if m] = v + broadcast(1.0, 16);
              }
            }
            """);
    assertEquals(List.of(), LoopVerifier.verify(f));
    float[] b = new float[18];
    LoopInterpreter.run(
        f,
        new Object[] {
          new float[] {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}, b
        },
        new int[2],
        new long[] {17});
    assertArrayEquals(
        new float[] {6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 0}, b);
    assertEquals(f, LoopParser.parse(LoopPrinter.print(f)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "kernel f(a: f32) { a[0 = 1; } | TSR-1001 | line 1 column 24",
        "kernel f(a: f32) { a[0] = $; } | TSR-1001 | column 27",
        "kernel f(a: f32) { b[0] = 1.0; } | TSR-1003 | no buffer named b",
        "kernel f(a: f32) { a[i] = 1.0; } | TSR-1003 | no variable named i",
        "kernel f(a: f33) { } | TSR-1004 | no such type: f33",
        "kernel f(a: f32) { let x = true + 1.0; } | TSR-1004 | bool",
        "kernel f(a: f32) { let x = 99999999999999999999; } | TSR-1001 | out of range",
        "kernel f(a: f32) { let x = shuffle(1, 2, [0, 1, 1]); } | TSR-1004 | power of two",
        "kernel f(a: f32) { let x = min(1); } | TSR-1001 | takes 2",
        "kernel f(a: f32) { let x = bogus(1); } | TSR-1003 | no function bogus",
        "kernel f(a: f32) { for i in 0 .. 1 step 9999999999 { } } | TSR-1001 | step",
      })
  void errorsNameLineAndColumn(String text, String code, String part) {
    TersorException e = assertThrows(TersorException.class, () -> LoopParser.parse(text));
    String message = String.valueOf(e.getMessage());
    assertEquals(code, e.code(), message);
    assertTrue(message.contains(part), message);
    assertTrue(message.contains("line 1"), message);
  }

  @Test
  void deepNestingIsRefused() {
    List<String> texts =
        List.of(
            "kernel f(a: f32) { let x = " + "(".repeat(100_000) + "1",
            "kernel f(a: f32) { let x = " + "-".repeat(100_000) + "a[0]; }",
            "kernel f(a: f32) { let x = 1" + " + 1".repeat(100_000) + "; }",
            "kernel f(a: f32) " + "{".repeat(100_000),
            "kernel f(a: f32) " + "if true do ".repeat(100_000),
            "kernel f(a: f32) { let x = "
                + "abs(".repeat(100_000)
                + "1"
                + ")".repeat(100_000)
                + "; }");
    for (String text : texts) {
      TersorException e = assertThrows(TersorException.class, () -> LoopParser.parse(text));
      assertEquals("TSR-1002", e.code());
    }
    LoopFunction deep =
        LoopParser.parse(
            "kernel f(a: f32) { let x = " + "abs(".repeat(400) + "1" + ")".repeat(400) + "; }");
    assertEquals(deep, LoopParser.parse(LoopPrinter.print(deep)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{ a[0] = 1.0; } | f/0/store a: the parameter is not marked written",
        "{ let x = 1; let x = 2; } | f/1/let x: the name x is already in use",
        "{ let n = 1; } | the name n is already in use",
        "{ let x = 1; x = 2; } | no local of that name",
        "{ local x = 1; x = 2.0_f64; } | index is needed, not f64",
        "{ b[0] = 1_i32; } | stores i32 into a buffer of f32",
        "{ b[0 if broadcast(true, 4)] = 1.0; } | mask: bool is needed, not boolx4",
        "{ let x = a[ramp(0, 1, 4) as f32x8]; } | an index of type indexx4 for f32x8",
        "{ for i in 0 .. n { for parallel j in 0 .. n { } } } | a parallel loop is the outermost loop",
        "{ local x = 1; for parallel j in 0 .. n { } } | only let may stand before the parallel loop",
        "{ for parallel j in 0 .. n { } let x = 1; } | statements follow the parallel loop",
        "{ for parallel j in 1 .. n { } } | begins at 0",
        "{ for lanes j in 0 .. n { } } | a lanes loop stands directly inside parallel",
        "{ barrier; } | a barrier stands directly inside parallel",
        "{ for parallel j in 0 .. n { local x = 1; for lanes i in 0 .. n { x = i; } } } | would be shared",
        "{ alloc register r: f32x4[n]; } | constant positive count",
        "{ alloc local r: f32x4[n]; } | only registers hold vectors",
        "{ alloc register r: f32[2]; b[0] = r[n]; } | a register index is a constant below 2",
        "{ alloc register r: f32[2]; b[0] = r[2]; } | a register index is a constant below 2",
        "{ let x = sqrt(1_i32); } | SQRT of i32",
        "{ let x = floordiv(1_i32, 2_i32); } | FLOORDIV of i32",
        "{ let x = 300_u8; } | 300 is no value of u8",
        "{ let x = bits(f32x2, 1.0); } | bits of f32 as f32x2",
        "{ let x = shuffle(1, 2, [0, 2]); } | picks",
        "{ if n { } } | bool is needed",
      })
  void verifierFinds(String body, String problem) {
    LoopFunction f = LoopParser.parse("kernel f(a: f32, b: mut f32; n) " + body);
    List<String> problems = LoopVerifier.verify(f);
    assertTrue(problems.stream().anyMatch(p -> p.contains(problem)), problems.toString());
    assertEquals(1, problems.size(), problems.toString());
  }
}
