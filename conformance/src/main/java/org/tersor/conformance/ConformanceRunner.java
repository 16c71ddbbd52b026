package org.tersor.conformance;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.tersor.ir.graph.Graph;
import org.tersor.onnx.OnnxSignature;
import org.tersor.onnx.OnnxTensors;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Runs cases of the ONNX backend suite. A case that cannot run has failed. */
public final class ConformanceRunner {
  private final Compiler compiler;
  private final Settings settings;

  public ConformanceRunner(Compiler compiler, Settings settings) {
    this.compiler = compiler;
    this.settings = settings;
  }

  /**
   * How to run.
   *
   * @param jobs cases at once
   * @param secondsPerCase a case that takes longer has failed
   */
  public record Settings(String backend, CompileOptions options, int jobs, long secondsPerCase) {}

  /** The outcome of one case; {@code message} says why it failed. */
  public record Outcome(
      String name, boolean passed, String message, LoadedModel.Nodes nodes, long millis) {

    /**
     * Who computes it: the host if anything of it, else generated code if anything, else nobody.
     */
    Computed computed() {
      return nodes.host() > 0
          ? Computed.HOST
          : nodes.kernel() > 0 ? Computed.KERNELS : Computed.FOLDED;
    }
  }

  /** What computes a case. */
  public enum Computed {
    /** Generated code alone. */
    KERNELS,
    /** The host, or both. */
    HOST,
    /** The compiler: nothing was left but to hand values over. */
    FOLDED
  }

  /**
   * Totals, and every outcome in order of name. No case is ever skipped.
   *
   * @param cases that passed, by who computes them
   */
  public record Summary(
      int passed,
      int failed,
      int skipped,
      LoadedModel.Nodes nodes,
      Map<Computed, Long> cases,
      List<Outcome> outcomes) {
    static Summary of(List<Outcome> outcomes) {
      int passed = (int) outcomes.stream().filter(Outcome::passed).count();
      Map<Computed, Long> cases = new EnumMap<>(Computed.class);
      for (Computed computed : Computed.values()) {
        cases.put(
            computed,
            outcomes.stream().filter(o -> o.passed() && o.computed() == computed).count());
      }
      return new Summary(
          passed,
          outcomes.size() - passed,
          0,
          outcomes.stream()
              .map(Outcome::nodes)
              .reduce(LoadedModel.Nodes.NONE, LoadedModel.Nodes::plus),
          cases,
          outcomes);
    }
  }

  /** Runs cases side by side; {@code progress} hears of each as it ends. */
  public Summary run(List<SuiteCase> cases, Consumer<Outcome> progress) {
    List<Future<Outcome>> futures = new ArrayList<>();
    try (ExecutorService pool =
        Executors.newFixedThreadPool(settings.jobs(), Thread.ofPlatform().daemon().factory())) {
      for (SuiteCase suiteCase : cases) {
        futures.add(
            pool.submit(() -> {
              Outcome outcome = run(suiteCase);
              synchronized (progress) {
                progress.accept(outcome);
              }
              return outcome;
            }));
      }
    }
    return Summary.of(futures.stream().map(Future::resultNow).toList());
  }

  /**
   * Runs one case in a thread of its own, so that one that never ends or overflows its stack is
   * only a failure.
   */
  public Outcome run(SuiteCase suiteCase) {
    long start = System.nanoTime();
    AtomicReference<Optional<Outcome>> result = new AtomicReference<>(Optional.empty());
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .stackSize(16L << 20)
            .name("case " + suiteCase.name())
            .start(() -> result.set(Optional.of(attempt(suiteCase, start))));
    try {
      thread.join(settings.secondsPerCase() * 1000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return result
        .get()
        .orElseGet(
            () -> failed(suiteCase, start, "takes more than " + settings.secondsPerCase() + " s"));
  }

  private Outcome attempt(SuiteCase suiteCase, long start) {
    try {
      if (suiteCase.sets().isEmpty() && suiteCase.lightOutput().isEmpty()) {
        return failed(suiteCase, start, "has no test data");
      }
      Graph imported = compiler.read(suiteCase.model(), Map.of());
      LoadedModel model =
          LoadedModel.of(compiler, imported, settings.backend(), settings.options());
      String fault = "";
      if (suiteCase.lightOutput().isPresent()) {
        fault = checkLight(suiteCase, model, suiteCase.lightOutput().get());
      }
      for (Path set : suiteCase.sets()) {
        fault = fault.isEmpty() ? check(suiteCase, imported, model, set) : fault;
      }
      return new Outcome(suiteCase.name(), fault.isEmpty(), fault, model.nodes(), millis(start));
    } catch (TersorException e) {
      return failed(suiteCase, start, e.code() + " " + e.getMessage());
    } catch (RuntimeException | Error e) {
      StackTraceElement[] trace = e.getStackTrace();
      return failed(
          suiteCase, start, "internal: " + e + (trace.length > 0 ? " at " + trace[0] : ""));
    }
  }

  private static Outcome failed(SuiteCase suiteCase, long start, String message) {
    return new Outcome(suiteCase.name(), false, message, LoadedModel.Nodes.NONE, millis(start));
  }

  private static long millis(long start) {
    return (System.nanoTime() - start) / 1_000_000;
  }

  /** What is wrong with the outputs of one data set; empty if nothing is. */
  private String check(SuiteCase suiteCase, Graph imported, LoadedModel model, Path set) {
    OnnxSignature declared = OnnxSignature.read(suiteCase.model());
    Map<String, Datum> inputs = new LinkedHashMap<>();
    for (int i = 0; i < declared.inputs().size(); i++) {
      OnnxSignature.Port port = declared.inputs().get(i);
      Path file = set.resolve("input_" + i + ".pb");
      if (Files.exists(file)) {
        inputs.put(port.name(), OnnxTensors.read(file, port.type()));
      }
    }
    List<Datum> expected = new ArrayList<>();
    for (int i = 0; i < declared.outputs().size(); i++) {
      expected.add(
          OnnxTensors.read(set.resolve("output_" + i + ".pb"), declared.outputs().get(i).type()));
    }
    return compare(suiteCase, imported, model.executable().call(inputs), expected);
  }

  /** A light model: every input is 0, 1/n, 2/n, ..., as the suite's own runner makes it. */
  private static String checkLight(SuiteCase suiteCase, LoadedModel model, Path output) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    for (Port port : model.executable().inputs()) {
      Tensor tensor = Tensor.zeros(DType.F32, RandomInputs.shape(port, Map.of()));
      for (int i = 0; i < tensor.size(); i++) {
        tensor.floats()[i] = (float) (i / (double) tensor.size());
      }
      inputs.put(port.name(), tensor);
    }
    return compare(
        suiteCase,
        model.graph(),
        model.executable().run(inputs),
        List.of(OnnxTensors.read(output)));
  }

  private static String compare(
      SuiteCase suiteCase,
      Graph graph,
      Map<String, ? extends Datum> actual,
      List<? extends Datum> expected) {
    if (actual.size() != expected.size()) {
      return actual.size() + " outputs, but " + expected.size() + " are expected";
    }
    for (int i = 0; i < expected.size(); i++) {
      String name = graph.outputs().get(i).name();
      Datum ours = actual.get(name);
      if (ours == null) {
        return "output '" + name + "' is missing";
      }
      for (Comparison comparison :
          Comparison.all(name, ours, expected.get(i), (leaf, tensor) -> suiteCase.tolerance())) {
        if (!comparison.passed()) {
          return "output '" + comparison.name() + "': " + comparison.note();
        }
      }
    }
    return "";
  }
}
