package org.tersor.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.tersor.passes.Compiler;
import org.tersor.passes.Registry;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** What every command takes and how it prints. */
final class Common {
  /** Lines that notes of one pass take. */
  private static final int NOTES_OF_A_PASS = 4;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Option(names = "--json", description = "Print one JSON object instead of text.")
  boolean json;

  @Option(
      names = "--plugins",
      paramLabel = "JAR",
      split = ",",
      description = "Plugin jars: operators, number formats, backends, frontends.")
  List<Path> plugins = new ArrayList<>();

  @Option(names = "--debug", description = "Print stack traces.")
  boolean debug;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;

  PrintWriter out() {
    return spec.commandLine().getOut();
  }

  PrintWriter err() {
    return spec.commandLine().getErr();
  }

  /** Prints a line of text, unless JSON is wanted. */
  @SuppressWarnings("AnnotateFormatMethod")
  void say(String format, Object... arguments) {
    if (!json) {
      out().println(String.format(Locale.ROOT, format, arguments));
      out().flush();
    }
  }

  /** Prints what passes have told, unless JSON is wanted, which has it all. */
  void notes(List<String> notes) {
    shortened(notes).forEach(note -> say("  note: %s", note));
  }

  /** The first notes of each pass, and how many more it has. */
  static List<String> shortened(List<String> notes) {
    Map<String, List<String>> byPass =
        notes.stream()
            .collect(
                Collectors.groupingBy(
                    note -> note.contains(": ") ? note.substring(0, note.indexOf(": ")) : note,
                    LinkedHashMap::new,
                    Collectors.toList()));
    List<String> shown = new ArrayList<>();
    byPass.forEach((pass, all) -> {
      // A line that says how many more takes the place of one.
      int kept = all.size() <= NOTES_OF_A_PASS ? all.size() : NOTES_OF_A_PASS - 1;
      shown.addAll(all.subList(0, kept));
      if (kept < all.size()) {
        shown.add("%s: %d more; --json lists all".formatted(pass, all.size() - kept));
      }
    });
    return shown;
  }

  /** Prints an object as JSON if that is wanted. */
  void sayJson(Object value) {
    if (json) {
      try {
        out()
            .println(new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(value));
        out().flush();
      } catch (JsonProcessingException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  void warn(String message) {
    err().println(picocli.CommandLine.Help.Ansi.AUTO.string("@|yellow warning:|@ ") + message);
    err().flush();
  }

  Registry registry() {
    return plugins.isEmpty() ? Registry.builtIn() : Registry.withPlugins(plugins);
  }

  Compiler compiler() {
    return new Compiler(registry());
  }

  /**
   * Long work with a progress bar on standard error, if that is a terminal; the work gets a
   * function to call after each step.
   */
  void withProgress(String task, long steps, Consumer<Runnable> work) {
    if (!terminal() || steps < 2) {
      work.accept(() -> {});
      return;
    }
    try (ProgressBar bar =
        new ProgressBarBuilder()
            .setTaskName(task)
            .setInitialMax(steps)
            .setStyle(ProgressBarStyle.ASCII)
            .setUpdateIntervalMillis(200)
            .build()) {
      work.accept(bar::step);
    }
  }

  @SuppressWarnings("SystemConsoleNull") // NullAway asks for it
  private static boolean terminal() {
    java.io.Console console = System.console();
    return console != null && console.isTerminal();
  }

  static String bytes(long n) {
    if (n < 10_000) {
      return n + " bytes";
    }
    return n < 10_000_000
        ? String.format(Locale.ROOT, "%.1f KB", n / 1e3)
        : String.format(Locale.ROOT, "%.1f MB", n / 1e6);
  }

  static String count(long n) {
    return n < 10_000
        ? Long.toString(n)
        : n < 10_000_000
            ? String.format(Locale.ROOT, "%.1f thousand", n / 1e3)
            : String.format(Locale.ROOT, "%.1f million", n / 1e6);
  }

  static String millis(double ms) {
    return ms < 1
        ? String.format(Locale.ROOT, "%.1f µs", ms * 1e3)
        : ms < 1000
            ? String.format(Locale.ROOT, "%.2f ms", ms)
            : String.format(Locale.ROOT, "%.2f s", ms / 1e3);
  }
}
