package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.Operator;

/** Every operator of the standard is known, deprecated ones too, with every version of it. */
class OperatorVersionsTest {
  /** Plugins have these: they bring libraries along. */
  private static final Set<String> PLUGINS = Set.of("ImageDecoder", "RegexFullMatch");

  private record Row(String domain, String name, List<Integer> versions) {}

  private static List<Row> rows() throws IOException {
    try (InputStream in = OperatorVersionsTest.class.getResourceAsStream("onnx-operators.csv")) {
      String text = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
      List<Row> rows = new ArrayList<>();
      for (String line : text.lines().filter(l -> !l.startsWith("#")).toList()) {
        String[] parts = line.split(",", -1);
        rows.add(
            new Row(
                parts[0].equals("ai.onnx") ? "" : parts[0],
                parts[1],
                Arrays.stream(parts[2].split(" ", -1)).map(Integer::valueOf).toList()));
      }
      return rows;
    }
  }

  @Test
  void everyVersionIsKnown() throws IOException {
    OpRegistry registry = OpRegistry.standard();
    List<String> wrong = new ArrayList<>();
    List<Row> rows = rows();
    assertTrue(rows.size() > 200, "rows: " + rows.size());
    for (Row row : rows) {
      if (PLUGINS.contains(row.name())) {
        continue;
      }
      Optional<Operator> operator =
          registry.find(new OpKey(row.domain(), row.name(), row.versions().getLast()));
      List<Integer> known = operator.map(o -> o.schema().versions()).orElse(List.of());
      if (!known.containsAll(row.versions())) {
        wrong.add(row.domain() + " " + row.name() + " " + row.versions() + " but " + known);
      }
    }
    assertEquals(List.of(), wrong);
  }
}
