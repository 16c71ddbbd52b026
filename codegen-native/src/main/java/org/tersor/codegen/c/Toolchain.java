package org.tersor.codegen.c;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Runs C compilers, see {@link Architecture}, in a private folder with fixed file names. */
final class Toolchain {
  /** Flags of all generated code; Fma is a node of its own, so no other contraction is allowed. */
  static final List<String> FLAGS =
      List.of(
          "-std=gnu11",
          "-O2",
          "-ffreestanding",
          "-fno-stack-protector",
          "-fwrapv",
          "-fno-strict-aliasing",
          "-ffp-contract=off",
          "-fno-math-errno",
          "-fno-trapping-math",
          "-fno-tree-loop-distribute-patterns",
          "-fno-asynchronous-unwind-tables",
          "-fvisibility=hidden",
          "-fPIC",
          "-w");

  private Toolchain() {}

  /** Command words of the compiler for this machine. */
  static List<String> cc() {
    return Architecture.HOST.cc();
  }

  /** Why there is no compiler; empty if there is one. */
  static Optional<String> unavailable() {
    Optional<String> missing = Architecture.HOST.unavailable();
    if (missing.isPresent()) {
      return missing;
    }
    if (!System.getProperty("os.arch").equals("amd64")
        || !System.getProperty("os.name").equals("Linux")) {
      return Optional.of(
          "native code is generated for Linux on x86-64 only, not for "
              + System.getProperty("os.name")
              + " on "
              + System.getProperty("os.arch"));
    }
    return Optional.empty();
  }

  /** The file that a command names. */
  static Optional<Path> find(String command) {
    if (command.contains("/")) {
      return Optional.of(Path.of(command)).filter(Files::isExecutable);
    }
    String path = System.getenv("PATH");
    for (String folder : (path == null ? "" : path).split(":", -1)) {
      Path file = Path.of(folder.isEmpty() ? "." : folder, command);
      if (Files.isExecutable(file) && !Files.isDirectory(file)) {
        return Optional.of(file);
      }
    }
    return Optional.empty();
  }

  /** Asked once a process: it starts another one. */
  private static final class Identity {
    static final String VERSION = version();
  }

  /** What compiled code depends on beside its sources and their flags. */
  static String identity() {
    return Identity.VERSION + cc() + FLAGS;
  }

  /** First line of the compiler's version. */
  static String version() {
    return version(cc()).lines().findFirst().orElse("");
  }

  /** What a compiler says of its version. */
  static String version(List<String> compiler) {
    List<String> command = new ArrayList<>(compiler);
    command.add("--version");
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      process.waitFor();
      return text;
    } catch (IOException e) {
      throw Faults.toolchain("cannot run " + String.join(" ", command) + ": " + e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Faults.toolchain("interrupted");
    }
  }

  /**
   * Runs a compiler in {@code folder}; a failure is TSR-0602 with the first lines of its output.
   */
  static void run(Path folder, List<String> command) {
    try {
      Path log = folder.resolve("log" + command.hashCode() + ".txt");
      Process process =
          new ProcessBuilder(command)
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      process.getOutputStream().close();
      if (!process.waitFor(15, TimeUnit.MINUTES)) {
        process.destroyForcibly();
        throw Faults.compile(command.getFirst() + " did not finish in 15 minutes");
      }
      if (process.exitValue() != 0) {
        String text = Files.readString(log, StandardCharsets.UTF_8);
        throw Faults.compile(
            command.getFirst()
                + " refused generated code (a fault of this program, please report it): "
                + text.substring(0, Math.min(text.length(), 2000)));
      }
    } catch (IOException e) {
      throw Faults.toolchain("cannot run " + command.getFirst() + ": " + e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Faults.toolchain("interrupted while compiling");
    }
  }

  /** A command of the C compiler for this machine. */
  static List<String> command(List<String> flags, String... more) {
    return Architecture.HOST.command(flags, more);
  }

  /**
   * Runs {@code body} with a folder that only this user can read and that is deleted afterwards.
   */
  static <T> T inFolder(IoFunction<Path, T> body) {
    try {
      Path folder = Files.createTempDirectory("tersor");
      try {
        return body.apply(folder);
      } finally {
        delete(folder);
      }
    } catch (IOException e) {
      throw Faults.toolchain("cannot write temporary files: " + e);
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }

  /** A function that may fail to read or write. */
  interface IoFunction<A, B> {
    B apply(A a) throws IOException;
  }
}
