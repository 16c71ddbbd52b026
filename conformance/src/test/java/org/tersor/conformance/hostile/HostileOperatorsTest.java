package org.tersor.conformance.hostile;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Operators that ask for what cannot be, in a process with 512 MB: each case ends in a diagnostic
 * with a code within its time, or in a value where there is one.
 */
class HostileOperatorsTest {
  private static final Pattern DIAGNOSTIC = Pattern.compile("TSR-\\d{4} .*");

  @ParameterizedTest
  @ValueSource(strings = {"interpreter", "jvm"})
  void everyCaseEndsInADiagnosticOrAValue(String backend) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                HostileMain.class.getName(),
                backend)
            .redirectErrorStream(true)
            .start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    List<String> bad = new ArrayList<>();
    int cases = 0;
    for (String line : output.lines().toList()) {
      String[] fields = line.split("\t", -1);
      if (fields.length != 3) {
        continue;
      }
      cases++;
      boolean refused = DIAGNOSTIC.matcher(fields[2]).matches();
      boolean lenient =
          fields[0].equals("ANY") || (fields[0].equals("INDEX") && !backend.equals("interpreter"));
      boolean value = fields[2].equals("VALUE") && lenient;
      if (!refused && !value) {
        bad.add(line);
      }
    }
    assertTrue(output.contains("DONE"), "the process died or hangs:\n" + output);
    assertEquals(List.of(), bad);
    assertEquals(2 * HostileCases.all().size(), cases);
  }
}
