package org.tersor.cli;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.tersor.conformance.LoadedModel;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Runs every {@link HostileList} on every backend and as artifacts, a line for each: the code of
 * the diagnostic, or what happened instead. One that takes too long is interrupted.
 *
 * <p>A call of the C compiler takes longer than all the rest, so what the JVM backend answers with
 * a value is one model for native code and for artifacts, while what it refuses is compiled alone,
 * unless that is refused before any code is written.
 */
final class HostileMain {
  /** Of the processor, so that a machine that is busy with something else does not fail. */
  private static final long NANOS = 5_000_000_000L;

  /**
   * A case that neither ends nor computes. The C compiler's time counts here, also on a busy
   * machine.
   */
  private static final long SECONDS = 400;

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
  private static final Compiler COMPILER = Compiler.standard();

  private final Path folder;

  /** With a cache of this test's own: reading headers is what takes a C compiler longest here. */
  private final CompileOptions options;

  private int files;
  private final List<HostileCase> withValue = new ArrayList<>();
  private final List<HostileCase> withoutValue = new ArrayList<>();

  private HostileMain(Path folder) {
    this.folder = folder;
    this.options =
        CompileOptions.defaults().withSetting("cache", folder.resolveSibling("cache").toString());
  }

  public static void main(String[] args) throws Exception {
    HostileMain main = new HostileMain(Path.of(args[0]));
    main.warm();
    main.all(HostileCase.Form.valueOf(args[1]));
    System.out.println("DONE");
    System.exit(0);
  }

  /** Loading classes is not what the cases are about. */
  private void warm() {
    HostileCase easy =
        new HostileCase(
            "easy",
            HostileCase.Answer.ANY,
            List.of(Tensor.of(new float[] {-1}, 1)),
            HostileList.node("", "Abs", Map.of(), 1));
    for (String backend : List.of("interpreter", "jvm", "native")) {
      String outcome = outcome(() -> call(easy.model(HostileCase.Form.INPUTS), backend));
      if (!outcome.equals("VALUE")) {
        throw new IllegalStateException(outcome);
      }
    }
  }

  /** Constants alone are computed when compiling: what becomes of them needs no compiler of C. */
  private void all(HostileCase.Form form) throws Exception {
    for (HostileCase hostile : HostileList.all()) {
      (interpreted(hostile.model(form)) ? withValue : withoutValue).add(hostile);
    }
    if (form == HostileCase.Form.CONSTANTS) {
      return;
    }
    for (HostileCase hostile : withoutValue) {
      compiled(hostile.model(form));
    }
    compiled(HostileCase.together(withValue, form));
    List<HostileCase> fit = withValue.stream().filter(c -> fitsLibrary(c.model(form))).toList();
    HostileCase.Model libraries = HostileCase.together(fit, form);
    report("so", libraries, () -> artifact(libraries, "native", "so"));
  }

  /** Whether bytecode of it gives a value. */
  private boolean interpreted(HostileCase.Model model) throws Exception {
    report("interpreter", model, () -> call(model, "interpreter"));
    return report("jvm", model, () -> call(model, "jvm"));
  }

  private void compiled(HostileCase.Model model) throws Exception {
    report("native", model, () -> call(model, "native"));
    report("jar", model, () -> artifact(model, "jvm", "jar"));
    if (fitsLibrary(model)) {
      report("so", model, () -> artifact(model, "native", "so"));
    }
  }

  /** Whether a library can hold it; else why not is said before any C is compiled. */
  private boolean fitsLibrary(HostileCase.Model model) {
    try {
      Backend.OfProgram backend = (Backend.OfProgram) COMPILER.registry().backend("native");
      ModelProgram program =
          COMPILER.model(
              COMPILER.prepare(model.graph(), options), Compiler.target(backend, options), options);
      return program.script().isEmpty();
    } catch (TersorException e) {
      return false;
    }
  }

  private String call(HostileCase.Model model, String backend) {
    var _ =
        LoadedModel.of(COMPILER, model.graph(), backend, options).executable().call(model.inputs());
    return "VALUE";
  }

  private String artifact(HostileCase.Model model, String backend, String suffix)
      throws IOException {
    // A name of its own: the loaders of jars and libraries remember files by their names.
    Path file = folder.resolve("model" + files++ + "." + suffix);
    Backend.OfProgram compiling = (Backend.OfProgram) COMPILER.registry().backend(backend);
    COMPILER.artifact(
        model.graph(), backend, List.of(Compiler.target(compiling, options).name()), file, options);
    Executable executable = suffix.equals("jar") ? JarArtifact.open(file, 1) : new SoArtifact(file);
    var _ = executable.run(model.inputs());
    Files.delete(file);
    return "VALUE";
  }

  /** Runs in a thread that is watched; whether it ended in a value. */
  private static boolean report(String backend, HostileCase.Model model, Callable<String> run)
      throws Exception {
    FutureTask<String> task = new FutureTask<>(() -> outcome(run));
    Thread thread = Thread.ofPlatform().daemon().start(task);
    long clock = System.nanoTime();
    String what = "";
    long used = 0;
    while (what.isEmpty()) {
      try {
        what = task.get(100, TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        used = Math.max(used, THREADS.getThreadCpuTime(thread.threadId()));
        if (used > NANOS || System.nanoTime() - clock > SECONDS * 1_000_000_000) {
          what = "HANGS in " + List.of(thread.getStackTrace());
        }
      } catch (OutOfMemoryError e) {
        // The case has taken all there is: this thread waits until it is told so and gives it back.
        used = Math.max(used, 1);
      }
    }
    System.out.println(
        model.answer()
            + "\t"
            + backend
            + "\t"
            + model.name()
            + "\t"
            + what
            + "\t"
            + used / 1_000_000);
    thread.interrupt();
    return what.equals("VALUE");
  }

  private static String outcome(Callable<String> run) {
    try {
      return run.call();
    } catch (TersorException e) {
      return e.code() + " " + String.valueOf(e.getMessage()).replaceAll("\\s+", " ");
    } catch (Throwable e) {
      return "FAULT " + e + " at " + Arrays.stream(e.getStackTrace()).limit(5).toList();
    }
  }
}
