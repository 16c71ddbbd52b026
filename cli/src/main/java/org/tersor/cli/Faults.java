package org.tersor.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.NoSuchFileException;
import java.util.Map;
import org.tersor.runtime.TersorException;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * What a user sees of a fault: a code, a sentence, what to do; the stack trace only with --debug.
 */
final class Faults implements IExecutionExceptionHandler, IParameterExceptionHandler {
  private static final Map<String, String> HINTS =
      Map.of(
          "TSR-0201",
              "`tersor inspect MODEL` lists every operator of the model; a plugin can add operators (--plugins X.jar)",
          "TSR-0601",
              "`tersor doctor` shows which backends work here; --backend jvm needs no tools",
          "TSR-0701", "give it with --input NAME=FILE.npy, or --input NAME=random",
          "TSR-0702", "`tersor inspect MODEL` lists the inputs",
          "TSR-0801", "`tersor doctor` shows what is missing",
          "TSR-0803", "raise the limit with --reference-timeout SECONDS");

  @Override
  public int handleExecutionException(Exception fault, CommandLine line, ParseResult parsed) {
    return report(fault, line.getErr(), parsed.originalArgs().contains("--debug"));
  }

  /** Prints and returns the exit code. */
  static int report(Throwable fault, PrintWriter err, boolean debug) {
    int exit;
    switch (fault) {
      case TersorException known -> {
        error(err, known.code(), String.valueOf(known.getMessage()));
        String hint = HINTS.get(known.code());
        if (hint != null) {
          err.println(Ansi.AUTO.string("@|bold hint:|@ ") + hint);
        }
        exit = Exit.of(known.code());
      }
      case NoSuchFileException missing -> {
        error(err, "TSR-0902", "there is no file " + missing.getFile());
        exit = Exit.USAGE;
      }
      case UncheckedIOException io -> {
        return report(new IOException(io.getMessage(), io.getCause()), err, debug);
      }
      case IOException io -> {
        error(err, "TSR-0902", io.getClass().getSimpleName() + ": " + io.getMessage());
        exit = Exit.USAGE;
      }
      default -> {
        error(
            err,
            "TSR-9999",
            "internal error: " + fault + "; run it again with --debug and report what it prints");
        exit = Exit.INTERNAL;
      }
    }
    if (debug) {
      fault.printStackTrace(err);
    }
    err.flush();
    return exit;
  }

  private static void error(PrintWriter err, String code, String message) {
    err.println(Ansi.AUTO.string("@|bold,red error[" + code + "]:|@ ") + message);
  }

  @Override
  public int handleParseException(ParameterException fault, String[] args) {
    CommandLine line = fault.getCommandLine();
    PrintWriter err = line.getErr();
    err.println(Ansi.AUTO.string("@|bold,red error:|@ ") + fault.getMessage());
    if (!UnmatchedArgumentException.printSuggestions(fault, err)) {
      line.usage(err);
    } else {
      err.println("`" + line.getCommandSpec().qualifiedName() + " --help` shows what there is");
    }
    err.flush();
    return Exit.USAGE;
  }
}
