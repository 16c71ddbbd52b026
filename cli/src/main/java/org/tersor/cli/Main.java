package org.tersor.cli;

import org.tersor.passes.Compiler;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The {@code tersor} command; every subcommand has a class of its own. */
@Command(
    name = "tersor",
    description = "Compiles and quantizes ONNX models.",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      DemoCommand.class,
      InspectCommand.class,
      CompileCommand.class,
      QuantizeCommand.class,
      ReestimateCommand.class,
      SearchCommand.class,
      RunCommand.class,
      VerifyCommand.class,
      BenchCommand.class,
      EvalCommand.class,
      GenerateCommand.class,
      ConformanceCommand.class,
      DifftestCommand.class,
      ZooCommand.class,
      DoctorCommand.class,
      PluginsCommand.class,
      HelpCommand.class,
    })
public final class Main implements Runnable {
  @Spec private CommandSpec spec;

  Main() {}

  /** Runs one command line and exits with its code. */
  public static void main(String[] args) {
    System.exit(commandLine().execute(args));
  }

  /** The command line with all subcommands, as {@link #main} runs it. */
  static CommandLine commandLine() {
    CommandLine line = new CommandLine(new Main());
    CommandSpec completion = CommandSpec.forAnnotatedObject(new AutoComplete.GenerateCompletion());
    completion
        .usageMessage()
        .description("Prints a completion script for bash and zsh: source <(tersor completion)");
    line.addSubcommand("completion", completion);
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setExecutionExceptionHandler(new Faults());
    line.setParameterExceptionHandler(new Faults());
    withExitCodes(line);
    return line;
  }

  private static void withExitCodes(CommandLine line) {
    line.getCommandSpec().usageMessage().exitCodeListHeading("%nExit codes:%n");
    java.util.Map<String, String> codes = new java.util.LinkedHashMap<>();
    for (String text : Exit.TEXT) {
      codes.put(text.substring(0, text.indexOf(':')), text.substring(text.indexOf(':') + 1));
    }
    line.getCommandSpec().usageMessage().exitCodeList(codes);
    line.getSubcommands().values().forEach(Main::withExitCodes);
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "no command given");
  }

  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"tersor " + Compiler.version() + " (Java " + Runtime.version() + ")"};
    }
  }
}
