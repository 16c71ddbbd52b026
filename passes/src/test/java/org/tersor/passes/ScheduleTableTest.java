package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.passes.ScheduleTable.Measured;
import org.tersor.passes.ScheduleTable.Row;
import org.tersor.runtime.TersorException;

class ScheduleTableTest {
  private static final ScheduleTable TABLE =
      new ScheduleTable(
          Map.of(
              "jvm512",
              new Measured("Some Processor", Map.of("product 1", new Row("6x64", 1.5, 2))),
              "avx2",
              new Measured(
                  "Some Processor",
                  Map.of(
                      "product 2", new Row("3x16 rows outside", 10, 12.25),
                      "windows", new Row("2", 3, 4)))));

  @Test
  void textIsReadBack() {
    assertEquals(TABLE, ScheduleTable.parse(TABLE.text()));
    assertEquals(TABLE.text(), ScheduleTable.parse(TABLE.text()).text());
    assertEquals(ScheduleTable.EMPTY, ScheduleTable.parse(ScheduleTable.EMPTY.text()));
  }

  @Test
  void wantsWhatItsTargetMeasured() {
    assertEquals(Optional.of("6x64"), TABLE.wanted("jvm512", "product 1", List.of("5x64")));
    assertEquals(Optional.empty(), TABLE.wanted("avx2", "product 1", List.of("5x64")));
    assertEquals(Optional.empty(), TABLE.wanted("jvm256", "product 1", List.of("5x64")));
  }

  @Test
  void measuringAgainReplacesTheShapesMeasured() {
    ScheduleTable again =
        TABLE.with(
            "avx2",
            "Some Processor",
            List.of("product 2", "product 3"),
            Map.of("product 3", new Row("8x8", 1, 2)));
    assertEquals(List.of("product 3", "windows"), List.copyOf(rows(again, "avx2").keySet()));
    assertEquals(TABLE.targets().get("jvm512"), again.targets().get("jvm512"));
    ScheduleTable elsewhere = TABLE.with("avx2", "Another", List.of(), Map.of());
    assertEquals(Map.of(), rows(elsewhere, "avx2"), "times of another processor");
  }

  private static Map<String, Row> rows(ScheduleTable table, String target) {
    return Objects.requireNonNull(table.targets().get(target)).rows();
  }

  @Test
  void anotherProcessorIsTold() {
    assertEquals(List.of(), TABLE.warnings("Some Processor"));
    List<String> warnings = TABLE.warnings("Another");
    assertEquals(2, warnings.size());
    assertTrue(warnings.getFirst().startsWith("TSR-0510: "), warnings.getFirst());
    assertTrue(warnings.getFirst().contains("Some Processor"), warnings.getFirst());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{}",
        "tersor-costs-1\n",
        "tersor-schedules-1\nproduct\t6x64\t1\t2\n",
        "tersor-schedules-1\ntarget\tavx2\n",
        "tersor-schedules-1\ntarget\tavx2\tp\ntarget\tavx2\tp\n",
        "tersor-schedules-1\ntarget\tavx2\tp\nproduct\t6x64\t1\n",
        "tersor-schedules-1\ntarget\tavx2\tp\nproduct\t6x64\tfast\t2\n",
        "tersor-schedules-1\ntarget\tavx2\tp\nproduct\t6x64\t-1\t2\n",
        "tersor-schedules-1\ntarget\tavx2\tp\nproduct\t6x64\tNaN\t2\n",
        "tersor-schedules-1\ntarget\tavx2\tp\nproduct\t\t1\t2\n",
        "tersor-schedules-1\ntarget\tavx2\tp\nproduct\ta\t1\t2\nproduct\tb\t1\t2\n"
      })
  void whatIsNoTableIsRefused(String text) {
    TersorException fault = assertThrows(TersorException.class, () -> ScheduleTable.parse(text));
    assertEquals("TSR-0511", fault.code());
  }
}
