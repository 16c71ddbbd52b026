package org.tersor.conformance.kernels;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * One row of the kernel benchmark, and of the test of hot code: a small graph, its inputs, the same
 * thing by hand, and plain loops that say what the values are.
 *
 * @param graph one output
 * @param operands arrays of the hand-written code, weights in the order that it wants
 * @param sizes its dimensions
 * @param result type of the output: F32, I32 or U8
 * @param jvm hand-written with the Vector API; empty: there is none to compare with
 * @param function of the hand-written C code in {@code reference.c}
 * @param expected values by plain loops in double
 * @param tolerance relative to the largest value; 0: equal
 */
public record KernelCase(
    String name,
    Graph graph,
    Map<String, Tensor> inputs,
    List<Object> operands,
    int[] sizes,
    DType result,
    Optional<Hand> jvm,
    String function,
    double[] expected,
    double tolerance) {

  /** Hand-written code: reads the operands and writes the result. */
  public interface Hand {
    void run(List<Object> operands, Object result, int[] sizes);
  }

  /** An array for the result of the hand-written code. */
  Object newResult() {
    int n = expected.length;
    return switch (result) {
      case U8 -> new byte[n];
      case I32 -> new int[n];
      default -> new float[n];
    };
  }

  @Override
  public String toString() {
    return name;
  }
}
