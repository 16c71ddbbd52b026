package org.tersor.runtime;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;

/** The command line of a compiled jar: {@code java -jar model.jar --help}. */
public final class JarMain {
  private static final String RELAUNCHED = "tersor.relaunched";

  /**
   * HotSpot compiles in tiers. While its queue is long it takes the second instead of the third; a
   * method of vector code that the third then cannot compile ("out of virtual registers") never
   * reaches the fourth, which would make it thirty times faster. So the second is left out.
   */
  public static final List<String> HOTSPOT =
      List.of("-XX:+IgnoreUnrecognizedVMOptions", "-XX:Tier3DelayOn=1000000");

  private JarMain() {}

  /**
   * Runs the command line and exits.
   *
   * @param model makes the model, once the right JVM runs
   */
  public static void main(Class<?> main, Supplier<CompiledModel> model, String[] args)
      throws IOException, InterruptedException {
    if ((args.length > 0 && args[0].equals("--help")) || args.length == 0) {
      help(main, System.out);
      return;
    }
    if (mustRelaunch()) {
      System.exit(relaunch(main, args));
    }
    int status;
    try {
      status = run(model.get(), List.of(args));
    } catch (TersorException e) {
      System.err.println("error[" + e.code() + "]: " + e.getMessage());
      status = 6;
    } catch (IOException e) {
      System.err.println("error[TSR-0901]: " + e.getMessage());
      status = 6;
    }
    if (status != 0) {
      System.exit(status);
    }
  }

  private static void help(Class<?> main, PrintStream out) {
    out.println("Usage: java -jar FILE.jar COMMAND");
    out.println("  --describe                          inputs, outputs, what code runs");
    out.println("  run [--input NAME=FILE.npy ...] [--random] [--seed N] [--output DIR]");
    out.println(
        "                                      runs once; writes outputs as .npy into DIR, else prints them");
    out.println("  --help                              this text");
    out.println("In Java: new " + main.getName() + "().run(Map.of(name, tensor))");
  }

  /**
   * The vector module cannot be named in a manifest, so a plain {@code java -jar} starts itself
   * again with it.
   */
  private static boolean mustRelaunch() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()
        && !Boolean.getBoolean(RELAUNCHED)
        && !Boolean.getBoolean("tersor.plain");
  }

  private static int relaunch(Class<?> main, String[] args)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(HOTSPOT);
    command.addAll(jvmOptions());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("--add-modules");
    command.add("jdk.incubator.vector");
    command.add("-D" + RELAUNCHED + "=true");
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(main.getName());
    command.addAll(List.of(args));
    return new ProcessBuilder(command).inheritIO().start().waitFor();
  }

  private static int run(CompiledModel model, List<String> args) throws IOException {
    return switch (args.getFirst()) {
      case "--describe" -> {
        model
            .inputs()
            .forEach(p ->
                System.out.println("input  " + p.name() + "  " + p.dtype().text() + p.shape()));
        model
            .outputs()
            .forEach(p ->
                System.out.println("output " + p.name() + "  " + p.dtype().text() + p.shape()));
        System.out.println(model.describe());
        yield 0;
      }
      case "run" -> runOnce(model, args.subList(1, args.size()));
      default -> {
        System.err.println(
            "error[TSR-0902]: unknown command '" + args.getFirst() + "'; see --help");
        yield 2;
      }
    };
  }

  /** Options of the JVM that the relaunched one should have too (heap size, -XX:UseAVX, ...). */
  private static List<String> jvmOptions() {
    List<String> options = new ArrayList<>();
    for (String argument : ProcessHandle.current().info().arguments().orElse(new String[0])) {
      if (argument.equals("-jar") || argument.equals("-cp") || !argument.startsWith("-")) {
        break;
      }
      options.add(argument);
    }
    return options;
  }

  private static int runOnce(CompiledModel model, List<String> args) throws IOException {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    Path output = null;
    boolean random = false;
    long seed = 0;
    for (int i = 0; i < args.size(); i++) {
      String arg = args.get(i);
      if (arg.equals("--random")) {
        random = true;
        continue;
      }
      if (i + 1 == args.size()) {
        System.err.println("error[TSR-0902]: " + arg + " needs a value or is unknown; see --help");
        return 2;
      }
      String value = args.get(++i);
      switch (arg) {
        case "--input" -> {
          int equals = value.indexOf('=');
          if (equals < 0) {
            System.err.println("error[TSR-0902]: --input takes NAME=FILE.npy, not '" + value + "'");
            return 2;
          }
          inputs.put(value.substring(0, equals), Npy.read(Path.of(value.substring(equals + 1))));
        }
        case "--output" -> output = Path.of(value);
        case "--seed" -> seed = Long.parseLong(value);
        default -> {
          System.err.println("error[TSR-0902]: unknown option " + arg + "; see --help");
          return 2;
        }
      }
    }
    if (random) {
      Random generator = new Random(seed);
      for (Executable.Port port : model.inputs()) {
        inputs.computeIfAbsent(port.name(), name -> random(port, generator));
      }
    }
    Map<String, Tensor> outputs = model.run(inputs);
    int number = 0;
    for (Map.Entry<String, Tensor> entry : outputs.entrySet()) {
      if (output == null) {
        System.out.println(entry.getKey() + " " + entry.getValue() + " " + head(entry.getValue()));
      } else {
        Files.createDirectories(output);
        // Names come from the model and may be no file names.
        String safe = entry.getKey().replaceAll("[^A-Za-z0-9_.-]", "_");
        Path file = output.resolve(number++ + "-" + safe + ".npy");
        Npy.write(entry.getValue(), file);
        System.out.println(entry.getKey() + " " + entry.getValue() + " -> " + file);
      }
    }
    return 0;
  }

  private static Tensor random(Executable.Port port, Random generator) {
    long[] shape =
        port.shape().stream().mapToLong(dim -> dim.isConst() ? dim.constValue() : 1).toArray();
    Tensor tensor = Tensor.zeros(port.dtype(), shape);
    for (int i = 0; i < tensor.size(); i++) {
      if (port.dtype() == DType.STRING) {
        tensor.strings()[i] = Integer.toString(generator.nextInt(10));
        continue;
      }
      tensor.setDouble(i, port.dtype().isFloat() ? generator.nextGaussian() : generator.nextInt(2));
    }
    return tensor;
  }

  private static String head(Tensor tensor) {
    StringBuilder text = new StringBuilder("[");
    for (int i = 0; i < Math.min(tensor.size(), 10); i++) {
      text.append(i == 0 ? "" : ", ");
      if (tensor.dtype() == DType.STRING) {
        text.append('"').append(tensor.strings()[i]).append('"');
      } else {
        text.append(tensor.getDouble(i));
      }
    }
    return text.append(tensor.size() > 10 ? ", ...]" : "]").toString();
  }
}
