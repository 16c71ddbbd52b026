package org.tersor.passes;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphPrinter;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.eval.Evaluator;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.eval.SeededInputs;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Runs passes in order, checks what they need, and watches them. */
public final class PassManager {

  /**
   * How passes are watched.
   *
   * @param printAfter ids of passes after which {@code print} gets the id and the graph's text; "*"
   *     for every one that changed it; {@code kernels} and {@code loops} for these later forms
   * @param stopAfter the pass after which the pipeline ends
   * @param verifyNumerics whether the graph is evaluated before and after each pass that keeps its
   *     meaning
   * @param limit at most this many passes run (to bisect a fault)
   * @param verifier checks a graph after each pass; throws if it is malformed
   */
  public record Debug(
      Set<String> printAfter,
      Optional<String> stopAfter,
      boolean verifyNumerics,
      int limit,
      BiConsumer<String, String> print,
      Consumer<Graph> verifier) {
    public static final Debug OFF =
        new Debug(
            Set.of(), Optional.empty(), false, Integer.MAX_VALUE, (id, graph) -> {}, graph -> {});

    public Debug withVerifyNumerics() {
      return new Debug(printAfter, stopAfter, true, limit, print, verifier);
    }

    public Debug withLimit(int newLimit) {
      return new Debug(printAfter, stopAfter, verifyNumerics, newLimit, print, verifier);
    }

    public Debug withVerifier(Consumer<Graph> newVerifier) {
      return new Debug(printAfter, stopAfter, verifyNumerics, limit, print, newVerifier);
    }
  }

  /**
   * Relative and absolute difference that a pass that keeps the meaning may cause, in units of the
   * largest output.
   */
  private static final double TOLERANCE = 1e-4;

  private final PassContext context;
  private final Debug debug;
  private int passesRun;

  public PassManager(PassContext context, Debug debug) {
    this.context = context;
    this.debug = debug;
  }

  /** Whether a pipeline was cut short: no later pipeline may rely on it. */
  public boolean stopped() {
    return passesRun >= debug.limit();
  }

  /** Runs the passes of one pipeline. */
  public Graph run(List<Pass> passes, Graph graph) {
    Set<String> facts = new HashSet<>();
    Graph current = graph;
    for (Pass pass : passes) {
      if (passesRun >= debug.limit()) {
        context.note().accept("stopped before pass " + (passesRun + 1) + ", " + pass.id());
        break;
      }
      if (!facts.containsAll(pass.needs())) {
        throw new TersorException(
            "TSR-0405",
            "pass '"
                + pass.id()
                + "' needs "
                + pass.needs()
                + ", but only "
                + facts
                + " hold where it stands; a plugin's pass can rely on 'types'");
      }
      Graph next = pass.run(current, context);
      passesRun++;
      if (next != current) {
        debug.verifier().accept(next);
        facts.retainAll(pass.gives());
        if (debug.verifyNumerics() && pass.preservesSemantics()) {
          verify(pass, current, next);
        }
      }
      facts.addAll(pass.gives());
      if (debug.printAfter().contains(pass.id())
          || (next != current && debug.printAfter().contains("*"))) {
        debug.print().accept(pass.id(), GraphPrinter.print(next));
      }
      current = next;
      if (debug.stopAfter().filter(pass.id()::equals).isPresent()) {
        break;
      }
    }
    return current;
  }

  private void verify(Pass pass, Graph before, Graph after) {
    Map<String, Tensor> inputs = SeededInputs.of(Ports.inputs(before), Map.of(), 1);
    List<Tensor> given = before.inputs().stream().map(value -> inputs.get(value.name())).toList();
    List<Tensor> expected = new Evaluator(before, context.operators()).run(given);
    List<Tensor> actual = new Evaluator(after, context.operators()).run(given);
    for (int i = 0; i < expected.size(); i++) {
      double difference = difference(expected.get(i), actual.get(i));
      if (!(difference <= TOLERANCE)) {
        throw new TersorException(
            "TSR-0404",
            "pass "
                + pass.id()
                + " (number "
                + passesRun
                + ") changed output '"
                + before.outputs().get(i).name()
                + "' by "
                + difference
                + " of its largest value; use --bisect "
                + (passesRun - 1)
                + " to stop before it");
      }
    }
  }

  /**
   * Largest difference of two tensors in units of the larger of 1e-6 and the expected one's largest
   * value.
   */
  public static double difference(Tensor expected, Tensor actual) {
    if (expected.dtype() != actual.dtype()
        || !java.util.Arrays.equals(expected.shape(), actual.shape())) {
      return Double.POSITIVE_INFINITY;
    }
    if (expected.dtype() == org.tersor.runtime.DType.STRING || expected.dtype().isComplex()) {
      return expected.equals(actual) ? 0 : Double.POSITIVE_INFINITY;
    }
    double largest = 1e-6;
    double difference = 0;
    for (int i = 0; i < expected.size(); i++) {
      double a = expected.getDouble(i);
      double b = actual.getDouble(i);
      if (Double.compare(a, b) == 0 || a == b) {
        continue;
      }
      if (Double.isFinite(a)) {
        largest = Math.max(largest, Math.abs(a));
      }
      difference =
          Math.max(
              difference,
              Double.isFinite(a) && Double.isFinite(b)
                  ? Math.abs(a - b)
                  : Double.POSITIVE_INFINITY);
    }
    for (int i = 0; i < expected.size(); i++) {
      double a = expected.getDouble(i);
      largest = Double.isFinite(a) ? Math.max(largest, Math.abs(a)) : largest;
    }
    return difference / largest;
  }
}
