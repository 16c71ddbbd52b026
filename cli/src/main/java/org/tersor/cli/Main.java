package org.tersor.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Objects;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The {@code tersor} command; every subcommand has a class of its own. */
@Command(
    name = "tersor",
    description = "Compiles and quantizes ONNX models.",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class)
public final class Main implements Runnable {
  @Spec private CommandSpec spec;

  Main() {}

  /** Runs one command line and exits with its code. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new Main()).execute(args));
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "no command given");
  }

  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() throws Exception {
      try (var in = Main.class.getResourceAsStream("version.txt")) {
        String version = new String(Objects.requireNonNull(in).readAllBytes(), UTF_8).strip();
        return new String[] {"tersor " + version + " (Java " + Runtime.version() + ")"};
      }
    }
  }
}
