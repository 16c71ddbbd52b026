package org.tersor.conformance.hostile;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.tersor.conformance.LoadedModel;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.TersorException;

/**
 * Runs every {@link HostileCases} on a backend, a line for each: the code of the diagnostic, or
 * what happened instead. The process is small, and it stops at the first case that takes too long.
 */
final class HostileMain {
  /** Far more than any case needs on a machine that has nothing else to do. */
  private static final int SECONDS = 40;

  private HostileMain() {}

  public static void main(String[] args) throws InterruptedException {
    Compiler compiler = Compiler.standard();
    warm(compiler, args[0]);
    ExecutorService one = Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory());
    for (HostileCases.Case hostile : HostileCases.all()) {
      for (boolean constants : List.of(false, true)) {
        Future<String> outcome = one.submit(() -> outcome(compiler, args[0], hostile, constants));
        String what;
        try {
          what = outcome.get(SECONDS, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
          what = "HANGS";
        } catch (ExecutionException e) {
          what = "FAULT " + e.getCause();
        }
        System.out.println(
            hostile.answer()
                + "\t"
                + hostile.name()
                + (constants ? " (constants)" : " (inputs)")
                + "\t"
                + what);
        if (what.equals("HANGS")) {
          Thread.getAllStackTraces().values().stream()
              .filter(trace -> trace.length > 12)
              .forEach(trace -> System.out.println(List.of(trace).subList(0, 12)));
          System.exit(1);
        }
      }
    }
    System.out.println("DONE");
    System.exit(0);
  }

  /** Loading classes is not what the cases are about. */
  private static void warm(Compiler compiler, String backend) {
    HostileCases.Case easy =
        new HostileCases.Case(
            "easy",
            "",
            "Abs",
            Map.of(),
            List.of(org.tersor.runtime.Tensor.of(new float[] {-1}, 1)),
            1,
            HostileCases.Answer.ANY);
    String outcome = outcome(compiler, backend, easy, false);
    if (!outcome.equals("VALUE")) {
      throw new IllegalStateException(outcome);
    }
  }

  private static String outcome(
      Compiler compiler, String backend, HostileCases.Case hostile, boolean constants) {
    try {
      Executable executable =
          LoadedModel.of(compiler, hostile.graph(constants), backend, CompileOptions.defaults())
              .executable();
      executable.call(constants ? Map.of() : hostile.inputs());
      return "VALUE";
    } catch (TersorException e) {
      return e.code() + " " + String.valueOf(e.getMessage()).replaceAll("\\s+", " ");
    } catch (Throwable e) {
      String at = e.getStackTrace().length > 0 ? " at " + e.getStackTrace()[0] : "";
      return "FAULT " + e + at;
    }
  }
}
