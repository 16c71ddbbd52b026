package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;

/** The tutorial plugin as an outsider builds it: its sources compiled and put into a jar. */
final class OutsidePlugin {
  private OutsidePlugin() {}

  static Path build(Path folder) throws IOException {
    Path source =
        Path.of(System.getProperty("tersor.root", "..")).resolve("plugins/example/src/main");
    Path classes = folder.resolve("classes");
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "-d",
                classes.toString(),
                "-proc:none",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path"))));
    try (Stream<Path> files = Files.walk(source.resolve("java"))) {
      files
          .map(Path::toString)
          .filter(f -> f.endsWith(".java") && !f.endsWith("module-info.java"))
          .sorted()
          .forEach(arguments::add);
    }
    tool("javac", arguments);
    Path jar = folder.resolve("five.jar");
    tool(
        "jar",
        List.of(
            "--create",
            "--file",
            jar.toString(),
            "-C",
            classes.toString(),
            ".",
            "-C",
            source.resolve("resources").toString(),
            "."));
    return jar;
  }

  private static void tool(String name, List<String> arguments) {
    int result =
        ToolProvider.findFirst(name)
            .orElseThrow()
            .run(System.out, System.err, arguments.toArray(String[]::new));
    assertEquals(0, result, name + " " + String.join(File.pathSeparator, arguments));
  }
}
