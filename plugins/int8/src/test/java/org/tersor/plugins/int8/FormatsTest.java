package org.tersor.plugins.int8;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.FormatFamily;
import org.tersor.ir.format.FormatTestKit;
import org.tersor.ir.format.NumberFormat;

class FormatsTest {
  private static NumberFormat format(String id) {
    return new IntegerFormats().find(id).orElseThrow();
  }

  @Test
  void everyFormatKeepsItsPromises() {
    List<String> kinds = List.of("symmetric", "pow2", "affine", "float");
    int count = 0;
    for (int bits : new int[] {2, 3, 4, 5, 6, 8}) {
      for (String sign : List.of("s", "u")) {
        for (String kind : kinds) {
          for (String sharing : List.of(bits == 8 ? "tensor" : "g16", "channel")) {
            for (String end : List.of("", "_restricted")) {
              String id = sign + bits + "_" + kind + "_" + sharing + end;
              NumberFormat format = new IntegerFormats().find(id).orElse(null);
              boolean exists =
                  end.isEmpty()
                      || (sign.equals("s") && (kind.equals("symmetric") || kind.equals("pow2")));
              assertEquals(exists, format != null, id);
              if (format != null) {
                assertEquals(id, format.id());
                FormatTestKit.verify(format);
                count++;
              }
            }
          }
        }
      }
    }
    assertEquals(6 * 2 * 10, count);
    FormatTestKit.verify(format("s16_symmetric_channel"));
    FormatTestKit.verify(format("u16_affine_g32"));
  }

  @Test
  void onlyWhatTheGrammarSpellsIsAFormat() {
    for (String id : List.of("s7_symmetric_channel", "u4_affine_g33", "s4_symmetric", "s4", "")) {
      assertEquals(Optional.empty(), new IntegerFormats().find(id), id);
    }
    for (FormatFamily family : ServiceLoader.load(FormatFamily.class)) {
      family.listed().forEach(f -> assertEquals(f, family.find(f.id()).orElseThrow()));
      family
          .schemes()
          .values()
          .forEach(s -> {
            assertTrue(family.find(s.weights()).isPresent(), s.weights());
            s.activations().ifPresent(a -> assertTrue(family.find(a).isPresent(), a));
          });
    }
  }

  /** A short last group has a scale of its own values alone. */
  @Test
  void shortGroupsAreNotPadded() {
    float[] row = new float[172];
    for (int i = 0; i < row.length; i++) {
      row[i] = i < 160 ? 3 + i % 7 : 0.5f + i % 5 / 10f;
    }
    for (String id : List.of("u4_affine_g32", "s4_symmetric_g32", "u4_float_g32")) {
      FormatCodec codec = new FormatCodec(format(id));
      float[] got =
          codec.decode(codec.encode(row, new long[] {1, 172}, new float[0]), new long[] {1, 172});
      for (int i = 160; i < 172; i++) {
        assertEquals(row[i], got[i], 0.9 / 15 + 1e-6, id + " " + i);
      }
    }
  }

  /** scale = range / 255 in double, zero point half to even; -128 stays unused where restricted. */
  @Test
  void codesOfKnownValues() {
    NumberFormat u8 = format("u8_affine_tensor");
    BlockParameters p = u8.fit(new float[] {-1, 2}, new float[0]);
    assertEquals((float) (3.0 / 255), (float) p.value("scale"));
    assertEquals(85, p.value("zero"));
    assertEquals(0, u8.code(-1, p));
    assertEquals(255, u8.code(2, p));
    assertEquals(0, u8.code(-9, p));
    NumberFormat s8 = format("s8_symmetric_tensor_restricted");
    BlockParameters q = s8.fit(new float[] {-12.7f, 3}, new float[0]);
    assertEquals(-127, s8.code(-12.7f, q));
    assertEquals(-127, s8.code(-100, q));
    BlockParameters positive = u8.fit(new float[] {3, 5}, new float[0]);
    assertEquals(0, positive.value("zero"), "the range is extended to zero");
    assertEquals(0, u8.code(0, positive));
    assertEquals(1, u8.fit(new float[1], new float[0]).value("scale"), "no values but zero");
    assertEquals(
        0.5, format("s4_pow2_channel").fit(new float[] {3.4f, -1}, new float[0]).value("scale"));
    assertEquals(
        (float) (6.8 / 15),
        (float) format("s4_symmetric_channel").fit(new float[] {3.4f}, new float[0]).value("scale"),
        1e-7f);
  }
}
