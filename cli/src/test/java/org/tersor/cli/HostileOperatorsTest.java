package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.passes.Compiler;

/**
 * Operators that ask for what cannot be, on every backend and as artifacts, in processes with 512
 * MB: each case ends in a diagnostic with a code within five seconds, or in a value where there is
 * one.
 */
class HostileOperatorsTest {
  private static final Pattern DIAGNOSTIC = Pattern.compile("TSR-\\d{4} .*");

  @TempDir Path folder;

  @Test
  void everyCaseEndsInADiagnosticOrAValue() throws IOException, InterruptedException {
    boolean compiles = Compiler.standard().registry().backend("native").unavailable().isEmpty();
    org.junit.jupiter.api.Assumptions.assumeTrue(compiles, "no C compiler");
    Map<HostileCase.Form, Process> processes = new EnumMap<>(HostileCase.Form.class);
    for (HostileCase.Form form : HostileCase.Form.values()) {
      processes.put(form, start(form));
    }
    StringBuilder output = new StringBuilder();
    for (Map.Entry<HostileCase.Form, Process> each : processes.entrySet()) {
      each.getValue().waitFor();
      output.append(Files.readString(folder.resolve(each.getKey().name()).resolve("said.txt")));
    }
    List<String> bad = new ArrayList<>();
    Set<String> backends = new TreeSet<>();
    int cases = 0;
    for (String line : output.toString().lines().toList()) {
      String[] fields = line.split("\t", -1);
      if (fields.length != 5) {
        continue;
      }
      cases++;
      backends.add(fields[1]);
      boolean refused = DIAGNOSTIC.matcher(fields[3]).matches();
      if (!refused && !(fields[3].equals("VALUE") && fields[0].equals("ANY"))) {
        bad.add(line);
      }
    }
    assertEquals(
        processes.size(),
        output.toString().lines().filter("DONE"::equals).count(),
        "a process died or hangs:\n" + output);
    assertEquals(List.of(), bad);
    assertEquals(Set.of("interpreter", "jar", "jvm", "native", "so"), backends);
    assertTrue(cases > 6 * HostileList.all().size(), cases + " outcomes");
  }

  /** All at once: each waits for the C compiler most of its time. */
  private Process start(HostileCase.Form form) throws IOException {
    Path own = Files.createDirectory(folder.resolve(form.name()));
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
                own.toString(),
                form.name())
            .redirectErrorStream(true)
            .redirectOutput(own.resolve("said.txt").toFile())
            .start();
    process.getOutputStream().close();
    return process;
  }
}
